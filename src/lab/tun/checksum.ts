/** The internet checksum (RFC 1071) and the pseudo-headers it is taken over. */
import { type IpAddress, ipToBytes } from '../../core/index.ts'

/**
 * The ones' complement of the ones' complement sum. Over a message that contains its checksum it is 0 when that is
 * right; over one whose checksum field is zero it is what belongs there. `initial`: a sum to go on from.
 */
export function checksum(bytes: Uint8Array, initial = 0): number {
  let sum = initial + sumWords(bytes)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}

/** RFC 768 for IPv4, RFC 8200 §8.1 for IPv6: addresses, protocol and length, as a sum for `checksum` to go on from. */
export function pseudoHeaderSum(source: IpAddress, destination: IpAddress, protocol: number, length: number): number {
  return sumWords(ipToBytes(source)) + sumWords(ipToBytes(destination)) + protocol + length
}

/** Sums of 64 KiB stay far below 2^53, so the carries can wait. */
function sumWords(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)
  return sum
}
