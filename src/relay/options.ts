/** What a relay is asked to be, whichever engine runs it. */
import type { IpAddress, ServerCertificate, TransportAddress } from '../core/index.ts'

export type EngineName = 'native' | 'node-turn' | 'coturn'
export type DatapathName = 'dgram' | 'mmsg'

/** Inclusive. */
export interface PortRange {
  readonly min: number
  readonly max: number
}

/** A public address that is translated one to one to an address of this machine, as clouds do. */
export interface ExternalIp {
  readonly external: IpAddress
  /** Absent: every relay address of the same family. */
  readonly internal?: IpAddress | undefined
}

/** Seconds. Every default is the RFC's; short ones serve tests. */
export interface RelayLifetimes {
  /** LIFETIME of an allocation whose client asks for none. Default 600. RFC 8656 §3.2 */
  readonly allocation?: number | undefined
  /** The longest LIFETIME granted. Default 3600. RFC 8656 §7.2 */
  readonly maxAllocation?: number | undefined
  /** Default 300. RFC 8656 §9 */
  readonly permission?: number | undefined
  /** Default 600. RFC 8656 §12 */
  readonly channel?: number | undefined
  /** Default 3600. RFC 8489 §9.2 leaves it open; RFC 8656 §5 recommends an hour at most. */
  readonly nonce?: number | undefined
}

/** What may change while the relay runs (`Relay.reload`), without an allocation lost. */
export interface ReloadableOptions {
  /** Names and passwords that don't expire. */
  readonly users?: readonly RelayUser[] | undefined
  /** Secrets shared with whoever hands out time-limited credentials; each is accepted, so that they can be rotated. */
  readonly authSecrets?: readonly string[] | undefined
  /** CIDR. Peers that the built-in list would deny. Matches the literal address only, no IPv4 inside IPv6. */
  readonly allowPeers?: readonly string[] | undefined
  /** CIDR. Beats `allowPeers`. */
  readonly denyPeers?: readonly string[] | undefined
  /** Certificate and key of the TLS listeners, PEM. */
  readonly certificate?: ServerCertificate | undefined
}

export interface RelayUser {
  readonly username: string
  readonly password: string
}

export interface RelayOptions extends ReloadableOptions {
  /** Default: native. */
  readonly engine?: EngineName | undefined
  /** UDP and TCP on each. Wildcards stand for all addresses of this machine. Default: 127.0.0.1:3478. */
  readonly listen?: readonly TransportAddress[] | undefined
  /** TLS on each; needs `certificate`. */
  readonly tlsListen?: readonly TransportAddress[] | undefined
  /** Second IP for NAT behaviour discovery; without it RFC 5780 is not answered. */
  readonly altIp?: IpAddress | undefined
  /** Relayed addresses, one of each family at most. Default: the first listening address of the family. */
  readonly relayIps?: readonly IpAddress[] | undefined
  readonly externalIps?: readonly ExternalIp[] | undefined
  /** Default: 49152 to 65535. RFC 8656 §7.2 */
  readonly ports?: PortRange | undefined
  /** Default: natcheck. */
  readonly realm?: string | undefined
  /** Relay for everybody. Without it, users, secrets or `hooks.authenticate` are needed. */
  readonly noAuth?: boolean | undefined
  /** Allocations of one user. Default: no limit. */
  readonly userQuota?: number | undefined
  /** Allocations in all. Default: as many as ports. */
  readonly totalQuota?: number | undefined
  /** Bytes a second of one allocation, each way. Default: no limit. */
  readonly maxBps?: number | undefined
  /** Default auto: the fastest that works here. */
  readonly datapath?: DatapathName | 'auto' | undefined
  /** Default 1. Only the mmsg datapath uses more. */
  readonly threads?: number | undefined
  /** Binding requests only, no relay. */
  readonly stunOnly?: boolean | undefined
  /** At least 16 bytes, the same on every node of a fleet, so that a nonce of one is good on another. Default: random. */
  readonly nonceKey?: Uint8Array | undefined
  readonly lifetimes?: RelayLifetimes | undefined
}
