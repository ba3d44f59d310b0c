/** A running relay, whichever engine runs it. */
import type {
  Clock,
  IpAddress,
  Network,
  Processes,
  Random,
  TransportAddress,
  TransportProtocol,
} from '../core/index.ts'
import type { CloseReason, OpenFailure } from '../proto/turn-server/index.ts'
import type { EngineName, RelayOptions, ReloadableOptions } from './options.ts'
import type { RelayStats, TrafficCount } from './stats.ts'

export interface RelayPorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  /** For engines that are programs of their own. */
  readonly processes?: Processes | undefined
}

/** An allocation as events and hooks show it. */
export interface RelayAllocation {
  readonly protocol: TransportProtocol
  readonly client: TransportAddress
  /** Empty where there is no authentication. */
  readonly username: string
  readonly relayed: readonly TransportAddress[]
  /** Seconds it has lived. */
  readonly ageSeconds: number
  readonly toPeer: TrafficCount
  readonly toClient: TrafficCount
}

/** What an operator may want to know of at once. Everything else is counted: see `RelayStats`. */
export type RelayEvent =
  | { readonly kind: 'allocation-created'; readonly allocation: RelayAllocation }
  | { readonly kind: 'allocation-ended'; readonly allocation: RelayAllocation; readonly why: CloseReason }
  | {
      readonly kind: 'auth-failure'
      readonly client: TransportAddress
      readonly protocol: TransportProtocol
      readonly username: string | undefined
      readonly why: string
    }
  /** A client got 508. `no-descriptors`: raise the limit of open files; `no-port`: widen the port range. */
  | { readonly kind: 'relay-failed'; readonly why: OpenFailure | 'timeout' | 'no-port' }
  | { readonly kind: 'warning'; readonly message: string }
  /** A line that the engine's own program printed. At `debug` they may name users and addresses of clients. */
  | { readonly kind: 'log'; readonly level: 'debug' | 'warning'; readonly message: string }
  /** The engine has ended by itself and can't go on. */
  | { readonly kind: 'failed'; readonly error: Error }

/**
 * Decisions of the program that embeds the relay. All synchronous: one that throws, or answers what it must not (a promise,
 * a negative quota), refuses. */
export interface RelayHooks {
  /** The password of a user that `users` does not name; undefined, or an empty one, refuses. */
  readonly authenticate?: ((username: string, client: TransportAddress) => string | undefined) | undefined
  /** Asked for every peer that the rules permit. */
  readonly permitPeer?: ((peer: TransportAddress, client: RelayClient) => boolean) | undefined
  /** Limits of this client's user instead of the relay's; asked at each new allocation. */
  readonly quota?: ((client: RelayClient) => RelayQuota | undefined) | undefined
}

export interface RelayQuota {
  readonly allocations?: number | undefined
  readonly bytesPerSecond?: number | undefined
}

export interface RelayClient {
  readonly protocol: TransportProtocol
  readonly client: TransportAddress
  readonly server: TransportAddress
  readonly username: string
}

export interface RelayCallbacks {
  readonly hooks?: RelayHooks | undefined
  readonly onEvent?: ((event: RelayEvent) => void) | undefined
}

export interface RelayListener {
  readonly protocol: TransportProtocol
  readonly address: TransportAddress
}

/** A running relay. */
export interface Relay {
  readonly engine: EngineName
  /** What carries its packets: `dgram`, `mmsg`, or the engine's own. */
  readonly datapath: string
  readonly listeners: readonly RelayListener[]
  /** Where relayed addresses open. */
  readonly relayIps: readonly IpAddress[]
  /** For RTCConfiguration.iceServers. */
  readonly urls: readonly string[]
  /** What was asked for or is usual, and this engine can't do: one line each, for whoever starts it. */
  readonly limits: readonly string[]
  readonly draining: boolean
  /** Until when the certificate of the TLS listeners is valid. */
  readonly certificateValidTo: Date | undefined
  stats(): Promise<RelayStats>
  /** Replaces what is named, and leaves the rest. Rejects, with nothing changed, when it makes no sense. */
  reload(options: ReloadableOptions): Promise<void>
  /** Takes no new allocations. Resolves when the last has ended, or after `timeoutMs`, which ends those that remain. */
  drain(timeoutMs: number): Promise<void>
  /** Ends all allocations and closes all sockets. Safe to call twice. */
  close(): Promise<void>
}

/** Starts a relay, or rejects with nothing left open. */
export type StartRelay = (ports: RelayPorts, options: RelayOptions, callbacks: RelayCallbacks) => Promise<Relay>
