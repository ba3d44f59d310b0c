/** STUN messages as they come in: RFC 8489 §5, and RFC 3489 §11 without the magic cookie. */
import type { Decoded } from '../../core/index.ts'
import { Cursor, readUint16, readUint32, viewOf } from '../cursor.ts'
import type { AttributeCodec, RawAttribute } from './attribute.ts'
import { classOfType, type MessageClass, methodOfType } from './method.ts'
import { comprehended } from './registry.ts'
import { magicCookie } from './transaction-id.ts'

/** A message whose framing is right. Attribute values are decoded when `get` or `read` asks for them. */
export interface StunMessage {
  readonly class: MessageClass
  readonly method: number
  /** 12 bytes; 16 in an RFC 3489 message, which has no magic cookie. */
  readonly transactionId: Uint8Array
  /** All of them in order, also those that `get` would ignore. */
  readonly attributes: readonly RawAttribute[]
  /** The message and nothing after it: a view of what was decoded. */
  readonly bytes: Uint8Array
}

export const headerLength = 20

const messageIntegrityType = 0x0008
const messageIntegritySha256Type = 0x001c
const fingerprintType = 0x8028

/**
 * Tells STUN from everything else that shares a port, without decoding: first byte 0–3 (RFC 7983 §7), and either the
 * magic cookie or, for RFC 3489, a length that is exactly the datagram's.
 */
export function looksLikeStun(bytes: Uint8Array): boolean {
  const first = bytes[0]
  if (first === undefined || first > 3 || bytes.length < headerLength) return false
  const length = readUint16(bytes, 2)
  if (length % 4 !== 0 || headerLength + length > bytes.length) return false
  return readUint32(bytes, 4) === magicCookie || headerLength + length === bytes.length
}

/**
 * Decodes the message that `bytes` begins with. Bytes after it are left alone: what is in a message is only what its
 * length covers. The result holds views of `bytes`, no copies.
 */
export function decodeMessage(bytes: Uint8Array): Decoded<StunMessage> {
  if (bytes.length < headerLength) return bad('header', `${bytes.length} bytes, where a header has ${headerLength}`)
  const type = readUint16(bytes, 0)
  if (type > 0x3fff) return bad('message type', `0x${hex(type)} does not begin with two zero bits`)
  const length = readUint16(bytes, 2)
  if (length % 4 !== 0) return bad('message length', `${length} is not a multiple of 4`)
  const end = headerLength + length
  if (end > bytes.length) return bad('message length', `says ${end} bytes, but only ${bytes.length} are there`)

  const attributes: RawAttribute[] = []
  for (let offset = headerLength; offset < end; ) {
    // Offset and end are multiples of 4, so a header always fits, and so does the padding of a value that fits.
    const valueLength = readUint16(bytes, offset + 2)
    if (valueLength > end - offset - 4) {
      const why = `at ${offset} says ${valueLength} bytes, but only ${end - offset - 4} remain`
      return bad(`attribute 0x${hex(readUint16(bytes, offset))}`, why)
    }
    attributes.push(new AttributeView(bytes, offset, valueLength))
    offset += 4 + ((valueLength + 3) & ~3)
  }

  return {
    ok: true,
    value: {
      class: classOfType(type),
      method: methodOfType(type),
      transactionId: viewOf(bytes, readUint32(bytes, 4) === magicCookie ? 8 : 4, headerLength),
      attributes,
      bytes: viewOf(bytes, 0, end),
    },
  }
}

/** Whether the message is framed as in RFC 3489: no magic cookie, 128-bit transaction id. */
export const isClassic = (message: { readonly transactionId: Uint8Array }): boolean =>
  message.transactionId.length === 16

/**
 * The value of the first attribute of this kind; undefined when there is none or it is malformed.
 * Attributes that nothing protects are not there: see `effectiveAttributes`.
 */
export function get<T>(message: StunMessage, codec: AttributeCodec<T>): T | undefined {
  const result = read(message, codec)
  return result?.ok ? result.value : undefined
}

/** Like `get`, but tells a malformed attribute from an absent one. */
export function read<T>(message: StunMessage, codec: AttributeCodec<T>): Decoded<T> | undefined {
  const raw = findAttribute(message, codec.type)
  return raw && decodeAttribute(message, raw, codec)
}

/** All values of an attribute that may occur more than once, such as XOR-PEER-ADDRESS. Malformed ones are left out. */
export function getAll<T>(message: StunMessage, codec: AttributeCodec<T>): T[] {
  const values: T[] = []
  for (const raw of effectiveAttributes(message)) {
    if (raw.type !== codec.type) continue
    const result = decodeAttribute(message, raw, codec)
    if (result.ok) values.push(result.value)
  }
  return values
}

export const has = (message: StunMessage, codec: { readonly type: number }): boolean =>
  findAttribute(message, codec.type) !== undefined

/** The first attribute of a type among the effective ones. */
export function findAttribute(message: StunMessage, type: number): RawAttribute | undefined {
  const seal = new Seal()
  for (const raw of message.attributes) if (seal.admits(raw.type) && raw.type === type) return raw
  return undefined
}

/**
 * The attributes an agent may act on. After MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT count,
 * after MESSAGE-INTEGRITY-SHA256 only FINGERPRINT, and nothing after FINGERPRINT: anybody on the path could have added
 * it. RFC 8489 §14.5–14.7
 */
export function effectiveAttributes(message: StunMessage): RawAttribute[] {
  const seal = new Seal()
  return message.attributes.filter((raw) => seal.admits(raw.type))
}

/**
 * Types below 0x8000 that are not in `known`, in order and without repeats: a request with such an attribute gets
 * error 420, any other message is discarded. `known` defaults to everything natcheck has a codec for; a server passes
 * what it acts on. RFC 8489 §6.3
 */
export function unknownComprehensionRequired(
  message: StunMessage,
  known: ReadonlySet<number> = comprehended,
): number[] {
  const unknown = new Set<number>()
  for (const { type } of effectiveAttributes(message)) if (type < 0x8000 && !known.has(type)) unknown.add(type)
  return [...unknown]
}

/** Which attributes still count as one walks through a message. */
class Seal {
  #level = 0

  admits(type: number): boolean {
    const level = type === fingerprintType ? 3 : type === messageIntegritySha256Type ? 2 : 1
    if (type === messageIntegrityType || level > 1) {
      const admitted = level > this.#level
      if (admitted) this.#level = level
      return admitted
    }
    return this.#level === 0
  }
}

/** The value is made when somebody wants it: most attributes of most messages are never looked at. */
class AttributeView implements RawAttribute {
  readonly type: number
  readonly offset: number
  readonly length: number
  readonly #message: Uint8Array

  constructor(message: Uint8Array, offset: number, length: number) {
    this.type = readUint16(message, offset)
    this.offset = offset
    this.length = length
    this.#message = message
  }

  get value(): Uint8Array {
    return viewOf(this.#message, this.offset + 4, this.offset + 4 + this.length)
  }
}

function decodeAttribute<T>(message: StunMessage, raw: RawAttribute, codec: AttributeCodec<T>): Decoded<T> {
  const cursor = new Cursor(message.bytes, raw.offset + 4, raw.offset + 4 + raw.length)
  const value = codec.decode(cursor, message)
  return cursor.failure === undefined ? { ok: true, value } : bad(codec.name, cursor.failure)
}

const bad = (where: string, why: string): { ok: false; where: string; why: string } => ({ ok: false, where, why })

const hex = (value: number): string => value.toString(16).padStart(4, '0')
