/** ChannelData: application data with four bytes of header instead of a STUN message. RFC 8656 §12.4 */
import { type Decoded, NatcheckError } from '../../core/index.ts'
import { readUint16, viewOf } from '../cursor.ts'

declare const channelNumberBrand: unique symbol

/** 0x4000–0x4FFF: a peer's address in the header of ChannelData. Not a port. RFC 8656 §12 */
export type ChannelNumber = number & { readonly [channelNumberBrand]: true }

export const minChannelNumber = 0x4000
export const maxChannelNumber = 0x4fff
/** The last one of RFC 5766 §11, which its clients may still bind. */
export const maxLegacyChannelNumber = 0x7ffe

export const isChannelNumber = (value: number): value is ChannelNumber =>
  Number.isInteger(value) && value >= minChannelNumber && value <= maxChannelNumber

/** Brands a number; throws USAGE outside 0x4000–0x4FFF. */
export function toChannelNumber(value: number): ChannelNumber {
  if (isChannelNumber(value)) return value
  throw new NatcheckError('USAGE', `${value} is not a channel number (0x4000 to 0x4FFF)`)
}

export interface ChannelData {
  readonly channel: ChannelNumber
  /** A view when decoded. */
  readonly data: Uint8Array
}

export const channelDataHeaderLength = 4

/** Tells ChannelData from STUN on one port by its first byte, 64–79. RFC 7983 §7, RFC 8656 §12 */
export const looksLikeChannelData = (bytes: Uint8Array): boolean => {
  const first = bytes[0]
  return first !== undefined && first >= 0x40 && first <= 0x4f && bytes.length >= channelDataHeaderLength
}

/** Bytes of one message; on streams it is padded to a multiple of 4, which its length does not count. RFC 8656 §12.5 */
export function encodeChannelData({ channel, data }: ChannelData, options: { pad?: boolean } = {}): Uint8Array {
  if (data.length > 0xffff) {
    throw new NatcheckError('USAGE', `ChannelData carries at most 65535 bytes, not ${data.length}`)
  }
  const length = channelDataHeaderLength + data.length
  // Out of Buffer's pool: memory of its own for each packet would cost more than the copy.
  const { buffer, byteOffset, byteLength } = Buffer.allocUnsafe(options.pad ? (length + 3) & ~3 : length)
  const bytes = new Uint8Array(buffer, byteOffset, byteLength)
  bytes.fill(0, length)
  bytes[0] = channel >>> 8
  bytes[1] = channel
  bytes[2] = data.length >>> 8
  bytes[3] = data.length
  bytes.set(data, channelDataHeaderLength)
  return bytes
}

/** Decodes one message. Bytes after it, such as the padding that UDP senders may add, are left alone. */
export function decodeChannelData(bytes: Uint8Array, maxChannel: number = maxChannelNumber): Decoded<ChannelData> {
  if (bytes.length < channelDataHeaderLength) {
    return { ok: false, where: 'ChannelData header', why: `${bytes.length} bytes, where a header has 4` }
  }
  const channel = readUint16(bytes, 0)
  if (channel < minChannelNumber || channel > maxChannel) {
    const range = `0x4000 and 0x${maxChannel.toString(16).toUpperCase()}`
    return { ok: false, where: 'channel number', why: `0x${channel.toString(16)} is not between ${range}` }
  }
  const end = channelDataHeaderLength + readUint16(bytes, 2)
  if (end > bytes.length) {
    return { ok: false, where: 'ChannelData length', why: `says ${end} bytes, but only ${bytes.length} are there` }
  }
  return { ok: true, value: { channel: channel as ChannelNumber, data: viewOf(bytes, channelDataHeaderLength, end) } }
}
