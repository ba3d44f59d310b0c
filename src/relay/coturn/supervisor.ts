/** Keeps one child running: starts it, waits until it answers, and starts it again when it has died by itself. */
import {
  after,
  type Cancel,
  type Clock,
  elapsed,
  type Instant,
  NatcheckError,
  type ProcessEnd,
  type RunningProcess,
} from '../../core/index.ts'

export interface SupervisorOptions {
  readonly clock: Clock
  /** The program's name, for messages. */
  readonly name: string
  /** What to do about a child that ends at once. */
  readonly fix: string
  readonly start: (onLine: (line: string) => void, onEnd: (end: ProcessEnd) => void) => RunningProcess
  /** Resolves when the child serves. Rejects when it does not in time, or when the signal says to stop asking. */
  readonly answers: (signal: AbortSignal) => Promise<void>
  readonly onLine: (line: string) => void
  /** The child has died by itself, with everything it held. */
  readonly onLost: () => void
  readonly onWarning: (message: string) => void
}

/** The first restart comes soon, for a call can still be saved; a child that can't live must not cost a core. */
const firstDelayMs = 500
const longestDelayMs = 30_000
/** A child that has lived this long was well: whatever killed it is news. */
const healthyMs = 60_000
/** coturn ends within milliseconds of a SIGTERM. */
const patienceMs = 2000
/** Enough to find what a child complained about before it died. */
const keptLines = 20

interface Running {
  readonly process: RunningProcess
  readonly ended: Promise<ProcessEnd>
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #stopping = new AbortController()
  readonly #lastLines: string[] = []
  #running: Running | undefined
  #delayMs = firstDelayMs
  #cancelRestart: Cancel = () => {}
  #mayEnd = false
  #allEnded: () => void = () => {}
  /** Resolves when the child has ended for good. */
  readonly ended: Promise<void> = new Promise((resolve) => (this.#allEnded = resolve))

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /** Undefined while there is none. */
  get pid(): number | undefined {
    return this.#running?.process.pid
  }

  /** Rejects with UNSUPPORTED, and what it said, when the child ends or does not answer in time; nothing runs then. */
  async start(): Promise<void> {
    const { name } = this.#options
    const startedAt = this.#options.clock.now()
    const running = this.#launch()
    const asking = new AbortController()
    const stopAsking = (): void => asking.abort()
    this.#stopping.signal.addEventListener('abort', stopAsking)
    try {
      const died = running.ended.then(({ why }) => {
        throw new NatcheckError('UNSUPPORTED', `${name} ended at once (${why})${this.#complaint()}`, {
          fix: this.#options.fix,
        })
      })
      await Promise.race([this.#options.answers(asking.signal), died])
    } catch (error) {
      running.process.signal('SIGKILL')
      await running.ended
      throw error
    } finally {
      stopAsking()
      this.#stopping.signal.removeEventListener('abort', stopAsking)
    }
    void this.#watch(running, startedAt)
  }

  signal(name: 'SIGUSR1' | 'SIGUSR2'): void {
    this.#running?.process.signal(name)
  }

  /** From now on a child that ends by itself is not started again. */
  letEnd(): void {
    this.#mayEnd = true
    if (!this.#running) this.#allEnded()
  }

  /** Resolves when nothing runs any more. Safe to call twice. */
  async stop(): Promise<void> {
    const { clock } = this.#options
    this.#cancelRestart()
    this.#stopping.abort()
    const running = this.#running
    if (running) {
      running.process.signal('SIGTERM')
      const cancel = clock.schedule(after(clock.now(), patienceMs), () => running.process.signal('SIGKILL'))
      await running.ended
      cancel()
    }
    this.#allEnded()
  }

  async #watch({ ended }: Running, startedAt: Instant): Promise<void> {
    const { why } = await ended
    this.#options.onLost()
    if (this.#stopping.signal.aborted || this.#mayEnd) return this.#allEnded()
    if (elapsed(startedAt, this.#options.clock.now()) >= healthyMs) this.#delayMs = firstDelayMs
    this.#restartLater(`${this.#options.name} has ended (${why})`)
  }

  #launch(): Running {
    this.#lastLines.length = 0
    let settle: (end: ProcessEnd) => void = () => {}
    const ended = new Promise<ProcessEnd>((resolve) => (settle = resolve))
    const process = this.#options.start(
      (line) => {
        this.#lastLines.push(line)
        if (this.#lastLines.length > keptLines) this.#lastLines.shift()
        this.#options.onLine(line)
      },
      (end) => {
        this.#running = undefined
        settle(end)
      },
    )
    this.#running = { process, ended }
    return this.#running
  }

  #restartLater(what: string): void {
    const { clock, onWarning, name } = this.#options
    const delayMs = this.#delayMs
    this.#delayMs = Math.min(delayMs * 2, longestDelayMs)
    onWarning(`${what}; it is started again in ${delayMs / 1000} s`)
    this.#cancelRestart = clock.schedule(after(clock.now(), delayMs), () => {
      this.start().then(
        () => onWarning(`${name} runs again`),
        (error: unknown) => {
          if (this.#stopping.signal.aborted || this.#mayEnd) return this.#allEnded()
          this.#restartLater(error instanceof Error ? error.message : String(error))
        },
      )
    })
  }

  /** The last error it printed: coturn's own words say most. */
  #complaint(): string {
    const line = this.#lastLines.findLast((each) => /error|fatal|cannot|can't|failed/i.test(each))
    return line === undefined ? '' : `: ${line.replace(/^\S+ (?:\(\d+\))?:? ?/, '').slice(0, 200)}`
  }
}
