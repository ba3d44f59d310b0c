/**
 * Whether to look for packets a little later. To be woken costs more than to relay a packet (2 µs on bare machines, 15 to
 * 30 µs where the machine is virtual), so under load a pause that lets some gather is worth it, as in network cards
 * (adaptive interrupt moderation). With little traffic every packet is served at once.
 */
import { elapsed, type Instant } from '../../../core/index.ts'

/**
 * The longest pause, to which the kernel adds its timer slack of 50 µs. It buys CPU with delay: npm run bench:relay shows
 * both. A packet of voice is 20 ms, and networks vary by more than half of one.
 */
export const COALESCE_MICROSECONDS = 500
/** Packets that share the cost of one look well enough: at higher rates they gather sooner, and the pause gets shorter. */
const GATHERED = 32
/** Packets a second from which on a pause is worth its delay. Below, there is CPU to spare. */
const BUSY = 16_000
/** How long packets are counted to know their rate. */
const WINDOW_MS = 1

export class Pace {
  readonly #longest: number
  #since: Instant | undefined
  #counted = 0
  #pause = 0

  constructor(longestMicroseconds: number) {
    this.#longest = longestMicroseconds
  }

  /** Before the next look at the sockets. 0: wait for them instead. */
  get pauseMicroseconds(): number {
    return this.#pause
  }

  /** `received`: all packets so far. To be called after every look. */
  update(received: number, now: Instant): void {
    const milliseconds = this.#since === undefined ? WINDOW_MS : elapsed(this.#since, now)
    if (milliseconds < WINDOW_MS) return
    const perSecond = ((received - this.#counted) / milliseconds) * 1000
    this.#pause = perSecond < BUSY ? 0 : Math.min(this.#longest, Math.round((GATHERED / perSecond) * 1e6))
    this.#counted = received
    this.#since = now
  }
}
