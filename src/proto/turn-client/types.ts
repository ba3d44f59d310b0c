/** What goes into the TURN client and what comes out of it. */
import type {
  AddressFamily,
  CertificateInfo,
  DeliveryFailure,
  Instant,
  IpAddress,
  TlsProblem,
  TlsSession,
  TransportAddress,
  TransportProtocol,
} from '../../core/index.ts'
import type {
  AddressErrorCode,
  ChannelNumber,
  EncodableAttribute,
  ErrorCode,
  IcmpError,
  StunMessage,
} from '../../wire/index.ts'
import type { RefusalCause } from '../stun/index.ts'

/** What to ask for. Combinations that the RFC forbids are sent as they are: the server's answer is the diagnosis. */
export interface AllocateOptions {
  /** LIFETIME in seconds. Default: none is asked for, which gets the server's default. */
  readonly lifetimeSeconds?: number | undefined
  /**
   * `[4]` or `[6]`: REQUESTED-ADDRESS-FAMILY. `[4, 6]`: both, by ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §7.1). Default:
   * the server's choice, IPv4.
   */
  readonly families?: readonly AddressFamily[] | undefined
  /** EVEN-PORT; `reserve-next` also asks for a RESERVATION-TOKEN for the port above. */
  readonly evenPort?: 'even' | 'reserve-next' | undefined
  /** Claims the port that another allocation has reserved. */
  readonly reservationToken?: Uint8Array | undefined
  /** DONT-FRAGMENT here, and in every Send indication. */
  readonly dontFragment?: boolean | undefined
  /** Asks for a MOBILITY-TICKET. RFC 8016 §3.1 */
  readonly mobility?: boolean | undefined
  /** REQUESTED-TRANSPORT. Default: 17, UDP. */
  readonly transport?: number | undefined
  /** Anything else. */
  readonly attributes?: readonly EncodableAttribute[] | undefined
}

export interface Allocation {
  /** One, or one of each family. */
  readonly relayed: readonly TransportAddress[]
  /** The client as the server sees it. */
  readonly mapped: TransportAddress
  /** Seconds granted. */
  readonly lifetimeSeconds: number
  readonly grantedAt: Instant
  /** Why one of two families was not given. RFC 8656 §18.12 */
  readonly addressErrors: readonly AddressErrorCode[]
  readonly reservationToken: Uint8Array | undefined
  readonly mobilityTicket: Uint8Array | undefined
}

export interface ChannelBinding {
  readonly channel: ChannelNumber
  readonly peer: TransportAddress
}

/** How payload travels between client and server. */
export type DataVia = 'indication' | 'channel'

export interface ReceivedData {
  readonly peer: TransportAddress
  readonly bytes: Uint8Array
  readonly via: DataVia
  /** Whether the client has a permission for the peer: a server that relays without one is broken. */
  readonly permitted: boolean
}

/** How far it got. `401` is all that proves who we are: it lasts until the server knows us. */
export type TurnStage = 'connect' | 'tls' | '401' | 'allocate' | 'permission' | 'channel' | 'refresh' | 'exchange'

/** Why it failed, as a word. */
export type TurnCause =
  | 'timeout' // nothing came back
  | 'other-address' // answers came, but from another address than was asked
  | 'unreachable' // ICMP or the routing table said so
  | 'refused' // TCP was
  | 'closed' // the stream ended
  | 'not-turn' // it answers, but not as a TURN server
  | 'cancelled'
  | 'tls' // `tls` says what of it
  | 'credentials-missing' // it asks who we are, and we were not told
  | RefusalCause
  | 'stale-nonce-loop' // it finds every nonce of its own stale
  | 'unprotected-answer' // an answer without MESSAGE-INTEGRITY
  | 'wrong-integrity' // an answer whose MESSAGE-INTEGRITY doesn't verify: another password, or another writer
  | 'invalid-answer' // what it says makes no sense
  | 'redirected' // 300; `alternate` says where to
  | 'redirect-loop'
  | 'too-many-redirects'
  | 'error' // any other error response: `error` has the code

/** Where a 300 points. RFC 8489 §10 */
export interface AlternateServer {
  readonly server: TransportAddress
  /** The name its certificate is for. */
  readonly domain: string | undefined
}

export interface TurnFailure {
  readonly stage: TurnStage
  readonly cause: TurnCause
  /** One line for people. */
  readonly why: string
  /** What the server said. */
  readonly error?: ErrorCode | undefined
  /** Of a 420. */
  readonly unknownAttributes?: readonly number[] | undefined
  readonly alternate?: AlternateServer | undefined
  readonly delivery?: DeliveryFailure | undefined
  readonly tls?: { readonly problem: TlsProblem; readonly chain: readonly CertificateInfo[] } | undefined
}

export type TurnOutcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: TurnFailure }

/** A request of the caller's own making, for tests of a server. */
export interface RawExchange {
  readonly method: number
  /** Default: none. */
  readonly attributes?: readonly EncodableAttribute[] | undefined
  /** Default `session`: as the server's last challenge asks for. */
  readonly sign?: 'session' | 'never' | undefined
  /** Instead of the server's nonce, whose first 13 bytes say which key is meant, so they had better stay. RFC 8489 §9.2 */
  readonly nonce?: string | undefined
  /** Meet 401 and 438 with another try. Default false: they are the answer. */
  readonly meetChallenges?: boolean | undefined
  /** Sends the last request of this method again, byte for byte; all else is ignored. */
  readonly repeat?: boolean | undefined
}

