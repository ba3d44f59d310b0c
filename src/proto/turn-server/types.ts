/** What goes into the TURN server machine and what comes out of it. */
import type { AddressFamily, Instant, IpAddress, TransportAddress, TransportProtocol } from '../../core/index.ts'
import type { IcmpError } from '../../wire/index.ts'
import type { AuthFailure } from '../stun/index.ts'
import type { Forwarding } from './forwarding.ts'

/**
 * Names a 5-tuple (RFC 8656 §3.2): unique among the paths that live at the same time. Chosen by the datapath; a number
 * keeps its Maps fast.
 */
export type ClientKey = number | string

/** How a client reaches the server: its 5-tuple. */
export interface ClientPath {
  readonly key: ClientKey
  readonly protocol: TransportProtocol
  readonly client: TransportAddress
  /** The server's address that the client sent to, never a wildcard. Answers leave from it. */
  readonly server: TransportAddress
}

declare const relayIdBrand: unique symbol

/** Names a relayed transport address from its opening to its closing. Chosen by the machine, never used twice. */
export type RelayId = number & { readonly [relayIdBrand]: true }

/** An address on which relayed transport addresses are opened. One for each family at most. */
export interface RelayAddress {
  /** An address of this machine, to bind. */
  readonly ip: IpAddress
  /** What clients and peers see instead, behind a 1:1 NAT. Default: `ip`. */
  readonly externalIp?: IpAddress | undefined
}

/** Why a relayed address is closed. */
export type CloseReason =
  | 'expired' // no Refresh came in time
  | 'refreshed-to-zero' // the client asked for it
  | 'client-gone' // its TCP or TLS connection ended
  | 'drained' // the drain deadline has come, or the server stops
  | 'abandoned' // a reservation nobody claimed, or an Allocate that could not be granted in the end
  | 'failed' // the datapath lost the socket

/** Why a relayed address could not be opened. Only `address-in-use` makes the machine try another port. */
export type OpenFailure = 'address-in-use' | 'no-descriptors' | 'other'

/** Where an allocation stands: for logs, metrics and hooks. */
export interface AllocationInfo {
  readonly path: ClientPath
  /** Empty where there is no authentication. */
  readonly username: string
  /** As told to the client: XOR-RELAYED-ADDRESS. */
  readonly relayed: readonly TransportAddress[]
  readonly createdAt: Instant
  readonly toPeer: Traffic
  readonly toClient: Traffic
}

/** Live counters of what was relayed: payload without TURN's headers. */
export interface Traffic {
  readonly packets: number
  readonly bytes: number
  /** Packets that a bandwidth cap refused. */
  readonly refused: number
}

/** Why a packet was thrown away without an answer. */
export type DropReason =
  | 'malformed' // neither STUN nor ChannelData, or bad framing
  | 'bad-fingerprint'
  | 'unexpected' // a response, an unknown method or an indication that no client sends
  | 'unknown-attribute' // a comprehension-required one in an indication
  | 'bad-indication' // Send without peer or data
  | 'rate-limited' // an unauthenticated request too many from one source, an ICMP error too many for one client
  | 'no-allocation'
  | 'no-channel' // ChannelData on a channel that is not bound
  | 'no-permission'
  | 'denied-peer'
  | 'over-bandwidth'
  | 'too-big' // data that no message to the client can carry
  | 'unknown-relay' // late datagrams of a closed relayed address

export type { AuthFailure }

/** What metrics and logs want to know. Rates are those of the packets that cause them: aggregate before crossing threads. */
export type TurnEvent =
  | { readonly kind: 'allocation-created'; readonly allocation: AllocationInfo }
  | { readonly kind: 'allocation-ended'; readonly allocation: AllocationInfo; readonly why: CloseReason }
  | {
      readonly kind: 'auth-failure'
      readonly path: ClientPath
      readonly method: number
      readonly why: AuthFailure
      readonly username: string | undefined
    }
  | { readonly kind: 'error-response'; readonly path: ClientPath; readonly method: number; readonly code: number }
  | { readonly kind: 'success-response'; readonly path: ClientPath; readonly method: number }
  | { readonly kind: 'drop'; readonly from: 'client' | 'peer'; readonly reason: DropReason }
  /** The datapath could not open what was needed: the client got 508. */
  | { readonly kind: 'relay-failed'; readonly why: OpenFailure | 'timeout' | 'no-port' }
  /** Draining and the last allocation is gone. */
  | { readonly kind: 'drained' }

