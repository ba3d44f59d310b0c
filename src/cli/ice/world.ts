/** What the command gathers with: this machine, or whatever a test puts in its place. */
import type { Clock } from '../../core/index.ts'
import { gatherIce, type IceObservations, type IceOptions } from '../../probe/ice/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../transport/index.ts'

export interface IceWorld {
  readonly clock: Clock
  gather(options: IceOptions): Promise<IceObservations>
  /** Resolves after so many milliseconds, or as soon as `signal` is aborted. */
  pause(milliseconds: number, signal: AbortSignal): Promise<void>
}

export function machine(): IceWorld {
  const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
  return {
    clock: systemClock,
    gather: (options) => gatherIce(ports, options),
    pause: (milliseconds, signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, milliseconds)
        signal.addEventListener('abort', () => {
          clearTimeout(timer)
          resolve()
        })
      }),
  }
}
