/**
 * IPv4 and IPv6 packets with UDP or an ICMP error in them, to and from the lab's notion of a packet.
 * RFC 791, RFC 8200, RFC 768, RFC 792, RFC 4443. Decoding takes any bytes and never throws.
 */
import {
  bytesToIp,
  type Decoded,
  familyOf,
  type IpAddress,
  ipToBytes,
  type TransportAddress,
} from '../../core/index.ts'
import type { IcmpError, UdpPacket } from '../packet.ts'
import { checksum, pseudoHeaderSum } from './checksum.ts'
import { failureReason, icmpTypeOf } from './icmp-codes.ts'

/** The first eight bytes of an ICMP message but its checksum: kept so that a NAT passes on what it does not understand. */
export interface IcmpHeader {
  readonly type: number
  readonly code: number
  /** The 32 bits after the checksum: a next-hop MTU, a pointer, or unused. */
  readonly rest: number
}

/** An ICMP error as read from the wire; `icmp` outlives a NAT that copies what it translates. */
export interface WireIcmpError extends IcmpError {
  readonly icmp?: IcmpHeader
}

export type WirePacket = UdpPacket | WireIcmpError

type About = IcmpError['about']

const PROTOCOL_ICMP = 1
const PROTOCOL_TCP = 6
const PROTOCOL_UDP = 17
const PROTOCOL_ICMPV6 = 58
const UDP_HEADER = 8
const ICMP_HEADER = 8
/** What Linux sends with; only used for packets that did not bring a TTL of their own. */
const DEFAULT_TTL = 64

const no = (where: string, why: string): { readonly ok: false; readonly where: string; readonly why: string } => ({
  ok: false,
  where,
  why,
})

/** The IP layer of a packet. `body` ends where the header says, which may be before the end of the bytes. */
interface IpPacket {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  readonly ttl: number
  readonly body: Uint8Array
}

/** Reads one IP packet. What is neither UDP nor an ICMP error, fragments and wrong checksums are refused by name. */
export function decodePacket(bytes: Uint8Array): Decoded<WirePacket> {
  const ip = decodeIp(bytes, 'whole')
  if (!ip.ok) return ip
  const { protocol, source } = ip.value
  if (protocol === PROTOCOL_UDP) return decodeUdp(ip.value)
  if (protocol === (familyOf(source) === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6)) return decodeIcmpError(ip.value)
  return no('protocol', `${protocol} is neither UDP nor ICMP`)
}

/** `quoted`: the copy inside an ICMP error, which may be cut short and whose checksum nobody promises. */
type Extent = 'whole' | 'quoted'

function decodeIp(bytes: Uint8Array, extent: Extent): Decoded<IpPacket> {
  const version = (bytes[0] ?? 0) >> 4
  if (version === 4) return decodeIpv4(bytes, extent)
  return version === 6 ? decodeIpv6(bytes, extent) : no('version', `${version} is neither 4 nor 6`)
}

/** RFC 791 §3.1 */
function decodeIpv4(bytes: Uint8Array, extent: Extent): Decoded<IpPacket> {
  if (bytes.length < 20) return no('IPv4 header', `${bytes.length} bytes are less than 20`)
  const view = viewOf(bytes)
  const headerLength = (view.getUint8(0) & 0xf) * 4
  const totalLength = view.getUint16(2)
  if (headerLength < 20 || headerLength > bytes.length) return no('IHL', `${headerLength} bytes of header`)
  if (totalLength < headerLength) return no('total length', `${totalLength} is less than the header`)
  if (extent === 'whole') {
    if (totalLength > bytes.length) return no('total length', `${totalLength} is more than the ${bytes.length} bytes`)
    if (checksum(bytes.subarray(0, headerLength)) !== 0) return no('IPv4 header', 'wrong checksum')
    // More fragments, or an offset. Many NATs drop fragments (RFC 4787 §11); this one does too.
    if ((view.getUint16(6) & 0x3fff) !== 0) return no('fragment', 'a part of a packet')
  }
  return {
    ok: true,
    value: {
      source: bytesToIp(bytes.subarray(12, 16)),
      destination: bytesToIp(bytes.subarray(16, 20)),
      protocol: view.getUint8(9),
      ttl: view.getUint8(8),
      body: bytes.subarray(headerLength, Math.min(totalLength, bytes.length)),
    },
  }
}

