/** `natcheck nat`: measures (or reads a saved report), concludes, prints, and says how it ended. */
import { resolve } from 'node:path'
import { NatcheckError } from '../../core/index.ts'
import type { NatProgress } from '../../probe/nat/index.ts'
import { hasMeasured, type NatReport, Redactor, renderNat } from '../../report/index.ts'
import { colorLevel } from '../color.ts'
import { type CliIo, type ExitCode, errorLine, exitCodes, usage } from '../io.ts'
import { saveReport } from '../save.ts'
import { concludeNat, type RunRecord } from './conclude.ts'
import { LiveLine } from './live.ts'
import { measureNat } from './measure.ts'
import { publicServers } from './public-servers.ts'
import { readSavedReport } from './saved.ts'
import { type NatSettings, readSettings } from './settings.ts'
import type { NatWorld } from './world.ts'

/** Runs the command with the flags that were given. Throws NatcheckError; everything else ends in an exit code. */
export async function natCommand(flags: Record<string, unknown>, io: CliIo, world?: NatWorld): Promise<ExitCode> {
  const settings = readSettings(flags, io)
  checkCombination(flags)
  const redactor = flags['redact'] === true ? createRedactor() : undefined
  for (const { host } of settings.servers) redactor?.hide(host)
  const record =
    typeof flags['from'] === 'string'
      ? (await readSavedReport(resolve(io.cwd, flags['from']))).nat
      : await measure(settings, io, flags['jsonl'] === true, redactor, world)
  const report = concludeNat(record, settings.failOn, redactor)
  const unsaved = typeof flags['save'] === 'string' ? saveReport(report, resolve(io.cwd, flags['save'])) : null
  // What was measured, perhaps for minutes, is printed all the same.
  await print({ ...report, error: report.error ?? unsaved }, flags, io)
  for (const error of [report.error, unsaved]) if (error) io.err(errorLine(error))
  return unsaved ? exitCodes.usage : exitCode(report, settings, record)
}

function checkCombination(flags: Record<string, unknown>): void {
  if (flags['json'] === true && flags['jsonl'] === true)
    throw usage('--json and --jsonl exclude each other', 'give one')
  if (flags['from'] === undefined) return
  const measuring = [
    'server',
    'family',
    'timeout',
    'hairpin',
    'lifetime',
    'fragments',
    'ports',
    'router',
    'local',
    'port',
  ]
  const given = measuring.find((name) => flags[name] !== undefined)
  if (given === undefined) return
  const flag = given === 'router' ? '--no-router' : `--${given}`
  throw usage(`${flag} has no effect with --from, which sends nothing`, `leave ${flag} out`)
}

const createRedactor = (): Redactor => new Redactor(publicServers.map((uri) => uri.split(':')[1] ?? ''))

async function measure(
  settings: NatSettings,
  io: CliIo,
  asLines: boolean,
  redactor: Redactor | undefined,
  given: NatWorld | undefined,
): Promise<RunRecord> {
  const world = given ?? (await import('./world.ts')).machine()
  const startedAt = new Date(world.clock.wallTime()).toISOString()
  const live = new LiveLine(io)
  const abort = new AbortController()
  let interrupted = false
  const stopListening = io.onInterrupt(() => {
    interrupted = true
    abort.abort()
  })
  let unwritten: { readonly error: unknown } | undefined
  const onProgress = (event: NatProgress): void => {
    live.show(event)
    if (!asLines || unwritten) return
    io.out(progressLine(event, redactor)).catch((error: unknown) => {
      unwritten = { error }
      abort.abort()
    })
  }
  try {
    const measured = await measureNat(world, settings, abort, onProgress)
    if (unwritten) throw unwritten.error
    return { startedAt, ...measured, interrupted, redacted: false }
  } catch (error) {
    if (unwritten) throw unwritten.error
    if (interrupted) throw new NatcheckError('CANCELLED', 'interrupted before anything was known', { cause: error })
    throw error
  } finally {
    live.clear()
    stopListening()
  }
}

/** A line of --jsonl: what tells it from the report, the last line, is `event`. */
function progressLine(event: NatProgress, redactor: Redactor | undefined): string {
  const { kind, ...details } = redactor ? redactor.value(event) : event
  return `${JSON.stringify({ event: kind, ...details })}\n`
}

async function print(report: NatReport, flags: Record<string, unknown>, io: CliIo): Promise<void> {
  if (flags['jsonl'] === true) return io.out(`${JSON.stringify(report)}\n`)
  if (flags['json'] === true) return io.out(`${JSON.stringify(report, null, 2)}\n`)
  const level = colorLevel(flags['color'] as boolean | undefined, io)
  const width = Math.min(80, io.columns ?? 80)
  await io.out(renderNat(report, { level, width }, { verbose: flags['verbose'] === true }))
}

function exitCode(report: NatReport, { failOn }: NatSettings, { interrupted }: RunRecord): ExitCode {
  if (interrupted) return exitCodes.interrupted
  // What was not measured can't fail an expectation, nor can the self-test stand in for the network.
  if (!hasMeasured(report)) {
    if (report.failed.includes('inconclusive')) return exitCodes.failed
    return report.selfTest?.passed === true && failOn.length === 0 ? exitCodes.ok : exitCodes.unmeasured
  }
  return report.failed.length > 0 ? exitCodes.failed : exitCodes.ok
}
