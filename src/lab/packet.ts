/** What travels in the lab. The NAT reads addresses and, where it meddles, payloads; it never reads headers. */
import type { DeliveryFailureReason, IpAddress, TransportAddress } from '../core/index.ts'

export interface UdpPacket {
  readonly kind: 'udp'
  readonly source: TransportAddress
  readonly destination: TransportAddress
  readonly payload: Uint8Array
  readonly ttl?: number
}

/** A virtual TCP segment: enough of TCP to connect, refuse, carry bytes in order and close. */
export interface TcpPacket {
  readonly kind: 'tcp'
  readonly source: TransportAddress
  readonly destination: TransportAddress
  readonly segment: TcpSegment
}

/** Sequence numbers count segments, not bytes. `hello` and `hello-done` stand for the whole TLS handshake. */
export type TcpSegment =
  | { readonly type: 'syn' }
  | { readonly type: 'syn-ack' }
  | { readonly type: 'rst' }
  | { readonly type: 'data'; readonly sequence: number; readonly bytes: Uint8Array }
  | { readonly type: 'fin'; readonly sequence: number }
  | { readonly type: 'hello'; readonly sequence: number; readonly serverName: string }
  | { readonly type: 'hello-done'; readonly sequence: number; readonly problem: string | undefined }

/** An ICMP or ICMPv6 error on its way back to the sender of a packet. */
export interface IcmpError {
  readonly kind: 'icmp-error'
  readonly reason: DeliveryFailureReason
  readonly from: IpAddress
  readonly to: IpAddress
  /** The packet it is about, as seen where it was dropped. */
  readonly about: {
    /** Default: udp. */
    readonly protocol?: 'udp' | 'tcp'
    readonly source: TransportAddress
    readonly destination: TransportAddress
  }
}

export type Packet = UdpPacket | TcpPacket | IcmpError

/** The address routers look at. */
export const destinationIp = (packet: Packet): IpAddress =>
  packet.kind === 'icmp-error' ? packet.to : packet.destination.ip

/** The error a router or host sends back about `packet`; undefined for errors, which cause none (RFC 1122 §3.2.2). */
export function icmpErrorAbout(packet: Packet, reason: DeliveryFailureReason, from: IpAddress): IcmpError | undefined {
  if (packet.kind === 'icmp-error') return undefined
  const { kind: protocol, source, destination } = packet
  return { kind: 'icmp-error', reason, from, to: source.ip, about: { protocol, source, destination } }
}
