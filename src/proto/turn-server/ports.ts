/** The relayed ports of one address: which are taken, and which is next. */
import { NatcheckError, type Random } from '../../core/index.ts'
import type { PortRange } from './options.ts'

/** Ports are picked at random, so that nobody can guess the next one (RFC 8656 §7.2). */
export class PortPool {
  readonly #min: number
  readonly #random: Random
  readonly #taken: Uint8Array
  #free: number

  /** Throws USAGE for a range that is none. */
  constructor({ min, max }: PortRange, random: Random) {
    if (!Number.isInteger(min) || !Number.isInteger(max) || min < 1 || max > 65535 || min > max) {
      throw new NatcheckError('USAGE', `${min}-${max} is no range of ports`, {
        fix: 'Give a range between 1 and 65535, the smaller port first.',
      })
    }
    this.#min = min
    this.#random = random
    this.#taken = new Uint8Array(max - min + 1)
    this.#free = this.#taken.length
  }

  get free(): number {
    return this.#free
  }

  get size(): number {
    return this.#taken.length
  }

  /** A free port; undefined when there is none of that kind. */
  take(kind: 'any' | 'even' = 'any'): number | undefined {
    const index = this.#find((candidate) => this.#isFree(candidate) && (kind === 'any' || this.#isEven(candidate)))
    return index === undefined ? undefined : this.#claim(index)
  }

  /** A free even port whose successor is free too; both are taken. */
  takePair(): number | undefined {
    const index = this.#find(
      (candidate) => this.#isEven(candidate) && this.#isFree(candidate) && this.#isFree(candidate + 1),
    )
    if (index === undefined) return undefined
    this.#claim(index + 1)
    return this.#claim(index)
  }

  release(port: number): void {
    const index = port - this.#min
    if (this.#taken[index] !== 1) return
    this.#taken[index] = 0
    this.#free++
  }

  #claim(index: number): number {
    this.#taken[index] = 1
    this.#free--
    return this.#min + index
  }

  #isFree(index: number): boolean {
    return this.#taken[index] === 0
  }

  #isEven(index: number): boolean {
    return (this.#min + index) % 2 === 0
  }

  /** A few throws of the dice find a place unless the range is nearly full; then the next place after the last throw. */
  #find(fits: (index: number) => boolean): number | undefined {
    if (this.#free === 0) return undefined
    const size = this.#taken.length
    let index = 0
    for (let tries = 0; tries < 8; tries++) {
      index = this.#random.integer(0, size - 1)
      if (fits(index)) return index
    }
    for (let step = 1; step < size; step++) {
      const next = (index + step) % size
      if (fits(next)) return next
    }
    return undefined
  }
}
