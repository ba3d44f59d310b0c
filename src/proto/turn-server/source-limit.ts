/** Keeps the server from being used to flood somebody whose address was forged. */
import { familyOf, type Instant, type IpAddress, ipToBytes, type Random } from '../../core/index.ts'
import { ipv4Number } from './keys.ts'

const slots = 16_384

/**
 * Token buckets by source address, in memory that never grows: addresses share the buckets by a secret hash. A bucket
 * holds one second's worth and is full again after a second.
 */
export class SourceLimit {
  readonly #perSecond: number
  readonly #seed: number
  readonly #tokens: Float64Array = new Float64Array(slots)
  readonly #filledAt: Float64Array = new Float64Array(slots).fill(Number.NEGATIVE_INFINITY)

  constructor(perSecond: number, random: Random) {
    this.#perSecond = perSecond
    this.#seed = random.integer(1, 0x7fffffff)
  }

  /** Takes one token of this source; false when it has none left. */
  admit(ip: IpAddress, now: Instant): boolean {
    if (isLoopback(ip)) return true
    const slot = this.#slotOf(ip)
    const passed = now - (this.#filledAt[slot] ?? 0)
    const tokens = Math.min(this.#perSecond, (this.#tokens[slot] ?? 0) + (Math.max(0, passed) * this.#perSecond) / 1000)
    this.#filledAt[slot] = now
    this.#tokens[slot] = tokens >= 1 ? tokens - 1 : tokens
    return tokens >= 1
  }

  /** A whole /64 is one source: whoever has one address of it has all. */
  #slotOf(ip: IpAddress): number {
    let hash = this.#seed
    const number = familyOf(ip) === 4 ? ipv4Number(ip) : undefined
    if (number !== undefined) hash = Math.imul(hash ^ number, 0x85ebca6b)
    else for (const byte of ipToBytes(ip).subarray(0, 8)) hash = Math.imul(hash ^ byte, 0x01000193)
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35)
    return (hash ^ (hash >>> 13)) & (slots - 1)
  }
}

const isLoopback = (ip: IpAddress): boolean => ip.startsWith('127.') || ip === '::1' || ip.startsWith('::ffff:127.')
