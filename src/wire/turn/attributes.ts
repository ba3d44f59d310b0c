/** Attributes of TURN. RFC 8656 §18 */
import type { AddressFamily, TransportAddress } from '../../core/index.ts'
import { familyByte, readFamily, xorAddressCodec } from '../stun/addresses.ts'
import { type AttributeCodec, bytesCodec, flagCodec, uint32Codec } from '../stun/attribute.ts'
import { readErrorNumber, writeErrorNumber } from '../stun/error.ts'
import { displayText, utf8 } from '../text.ts'
import { type ChannelNumber, isChannelNumber } from './channel-data.ts'

/** CHANNEL-NUMBER: the channel to bind. RFC 8656 §18.1 */
export const channelNumber: AttributeCodec<ChannelNumber> = {
  name: 'CHANNEL-NUMBER',
  type: 0x000c,
  encode: (channel, writer) => void writer.uint16(channel).uint16(0),
  decode: (cursor) => {
    const value = cursor.expectLength(4).uint16()
    if (!isChannelNumber(value)) cursor.fail(`0x${value.toString(16)} is not between 0x4000 and 0x4FFF`)
    return value as ChannelNumber
  },
}

/** LIFETIME: seconds the allocation survives without a Refresh. RFC 8656 §18.2 */
export const lifetime: AttributeCodec<number> = uint32Codec('LIFETIME', 0x000d)

/** XOR-PEER-ADDRESS: the peer as the relay sees it; several in one CreatePermission. RFC 8656 §18.3 */
export const xorPeerAddress: AttributeCodec<TransportAddress> = xorAddressCodec('XOR-PEER-ADDRESS', 0x0012)

/** DATA: application data, possibly empty. RFC 8656 §18.4 */
export const data: AttributeCodec<Uint8Array> = bytesCodec('DATA', 0x0013)

/** XOR-RELAYED-ADDRESS: the relayed transport address. RFC 8656 §18.5 */
export const xorRelayedAddress: AttributeCodec<TransportAddress> = xorAddressCodec('XOR-RELAYED-ADDRESS', 0x0016)

/** REQUESTED-ADDRESS-FAMILY: of the relayed address. RFC 8656 §18.6 */
export const requestedAddressFamily: AttributeCodec<AddressFamily> = familyCodec('REQUESTED-ADDRESS-FAMILY', 0x0017)

export interface EvenPort {
  /** Reserve the next higher port as well, to be claimed with a RESERVATION-TOKEN. */
  readonly reserveNext: boolean
}

/** EVEN-PORT: give the relayed address an even port. RFC 8656 §18.7 */
export const evenPort: AttributeCodec<EvenPort> = {
  name: 'EVEN-PORT',
  type: 0x0018,
  encode: ({ reserveNext }, writer) => void writer.uint8(reserveNext ? 0x80 : 0),
  decode: (cursor) => ({ reserveNext: (cursor.expectLength(1).uint8() & 0x80) !== 0 }),
}

/** Protocol numbers for REQUESTED-TRANSPORT: RFC 8656 §7.1, RFC 6062 §4.1. */
export const RequestedTransport = { tcp: 6, udp: 17 } as const

/** REQUESTED-TRANSPORT: IP protocol number between relay and peer. RFC 8656 §18.8 */
export const requestedTransport: AttributeCodec<number> = {
  name: 'REQUESTED-TRANSPORT',
  type: 0x0019,
  encode: (protocol, writer) => void writer.uint8(protocol).fill(3, 0),
  decode: (cursor) => cursor.expectLength(4).uint8(),
}

/** DONT-FRAGMENT: set the DF bit towards the peer. RFC 8656 §18.9 */
export const dontFragment: AttributeCodec<true> = flagCodec('DONT-FRAGMENT', 0x001a)

/** RESERVATION-TOKEN: 8 bytes that name a reserved port. RFC 8656 §18.10 */
export const reservationToken: AttributeCodec<Uint8Array> = {
  ...bytesCodec('RESERVATION-TOKEN', 0x0022),
  decode: (cursor) => cursor.expectLength(8).rest(),
}

/** ADDITIONAL-ADDRESS-FAMILY: one more relayed address, always IPv6. RFC 8656 §18.11 */
export const additionalAddressFamily: AttributeCodec<AddressFamily> = familyCodec('ADDITIONAL-ADDRESS-FAMILY', 0x8000)

export interface AddressErrorCode {
  readonly family: AddressFamily
  /** 300–699. */
  readonly code: number
  readonly reason: string
}

/** ADDRESS-ERROR-CODE: why one of two asked-for families was not given. RFC 8656 §18.12 */
export const addressErrorCode: AttributeCodec<AddressErrorCode> = {
  name: 'ADDRESS-ERROR-CODE',
  type: 0x8001,
  encode: ({ family, code, reason }, writer) => {
    writeErrorNumber(writer.uint8(familyByte(family)).uint8(0), code)
    writer.bytes(utf8(reason))
  },
  decode: (cursor) => {
    const family = readFamily(cursor)
    const code = readErrorNumber(cursor.skip(1))
    return { family, code, reason: displayText(cursor) }
  },
}

export interface IcmpError {
  /** ICMP or ICMPv6 type, by the peer address's family. 7 bits. */
  readonly type: number
  /** 9 bits. */
  readonly code: number
  /** The next-hop MTU where the type has one, otherwise 0. */
  readonly data: number
}

/** ICMP: an error that the relay received for what it sent to a peer. RFC 8656 §18.13 */
export const icmp: AttributeCodec<IcmpError> = {
  name: 'ICMP',
  type: 0x8004,
  encode: ({ type, code, data }, writer) =>
    void writer
      .uint16(0)
      .uint16((type << 9) | (code & 0x1ff))
      .uint32(data),
  decode: (cursor) => {
    const typeAndCode = cursor.expectLength(8).skip(2).uint16()
    return { type: typeAndCode >> 9, code: typeAndCode & 0x1ff, data: cursor.uint32() }
  },
}

function familyCodec(name: string, type: number): AttributeCodec<AddressFamily> {
  return {
    name,
    type,
    encode: (family, writer) => void writer.uint8(familyByte(family)).fill(3, 0),
    decode: (cursor) => readFamily(cursor.expectLength(4)),
  }
}
