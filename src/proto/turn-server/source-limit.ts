/** Keeps the server from being used to flood somebody whose address was forged. */
import { familyOf, type Instant, type IpAddress, ipToBytes, type Random } from '../../core/index.ts'
import { ipv4Number } from './keys.ts'

const slots = 16_384
/** Ticks of a millisecond. */
const resolution = 10

/** What `SourceLimit` remembers, with the secret of its hash: to be given to every thread of one relay. */
export function sourceLimitMemory(random: Random): SharedArrayBuffer {
  const memory = new SharedArrayBuffer((1 + slots) * Int32Array.BYTES_PER_ELEMENT)
  new Int32Array(memory)[0] = random.integer(1, 0x7fffffff)
  return memory
}

/**
 * Token buckets by source address, in memory that never grows: addresses share the buckets by a secret hash. A bucket
 * holds one second's worth and is full again after a second. Several threads may have the same memory: a source that
 * spreads its ports over them gets no more than from one.
 */
export class SourceLimit {
  /** Ticks that a token takes to come back. */
  readonly #interval: number
  readonly #seed: number
  /** When each bucket is full again, in ticks, modulo 2^32. */
  readonly #fullAt: Int32Array

  constructor(perSecond: number, memory: SharedArrayBuffer) {
    this.#interval = Math.max(1, Math.floor((1000 * resolution) / perSecond))
    this.#seed = new Int32Array(memory)[0] ?? 0
    this.#fullAt = new Int32Array(memory, Int32Array.BYTES_PER_ELEMENT)
  }

  /** Takes one token of this source; false when it has none left. */
  admit(ip: IpAddress, now: Instant): boolean {
    if (isLoopback(ip)) return true
    const slot = this.#slotOf(ip)
    const tick = Math.floor(now * resolution) | 0
    const second = 1000 * resolution
    for (;;) {
      const fullAt = Atomics.load(this.#fullAt, slot)
      // No bucket needs more than a second, as the thread saw the time that took the last token. What looks like much more
      // is a time long gone, after the ticks have wrapped.
      const missing = (fullAt - tick) | 0
      const wait = missing > 0 && missing <= 10 * second ? missing : 0
      if (wait + this.#interval > second) return false
      const next = (tick + wait + this.#interval) | 0
      if (Atomics.compareExchange(this.#fullAt, slot, fullAt, next) === fullAt) return true
    }
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
