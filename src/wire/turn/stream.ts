/** STUN messages and ChannelData in a TCP or TLS byte stream. RFC 8489 §6.2.2, RFC 8656 §12.5 */
import { readUint16, readUint32, viewOf } from '../cursor.ts'
import { decodeMessage, headerLength, type StunMessage } from '../stun/message.ts'
import { magicCookie } from '../stun/transaction-id.ts'
import { type ChannelData, channelDataHeaderLength, decodeChannelData, maxLegacyChannelNumber } from './channel-data.ts'

/** What a stream carries. After `broken` nothing else comes: there is no way to find the next message. */
export type StreamFrame =
  | { readonly kind: 'message'; readonly message: StunMessage }
  | { readonly kind: 'channel-data'; readonly channelData: ChannelData }
  /** A whole message that is bad inside; the stream goes on behind it. */
  | { readonly kind: 'malformed'; readonly where: string; readonly why: string }
  /** These bytes are no STUN: the connection is of no more use. */
  | { readonly kind: 'broken'; readonly where: string; readonly why: string }

export interface StreamDecoderOptions {
  /** Default true. Where no channel was bound, ChannelData can only be another protocol: `HTTP` would be 21,588 bytes of it. */
  readonly channelData?: boolean | undefined
  /**
   * Also takes channels 0x5000 to 0x7FFE, which RFC 5766 §11 had: for servers, whose clients may be that old. Default
   * false.
   */
  readonly legacyChannels?: boolean | undefined
  /** The longest message accepted, in bytes with header and padding. Default: what the formats can express. */
  readonly maxFrameLength?: number | undefined
}

const formatLimit = headerLength + 0xfffc
const smallestBuffer = 512

/**
 * Cuts a stream into frames, whatever the sizes of the chunks. It holds one unfinished frame at most, in a buffer that
 * grows with what has arrived and not with what a header promises. Frames are views of the chunk they arrived in, or of
 * a buffer of their own.
 */
export class StreamDecoder {
  #limits: Limits
  #buffer: Uint8Array = new Uint8Array(0)
  #filled = 0
  /** How many bytes of the unfinished frame tell more than there are now: its header, or all of it. */
  #wanted = 0
  #broken = false

  constructor(options: StreamDecoderOptions = {}) {
    const lastChannelByte = options.channelData === false ? 0 : options.legacyChannels ? 0x7f : 0x4f
    this.#limits = { lastChannelByte, length: options.maxFrameLength ?? formatLimit }
  }

  /** Bytes of an unfinished frame. A stream that ends while this is not 0 was cut off. */
  get buffered(): number {
    return this.#filled
  }

  /** From now on ChannelData may come: a channel is being bound. */
  expectChannelData(): void {
    this.#limits = { ...this.#limits, lastChannelByte: Math.max(this.#limits.lastChannelByte, 0x4f) }
  }

  /** Takes the next bytes of the stream and returns the frames that they complete. `chunk` must not change afterwards. */
  push(chunk: Uint8Array): StreamFrame[] {
    const frames: StreamFrame[] = []
    let rest = chunk
    while (rest.length > 0 && !this.#broken) {
      const unfinished = this.#filled > 0
      if (unfinished) rest = this.#hold(rest, this.#wanted - this.#filled)
      const bytes = unfinished ? viewOf(this.#buffer, 0, this.#filled) : rest
      const length = frameLength(bytes, this.#limits)
      if (typeof length !== 'number') {
        this.#broken = true
        this.#forget()
        frames.push({ kind: 'broken', ...length })
      } else if (length <= bytes.length) {
        frames.push(toFrame(viewOf(bytes, 0, length)))
        if (unfinished) this.#forget()
        else rest = viewOf(rest, length, rest.length)
      } else {
        this.#wanted = length
        if (!unfinished) rest = this.#hold(rest, rest.length)
      }
    }
    return frames
  }

  /** Copies at most `count` bytes; returns the others. */
  #hold(bytes: Uint8Array, count: number): Uint8Array {
    const taken = Math.min(count, bytes.length)
    const needed = this.#filled + taken
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(
        Math.max(needed, Math.min(this.#buffer.length * 2, this.#limits.length), smallestBuffer),
      )
      grown.set(viewOf(this.#buffer, 0, this.#filled))
      this.#buffer = grown
    }
    this.#buffer.set(viewOf(bytes, 0, taken), this.#filled)
    this.#filled = needed
    return viewOf(bytes, taken, bytes.length)
  }

  /** The finished frame keeps the old buffer. */
  #forget(): void {
    this.#buffer = new Uint8Array(0)
    this.#filled = 0
  }
}

interface Limits {
  /** The greatest first byte of ChannelData; 0: there is none. */
  readonly lastChannelByte: number
  readonly length: number
}

interface Problem {
  readonly where: string
  readonly why: string
}

/**
 * Length of the frame that `bytes` begins with. When that is more than there is, it may be only what has to be seen
 * before more can be said. A problem is told as soon as the bytes can't be a frame any more.
 */
function frameLength(bytes: Uint8Array, limits: Limits): number | Problem {
  const isStun = (bytes[0] ?? 0) < 0x40
  if (!isStun && (bytes[0] ?? 0) > limits.lastChannelByte) {
    return { where: 'first byte', why: `${quote(bytes)} is not STUN` }
  }
  const seen = isStun ? 8 : channelDataHeaderLength
  if (bytes.length < seen) return seen
  if (isStun && readUint32(bytes, 4) !== magicCookie) {
    return { where: 'magic cookie', why: `${quote(bytes)} is not STUN` }
  }
  const says = readUint16(bytes, 2)
  if (isStun && says % 4 !== 0) return { where: 'message length', why: `${says} is not a multiple of 4` }
  const length = isStun ? headerLength + says : channelDataHeaderLength + ((says + 3) & ~3)
  if (length <= limits.length) return length
  return { where: 'length', why: `${length} bytes, more than the ${limits.length} accepted` }
}

function toFrame(bytes: Uint8Array): StreamFrame {
  if ((bytes[0] ?? 0) >= 0x40) {
    // Which numbers may come was decided by their first byte.
    const result = decodeChannelData(bytes, maxLegacyChannelNumber)
    return result.ok ? { kind: 'channel-data', channelData: result.value } : { ...result, kind: 'malformed' }
  }
  const result = decodeMessage(bytes)
  return result.ok ? { kind: 'message', message: result.value } : { ...result, kind: 'malformed' }
}

/** The first eight bytes as a person can recognise a protocol by: `"HTTP/1.1"` or `16030100`. */
function quote(bytes: Uint8Array): string {
  const start = [...bytes.subarray(0, 8)]
  if (start.every((byte) => byte >= 0x20 && byte < 0x7f)) return `"${String.fromCharCode(...start)}"`
  return start.map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