/** RFC 8200 §3 */
function decodeIpv6(bytes: Uint8Array, extent: Extent): Decoded<IpPacket> {
  if (bytes.length < 40) return no('IPv6 header', `${bytes.length} bytes are less than 40`)
  const view = viewOf(bytes)
  const end = 40 + view.getUint16(4)
  if (extent === 'whole' && end > bytes.length) return no('payload length', `more than the ${bytes.length} bytes`)
  const upper = skipExtensions(bytes.subarray(40, Math.min(end, bytes.length)), view.getUint8(6))
  if (!upper.ok) return upper
  return {
    ok: true,
    value: {
      source: bytesToIp(bytes.subarray(8, 24)),
      destination: bytesToIp(bytes.subarray(24, 40)),
      ttl: view.getUint8(7),
      ...upper.value,
    },
  }
}

/** RFC 8200 §4: hop-by-hop, routing, destination options, and a fragment header that fragments nothing (RFC 6946). */
function skipExtensions(payload: Uint8Array, first: number): Decoded<{ protocol: number; body: Uint8Array }> {
  let protocol = first
  let body = payload
  while (protocol === 0 || protocol === 43 || protocol === 44 || protocol === 60) {
    const [next, size = 0] = body
    const length = protocol === 44 ? 8 : (size + 1) * 8
    if (next === undefined || body.length < length) return no('extension header', 'ends early')
    if (protocol === 44 && (viewOf(body).getUint16(2) & 0xfff9) !== 0) return no('fragment', 'a part of a packet')
    protocol = next
    body = body.subarray(length)
  }
  return { ok: true, value: { protocol, body } }
}

/** RFC 768 */
function decodeUdp({ source, destination, ttl, body }: IpPacket): Decoded<UdpPacket> {
  if (body.length < UDP_HEADER) return no('UDP header', `${body.length} bytes are less than 8`)
  const view = viewOf(body)
  const length = view.getUint16(4)
  if (length < UDP_HEADER || length > body.length) return no('UDP length', `${length} of ${body.length} bytes`)
  const datagram = body.subarray(0, length)
  const unchecked = view.getUint16(6) === 0
  // RFC 8200 §8.1: in IPv6 the checksum is not optional.
  if (unchecked && familyOf(source) === 6) return no('UDP checksum', 'missing, and IPv6 demands it')
  if (!unchecked && checksum(datagram, pseudoHeaderSum(source, destination, PROTOCOL_UDP, length)) !== 0) {
    return no('UDP checksum', 'wrong')
  }
  return {
    ok: true,
    value: {
      kind: 'udp',
      source: { ip: source, port: view.getUint16(0) },
      destination: { ip: destination, port: view.getUint16(2) },
      // A copy, also of a Buffer, whose own slice() would not make one.
      payload: new Uint8Array(datagram.subarray(UDP_HEADER)),
      ttl,
    },
  }
}

/** RFC 792, RFC 4443 §2.1 */
function decodeIcmpError({ source, destination, protocol, body }: IpPacket): Decoded<WireIcmpError> {
  if (body.length < ICMP_HEADER) return no('ICMP header', `${body.length} bytes are less than 8`)
  const family = familyOf(source)
  const sum = family === 6 ? pseudoHeaderSum(source, destination, protocol, body.length) : 0
  if (checksum(body, sum) !== 0) return no('ICMP checksum', 'wrong')
  const view = viewOf(body)
  const icmp: IcmpHeader = { type: view.getUint8(0), code: view.getUint8(1), rest: view.getUint32(4) }
  const reason = failureReason(family, icmp.type, icmp.code)
  if (!reason) return no('ICMP type', `${icmp.type} is no error`)
  const about = decodeQuote(body.subarray(ICMP_HEADER))
  if (!about.ok) return about
  return { ok: true, value: { kind: 'icmp-error', reason, from: source, to: destination, about: about.value, icmp } }
}

