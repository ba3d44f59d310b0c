/** Composition root of the command line: binds it to this process. */
import { isatty } from 'node:tty'
import { type CliIo, describeError, errorLine, exitCodes } from './io.ts'
import { runCli } from './program.ts'

/** `natcheck … | head -1`: nobody reads any more, which is no error of ours. */
let unread = false
process.stdout.on('error', () => {
  unread = true
})
process.stderr.on('error', () => {})

function onInterrupt(callback: () => void): () => void {
  let interrupted = false
  const handle = (): void => {
    if (interrupted) process.exit(exitCodes.interrupted)
    interrupted = true
    callback()
  }
  process.on('SIGINT', handle).on('SIGTERM', handle)
  return () => void process.off('SIGINT', handle).off('SIGTERM', handle)
}

const io: CliIo = {
  env: process.env,
  cwd: process.cwd(),
  stdoutIsTty: isatty(1),
  stderrIsTty: isatty(2),
  // Some terminals (serial lines, script(1)) say 0: they don't know.
  columns: process.stdout.columns > 0 ? process.stdout.columns : undefined,
  out: (text) =>
    new Promise((resolve) => {
      if (unread) resolve()
      else process.stdout.write(text, () => resolve())
    }),
  err: (text) => void process.stderr.write(text),
  onInterrupt,
  onSignal: (signal, callback) => {
    process.on(signal, callback)
    return () => void process.off(signal, callback)
  },
}

/** A defect: one line all the same. The promise of JSON at every exit code can't be kept from here. */
function crash(thrown: unknown): void {
  io.err(errorLine(describeError(thrown)))
  if (process.env['NATCHECK_DEBUG'] && thrown instanceof Error) io.err(`${thrown.stack}\n`)
  process.exit(exitCodes.unmeasured)
}
process.on('uncaughtException', crash).on('unhandledRejection', crash)

// Whatever a library left open must not keep a finished command waiting.
process.exit(await runCli(process.argv.slice(2), io))
