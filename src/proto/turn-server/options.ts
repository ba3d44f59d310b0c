/** How a TURN server behaves, and the values it behaves by when nothing is said. */
import type { Clock, Random, TransportAddress } from '../../core/index.ts'
import type { ServerAuth } from '../stun/index.ts'
import type { PeerPolicy } from './peer-policy.ts'
import type { ClientPath, RelayAddress } from './types.ts'

export interface TurnServerOptions {
  readonly random: Random
  /** For nonces and for credentials that expire: those are calendar times. */
  readonly clock: Pick<Clock, 'wallTime'>
  /** `none` lets everybody relay: only for closed networks. */
  readonly auth: ServerAuth | 'none'
  /** At most one of each family. Without any the server answers Binding only. */
  readonly relayAddresses: readonly RelayAddress[]
  /** Relayed ports, both ends included. Default 49152–65535 (RFC 8656 §5). */
  readonly ports?: PortRange | undefined
  /** Which peers may be reached. Default: only those on the public internet. */
  readonly peerPolicy?: PeerPolicy | undefined
  /**
   * Where this server listens; wildcard addresses stand for each of its IPs. Clients may not make it talk to itself there,
   * unless the peer policy allows that very address.
   */
  readonly listeners?: readonly TransportAddress[] | undefined
  /** Lets the caller refuse peers that the policy permits. Called synchronously; must not throw. */
  readonly permitPeer?: ((peer: TransportAddress, client: ClientContext) => boolean) | undefined
  /** Limits of one user, beside the defaults below. Called at Allocate; must not throw. */
  readonly quota?: ((client: ClientContext) => UserQuota | undefined) | undefined
  /** Allocations of the other servers of the same relay, where several threads share its quotas. Default: there are none. */
  readonly ledger?: AllocationLedger | undefined
  /** Allocations of one user at a time. Default: no limit. */
  readonly userQuota?: number | undefined
  /** Allocations in all. Default: the port range sets the limit. */
  readonly totalQuota?: number | undefined
  /** Bandwidth cap of an allocation, in bytes of payload a second, each way. Default: none. */
  readonly bytesPerSecond?: number | undefined
  readonly lifetimes?: Partial<Lifetimes> | undefined
  /** Whether the datapath can set DF. Default false: DONT-FRAGMENT gets 420 (RFC 8656 §7.2). */
  readonly dontFragment?: boolean | undefined
  /** The family of an Allocate that names none: 4 (RFC 8656 §7.2), or 6 on a host without IPv4. Default: 4. */
  readonly defaultFamily?: 4 | 6 | undefined
  /** Sent with every answer. Default: nothing, which tells attackers least and keeps answers short. */
  readonly software?: string | undefined
  /** Answers RFC 3489 Binding requests. Default false. */
  readonly classic?: boolean | undefined
  /** Answers Binding requests in place of the built-in responder: for RFC 5780 with its four sockets. */
  readonly binding?: ((bytes: Uint8Array, path: ClientPath) => BindingAnswer | undefined) | undefined
  /** Answers to unauthenticated UDP requests, per source and second. Default 100. Loopback is exempt. */
  readonly unauthenticatedPerSecond?: number | undefined
  /** From `sourceLimitMemory`, where several threads share that allowance. Default: its own. */
  readonly sourceLimit?: SharedArrayBuffer | undefined
  /** Permissions of one allocation at a time; so many channels too. More get 508. Default 1024. */
  readonly maxPermissions?: number | undefined
}

/** Counts allocations over all threads of a relay. `identity` is the user's, empty without authentication. */
export interface AllocationLedger {
  add(identity: string): void
  remove(identity: string): void
  countOf(identity: string): number
  readonly total: number
}

/** Who asks. */
export interface ClientContext {
  readonly path: ClientPath
  /** As the client gave it; empty without authentication. */
  readonly username: string
}

export interface UserQuota {
  readonly allocations?: number | undefined
  readonly bytesPerSecond?: number | undefined
}

export interface BindingAnswer {
  readonly bytes: Uint8Array
  /** Where it goes and what it leaves from: `client` and `server` may differ from the request's. */
  readonly path: ClientPath
}

export interface PortRange {
  readonly min: number
  readonly max: number
}

/** Seconds. Tests make them short. */
export interface Lifetimes {
  /** What an Allocate or Refresh without LIFETIME, or with a smaller one, gets. Default 600 (RFC 8656 §3.2). */
  readonly allocation: number
  /** The most a client may ask for. Default 3600 (RFC 8656 §7.2). */
  readonly maxAllocation: number
  /** Default 300 (RFC 8656 §9). */
  readonly permission: number
  /** Default 600 (RFC 8656 §12). */
  readonly channel: number
  /** How long a port is kept for its RESERVATION-TOKEN. Default 30 (RFC 8656 §7.2). */
  readonly reservation: number
  /** How long the datapath may take to open a relayed address before the client gets 508. Default 5. */
  readonly opening: number
  /** How long a Refresh that ended an allocation is remembered for its retransmissions. Default 40 (RFC 8489 §6.2.1). */
  readonly farewell: number
}

export const defaultLifetimes: Lifetimes = {
  allocation: 600,
  maxAllocation: 3600,
  permission: 300,
  channel: 600,
  reservation: 30,
  opening: 5,
  farewell: 40,
}

export const defaultPorts: PortRange = { min: 49152, max: 65535 }