/** What the machine wants done, in this order. */
export type TurnEffect =
  /** Whole messages, padded as the path's protocol wants it (RFC 8656 §12.5): to be sent as they are. */
  | { readonly kind: 'send-to-client'; readonly path: ClientPath; readonly bytes: Uint8Array }
  | {
      readonly kind: 'send-to-peer'
      readonly relay: RelayId
      readonly peer: TransportAddress
      readonly bytes: Uint8Array
      /** DONT-FRAGMENT was asked for. Only where `TurnServerOptions.dontFragment` is set. */
      readonly dontFragment: boolean
    }
  /** To be answered with handleRelayOpened or handleRelayFailed, at once or later. */
  | {
      readonly kind: 'open-relayed-address'
      readonly relay: RelayId
      readonly family: AddressFamily
      readonly ip: IpAddress
      readonly port: number
    }
  /** Also for one whose opening was not answered yet: it must not stay open. No answer is expected. */
  | { readonly kind: 'close-relayed-address'; readonly relay: RelayId; readonly why: CloseReason }
  | { readonly kind: 'event'; readonly event: TurnEvent }

/** What the machine is fed with. The handle* methods are the same without the wrapping. */
export type TurnInput =
  | { readonly kind: 'client'; readonly path: ClientPath; readonly bytes: Uint8Array }
  | { readonly kind: 'client-gone'; readonly path: ClientPath }
  | { readonly kind: 'peer'; readonly relay: RelayId; readonly peer: TransportAddress; readonly bytes: Uint8Array }
  | { readonly kind: 'peer-error'; readonly relay: RelayId; readonly peer: TransportAddress; readonly icmp: IcmpError }
  | { readonly kind: 'relay-opened'; readonly relay: RelayId }
  | { readonly kind: 'relay-failed'; readonly relay: RelayId; readonly why: OpenFailure }

/**
 * What datapaths are written against; `TurnServer` is it. A StateMachine (core/driver.ts) whose inputs also have methods
 * of their own. Nothing here throws, whatever the bytes. `bytes` are only read during the call, and effects never share
 * their memory except `send-to-peer`, whose bytes are a view of the client's.
 */
export interface TurnMachine {
  readonly forwarding: Forwarding
  handleInput(input: TurnInput, now: Instant): void
  /** One datagram, or one frame of a stream: a STUN message or ChannelData, padded or not. */
  handleClient(path: ClientPath, bytes: Uint8Array, now: Instant): void
  /** A datagram at a relayed address. `bytes` may be empty. */
  handlePeer(relay: RelayId, peer: TransportAddress, bytes: Uint8Array, now: Instant): void
  /** ICMP told that what went to this peer did not arrive. RFC 8656 §11.5 */
  handlePeerError(relay: RelayId, peer: TransportAddress, icmp: IcmpError, now: Instant): void
  /** A client's stream has ended. */
  handleClientGone(path: ClientPath, now: Instant): void
  handleRelayOpened(relay: RelayId, now: Instant): void
  /** The opening failed; or the socket of an open one broke, which ends it. */
  handleRelayFailed(relay: RelayId, why: OpenFailure, now: Instant): void
  handleTimeout(now: Instant): void
  pollTimeout(): Instant | undefined
  pollEffect(): TurnEffect | undefined
  /** No new allocations; those that live end at `deadline` at the latest. An event tells when none is left. */
  drain(now: Instant, deadline?: Instant): void
  /** Ends everything at once. */
  stop(now: Instant): void
}
