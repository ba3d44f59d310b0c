/** Child processes for tests: argument arrays, a deadline on each, and none of them outlives the test run. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { environment } from './requirements.ts'

export interface RunResult {
  /** The exit code; null when a signal ended the process. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly timeoutMs?: number
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
}

/** Runs a program to its end, whatever its exit code. Rejects when it can't start or the time is over. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = launch(argv, options)
  const timeoutMs = options.timeoutMs ?? 20_000
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // A program that exits without reading its input is not a fault of the test.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  return await new Promise<RunResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${argv.join(' ')} still ran after ${timeoutMs} ms\n${stdout}${stderr}`))
    }, timeoutMs)
    child.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.once('close', (status) => {
      clearTimeout(timer)
      resolve({ status, stdout, stderr })
    })
  })
}

/** Runs a program that has to succeed; returns what it printed. */
export async function check(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await run(argv, options)
  if (status !== 0) {
    const input = options.input === undefined ? '' : `\nwith the input:\n${options.input}`
    throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr || stdout}${input}`)
  }
  return stdout
}

/** A program that runs beside the test until stopped. */
export interface Daemon {
  readonly pid: number
  readonly child: ChildProcessWithoutNullStreams
  /** Everything it printed so far, for error messages. */
  output(): string
  /** Resolves when it has ended. Safe to call twice. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

export function startDaemon(argv: readonly string[], options: RunOptions = {}): Daemon {
  const child = launch(argv, options)
  let output = ''
  const keep = (text: string): void => {
    output = (output + text).slice(-64_000)
  }
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  child.stdin.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', (error) => {
      keep(String(error))
      resolve()
    })
  })
  return {
    pid: child.pid ?? -1,
    child,
    output: () => output,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      const patience = setTimeout(() => child.kill('SIGKILL'), 3000)
      await ended
      clearTimeout(patience)
    },
  }
}

/** Waits until the daemon has printed `pattern`; rejects when it ends first or the time is over. */
export async function printed(daemon: Daemon, pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
  return await new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      clearTimeout(timer)
      daemon.child.stdout.off('data', look)
      daemon.child.stderr.off('data', look)
      daemon.child.off('close', gone)
      finish()
    }
    const look = (): void => {
      const match = pattern.exec(daemon.output())
      if (match) settle(() => resolve(match))
    }
    const gone = (): void =>
      settle(() => reject(new Error(`ended before it printed ${String(pattern)}:\n${daemon.output()}`)))
    const timer = setTimeout(
      () => settle(() => reject(new Error(`did not print ${String(pattern)} in time:\n${daemon.output()}`))),
      timeoutMs,
    )
    daemon.child.stdout.on('data', look)
    daemon.child.stderr.on('data', look)
    daemon.child.once('close', gone)
    look()
  })
}

/**
 * setpriv asks the kernel to kill the child when this process dies, however it dies: a crashed test run leaves
 * no turnserver behind. The wish survives exec, and `ip netns exec` execs, so the pid is the program's own.
 */
function launch(argv: readonly string[], options: RunOptions): ChildProcessWithoutNullStreams {
  return spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
    env: options.env ?? environment(),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: 'pipe',
  })
}
