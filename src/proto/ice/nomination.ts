/** Which pair is nominated, and how long the controlled agent waits for that. RFC 8445 §8.1.1 */
import { after, type Instant } from '../../core/index.ts'
import { type CandidatePair, type IceRole, priorityOf } from './pair.ts'

/** As long as the controlling agent's check may take, and then some. */
const graceMs = 10_000

export class Nomination {
  readonly #failed = new Set<CandidatePair>()
  #current: CandidatePair | undefined
  #dueAt: Instant | undefined

  /** Until when the controlled agent waits. */
  pollTimeout(): Instant | undefined {
    return this.#dueAt
  }

  /** Checks go on, or the role has changed: what was awaited is so no more. */
  reset(): void {
    this.#current = undefined
    this.#dueAt = undefined
  }

  failed(pair: CandidatePair): void {
    this.#failed.add(pair)
    this.#current = undefined
  }

  /** What is left to do when all checks have ended: nominate this pair, wait, or nothing. */
  next(role: IceRole, pairs: readonly CandidatePair[], now: Instant): CandidatePair | 'wait' | undefined {
    if (pairs.some(({ nominated }) => nominated)) return undefined
    const valid = pairs.filter(({ state }) => state === 'succeeded')
    if (role === 'controlled') {
      if (valid.length === 0) return undefined
      this.#dueAt ??= after(now, graceMs)
      return now < this.#dueAt ? 'wait' : undefined
    }
    if (this.#current) return 'wait'
    this.#current = valid
      .filter((pair) => !this.#failed.has(pair))
      .toSorted((a, b) => Number(validPriority(b) - validPriority(a)))[0]
    return this.#current
  }
}

/** Of the pair that media would use, seen from the controlling agent. */
const validPriority = ({ valid, priority }: CandidatePair): bigint =>
  valid ? priorityOf(valid.local, valid.remote, 'controlling') : priority
