/** MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256: a keyed hash over everything before them. RFC 8489 §14.5, §14.6 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { type AttributeCodec, bytesCodec } from './attribute.ts'
import { findAttribute, isClassic, type StunMessage } from './message.ts'

/** MESSAGE-INTEGRITY: 20 bytes of HMAC-SHA1. RFC 8489 §14.5 */
export const messageIntegrity: AttributeCodec<Uint8Array> = {
  ...bytesCodec('MESSAGE-INTEGRITY', 0x0008),
  decode: (cursor) => cursor.expectLength(20).rest(),
}

/** MESSAGE-INTEGRITY-SHA256: 16 to 32 bytes of HMAC-SHA256, a multiple of 4. RFC 8489 §14.6 */
export const messageIntegritySha256: AttributeCodec<Uint8Array> = {
  ...bytesCodec('MESSAGE-INTEGRITY-SHA256', 0x001c),
  decode: (cursor) => {
    const length = cursor.remaining
    if (!isSha256Length(length)) cursor.fail(`has ${length} bytes, not 16, 20, 24, 28 or 32`)
    return cursor.rest()
  },
}

export const isSha256Length = (length: number): boolean => length >= 16 && length <= 32 && length % 4 === 0

/** Whether MESSAGE-INTEGRITY is there and was made with this key, over the bytes as they came in. */
export function verifyIntegrity(message: StunMessage, key: Uint8Array): boolean {
  const raw = findAttribute(message, messageIntegrity.type)
  if (raw?.length !== 20) return false
  return timingSafeEqual(raw.value, integrityOf('sha1', key, message.bytes, raw.offset, 20, isClassic(message)))
}

/**
 * Whether MESSAGE-INTEGRITY-SHA256 is there and was made with this key. A truncated one counts; who must not accept
 * that (RFC 8489 §14.6: it is for usages that say so) looks at its length.
 */
export function verifyIntegritySha256(message: StunMessage, key: Uint8Array): boolean {
  const raw = findAttribute(message, messageIntegritySha256.type)
  if (!raw || !isSha256Length(raw.length)) return false
  const expected = integrityOf('sha256', key, message.bytes, raw.offset, raw.length, false)
  return timingSafeEqual(raw.value, expected.subarray(0, raw.length))
}

/**
 * The MAC of `bytes[0, offset)`, with a header length that ends after the MAC's own attribute: what comes later
 * (FINGERPRINT) was not there when the sender computed it.
 * RFC 3489 §11.2.8 differs for its messages: the text is padded with zeros to a multiple of 64 bytes.
 */
export function integrityOf(
  algorithm: 'sha1' | 'sha256',
  key: Uint8Array,
  bytes: Uint8Array,
  offset: number,
  macLength: number,
  classic: boolean,
): Uint8Array {
  const covered = new Uint8Array(classic ? Math.ceil(offset / 64) * 64 : offset)
  covered.set(bytes.subarray(0, offset))
  const length = offset + 4 + macLength - 20
  covered[2] = length >>> 8
  covered[3] = length
  return createHmac(algorithm, key).update(covered).digest()
}
