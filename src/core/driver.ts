/** Runs sans-IO state machines: the one place where a machine's timeouts meet a clock. */
import type { Cancel, Clock } from './ports.ts'
import type { Instant } from './time.ts'

/**
 * A protocol as a value: bytes and time go in, effects come out. No sockets, timers, dates or
 * randomness inside that were not handed in.
 */
export interface StateMachine<Input, Effect> {
  /** Queues effects, performs none. */
  handleInput(input: Input, now: Instant): void
  /** Early and repeated calls are harmless. */
  handleTimeout(now: Instant): void
  /** Drain after every handle*. */
  pollEffect(): Effect | undefined
  /** When handleTimeout wants to be called next; undefined: idle. */
  pollTimeout(): Instant | undefined
}

/** Feeds one machine from a clock and performs its effects in order. */
export class Driver<Input, Effect> {
  readonly #machine: StateMachine<Input, Effect>
  readonly #clock: Clock
  readonly #perform: (effect: Effect) => void
  #cancelTimer: Cancel | undefined
  #timerAt: Instant | undefined
  #settling = false
  #stopped = false

  constructor(machine: StateMachine<Input, Effect>, clock: Clock, perform: (effect: Effect) => void) {
    this.#machine = machine
    this.#clock = clock
    this.#perform = perform
  }

  /** Gives the machine its first chance to act. */
  start(): void {
    this.#wake()
  }

  handle(input: Input): void {
    if (this.#stopped) return
    this.#machine.handleInput(input, this.#clock.now())
    this.#settle()
  }

  /** After this the machine is never called again. */
  stop(): void {
    this.#stopped = true
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#timerAt = undefined
  }

  #wake(): void {
    if (this.#stopped) return
    this.#machine.handleTimeout(this.#clock.now())
    this.#settle()
  }

  /**
   * Performing an effect may feed the machine again; the outermost call drains for all of them.
   * When performing throws, the caller hears of it, but the machine still gets its timer: one bad send must not hang it.
   */
  #settle(): void {
    if (this.#settling) return
    this.#settling = true
    try {
      for (let effect = this.#machine.pollEffect(); effect !== undefined; effect = this.#machine.pollEffect()) {
        this.#perform(effect)
        if (this.#stopped) return
      }
    } finally {
      this.#settling = false
      if (!this.#stopped) this.#schedule(this.#machine.pollTimeout())
    }
  }

  #schedule(at: Instant | undefined): void {
    if (at === this.#timerAt && this.#cancelTimer) return
    this.#cancelTimer?.()
    this.#timerAt = at
    this.#cancelTimer = undefined
    if (at === undefined) return
    this.#cancelTimer = this.#clock.schedule(at, () => {
      this.#cancelTimer = undefined
      this.#timerAt = undefined
      this.#wake()
    })
  }
}
