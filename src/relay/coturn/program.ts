/** Programs that run to their end and are read then. */
import { after, type Clock, type ProcessCommand, type ProcessEnd, type Processes } from '../../core/index.ts'

export interface Finished extends ProcessEnd {
  readonly lines: readonly string[]
}

/** Asking a program for its version, or writing a few rows, takes milliseconds; a loaded machine gets time. */
const limitMs = 10_000

/** Never rejects. A program that takes too long is killed. */
export async function runProgram(processes: Processes, command: ProcessCommand, clock: Clock): Promise<Finished> {
  const lines: string[] = []
  return await new Promise((resolve) => {
    const child = processes.start(command, {
      onLine: (line) => void (lines.length < 100 && lines.push(line)),
      onEnd: (end) => {
        cancel()
        resolve({ ...end, lines })
      },
    })
    const cancel = clock.schedule(after(clock.now(), limitMs), () => child.signal('SIGKILL'))
  })
}
