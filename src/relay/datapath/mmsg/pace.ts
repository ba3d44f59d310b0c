/**
 * Whether to look for packets a little later. To be woken costs more than to relay a packet, so under load a pause that
 * lets some gather is worth it, as in network cards (adaptive interrupt moderation). With little traffic every packet is
 * served at once.
 */
import { elapsed, type Instant } from '../../../core/index.ts'

/**
 * The pause, to which the kernel adds its timer slack of 50 µs. It buys CPU with delay: at 50,000 packets a second the
 * median packet is relayed in about 0.3 ms instead of 0.06 ms, for about 0.6 times the CPU (npm run bench:relay shows
 * both). A packet of voice is 20 ms, and networks vary by more than that.
 */
export const COALESCE_MICROSECONDS = 250
/** Worth a pause when so many packets come during it: 16,000 a second. Below that there is CPU to spare. */
const WORTH_IT = 4
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
