/**
 * What was sent and what came back, as plain JSON: nothing in here is a conclusion. A saved report holds
 * these, and the analysis is a pure function of them, so an old report can be analysed again.
 * Addresses are canonical text (`formatAddress`), so `===` compares them. Times are milliseconds since
 * the first packet of the run.
 */
import type { AddressFamily, DeliveryFailureReason, ErrorCode, IpAddress } from '../../core/index.ts'
import type { RouterObservation } from './port-mapping/index.ts'

/** A transport address as canonical text: `192.0.2.1:3478`, `[2001:db8::1]:3478`. */
export type AddressText = string

/** What CHANGE-REQUEST (RFC 5780 §7.2) asked of the server. */
export type Change = 'none' | 'port' | 'ip-and-port'

/**
 * Which test an exchange belongs to. P and A are the server's primary and alternate IP, p and a its ports.
 *   reachability      a Binding indication to P:p from a connected socket: nobody answers it, but the socket alone
 *                     hears the ICMP errors that it causes
 *   mapping-1         P:p from the mapping socket: RFC 5780 §4.3 test I
 *   mapping-2         A:p from the mapping socket: test II
 *   mapping-3         A:a from the mapping socket: test III
 *   filtering-1       P:p from the filtering socket: RFC 5780 §4.4 test I, and the loss control. RFC 3489 test I
 *   filtering-2       P:p asking for the answer from A:a: RFC 5780 test II. RFC 3489 test II
 *   filtering-3       P:p asking for the answer from P:a: RFC 5780 test III. RFC 3489 test III
 *   open-alternate    A:a from the filtering socket, after test II stayed silent: it opens the way from there, so that
 *                     the server can prove that it answers from there
 *   open-port         P:a from the filtering socket, the same for test III
 *   prove-alternate   test II once more when the way is open, as a new transaction; where the NAT maps A:a to another
 *                     port, asking for the answer to that port (RESPONSE-PORT)
 *   prove-port        test III in the same way
 *   port-assignment   P:p from one more virgin socket
 *   hairpin           to our own mapped address
 *   lifetime-create, lifetime-probe   RFC 5780 §4.6
 *   fragment-control, fragment         a plain request, and one larger than any MTU
 */
export type TestName =
  | 'reachability'
  | 'mapping-1'
  | 'mapping-2'
  | 'mapping-3'
  | 'filtering-1'
  | 'filtering-2'
  | 'filtering-3'
  | 'open-alternate'
  | 'open-port'
  | 'prove-alternate'
  | 'prove-port'
  | 'port-assignment'
  | 'hairpin'
  | 'lifetime-create'
  | 'lifetime-probe'
  | 'fragment-control'
  | 'fragment'

export interface ReplyObservation {
  readonly atMs: number
  readonly from: AddressText
  /** XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of a server that knows no other. */
  readonly mapped: AddressText | null
  /** MAPPED-ADDRESS where XOR-MAPPED-ADDRESS came too: an ALG in between rewrites only this one. */
  readonly mappedPlain: AddressText | null
  /** OTHER-ADDRESS, or CHANGED-ADDRESS of an RFC 3489 server. */
  readonly otherAddress: AddressText | null
  /** Size of the datagram. */
  readonly bytes: number
  /** Code of an error response, such as 420. */
  readonly errorCode: number | null
}

export interface ExchangeObservation {
  readonly test: TestName
  /** Name of the socket it was sent from; a socket has one local address. */
  readonly socket: string
  readonly local: AddressText
  /** Index into `servers`. */
  readonly server: number
  readonly to: AddressText
  readonly change: Change
  /** One entry for each time the request left. */
  readonly sentAtMs: readonly number[]
  /** Everything that carried the transaction id, from wherever it came. */
  readonly replies: readonly ReplyObservation[]
  /** An ICMP error, or this machine's refusal to send. */
  readonly failure: FailureObservation | null
}

export interface FailureObservation {
  readonly atMs: number
  readonly reason: DeliveryFailureReason
  readonly detail: string
}

/** An attempt to reach a server by TCP, made when UDP stays silent. */
export interface StreamObservation {
  readonly server: number
  readonly to: AddressText
  readonly connected: boolean
  /** Why not: an error code. */
  readonly problem: ErrorCode | null
}

/** A server as it was asked for, and where its name led in this family. */
export interface ServerObservation {
  readonly uri: string
  /** null: no address of this family, see `problem`. */
  readonly address: AddressText | null
  /** What kept us from even sending to it: resolution or routing. */
  readonly problem: { readonly code: ErrorCode; readonly message: string } | null
  /** Sent to at all? Of a list of public servers only as many are asked as are needed. */
  readonly asked: boolean
}

/** One family's observations. */
export interface FamilyObservations {
  readonly family: AddressFamily
  /** The address the routing table picks towards the servers; null when there is none. */
  readonly localIp: IpAddress | null
  /** The interface that holds it. */
  readonly localInterface: string | null
  readonly servers: readonly ServerObservation[]
  readonly exchanges: readonly ExchangeObservation[]
  readonly streams: readonly StreamObservation[]
  /** Sources of datagrams that were not STUN. */
  readonly notStun: readonly AddressText[]
  /** Sources of STUN messages that answered nothing we had asked. */
  readonly unmatched: readonly AddressText[]
  /** What the router says of its own WAN address; empty when not asked. */
  readonly router: readonly RouterObservation[]
  /** A datagram's arrival at one of our own sockets through the NAT, for the hairpin test. */
  readonly hairpinArrivals: readonly HairpinArrival[]
  readonly lifetime: readonly LifetimeTrial[]
  /** RFC 7050: the NAT64 prefix found through ipv4only.arpa; undefined: not looked for. */
  readonly nat64Prefix?: string | null
  /** When the verdict stood; the opt-in tests come after. */
  readonly endedAtMs: number
}

export interface HairpinArrival {
  readonly atMs: number
  /** The sending socket's name and the source address it arrived with. */
  readonly sender: string
  readonly from: AddressText
}

export interface LifetimeTrial {
  /** Seconds without traffic. */
  readonly idleSeconds: number
  /** null: could not be told. */
  readonly alive: boolean | null
}
