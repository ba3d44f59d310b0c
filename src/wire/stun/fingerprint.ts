/** FINGERPRINT: a checksum that tells STUN from other protocols on the same port. RFC 8489 §14.7 */
import { readUint32 } from '../cursor.ts'
import { type AttributeCodec, uint32Codec } from './attribute.ts'
import { findAttribute, type StunMessage } from './message.ts'

/** FINGERPRINT: CRC-32 of everything before it, XORed with 0x5354554e ("STUN"). RFC 8489 §14.7 */
export const fingerprint: AttributeCodec<number> = uint32Codec('FINGERPRINT', 0x8028)

/** Whether FINGERPRINT is there, last, and right. */
export function verifyFingerprint(message: StunMessage): boolean {
  const raw = findAttribute(message, fingerprint.type)
  if (raw?.length !== 4 || raw.offset + 8 !== message.bytes.length) return false
  return readUint32(message.bytes, raw.offset + 4) === fingerprintOf(message.bytes, raw.offset)
}

/** The value for `bytes[0, end)`, whose header length has to cover the FINGERPRINT already. */
export const fingerprintOf = (bytes: Uint8Array, end: number): number => (crc32(bytes, end) ^ 0x5354554e) >>> 0

/** CRC-32 of ISO 3309, the one of zip files. By table: wire imports nothing that does I/O, zlib included. */
function crc32(bytes: Uint8Array, end: number): number {
  let crc = 0xffffffff
  for (let i = 0; i < end; i++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] ?? 0)) & 0xff] ?? 0)
  return ~crc >>> 0
}

const table: Uint32Array = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})
