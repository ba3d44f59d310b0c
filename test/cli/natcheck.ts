/** Runs the compiled command line as a user would: `npm test` builds it first. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const launcher: string = fileURLToPath(new URL('../../bin/natcheck.js', import.meta.url))

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Called with each piece of stdout, and with what signals the process. */
  readonly onStdout?: (text: string, kill: (signal: NodeJS.Signals) => void) => void
  /** Called with all of stderr so far, and with what signals the process. */
  readonly onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void
  /** Stops reading at once, as `| true` does. */
  readonly unread?: boolean
  /** Sends stdout to this open file instead. */
  readonly stdout?: number
  /** Called when the process has started, with what signals it. */
  readonly onStart?: (kill: (signal: NodeJS.Signals) => void) => void
}

/** None of the tester's own settings, and no terminal. */
const cleanEnv = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], HOME: process.env['HOME'] })

export async function natcheck(args: readonly string[], options: Options = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [launcher, ...args], {
    env: { ...cleanEnv(), ...options.env },
    cwd: options.cwd ?? '/',
    stdio: ['ignore', options.stdout ?? 'pipe', 'pipe'],
    timeout: 30_000,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  const kill = (signal: NodeJS.Signals): void => void child.kill(signal)
  options.onStart?.(kill)
  if (options.unread) child.stdout?.destroy()
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    options.onStdout?.(text, kill)
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    options.onStderr?.(stderr, kill)
  })
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, stdout, stderr }))
  })
}
