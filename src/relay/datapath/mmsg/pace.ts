/**
 * Whether to look for packets a little later. To be woken costs more than to relay a packet, so under load a pause that
 * lets some gather is worth it, as in network cards (adaptive interrupt moderation). With little traffic every packet is
 * served at once.
 */
import { elapsed, type Instant } from '../../../core/index.ts'

/**
 * The pause. A tenth of a millisecond is nothing to a call (a packet of voice is 20 ms), and less than the delay by which
 * networks vary. The kernel adds its timer slack, 50 µs.
 */
export const COALESCE_MICROSECONDS = 100
/** Worth a pause when so many packets come during it. */
const WORTH_IT = 2
const WINDOW_MS = 1

export class Pace {
  readonly #pause: number
  readonly #threshold: number
  #since: Instant | undefined
  #counted = 0
  #busy = false

  constructor(pauseMicroseconds: number) {
    this.#pause = pauseMicroseconds
    this.#threshold = (WORTH_IT * 1000) / pauseMicroseconds
  }

  /** Before the next look at the sockets. 0: wait for them instead. */
  get pauseMicroseconds(): number {
    return this.#busy ? this.#pause : 0
  }

  /** `received`: all packets so far. To be called after every look. */
  update(received: number, now: Instant): void {
    const milliseconds = this.#since === undefined ? WINDOW_MS : elapsed(this.#since, now)
    if (milliseconds < WINDOW_MS) return
    this.#busy = (received - this.#counted) / milliseconds >= this.#threshold
    this.#counted = received
    this.#since = now
  }
}
