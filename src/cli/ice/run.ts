/** `natcheck ice`: gathers, prints candidates as they come, proves them, and says how it ended. */
import { resolve } from 'node:path'
import type { CauseCode, IceObservations, IceProgress } from '../../probe/ice/index.ts'
import {
  buildIceReport,
  type IceReport,
  redactIce,
  Redactor,
  renderCandidate,
  renderIce,
  type TerminalStyle,
  unmetExpectations,
} from '../../report/index.ts'
import { bounded } from '../bounded.ts'
import { colorLevel } from '../color.ts'
import { type CliIo, type ExitCode, errorLine, exitCodes, usage } from '../io.ts'
import { publicServers } from '../nat/public-servers.ts'
import { saveReport } from '../save.ts'
import { type IceSettings, readIceSettings } from './settings.ts'
import type { IceWorld } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

/** Between two rounds of --watch: often enough to see a change, seldom enough to be no load. */
const watchMs = 5000

/** How much longer than the run's own bound anything may take. */
const graceMs = 1000

/** Runs the command with the flags that were given. Throws NatcheckError; everything else ends in an exit code. */
export async function iceCommand(flags: Flags, io: CliIo, given?: IceWorld): Promise<ExitCode> {
  if (flags['json'] === true && flags['jsonl'] === true)
    throw usage('--json and --jsonl exclude each other', 'give one')
  if (flags['json'] === true && flags['watch'] === true)
    throw usage('--watch does not end, and --json is one document', 'give --jsonl')
  const settings = await readIceSettings(flags, io)
  const world = given ?? (await import('./world.ts')).machine()
  const abort = new AbortController()
  const stopListening = io.onInterrupt(() => abort.abort())
  try {
    for (;;) {
      const exitCode = await new Round(flags, io, settings, world, abort).run()
      if (flags['watch'] !== true || abort.signal.aborted) return exitCode
      await world.pause(watchMs, abort.signal)
      if (abort.signal.aborted) return exitCodes.interrupted
    }
  } finally {
    stopListening()
  }
}

class Round {
  readonly #flags: Flags
  readonly #io: CliIo
  readonly #settings: IceSettings
  readonly #world: IceWorld
  readonly #abort: AbortController
  readonly #redactor: Redactor | undefined
  readonly #style: TerminalStyle
  /** Output is written in its order, and the first failure to write ends the round. */
  #written: Promise<void> = Promise.resolve()

  constructor(flags: Flags, io: CliIo, settings: IceSettings, world: IceWorld, abort: AbortController) {
    this.#flags = flags
    this.#io = io
    this.#settings = settings
    this.#world = world
    this.#abort = abort
    if (flags['redact'] === true) this.#redactor = createRedactor(settings)
    const level = colorLevel(flags['color'] as boolean | undefined, io)
    this.#style = { level, width: Math.min(80, io.columns ?? 80) }
  }

  async run(): Promise<ExitCode> {
    const startedAt = new Date(this.#world.clock.wallTime()).toISOString()
    const { servers, policy, families, timeoutMs, prove, ca } = this.#settings
    const gathering = this.#world.gather({
      servers,
      policy,
      families,
      timeoutMs,
      prove,
      ca,
      onProgress: (event) => this.#tell(event),
      signal: this.#abort.signal,
    })
    const observations = await bounded(gathering, this.#abort, timeoutMs + graceMs)
    await this.#written
    return await this.#finish(startedAt, observations)
  }

  #tell(event: IceProgress): void {
    const text = this.#textOf(this.#redactor?.value(event) ?? event)
    if (text === undefined) return
    this.#written = this.#written.then(() => this.#io.out(text))
    // Awaited when the round ends; until then a failure must not count as unhandled.
    this.#written.catch(() => this.#abort.abort())
  }

  #textOf(event: IceProgress): string | undefined {
    const { kind, ...details } = event
    if (this.#flags['jsonl'] === true) return `${JSON.stringify({ event: kind, ...details })}\n`
    if (this.#flags['json'] === true || event.kind !== 'candidate') return undefined
    return renderCandidate(event.candidate, this.#style)
  }

  async #finish(startedAt: string, raw: IceObservations): Promise<ExitCode> {
    const redacted = this.#redactor !== undefined
    const observations = this.#redactor ? redactIce(raw, this.#redactor) : raw
    const report = buildIceReport({ startedAt, observations, redacted })
    const concluded = { ...report, failed: unmetExpectations(report, this.#settings.expect) }
    const path = this.#flags['save']
    const unsaved = typeof path === 'string' ? saveReport(concluded, resolve(this.#io.cwd, path)) : null
    const final = { ...concluded, error: concluded.error ?? unsaved ?? this.#unmeasured(concluded) }
    await this.#io.out(this.#render(final))
    for (const error of new Set([final.error, unsaved])) if (error) this.#io.err(errorLine(error))
    return unsaved ? exitCodes.usage : this.#exitCode(final)
  }

  #render(report: IceReport): string {
    if (this.#flags['jsonl'] === true) return `${JSON.stringify(report)}\n`
    if (this.#flags['json'] === true) return `${JSON.stringify(report, null, 2)}\n`
    return renderIce(report, this.#style, { verbose: this.#flags['verbose'] === true })
  }

  /** That nothing at all comes back from servers that nobody chose measures nothing; that a firewall blocks them does. */
  #unmeasured({ servers, verdict }: IceReport): IceReport['error'] {
    if (this.#settings.serversFrom === 'configured' || verdict.kind !== 'nothing') return null
    const silent: readonly CauseCode[] = ['no-answer', 'no-route', 'dns-failed', 'unknown-host', 'cancelled']
    if (servers.some(({ causes }) => causes.some(({ code }) => !silent.includes(code)))) return null
    return {
      code: 'UNREACHABLE',
      message: 'none of the public STUN servers answers',
      fix: 'check the network, or name your own with --server',
    }
  }

  #exitCode({ findings, failed, error }: IceReport): ExitCode {
    if (error?.code === 'CANCELLED') return exitCodes.interrupted
    if (failed.length > 0) return exitCodes.failed
    if (error) return exitCodes.unmeasured
    // Whoever says what has to work accepts that the rest may not.
    const strict = this.#settings.serversFrom === 'configured' && this.#settings.expect.length === 0
    return strict && findings.some(({ severity }) => severity === 'error') ? exitCodes.failed : exitCodes.ok
  }
}

function createRedactor({ servers }: IceSettings): Redactor {
  const redactor = new Redactor(publicServers.map((uri) => uri.split(':')[1] ?? ''))
  for (const { uri } of servers) redactor.hide(uri.host)
  return redactor
}
