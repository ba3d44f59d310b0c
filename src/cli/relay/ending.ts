/** How a server on the command line comes to its end. */
import { type CliIo, type ExitCode, exitCodes } from '../io.ts'

/** SIGTERM or SIGINT: drain. A second one: end now. */
export class Ending {
  readonly #stops: readonly (() => void)[]
  #signals = 0
  #first: () => void = () => {}
  #second: () => void = () => {}
  #failed: () => void = () => {}
  readonly #signalled: Promise<void> = new Promise((resolve) => (this.#first = resolve))
  readonly #again: Promise<ExitCode> = new Promise((resolve) => (this.#second = () => resolve(exitCodes.interrupted)))
  readonly #broken: Promise<ExitCode> = new Promise((resolve) => (this.#failed = () => resolve(exitCodes.unmeasured)))

  constructor(io: CliIo) {
    const signal = (): void => (++this.#signals === 1 ? this.#first() : this.#second())
    this.#stops = [io.onSignal('SIGTERM', signal), io.onSignal('SIGINT', signal)]
  }

  failed(): void {
    this.#failed()
  }

  stop(): void {
    for (const stop of this.#stops) stop()
  }

  async wait(drain: () => Promise<void>): Promise<ExitCode> {
    const drained = this.#signalled.then(drain).then((): ExitCode => exitCodes.ok)
    return await Promise.race([drained, this.#again, this.#broken])
  }
}