/** The beginning of the packet an ICMP error is about: at least its addresses and ports. */
function decodeQuote(bytes: Uint8Array): Decoded<About> {
  const ip = decodeIp(bytes, 'quoted')
  if (!ip.ok) return no(`quoted ${ip.where}`, ip.why)
  const { source, destination, protocol, body } = ip.value
  if (protocol !== PROTOCOL_UDP && protocol !== PROTOCOL_TCP) return no('quoted protocol', `${protocol} has no ports`)
  if (body.length < 4) return no('quoted packet', 'ends before its ports')
  const view = viewOf(body)
  return {
    ok: true,
    value: {
      ...(protocol === PROTOCOL_TCP ? { protocol: 'tcp' as const } : {}),
      source: { ip: source, port: view.getUint16(0) },
      destination: { ip: destination, port: view.getUint16(2) },
    },
  }
}

/** The bytes of a packet, checksums and all. Source and destination must be of one family, and the payload must fit. */
export function encodePacket(packet: WirePacket): Uint8Array {
  if (packet.kind === 'udp') {
    const { source, destination } = packet
    return encodeIp(source.ip, destination.ip, PROTOCOL_UDP, packet.ttl ?? DEFAULT_TTL, encodeUdp(packet))
  }
  const protocol = familyOf(packet.from) === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6
  return encodeIp(packet.from, packet.to, protocol, DEFAULT_TTL, encodeIcmp(packet, protocol))
}

function encodeUdp({ source, destination, payload }: UdpPacket): Uint8Array {
  const datagram = ports(source, destination, UDP_HEADER + payload.length)
  datagram.set(payload, UDP_HEADER)
  const sum = checksum(datagram, pseudoHeaderSum(source.ip, destination.ip, PROTOCOL_UDP, datagram.length))
  // RFC 768: a sum that comes out as zero is sent as all ones, since zero says "none".
  viewOf(datagram).setUint16(6, sum === 0 ? 0xffff : sum)
  return datagram
}

function encodeIcmp(packet: WireIcmpError, protocol: number): Uint8Array {
  const family = familyOf(packet.from)
  const header = packet.icmp ?? { ...icmpTypeOf(family, packet.reason), rest: 0 }
  const { source, destination } = packet.about
  // What the quoted packet carried is not known any more: it is quoted as if it had been empty.
  const inner = ports(source, destination, UDP_HEADER)
  const quoted = packet.about.protocol === 'tcp' ? PROTOCOL_TCP : PROTOCOL_UDP
  const quote = encodeIp(source.ip, destination.ip, quoted, DEFAULT_TTL, inner)
  const message = new Uint8Array(ICMP_HEADER + quote.length)
  message.set(quote, ICMP_HEADER)
  const view = viewOf(message)
  view.setUint8(0, header.type)
  view.setUint8(1, header.code)
  view.setUint32(4, header.rest)
  const sum = family === 6 ? pseudoHeaderSum(packet.from, packet.to, protocol, message.length) : 0
  view.setUint16(2, checksum(message, sum))
  return message
}

function encodeIp(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  ttl: number,
  body: Uint8Array,
): Uint8Array {
  const version = familyOf(source)
  const headerLength = version === 4 ? 20 : 40
  const bytes = new Uint8Array(headerLength + body.length)
  const view = viewOf(bytes)
  if (version === 4) {
    view.setUint8(0, 0x45)
    view.setUint16(2, bytes.length)
    // Don't fragment: then the identification field may be zero for all (RFC 6864 §4.1).
    view.setUint16(6, 0x4000)
    view.setUint8(8, ttl)
    view.setUint8(9, protocol)
    bytes.set(ipToBytes(source), 12)
    bytes.set(ipToBytes(destination), 16)
    view.setUint16(10, checksum(bytes.subarray(0, headerLength)))
  } else {
    view.setUint8(0, 0x60)
    view.setUint16(4, body.length)
    view.setUint8(6, protocol)
    view.setUint8(7, ttl)
    bytes.set(ipToBytes(source), 8)
    bytes.set(ipToBytes(destination), 24)
  }
  bytes.set(body, headerLength)
  return bytes
}

/** A datagram with its ports and length written, the rest zero. */
function ports(source: TransportAddress, destination: TransportAddress, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const view = viewOf(bytes)
  view.setUint16(0, source.port)
  view.setUint16(2, destination.port)
  view.setUint16(4, length)
  return bytes
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
