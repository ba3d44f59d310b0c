/** Transaction ids: 96 bits, or 128 in RFC 3489. */
import type { Random } from '../../core/index.ts'

/** RFC 8489 §5: it stands where RFC 3489 had the first 32 bits of its transaction id. */
export const magicCookie = 0x2112a442

/** 96 random bits. RFC 8489 §5 */
export const newTransactionId = (random: Random): Uint8Array => random.bytes(12)

/** 128 random bits for a message without magic cookie, for servers from before RFC 5389. RFC 3489 §11.1 */
export function newClassicTransactionId(random: Random): Uint8Array {
  const id = random.bytes(16)
  // A first byte that is not the cookie's keeps one id in 2³² from being read as a modern message.
  if (id[0] === 0x21) id[0] = 0x20
  return id
}

/** A transaction id as a key of Maps: two ids are equal when their keys are. */
export function transactionKey(id: Uint8Array): string {
  let key = ''
  for (const byte of id) key += String.fromCharCode(byte)
  return key
}

/** The 16 bytes that XOR- addresses are masked with: what stands in the header after the length. RFC 8489 §14.2 */
export function xorMask(transactionId: Uint8Array): Uint8Array {
  if (transactionId.length === 16) return transactionId
  const mask = new Uint8Array(16)
  mask.set([0x21, 0x12, 0xa4, 0x42])
  mask.set(transactionId, 4)
  return mask
}