export interface ExchangeResult {
  /** Believed: where the request was signed, integrity protects it. */
  readonly message: StunMessage
  /** Absent: a success. */
  readonly error: ErrorCode | undefined
  readonly rttMs: number | undefined
}

/** What happened, for reports. Plain data; times are those of the clock that drove the machine. */
export type TurnObservation =
  /** A socket towards a server; for TCP and TLS the connection. */
  | {
      readonly kind: 'connected'
      readonly startedAt: Instant
      readonly at: Instant
      readonly protocol: TransportProtocol
      readonly to: TransportAddress
      readonly local: TransportAddress
      readonly tls: TlsSession | undefined
    }
  | RequestObservation
  /** A reply to our request that came from somewhere else. */
  | { readonly kind: 'stray'; readonly at: Instant; readonly from: TransportAddress; readonly method: number }
  /** Something that arrived and was not believed or made no sense. */
  | { readonly kind: 'discarded'; readonly at: Instant; readonly from: TransportAddress; readonly why: string }

/** One client transaction, from the first transmission to its end. */
export interface RequestObservation {
  readonly kind: 'request'
  readonly method: number
  readonly sentAt: Instant
  readonly endedAt: Instant
  readonly transmissions: number
  /** Milliseconds; undefined without an answer and for repeated requests. */
  readonly rttMs: number | undefined
  readonly signed: boolean
  readonly result:
    | 'success'
    | 'error-response'
    | 'invalid-response'
    | 'integrity-violated'
    | 'timeout'
    | 'unreachable'
    | 'closed'
    | 'cancelled'
  readonly error: ErrorCode | undefined
  readonly software: string | undefined
  readonly realm: string | undefined
  readonly nonce: string | undefined
  /** PASSWORD-ALGORITHMS: IANA numbers, best first. */
  readonly passwordAlgorithms: readonly number[] | undefined
}

/** Names an operation from its command to its end. Chosen by the caller. */
export type OperationId = number

interface Operation {
  readonly id: OperationId
  /** When it ends as if the last wait had passed. Default: as long as the timing takes. */
  readonly deadline?: Instant | undefined
}

export type TurnClientInput =
  /** A datagram, or the next bytes of the stream. */
  | { readonly kind: 'received'; readonly bytes: Uint8Array; readonly from: TransportAddress }
  | { readonly kind: 'failure'; readonly failure: DeliveryFailure }
  /** The stream has ended. */
  | { readonly kind: 'closed'; readonly why: string }
  | ({ readonly kind: 'allocate'; readonly options: AllocateOptions } & Operation)
  /** Takes over an allocation that was made from another address. RFC 8016 §3.2 */
  | ({ readonly kind: 'move'; readonly allocation: Allocation } & Operation)
  | ({ readonly kind: 'permit'; readonly peers: readonly TransportAddress[] } & Operation)
  | ({
      readonly kind: 'bind-channel'
      readonly peer: TransportAddress
      readonly channel?: ChannelNumber | undefined
    } & Operation)
  | ({ readonly kind: 'refresh'; readonly lifetimeSeconds?: number | undefined } & Operation)
  /** Refresh with LIFETIME 0. That the allocation is gone already is fine. RFC 8656 §8.3 */
  | ({ readonly kind: 'release' } & Operation)
  | ({ readonly kind: 'exchange'; readonly exchange: RawExchange } & Operation)
  | { readonly kind: 'cancel'; readonly id: OperationId }
  /** Is not refused for want of a permission: whether the server refuses is a question of its own. */
  | { readonly kind: 'send'; readonly peer: TransportAddress; readonly bytes: Uint8Array; readonly via: DataVia }

export type TurnClientEffect =
  /** To the server. */
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'observed'; readonly observation: TurnObservation }
  | { readonly kind: 'allocated'; readonly id: OperationId; readonly value: Allocation }
  | { readonly kind: 'permitted'; readonly id: OperationId; readonly value: readonly TransportAddress[] }
  | { readonly kind: 'channel-bound'; readonly id: OperationId; readonly value: ChannelBinding }
  /** The seconds granted. */
  | { readonly kind: 'refreshed'; readonly id: OperationId; readonly value: number }
  | { readonly kind: 'released'; readonly id: OperationId; readonly value: undefined }
  | { readonly kind: 'exchanged'; readonly id: OperationId; readonly value: ExchangeResult }
  /** A 300 that names another server: whoever drives the machine connects to it, or gives up with this failure. */
  | {
      readonly kind: 'redirected'
      readonly id: OperationId
      readonly to: AlternateServer
      readonly failure: TurnFailure
    }
  | { readonly kind: 'failed'; readonly id: OperationId; readonly failure: TurnFailure }
  | { readonly kind: 'data'; readonly data: ReceivedData }
  /** What the relay sent to this peer caused an ICMP error. RFC 8656 §11.6 */
  | { readonly kind: 'icmp'; readonly peer: TransportAddress; readonly error: IcmpError }
  /** What was held could not be kept. */
  | { readonly kind: 'lost'; readonly lost: Loss }

export type Loss =
  | { readonly what: 'allocation'; readonly failure: TurnFailure }
  | { readonly what: 'permission'; readonly ip: IpAddress; readonly failure: TurnFailure }
  | { readonly what: 'channel'; readonly channel: ChannelNumber; readonly failure: TurnFailure }
