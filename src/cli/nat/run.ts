/** `natcheck nat`: measures (or reads a saved report), concludes, prints, and says how it ended. */
import { resolve } from 'node:path'
import { NatcheckError } from '../../core/index.ts'
import type { FamilyObservations, NatProgress } from '../../probe/nat/index.ts'
import { analyseFamily } from '../../probe/nat/index.ts'
import {
  type AnalysedFamily,
  buildReport,
  failedExpectations,
  hasMeasured,
  type NatReport,
  Redactor,
  renderNat,
  toFamilyReport,
  unmeasuredError,
  unreachableServers,
} from '../../report/index.ts'
import { bounded } from '../bounded.ts'
import { colorLevel } from '../color.ts'
import { type CliIo, type ExitCode, errorLine, exitCodes, usage } from '../io.ts'
import { saveReport } from '../save.ts'
import { LiveLine } from './live.ts'
import { publicServers } from './public-servers.ts'
import { readSavedReport } from './saved.ts'
import { type NatSettings, readSettings } from './settings.ts'
import type { NatWorld, SelfTestRun } from './world.ts'

/** One run's raw result: what `--save` keeps and `--from` reads. */
export interface RunRecord {
  readonly startedAt: string
  readonly observations: readonly FamilyObservations[]
  readonly selfTest: SelfTestRun | null
  readonly interrupted: boolean
  /** Was the record redacted when it was saved? */
  readonly redacted: boolean
}

/** Runs the command with the flags that were given. Throws NatcheckError; everything else ends in an exit code. */
export async function natCommand(flags: Record<string, unknown>, io: CliIo, world?: NatWorld): Promise<ExitCode> {
  const settings = readSettings(flags, io)
  checkCombination(flags)
  const redactor = flags['redact'] === true ? createRedactor() : undefined
  for (const { host } of settings.servers) redactor?.hide(host)
  const record =
    typeof flags['from'] === 'string'
      ? await readSavedReport(resolve(io.cwd, flags['from']))
      : await measure(settings, io, flags['jsonl'] === true, redactor, world)
  const report = conclude(record, settings, redactor)
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

/** How much longer than the tests' own bound anything may take: name lookups, opening sockets, stragglers. */
const graceMs = 8000
/** The lifetime search waits for real: RFC 4787 mappings live for minutes, some for hours; the probe has its own bounds. */
const lifetimeGraceMs = 3_600_000
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
    const limitMs = settings.timeoutMs + graceMs + (settings.lifetime ? lifetimeGraceMs : 0)
    const observations = await bounded(
      world.probe({ ...settings, exclusive: settings.serversFrom !== 'public', onProgress, signal: abort.signal }),
      abort,
      limitMs,
    )
    if (unwritten) throw unwritten.error
    const answered = observations.some((family) => analyseFamily(family).servers.some(({ ok }) => ok))
    const needsProof = settings.serversFrom !== 'flag' && !interrupted && !answered
    const selfTest = needsProof ? await world.selfTest(abort.signal) : null
    return { startedAt, observations, selfTest, interrupted, redacted: false }
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

const analyse = (observations: FamilyObservations): AnalysedFamily => ({
  observations,
  finding: analyseFamily(observations),
})

/** From raw results to the report. Pure, so that a saved run concludes the same again. */
function conclude(record: RunRecord, settings: NatSettings, redactor: Redactor | undefined): NatReport {
  for (const { uri } of record.observations.flatMap(({ servers }) => servers)) redactor?.hide(hostOf(uri))
  const { startedAt, observations, selfTest } = redactor ? redactor.value(record) : record
  const families = observations.map(analyse)
  const unmeasured = !hasMeasured(buildReport({ startedAt, families }))
  const tested = selfTest ? concludeSelfTest(selfTest, families) : null
  const whyNot = unmeasured && tested?.passed !== true ? unmeasuredError(families) : null
  const interrupted = { code: 'CANCELLED', message: 'interrupted: this is what was known by then', fix: null }
  const result = buildReport({
    startedAt,
    families,
    selfTest: tested,
    error: record.interrupted ? interrupted : whyNot,
    redacted: record.redacted || redactor !== undefined,
  })
  return { ...result, failed: failedExpectations(result, settings.failOn) }
}

/** The embedded server is on this machine, so there is one right answer: no NAT and no filter. */
function concludeSelfTest(
  { server, problem, observations }: SelfTestRun,
  families: readonly AnalysedFamily[],
): NonNullable<NatReport['selfTest']> {
  const finding = observations[0] ? analyseFamily(observations[0]) : undefined
  const passed = finding?.mapping.value === 'none' && finding.filtering.value === 'endpoint-independent'
  const nat = finding ? toFamilyReport(finding) : null
  return { passed, server, problem, unreachable: unreachableServers(families), nat, observations }
}

const hostOf = (uri: string): string => /^[a-z]+:(.*?)(?::\d+)?(?:\?.*)?$/i.exec(uri)?.[1] ?? uri

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
