/** What an attribute is to the codec: a type, a value, and how one becomes the other. RFC 8489 §14 */
import type { Cursor } from '../cursor.ts'
import type { Writer } from '../writer.ts'

/** An attribute as it stands in a message. */
export interface RawAttribute {
  readonly type: number
  /** A view of the value without its padding. */
  readonly value: Uint8Array
  /** Length of the value in bytes. */
  readonly length: number
  /** Where the attribute's header begins in the message. */
  readonly offset: number
}

/** What an attribute's encoding depends on besides its value: XOR- addresses are masked with the transaction id. */
export interface AttributeContext {
  /** 12 bytes, or 16 in an RFC 3489 message. */
  readonly transactionId: Uint8Array
}

/** One attribute: its IANA name and type, and its value both ways. */
export interface AttributeCodec<T> {
  readonly name: string
  readonly type: number
  /** Writes the value without header and padding. */
  encode(value: T, writer: Writer, context: AttributeContext): void
  /** Reads the value. What is wrong with it is told by `cursor.failure`; what is returned then means nothing. */
  decode(cursor: Cursor, context: AttributeContext): T
}

/** An attribute ready to be written into any message. */
export interface EncodableAttribute {
  readonly type: number
  write(writer: Writer, context: AttributeContext): void
}

/** Pairs a codec with a value, for `encodeMessage`. */
export const attribute = <T>(codec: AttributeCodec<T>, value: T): EncodableAttribute => ({
  type: codec.type,
  write: (writer, context) => codec.encode(value, writer, context),
})

/** An attribute natcheck has no codec for, or one that is meant to be malformed. */
export const rawAttribute = (type: number, value: Uint8Array): EncodableAttribute => ({
  type,
  write: (writer) => void writer.bytes(value),
})

/** An attribute without a value: being there says it all. */
export const flagCodec = (name: string, type: number): AttributeCodec<true> => ({
  name,
  type,
  encode: () => undefined,
  decode: (cursor) => {
    cursor.expectLength(0)
    return true
  },
})

/** A 32-bit number. */
export const uint32Codec = (name: string, type: number): AttributeCodec<number> => ({
  name,
  type,
  encode: (value, writer) => void writer.uint32(value),
  decode: (cursor) => cursor.expectLength(4).uint32(),
})

/** Bytes that mean nothing to the codec. Decoded values are views into the message. */
export const bytesCodec = (name: string, type: number): AttributeCodec<Uint8Array> => ({
  name,
  type,
  encode: (value, writer) => void writer.bytes(value),
  decode: (cursor) => cursor.rest(),
})
