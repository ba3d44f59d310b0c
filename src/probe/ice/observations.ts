/**
 * What gathering saw, as plain JSON: candidates as they came, how far each server got, and what was proven of each
 * address. Times are milliseconds since the run began. Addresses are canonical text (`formatAddress`).
 */
import type { AddressFamily, TransportProtocol } from '../../core/index.ts'

/** RFC 8445 §5.1.1 */
export type CandidateType = 'host' | 'srflx' | 'prflx' | 'relay'

/** What an interface is, as far as its name and addresses tell. */
export type InterfaceKind = 'physical' | 'vpn' | 'container' | 'loopback' | 'unknown'

export interface CandidateObservation {
  readonly atMs: number
  readonly type: CandidateType
  readonly protocol: 'udp' | 'tcp'
  /** RFC 6544 §4.5; null over UDP. */
  readonly tcpType: 'active' | 'passive' | 'so' | null
  readonly ip: string
  readonly port: number
  /** raddr and rport; null for host candidates. RFC 8839 §5.1 */
  readonly related: { readonly ip: string; readonly port: number } | null
  readonly priority: number
  readonly foundation: string
  readonly component: number
  /** As an application would signal it: `candidate:…`. RFC 8839 §5.1 */
  readonly line: string
  readonly interface: string | null
  readonly interfaceKind: InterfaceKind
  /** An IPv6 privacy address (RFC 8981) that the system will replace; null: the system does not say. */
  readonly temporary: boolean | null
  /** Which of `attempts` found it; null for host candidates. */
  readonly attempt: number | null
  /** How the client talks to the relay, where it is one. */
  readonly relayProtocol: TransportProtocol | null
  /** Why a browser would not show this candidate; null: it would. */
  readonly browserOmits: string | null
}

/**
 * How far a server can be followed, in order.
 *   dns → connect (TCP) → tls → binding (STUN, or TURN's answer to it) → challenge (401) → allocate → permission →
 *   channel → data (echoed both ways)
 */
export type StageName =
  | 'dns'
  | 'connect'
  | 'tls'
  | 'binding'
  | 'challenge'
  | 'allocate'
  | 'permission'
  | 'channel'
  | 'data'

export interface StageObservation {
  readonly stage: StageName
  readonly startMs: number
  /** null: the run ended first. */
  readonly endMs: number | null
  readonly ok: boolean
  /** What happened, in words, for --verbose. */
  readonly detail: string
}

/** Why a server is of no use, or of less than it promises. One word each, for scripts; the words for people are made of them. */
export type CauseCode =
  | 'unknown-host' // the name does not exist
  | 'dns-failed' // the resolver did not answer
  | 'no-route' // this machine has no way there
  | 'blocked' // nothing comes back from this port over this protocol, though the network works
  | 'refused' // nothing listens there
  | 'connect-timeout' // TCP gets no answer
  | 'closed' // the server ends the connection without an answer
  | 'not-tls' // what answers does not speak TLS
  | 'tls-failed' // the handshake is not answered, or breaks off
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'certificate-wrong-name'
  | 'certificate-self-signed'
  | 'certificate-untrusted'
  | 'not-stun' // what answers speaks another protocol
  | 'no-answer' // connected, but no answer to requests
  | 'other-source' // it answers from another address than the one asked
  | 'not-turn' // STUN only: Allocate is not known there
  | 'no-credentials' // it asks for some, and none were given
  | 'wrong-credentials' // 401 again
  | 'expired-credentials' // 401 again, and the time in a REST user name has passed
  | 'bad-integrity' // its answer is not signed with the credentials' key
  | 'forbidden' // 403
  | 'allocation-mismatch' // 437
  | 'stale-nonce-loop' // 438 again and again
  | 'quota' // 486
  | 'no-capacity' // 508
  | 'redirect' // 300, which leads nowhere or round in a circle
  | 'error-response' // any other error
  | 'unsupported' // natcheck does not speak this transport
  | 'relay-address-loopback'
  | 'relay-address-private'
  | 'peer-denied' // 403 on a permission
  | 'one-way-to-peer' // data gets out through the relay, and nothing back
  | 'one-way-from-peer' // data gets in, and none out
  | 'no-data' // neither; a warning where two allocations reach each other
  | 'cancelled' // the run ended first

export interface Cause {
  readonly code: CauseCode
  /** Where it happened. */
  readonly stage: StageName
  /** The failure stops this server (`error`), or leaves it usable (`warning`). */
  readonly severity: 'error' | 'warning'
  /** The numbers and names that the sentence for people needs: error codes, dates, seconds, names of a certificate. */
  readonly facts: Readonly<Record<string, string | number | readonly string[]>>
}

/** What a server showed by TLS, whether it was good enough or not. */
export interface TlsObservation {
  /** Such as `TLSv1.3`; null: the handshake did not come to its end. */
  readonly version: string | null
  /** Of the server's own certificate: subjectAltName, else the subject. */
  readonly names: readonly string[]
  readonly issuer: string
  /** ISO 8601, UTC. */
  readonly validFrom: string
  readonly validTo: string
}

/** One server over one transport and one family. */
export interface AttemptObservation {
  /** As it was configured, without credentials. */
  readonly uri: string
  readonly scheme: 'stun' | 'stuns' | 'turn' | 'turns'
  readonly transport: TransportProtocol
  /** null: the name was not resolved. */
  readonly family: AddressFamily | null
  readonly address: string | null
  /** The local address it was asked from. */
  readonly local: string | null
  readonly stages: readonly StageObservation[]
  /** Of the first answer; null: none came. */
  readonly rttMs: number | null
  readonly mapped: string | null
  readonly relayed: string | null
  /** What the server calls itself. */
  readonly software: string | null
  readonly realm: string | null
  /** null: no TLS, or no certificate was seen. */
  readonly tls: TlsObservation | null
  readonly causes: readonly Cause[]
}

/** Who answered through the relay. */
export type EchoPeer =
  | 'mapped-address' // our own, as the server sees it
  | 'second-allocation'

/** Packets of one burst. */
export interface BurstObservation {
  readonly via: 'binding' | 'send-data' | 'channel-data'
  readonly direction: 'round-trip' | 'to-peer' | 'from-peer'
  readonly sent: number
  readonly received: number
  /** Of those that came back. */
  readonly rttsMs: readonly number[]
}

/** What was shown of a server-reflexive or relayed address. */
export interface ReachabilityObservation {
  /** Index in `candidates`. */
  readonly candidate: number
  readonly result: 'proven' | 'not-proven' | 'failed'
  readonly peer: EchoPeer | null
  readonly bursts: readonly BurstObservation[]
  /** Over all bursts. */
  readonly sent: number
  readonly received: number
  /** Medians in milliseconds, jitter as the mean difference of neighbours (RFC 3550 §6.4.1 without its filter); null: nothing came back. */
  readonly rttMs: number | null
  readonly jitterMs: number | null
  /** Share of packets that were lost; null: nothing was sent. */
  readonly loss: number | null
  /** One sentence: what was done, or why it was not. */
  readonly why: string
}

export interface IceObservations {
  readonly policy: 'all' | 'relay'
  readonly candidates: readonly CandidateObservation[]
  readonly attempts: readonly AttemptObservation[]
  readonly reachability: readonly ReachabilityObservation[]
  /** End-of-candidates (RFC 8838 §8.2); null: the run ended first. */
  readonly gatheredAtMs: number | null
  readonly endedAtMs: number
  readonly interrupted: boolean
}
