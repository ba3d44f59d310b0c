/** The deadline of a command's work. */
import { NatcheckError } from '../core/index.ts'

/** After an interrupt the probe hands over what it has; if it doesn't, nothing is known. */
const handOverMs = 500

/** Aborts `work` when it takes too long, and gives up on it when it doesn't even heed that. Nothing hangs. */
export async function bounded<T>(work: Promise<T>, abort: AbortController, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const giveUp = new Promise<never>((_, reject) => {
    const end = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        reject(
          new NatcheckError('TIMEOUT', 'the check did not end in time', { fix: 'give it more time with --timeout' }),
        )
      }, handOverMs)
    }
    abort.signal.addEventListener('abort', end)
    timer = setTimeout(() => abort.abort(), limitMs)
    if (abort.signal.aborted) end()
  })
  try {
    return await Promise.race([work, giveUp])
  } finally {
    clearTimeout(timer)
  }
}
