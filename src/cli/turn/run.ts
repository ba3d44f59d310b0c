/** `natcheck turn`: looks into one server, and says what it found. */
import { resolve } from 'node:path'
import { extraMs, type TurnProgress } from '../../probe/turn/index.ts'
import { buildTurnReport, Redactor, redactTurn, renderTurn, type TurnReport } from '../../report/index.ts'
import { bounded } from '../bounded.ts'
import { colorLevel } from '../color.ts'
import { formatDuration } from '../duration.ts'
import { type CliIo, type ExitCode, errorLine, exitCodes } from '../io.ts'
import { saveReport } from '../save.ts'
import { readTurnSettings, type TurnSettings } from './settings.ts'
import type { TurnWorld } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

/** How much longer than the run's own bound anything may take. */
const graceMs = 1000

/** Runs the command with the flags that were given. Throws NatcheckError; everything else ends in an exit code. */
export async function turnCommand(uri: string, flags: Flags, io: CliIo, given?: TurnWorld): Promise<ExitCode> {
  const settings = await readTurnSettings(uri, flags, io)
  const world = given ?? (await import('./world.ts')).machine()
  const abort = new AbortController()
  const stopListening = io.onInterrupt(() => abort.abort())
  try {
    const startedAt = new Date(world.clock.wallTime()).toISOString()
    const probing = world.probe({
      ...settings,
      signal: abort.signal,
      onProgress: (event) => tell(event, io),
    })
    const raw = await bounded(probing, abort, settings.timeoutMs + extraMs(settings) + graceMs)
    const redactor = flags['redact'] === true ? createRedactor(settings) : undefined
    const observations = redactor ? redactTurn(raw, redactor) : raw
    return await finish(buildTurnReport({ startedAt, observations, redacted: redactor !== undefined }), flags, io)
  } finally {
    stopListening()
  }
}

/** Whoever waits for minutes is told so, where a person is there to read it. */
function tell({ why, seconds }: TurnProgress, io: CliIo): void {
  if (!io.stderrIsTty) return
  const what = why === 'hold' ? 'keeping an allocation open' : 'measuring the throughput'
  io.err(`${what} for ${formatDuration(seconds)}…\n`)
}

async function finish(report: TurnReport, flags: Flags, io: CliIo): Promise<ExitCode> {
  const path = flags['save']
  const unsaved = typeof path === 'string' ? saveReport(report, resolve(io.cwd, path)) : null
  const final = { ...report, error: report.error ?? unsaved }
  await io.out(render(final, flags, io))
  for (const error of new Set([final.error, unsaved])) if (error) io.err(errorLine(error))
  return unsaved ? exitCodes.usage : exitCodeOf(final)
}

function render(report: TurnReport, flags: Flags, io: CliIo): string {
  if (flags['json'] === true) return `${JSON.stringify(report, null, 2)}\n`
  const style = {
    level: colorLevel(flags['color'] as boolean | undefined, io),
    width: Math.min(80, io.columns ?? 80),
  }
  return renderTurn(report, style, { verbose: flags['verbose'] === true })
}

function exitCodeOf({ findings, error }: TurnReport): ExitCode {
  if (error?.code === 'CANCELLED') return exitCodes.interrupted
  if (error) return exitCodes.unmeasured
  return findings.some(({ severity }) => severity === 'error') ? exitCodes.failed : exitCodes.ok
}

function createRedactor({ candidates }: TurnSettings): Redactor {
  const redactor = new Redactor()
  for (const { server } of candidates) redactor.hide(server.uri.host)
  return redactor
}
