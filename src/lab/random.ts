/** Repeatable randomness: the same seed gives the same numbers on every machine. */
import type { Random } from '../core/index.ts'

const TWO_32 = 2 ** 32

/** Chris Doty-Humphrey's sfc32: small, fast, and passes PractRand, which is more than a test network needs. */
export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number | string) {
    const text = String(seed)
    this.#a = hash(text, 0x9e3779b9)
    this.#b = hash(text, 0x85ebca6b)
    this.#c = hash(text, 0xc2b2ae35)
    // The generator's author asks for a warm-up, so that close seeds don't start with close numbers.
    for (let i = 0; i < 15; i++) this.uint32()
  }

  /** An integer in [0, 2³²). */
  uint32(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0
    return result >>> 0
  }

  /** A number in [0, 1) with 32 bits of resolution. */
  float(): number {
    return this.uint32() / TWO_32
  }

  /** True with probability `p`. Certainties draw nothing: a network without loss pays nothing for it. */
  chance(p: number): boolean {
    if (p <= 0) return false
    return p >= 1 || this.float() < p
  }

  integer(min: number, max: number): number {
    const span = max - min + 1
    if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || span < 1 || span > TWO_32) {
      throw new RangeError(`no integer to draw from ${min} to ${max}`)
    }
    // Rejecting the incomplete last run of values keeps every one equally likely.
    const limit = TWO_32 - (TWO_32 % span)
    let draw = this.uint32()
    while (draw >= limit) draw = this.uint32()
    return min + (draw % span)
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i += 4) {
      const word = this.uint32()
      for (let k = 0; k < 4 && i + k < length; k++) bytes[i + k] = (word >>> (8 * k)) & 0xff
    }
    return bytes
  }

  /** One of `items`, which may not be empty. */
  pick<T>(items: readonly T[]): T {
    const index = this.integer(0, items.length - 1)
    return items[index] as T
  }

  /**
   * A generator of its own that depends on this one's seed and on `label` only: drawing from one
   * never shifts the other, so that one more lost packet does not change the NAT's port numbers.
   */
  fork(label: string): SeededRandom {
    return new SeededRandom(`${this.uint32()}/${label}`)
  }
}

/** FNV-1a with a final mix. */
function hash(text: string, basis: number): number {
  let h = basis | 0
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
