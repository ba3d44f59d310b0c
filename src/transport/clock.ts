/** The machine's clock as a port. */
import { type Cancel, type Clock, elapsed, type Instant, instant, type WallTime, wallTime } from '../core/index.ts'

/** setTimeout fires at once for anything longer; longer waits are taken in steps of this (about 24.8 days). */
const longestTimerMs = 2 ** 31 - 1

/**
 * Monotonic time in milliseconds with a fraction. Its timers keep the process alive, because a probe that waits for one
 * is work in progress; what no longer needs its timer cancels it.
 */
export const systemClock: Clock = {
  now: (): Instant => instant(performance.now()),
  wallTime: (): WallTime => wallTime(Date.now()),
  schedule: (at: Instant, task: () => void): Cancel => {
    let timer: NodeJS.Timeout | undefined
    const arm = (): void => {
      const remaining = elapsed(instant(performance.now()), at)
      timer = setTimeout(wake, Math.min(Math.max(0, Math.ceil(remaining)), longestTimerMs))
    }
    const wake = (): void => {
      // Node counts whole milliseconds from the start of the event loop's turn, so a timer may fire a little early.
      if (performance.now() < at) arm()
      else task()
    }
    arm()
    return () => clearTimeout(timer)
  },
}
