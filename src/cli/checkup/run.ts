/** `natcheck` alone: measures the NAT and gathers candidates at the same time, concludes from both, prints. */
import { resolve } from 'node:path'
import {
  type CheckupReport,
  Redactor,
  renderCheckup,
  renderGithub,
  renderJunit,
  renderMarkdown,
  renderVerdict,
} from '../../report/index.ts'
import { checkSources } from '../check-file.ts'
import { colorLevel } from '../color.ts'
import { type CliIo, type ExitCode, errorLine, exitCodes, usage } from '../io.ts'
import { publicServers } from '../nat/public-servers.ts'
import { saveReport } from '../save.ts'
import { readWord } from '../values.ts'
import { concludeCheckup } from './conclude.ts'
import { tellGithub } from './github.ts'
import { type CheckupEvent, type Measured, measure } from './measure.ts'
import { type CheckupSettings, readCheckupSettings } from './settings.ts'
import type { CheckupWorld } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

const reporters = ['text', 'json', 'junit', 'github', 'markdown'] as const
type Reporter = (typeof reporters)[number] | 'jsonl'

/** Between two rounds of --watch: often enough to see a change, seldom enough to be no load. */
const watchMs = 5000

/** Runs the command with the flags that were given. Throws NatcheckError; everything else ends in an exit code. */
export async function checkupCommand(flags: Flags, io: CliIo, given?: CheckupWorld): Promise<ExitCode> {
  const reporter = readReporter(flags)
  const settings = await readCheckupSettings(checkSources(flags, io), () => io.readStdin())
  const world = given ?? (await import('./world.ts')).machine()
  const interruption = new AbortController()
  const stopListening = io.onInterrupt(() => interruption.abort())
  const { signal } = interruption
  const checkup = new Checkup(flags, io, settings, reporter)
  try {
    for (;;) {
      const exitCode = await checkup.run(world, interruption)
      if (flags['watch'] !== true || signal.aborted) return exitCode
      await world.pause(watchMs, signal)
      if (signal.aborted) return exitCodes.interrupted
    }
  } finally {
    stopListening()
  }
}

function readReporter(flags: Flags): Reporter {
  const named = flags['reporter'] === undefined ? [] : [readWord(flags['reporter'], '--reporter', reporters)]
  const short = (['json', 'jsonl'] as const).filter((name) => flags[name] === true)
  const [reporter = 'text', other] = [...short, ...named]
  if (other !== undefined && other !== reporter) {
    const names = [...short, ...(named.length > 0 ? ['reporter'] : [])].map((name) => `--${name}`)
    throw usage(`${names.join(' and ')} exclude each other`, 'give one')
  }
  if (flags['watch'] === true && reporter !== 'text' && reporter !== 'jsonl') {
    throw usage(`--watch does not end, and ${reporter} is one document`, 'give --jsonl')
  }
  return reporter
}

/** Prints one check-up; with --watch several. */
class Checkup {
  readonly #flags: Flags
  readonly #io: CliIo
  readonly #settings: CheckupSettings
  readonly #reporter: Reporter
  readonly #redactor: Redactor | undefined
  /** Of the first round: what relays are like does not change every few seconds, and it takes many allocations. */
  #turn: Measured['turn'] | undefined
  /** What the last round of --watch found: only news is printed at length. */
  #found = ''

  constructor(flags: Flags, io: CliIo, settings: CheckupSettings, reporter: Reporter) {
    this.#flags = flags
    this.#io = io
    this.#settings = settings
    this.#reporter = reporter
    if (flags['redact'] !== true) return
    this.#redactor = new Redactor(publicServers.map((uri) => uri.split(':')[1] ?? ''))
    for (const { uri } of settings.ice.servers) this.#redactor.hide(uri.host)
  }

  async run(world: CheckupWorld, interruption: AbortController): Promise<ExitCode> {
    const { signal } = interruption
    let written: Promise<void> = Promise.resolve()
    const onEvent = (event: CheckupEvent): void => {
      if (this.#reporter !== 'jsonl') return
      written = written.then(() => this.#io.out(`${JSON.stringify(this.#redactor?.value(event) ?? event)}\n`))
      // Awaited when the round ends; until then a failure must not count as unhandled.
      written.catch(() => interruption.abort())
    }
    const measured = await measure(this.#settings, world, this.#io, signal, onEvent, this.#turn)
    this.#turn = measured.turn
    await written
    return await this.#finish(concludeCheckup(measured, this.#settings, this.#redactor))
  }

  async #finish(concluded: CheckupReport): Promise<ExitCode> {
    const path = this.#flags['save']
    const unsaved = typeof path === 'string' ? saveReport(concluded, resolve(this.#io.cwd, path)) : null
    const report = { ...concluded, error: concluded.error ?? unsaved }
    // What was measured is printed all the same.
    await this.#io.out(this.#render(report))
    for (const error of new Set([report.error, unsaved])) if (error) this.#io.err(errorLine(error))
    tellGithub(report, this.#io, this.#reporter)
    return unsaved ? exitCodes.usage : this.#exitCode(report)
  }

  #render(report: CheckupReport): string {
    switch (this.#reporter) {
      case 'json':
        return `${JSON.stringify(report, null, 2)}\n`
      case 'jsonl':
        return `${JSON.stringify(report)}\n`
      case 'junit':
        return renderJunit(report)
      case 'github':
        return renderGithub(report)
      case 'markdown':
        return renderMarkdown(report)
      case 'text':
        return this.#words(report)
    }
  }

  #words(report: CheckupReport): string {
    const level = colorLevel(this.#flags['color'] as boolean | undefined, this.#io)
    const style = { level, width: Math.min(80, this.#io.columns ?? 80) }
    const words = (): string => renderCheckup(report, style, { verbose: this.#flags['verbose'] === true })
    if (this.#flags['watch'] !== true) return words()
    const { verdict, findings, failed, startedAt } = report
    const found = JSON.stringify([verdict, findings, failed])
    const isNews = found !== this.#found
    this.#found = found
    return `${startedAt}\n${isNews ? words() : renderVerdict(report, style)}\n`
  }

  #exitCode({ ice, turn, failed, error, serversFrom, expectations }: CheckupReport): ExitCode {
    if (error?.code === 'CANCELLED') return exitCodes.interrupted
    if (failed.length > 0) return exitCodes.failed
    if (error) return exitCodes.unmeasured
    // Whoever says what has to work accepts that the rest may not.
    const isStrict = serversFrom === 'configured' && expectations.length === 0
    const isBroken = [ice, ...turn].some(({ findings }) => findings.some(({ severity }) => severity === 'error'))
    return isStrict && isBroken ? exitCodes.failed : exitCodes.ok
  }
}
