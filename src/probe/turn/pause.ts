/** Waiting on the run's own clock. */
import { after, type Clock } from '../../core/index.ts'

/** Resolves after so many milliseconds, or as soon as one of the signals is aborted. */
export function pause(clock: Clock, milliseconds: number, ...signals: readonly AbortSignal[]): Promise<void> {
  // A signal of its own: Node warns of a leak when more than ten listen to one.
  const signal = AbortSignal.any([...signals])
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.schedule(after(clock.now(), milliseconds), end)
    signal.addEventListener('abort', end)
  })
}
