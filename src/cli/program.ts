/** The command tree. Each sub-command's module is loaded when it runs, and not before. */
import { Command, CommanderError } from 'commander'
import { NatcheckError } from '../core/errors.ts'
import { nearest } from '../core/suggest.ts'
import { wallTime } from '../core/time.ts'
import type { ReportError } from '../report/nat-report.ts'
import { addCheckupCommand } from './checkup/command.ts'
import { addCompareCommand } from './compare/command.ts'
import { addConfigCommand } from './config/command.ts'
import { addCoturnCommand } from './coturn/command.ts'
import { addCredentialsCommand } from './credentials/command.ts'
import { addDashboardCommands } from './dashboard/command.ts'
import { addIceCommand } from './ice/command.ts'
import { type CliIo, describeError, type ExitCode, errorLine, exitCodeOf, exitCodes, usage } from './io.ts'
import { addNatCommand } from './nat/command.ts'
import { addRelayCommand } from './relay/command.ts'
import { addTurnCommand } from './turn/command.ts'
import { version } from './version.ts'

/** Runs the command line and returns the exit code. Never throws. */
export async function runCli(args: readonly string[], io: CliIo): Promise<ExitCode> {
  const startedAt = new Date().toISOString()
  let exitCode: ExitCode = exitCodes.ok
  const help: string[] = []
  const program = createProgram(io, help, (code) => {
    exitCode = code
  })
  try {
    try {
      await program.parseAsync(withDefaultCommand(args), { from: 'user' })
    } catch (thrown) {
      // Commander throws when it has printed help or the version, too.
      if (!(thrown instanceof CommanderError && thrown.exitCode === 0)) throw thrown
      await io.out(help.join(''))
    }
    return exitCode
  } catch (thrown) {
    return await reportFailure(toNatcheckError(thrown), args, io, startedAt)
  }
}

/** Bare `natcheck` and `natcheck --flag` run the check-up; a word that is no sub-command never does. */
function withDefaultCommand(args: readonly string[]): string[] {
  const [first] = args
  const ownFlags = ['-h', '--help', '-V', '--version']
  const isDefault = first === undefined || (first.startsWith('-') && !ownFlags.includes(first))
  return isDefault ? ['doctor', ...args] : [...args]
}

/** Help goes to `help`: commander does not wait for what it writes. */
function createProgram(io: CliIo, help: string[], setExitCode: (code: ExitCode) => void): Command {
  const program = new Command('natcheck')
    .description('Will it connect, and if not, why, and what do I change?')
    .version(version, '-V, --version')
    .usage('[command] [options]')
    .exitOverride()
    .configureHelp({ helpWidth: 80 })
    .configureOutput({
      writeOut: (text) => void help.push(text),
      writeErr: () => {}, // reportFailure prints the one line
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
      getOutHasColors: () => false,
    })
    .addHelpText(
      'before',
      `Examples:
  natcheck                the check-up: what works, and what to change if not
  natcheck doctor --help  its options, and what leaves your machine
  natcheck --ice-servers servers.json
                          the same with what your web application uses
  natcheck ice            ICE candidates as they come, each proven
  natcheck turn URI       one TURN server in depth
  natcheck up             the same in a browser, with a relay to try
  natcheck relay          a STUN/TURN relay on this machine, to try it
  natcheck compare A.json B.json
                          will these two hosts connect? from their saved reports
  natcheck coturn lint    what is wrong in a turnserver.conf
`,
    )
  addCheckupCommand(program, async (flags) => {
    const { checkupCommand } = await import('./checkup/run.ts')
    setExitCode(await checkupCommand(flags, io))
  })
  addNatCommand(program, async (flags) => {
    const { natCommand } = await import('./nat/run.ts')
    setExitCode(await natCommand(flags, io))
  })
  addIceCommand(program, async (flags) => {
    const { iceCommand } = await import('./ice/run.ts')
    setExitCode(await iceCommand(flags, io))
  })
  addTurnCommand(program, async (uri, flags) => {
    const { turnCommand } = await import('./turn/run.ts')
    setExitCode(await turnCommand(uri, flags, io))
  })
  addRelayCommand(program, async (flags) => {
    const { relayCommand } = await import('./relay/run.ts')
    setExitCode(await relayCommand(flags, io))
  })
  addDashboardCommands(
    program,
    async (flags) => {
      const { upCommand } = await import('./dashboard/run.ts')
      setExitCode(await upCommand(flags, io))
    },
    async (flags) => {
      const { dashboardCommand } = await import('./dashboard/run.ts')
      setExitCode(await dashboardCommand(flags, io))
    },
  )
  addCompareCommand(program, async (files, flags) => {
    const { compareCommand } = await import('./compare/run.ts')
    setExitCode(await compareCommand(files, flags, io))
  })
  addCredentialsCommand(program, async (flags) => {
    const { credentialsCommand } = await import('./credentials/run.ts')
    setExitCode(await credentialsCommand(flags, io, wallTime(Date.now())))
  })
  addConfigCommand(program, async (flags) => {
    const { configCommand } = await import('./config/run.ts')
    setExitCode(await configCommand(flags, io))
  })
  addCoturnCommand(program, async (action, target, flags) => {
    const { coturnCommand } = await import('./coturn/run.ts')
    setExitCode(await coturnCommand(action, target, flags, io))
  })
  program
    .command('schema')
    .description('print the JSON Schema of a report')
    .argument('<report>', `which report: ${Object.keys(schemas).join(', ')}`)
    .action(async (name: string) => {
      const load = Object.hasOwn(schemas, name) ? schemas[name] : undefined
      if (!load) {
        const meant = nearest(name, Object.keys(schemas)) ?? 'nat'
        throw usage(`there is no report "${name}"`, `write natcheck schema ${meant}`)
      }
      await io.out(`${JSON.stringify(await load(), null, 2)}\n`)
    })
  return program
}

