/** Port assignment, RFC 4787 §4.2: which external port a new mapping gets. */
import type { Random } from '../core/index.ts'
import type { NatBehavior } from './nat-behavior.ts'

/** After this many taken draws a nearly full range is searched in order instead. */
const RANDOM_TRIES = 16

export class PortAssigner {
  readonly #behavior: NatBehavior
  readonly #random: Random
  readonly #first: number
  readonly #count: number
  #sequentialOffset: number

  constructor(behavior: NatBehavior, random: Random) {
    const { first, last } = behavior.externalPorts ?? { first: 1024, last: 65535 }
    if (!(first >= 1 && first <= last && last <= 65535)) throw new RangeError(`no ports from ${first} to ${last}`)
    this.#behavior = behavior
    this.#random = random
    this.#first = first
    this.#count = last - first + 1
    this.#sequentialOffset = random.integer(0, this.#count - 1)
  }

  /** A port for which `isFree` holds, or undefined when the range is used up. */
  assign(internalPort: number, isFree: (port: number) => boolean): number | undefined {
    const kind = this.#behavior.portAssignment
    if (kind === 'preserve') return this.#search(internalPort - this.#first, 1, isFree)
    if (kind === 'sequential') return this.#sequential(isFree)
    if (kind === 'random') return this.#draw(isFree)
    // RFC 4787 §4.2.2: parity yields to connectivity when no port of that parity is left.
    return this.#draw((port) => port % 2 === internalPort % 2 && isFree(port)) ?? this.#draw(isFree)
  }

  #sequential(isFree: (port: number) => boolean): number | undefined {
    const step = this.#behavior.sequentialStep ?? 1
    // A step may miss ports for ever (2 in an even range): the second search finds what is left.
    const port = this.#search(this.#sequentialOffset, step, isFree) ?? this.#search(this.#sequentialOffset, 1, isFree)
    if (port !== undefined) this.#sequentialOffset = this.#wrap(port - this.#first + step)
    return port
  }

  #draw(fits: (port: number) => boolean): number | undefined {
    for (let i = 0; i < RANDOM_TRIES; i++) {
      const port = this.#first + this.#random.integer(0, this.#count - 1)
      if (fits(port)) return port
    }
    return this.#search(this.#random.integer(0, this.#count - 1), 1, fits)
  }

  #search(offset: number, step: number, isFree: (port: number) => boolean): number | undefined {
    for (let i = 0; i < this.#count; i++) {
      const port = this.#first + this.#wrap(offset + i * step)
      if (isFree(port)) return port
    }
    return undefined
  }

  #wrap(offset: number): number {
    return ((offset % this.#count) + this.#count) % this.#count
  }
}
