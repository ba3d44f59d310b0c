/** What a command sees of the process it runs in, exit codes, and the one form that errors have. */
import { type ErrorCode, NatcheckError } from '../core/errors.ts'
import type { ReportError } from '../report/nat-report.ts'

/** 0: measured, and that UDP is blocked is a measurement too. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, unmeasured: 3, interrupted: 130 } as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly stdoutIsTty: boolean
  readonly stderrIsTty: boolean
  /** Columns of the terminal on stdout; undefined where there is none. */
  readonly columns: number | undefined
  /** Columns of the terminal on stderr as they are now; undefined where there is none. */
  readonly stderrColumns: number | undefined
  /** All of stdin as text. Rejects with BAD_FILE when it is too large, can't be read, or does not end in time. */
  readStdin(): Promise<string>
  /** Data. Resolves when it is written, or nobody reads it any more; rejects when it can't be written. */
  out(text: string): Promise<void>
  /** Progress and errors. */
  err(text: string): void
  /**
   * Calls back once, at the first SIGINT or SIGTERM, or at once when it has come already; a second one ends the process.
   * Returns what stops listening.
   */
  onInterrupt(callback: () => void): () => void
  /** Calls back at each of these signals, which then do nothing else. Returns what stops listening. */
  onSignal(signal: 'SIGHUP' | 'SIGINT' | 'SIGTERM', callback: () => void): () => void
}

/** The caller's to mend: exit code 2. All others are the world's. */
const usageCodes: readonly ErrorCode[] = [
  'USAGE',
  'BAD_URI',
  'BAD_FILE',
  'BAD_ADDRESS',
  'ADDRESS_IN_USE',
  'PERMISSION_DENIED',
]

export const usage = (message: string, fix?: string): NatcheckError => new NatcheckError('USAGE', message, { fix })

/** A full disk, or a file that may not grow. The code is the one of files that can't be read: the caller's to mend. */
export const unwritable = (cause: unknown): NatcheckError =>
  new NatcheckError(
    'BAD_FILE',
    `stdout can't be written (${cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)})`,
    {
      cause,
      fix: 'check where the output goes',
    },
  )

export const unreadable = (what: string, cause?: unknown): NatcheckError =>
  new NatcheckError('BAD_FILE', `stdin ${what}`, { cause, fix: 'pipe a short text into it' })

export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof NatcheckError)) return exitCodes.unmeasured
  if (error.code === 'CANCELLED') return exitCodes.interrupted
  return usageCodes.includes(error.code) ? exitCodes.usage : exitCodes.unmeasured
}

/** Anything thrown, as the report and the error line have it. A defect of natcheck says how to see more. */
export function describeError(error: unknown): ReportError {
  if (error instanceof NatcheckError) return { code: error.code, message: error.message, fix: error.fix ?? null }
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: 'INTERNAL',
    message: `internal error: ${message}`,
    fix: 'this is a defect of natcheck: run it again with NATCHECK_DEBUG=1 and report what it prints',
  }
}

/** `natcheck: message — fix`: always one line. */
export function errorLine({ message, fix }: ReportError): string {
  const text = fix === null ? message : `${message.replace(/[.\s]+$/, '')} — ${fix}`
  return `natcheck: ${text.replace(/\s*\n\s*/g, ' ')}\n`
}
