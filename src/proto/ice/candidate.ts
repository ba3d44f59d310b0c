/** Candidates: transport addresses at which an agent might be reached. RFC 8445 §5.1 */
import { parseIp, sameAddress, type TransportAddress } from '../../core/index.ts'
import type { Foundations } from './foundation.ts'
import { candidatePriority } from './priority.ts'

/** RFC 8445 §5.1.1. Peer-reflexive ones are found by checks and are in nobody's description. */
export type CandidateType = 'host' | 'srflx' | 'prflx' | 'relay'

export const candidateTypes: readonly CandidateType[] = ['host', 'srflx', 'prflx', 'relay']

export type CandidateTransport = 'udp' | 'tcp'

/** Who connects: we, the peer, or both at once (simultaneous-open). RFC 6544 §4.5 */
export type TcpType = 'active' | 'passive' | 'so'

export const tcpTypes: readonly TcpType[] = ['active', 'passive', 'so']

/** What a `candidate:` line says. RFC 8839 §5.1 */
export interface Candidate {
  /** 1 to 32 letters, digits, `+` and `/`: candidates with the same one live and die together. */
  readonly foundation: string
  /** 1 is RTP, 2 is RTCP; WebRTC has 1 only. 1–256. */
  readonly component: number
  readonly transport: CandidateTransport
  /** 1–2³¹−1; the higher, the better. */
  readonly priority: number
  /** A canonical IP address, or a name: browsers hide host addresses behind `….local` (mDNS). */
  readonly host: string
  readonly port: number
  readonly type: CandidateType
  /** The base of a reflexive candidate, the mapped address of a relayed one: for diagnosis only. */
  readonly related?: { readonly host: string; readonly port: number } | undefined
  /** There exactly when the transport is TCP. */
  readonly tcpType?: TcpType | undefined
  /** Names and values behind all that, in their order: `generation`, `ufrag`, `network-id`, `network-cost` and others. */
  readonly extensions: readonly CandidateExtension[]
}

export interface CandidateExtension {
  readonly name: string
  /** May be empty. */
  readonly value: string
}

/** The transport address; undefined where a name still has to be looked up. */
export function candidateAddress({ host, port }: Candidate): TransportAddress | undefined {
  const ip = parseIp(host)
  return ip === undefined ? undefined : { ip, port }
}

/** The value of the first extension of that name. */
export const extensionOf = ({ extensions }: Candidate, name: string): string | undefined =>
  extensions.find((extension) => extension.name === name)?.value

/** A candidate of our own: we know what it is sent from. */
export interface LocalCandidate extends Candidate {
  readonly address: TransportAddress
  /** What an agent sends from: the host candidate beneath a reflexive one, all others themselves. RFC 8445 §5.1.1.1 */
  readonly base: TransportAddress
}

/** Where a candidate came from: all that its priority and foundation depend on. */
export interface CandidateOrigin {
  readonly type: CandidateType
  readonly address: TransportAddress
  /** Default: the address itself. */
  readonly base?: TransportAddress | undefined
  /** Default: the base of a reflexive candidate, nothing for others. A relayed one has the mapped address. */
  readonly related?: TransportAddress | undefined
  /** Default: udp. The transport between peers, which for a relayed candidate isn't the one to the server. */
  readonly transport?: CandidateTransport | undefined
  readonly tcpType?: TcpType | undefined
  /** The STUN or TURN server's address, for reflexive and relayed candidates. */
  readonly serverIp?: string | undefined
  /** How a relayed candidate's server was reached. Default: udp. */
  readonly serverTransport?: 'udp' | 'tcp' | 'tls' | undefined
  /** Default: 65535, which is for a host with one address. See `localPreferences`, `tcpLocalPreference`. */
  readonly localPreference?: number | undefined
  /** Default: 1. */
  readonly component?: number | undefined
  readonly extensions?: readonly CandidateExtension[] | undefined
}

/** Gives a gathered address its priority and foundation. `foundations` is the agent's: one for all its candidates. */
export function localCandidate(origin: CandidateOrigin, foundations: Foundations): LocalCandidate {
  const { type, address, component = 1, transport = 'udp', tcpType, extensions = [] } = origin
  const base = origin.base ?? address
  const related = origin.related ?? (type === 'srflx' || type === 'prflx' ? base : undefined)
  return {
    foundation: foundations.of({ ...origin, base, transport }),
    component,
    transport,
    priority: candidatePriority({ ...origin, component, transport }),
    host: address.ip,
    port: address.port,
    type,
    ...(related && { related: { host: related.ip, port: related.port } }),
    ...(tcpType && { tcpType }),
    extensions,
    address,
    base,
  }
}

/**
 * Leaves out what adds nothing: of candidates with the same address and the same base the one with the highest priority
 * stays. Mostly a server-reflexive candidate that turned out to be the host's own address. RFC 8445 §5.1.3
 */
export function withoutRedundant<T extends LocalCandidate>(candidates: readonly T[]): T[] {
  const kept: T[] = []
  for (const candidate of candidates.toSorted((a, b) => b.priority - a.priority)) {
    if (!kept.some((better) => isRedundant(candidate, better))) kept.push(candidate)
  }
  return candidates.filter((candidate) => kept.includes(candidate))
}

/** Whether `candidate` adds nothing beside `other`. */
export const isRedundant = (candidate: LocalCandidate, other: LocalCandidate): boolean =>
  candidate.component === other.component &&
  candidate.transport === other.transport &&
  candidate.tcpType === other.tcpType &&
  sameAddress(candidate.address, other.address) &&
  sameAddress(candidate.base, other.base)
