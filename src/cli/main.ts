/** Composition root of the command line: binds it to this process. */
import { fstatSync, writeFileSync } from 'node:fs'
import { isatty } from 'node:tty'
import type { CliIo } from './io.ts'

/** A signal may come before the command listens, or before its modules are even loaded: it is kept for then. */
let signals = 0
let interrupt: (() => void) | undefined
const onSignal = (): void => {
  signals++
  if (signals > 1) process.exit(130) // exitCodes.interrupted, which is not loaded yet
  interrupt?.()
}
process.on('SIGINT', onSignal).on('SIGTERM', onSignal)

// Loaded only now: imports that stand above would all come before the first line of this file.
const { describeError, errorLine, exitCodeOf, unreadable, unwritable } = await import('./io.ts')
const { NatcheckError } = await import('../core/errors.ts')
const { runCli } = await import('./program.ts')

function onInterrupt(callback: () => void): () => void {
  interrupt = callback
  if (signals > 0) callback()
  return () => {
    interrupt = undefined
  }
}

/** `natcheck … | head -1`: nobody reads any more, which is no error of ours. Any other failure to write is one. */
let unread = false
process.stdout.on('error', () => {}) // each write hears of its own
process.stderr.on('error', () => {})

/** Not a pipe nor a terminal: where a stream's short write on a full disk would go unnoticed. */
const isFile = !isatty(1) && ((stat) => stat.isFile() || stat.isCharacterDevice())(fstatSync(1))

async function out(text: string): Promise<void> {
  if (unread) return
  try {
    if (isFile) writeFileSync(1, text)
    else await new Promise<void>((resolve, reject) => process.stdout.write(text, (e) => (e ? reject(e) : resolve())))
  } catch (error) {
    unread = error instanceof Error && 'code' in error && error.code === 'EPIPE'
    if (!unread) throw unwritable(error)
  }
}

/** Passwords and lists of servers are small, and whoever pipes them has them at hand. */
const longestStdin = 1_000_000
const stdinPatienceMs = 30_000

async function readStdin(): Promise<string> {
  const { stdin } = process
  // A person may take as long as it takes.
  const timer = isatty(0) ? undefined : setTimeout(() => stdin.destroy(unreadable('does not end')), stdinPatienceMs)
  try {
    let text = ''
    for await (const chunk of stdin.setEncoding('utf8')) {
      text += String(chunk)
      if (text.length > longestStdin) throw unreadable('is too large')
    }
    return text
  } catch (error) {
    throw error instanceof NatcheckError ? error : unreadable("can't be read", error)
  } finally {
    clearTimeout(timer)
  }
}

/** Some terminals (serial lines, script(1)) say 0: they don't know. */
const known = (columns: number | undefined): number | undefined => (columns ? columns : undefined)

const io: CliIo = {
  env: process.env,
  cwd: process.cwd(),
  stdoutIsTty: isatty(1),
  stderrIsTty: isatty(2),
  columns: known(process.stdout.columns),
  get stderrColumns() {
    return known(process.stderr.columns)
  },
  readStdin,
  out,
  err: (text) => void process.stderr.write(text),
  onInterrupt,
  onSignal: (signal, callback) => {
    process.off(signal, onSignal).on(signal, callback)
    return () => void process.off(signal, callback)
  },
}

/** A defect: one line all the same. The promise of JSON at every exit code can't be kept from here. */
function crash(thrown: unknown): void {
  io.err(errorLine(describeError(thrown)))
  if (process.env['NATCHECK_DEBUG'] && thrown instanceof Error) io.err(`${thrown.stack}\n`)
  process.exit(exitCodeOf(thrown))
}
process.on('uncaughtException', crash).on('unhandledRejection', crash)

// Whatever a library left open must not keep a finished command waiting.
process.exit(await runCli(process.argv.slice(2), io))
