/** Application layer gateways: NATs that rewrite addresses inside payloads (RFC 4787 §7). */
import { familyOf, type IpAddress, ipToBytes } from '../core/index.ts'
import type { AlgTarget } from './nat-behavior.ts'

/** RFC 8489 §5. */
const MAGIC_COOKIE = [0x21, 0x12, 0xa4, 0x42]

/** `payload` with every appearance of `from` that the gateway looks for replaced by `to`; the same array when there is none. */
export function rewritePayload(
  payload: Uint8Array,
  from: IpAddress,
  to: IpAddress,
  targets: readonly AlgTarget[],
): Uint8Array {
  let result = payload
  for (const target of targets) {
    if (target === 'stun-xored' && familyOf(from) === 6) continue // XORed with the transaction id too
    result = replaceAll(result, appearance(from, target), appearance(to, target))
  }
  return result
}

function appearance(ip: IpAddress, target: AlgTarget): Uint8Array {
  if (target === 'text') return new TextEncoder().encode(ip)
  const bytes = ipToBytes(ip)
  return target === 'binary' ? bytes : bytes.map((byte, i) => byte ^ (MAGIC_COOKIE[i] ?? 0))
}

function replaceAll(bytes: Uint8Array, search: Uint8Array, replacement: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  let start = 0
  for (let i = 0; i + search.length <= bytes.length; i++) {
    if (!matchesAt(bytes, search, i)) continue
    parts.push(bytes.subarray(start, i), replacement)
    i += search.length - 1
    start = i + 1
  }
  if (parts.length === 0) return bytes
  parts.push(bytes.subarray(start))
  const result = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    result.set(part, offset)
    offset += part.length
  }
  return result
}

function matchesAt(bytes: Uint8Array, search: Uint8Array, offset: number): boolean {
  for (let i = 0; i < search.length; i++) if (bytes[offset + i] !== search[i]) return false
  return true
}