/** Loaded when asked for: typebox is slow. */
const schemas: Readonly<Record<string, () => Promise<object>>> = {
  checkup: async () => (await import('../report/checkup-schema.ts')).checkupReportSchema,
  nat: async () => (await import('../report/schema.ts')).natReportSchema,
  ice: async () => (await import('../report/ice-schema.ts')).iceReportSchema,
  turn: async () => (await import('../report/ice-schema.ts')).turnReportSchema,
  compare: async () => (await import('../report/compare/schema.ts')).compareReportSchema,
}

/** Commander's `error: unknown option '--jsno'\n(Did you mean --json?)` in our own form. */
function toNatcheckError(thrown: unknown): unknown {
  if (!(thrown instanceof CommanderError)) return thrown
  const [message = '', hint] = thrown.message.replace(/^error: /, '').split('\n')
  const suggestion = hint?.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?')
  return usage(message, suggestion ?? 'natcheck --help lists commands, natcheck COMMAND --help options')
}

/** One line on stderr, and with --json the document too: it is printed at every exit code. */
async function reportFailure(
  thrown: unknown,
  args: readonly string[],
  io: CliIo,
  startedAt: string,
): Promise<ExitCode> {
  const description = describeError(thrown)
  const isLine = args.includes('--jsonl')
  const isDocument = args.includes('--json') || / --reporter[= ]json(?: |$)/.test(` ${args.join(' ')}`)
  if (args[0] === 'coturn') {
    const { failedDocument } = await import('./coturn/run.ts')
    await io.out(failedDocument(args, description)).catch(() => {})
  } else if (isLine || isDocument) {
    const document = await errorDocument(withDefaultCommand(args)[0], startedAt, description)
    // Where stdout itself is what failed, the line below says so.
    await io.out(`${JSON.stringify(document, null, isLine ? undefined : 2)}\n`).catch(() => {})
  }
  io.err(errorLine(description))
  if (io.env['NATCHECK_DEBUG'] && !(thrown instanceof NatcheckError) && thrown instanceof Error)
    io.err(`${thrown.stack}\n`)
  return exitCodeOf(thrown)
}

/** Of a word that is no sub-command, too: the check-up's. */
async function errorDocument(command: string | undefined, startedAt: string, error: ReportError): Promise<object> {
  if (command === 'nat') return (await import('../report/nat-report.ts')).errorReport(startedAt, error)
  if (command === 'ice') return (await import('../report/ice-report.ts')).iceErrorReport(startedAt, error)
  if (command === 'turn') return (await import('../report/turn-report.ts')).turnErrorReport(startedAt, error)
  if (command === 'relay') return (await import('./relay/announce.ts')).failedDocument(error)
  if (command === 'compare') return (await import('../report/compare/report.ts')).compareError(error)
  if (command === 'config') return (await import('./config/run.ts')).configError(error)
  return (await import('../report/checkup.ts')).checkupErrorReport(startedAt, error)
}
