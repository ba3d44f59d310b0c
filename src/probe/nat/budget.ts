/** RFC 5780 §5 asks a client for at most ten new transactions a second, over everything it does at once. */
import { after, type Instant } from '../../core/index.ts'

const limit = 10
const windowMs = 1000

/**
 * A sliding window over all families and servers of one run. Retransmissions (the same transaction id)
 * don't count, which is why the loss controls of the probes are retransmissions.
 */
export class TransactionBudget {
  readonly #taken: Instant[] = []

  /** Takes one new transaction if the window has room, after leaving `reserve` for somebody more urgent. */
  tryTake(now: Instant, reserve = 0): boolean {
    this.#forget(now)
    if (this.#taken.length + reserve >= limit) return false
    this.#taken.push(now)
    return true
  }

  /** When the next place becomes free; undefined: now. */
  nextFree(now: Instant, reserve = 0): Instant | undefined {
    this.#forget(now)
    const inTheWay = this.#taken[this.#taken.length + reserve - limit]
    if (inTheWay === undefined) return this.#taken.length + reserve >= limit ? after(now, windowMs) : undefined
    return after(inTheWay, windowMs)
  }

  #forget(now: Instant): void {
    while (this.#taken[0] !== undefined && now - this.#taken[0] >= windowMs) this.#taken.shift()
  }
}
