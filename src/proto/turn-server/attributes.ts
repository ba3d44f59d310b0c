/** Which attributes the server acts on, and how it reads those that clients get wrong. */
import type { TransportAddress } from '../../core/index.ts'
import {
  type AttributeCodec,
  channelNumber,
  type ChannelNumber,
  comprehended,
  dontFragment,
  effectiveAttributes,
  findAttribute,
  getAll,
  maxLegacyChannelNumber,
  minChannelNumber,
  read,
  type StunMessage,
  xorPeerAddress,
} from '../../wire/index.ts'

/** What RFC 8656 and RFC 8489 let a client send to a relay: anything else below 0x8000 gets 420. */
const serverKnows: readonly number[] = [
  0x0001, // MAPPED-ADDRESS
  0x0006, // USERNAME
  0x0008, // MESSAGE-INTEGRITY
  0x0009, // ERROR-CODE
  0x000a, // UNKNOWN-ATTRIBUTES
  0x000c, // CHANNEL-NUMBER
  0x000d, // LIFETIME
  0x0012, // XOR-PEER-ADDRESS
  0x0013, // DATA
  0x0014, // REALM
  0x0015, // NONCE
  0x0016, // XOR-RELAYED-ADDRESS
  0x0017, // REQUESTED-ADDRESS-FAMILY
  0x0018, // EVEN-PORT
  0x0019, // REQUESTED-TRANSPORT
  0x001c, // MESSAGE-INTEGRITY-SHA256
  0x001d, // PASSWORD-ALGORITHM
  0x001e, // USERHASH
  0x0020, // XOR-MAPPED-ADDRESS
  0x0022, // RESERVATION-TOKEN
]

/** A datapath that can't set DF has the server not know DONT-FRAGMENT. RFC 8656 §7.2 */
export const knownAttributes = (canSetDontFragment: boolean): ReadonlySet<number> =>
  new Set([...serverKnows, ...(canSetDontFragment ? [dontFragment.type] : [])].filter((type) => comprehended.has(type)))

/** RFC 5766 had channels up to 0x7FFE, and its clients are still there. RFC 8656 §12 ends at 0x4FFF. */
export const isServedChannel = (value: number): value is ChannelNumber =>
  value >= minChannelNumber && value <= maxLegacyChannelNumber

/** CHANNEL-NUMBER in RFC 5766's range. */
export const servedChannelNumber: AttributeCodec<ChannelNumber> = {
  ...channelNumber,
  decode: (cursor) => {
    const value = cursor.expectLength(4).uint16()
    if (!isServedChannel(value)) cursor.fail(`0x${value.toString(16)} is not between 0x4000 and 0x7FFE`)
    return value as ChannelNumber
  },
}

/** All peers of a CreatePermission; undefined when there is none, or one that can't be read. */
export function readPeers(request: StunMessage): TransportAddress[] | undefined {
  const given = effectiveAttributes(request).filter(({ type }) => type === xorPeerAddress.type).length
  const peers = getAll(request, xorPeerAddress)
  return peers.length > 0 && peers.length === given ? peers : undefined
}

/** An optional attribute's value; `malformed` when it is there and can't be read. */
export function readOptional<T>(request: StunMessage, codec: AttributeCodec<T>): T | undefined | 'malformed' {
  const result = read(request, codec)
  return result === undefined ? undefined : result.ok ? result.value : 'malformed'
}

/** Whether an address family attribute names a family nobody knows, rather than being broken. */
export const namesUnknownFamily = (request: StunMessage, codec: { readonly type: number }): boolean =>
  findAttribute(request, codec.type)?.length === 4
