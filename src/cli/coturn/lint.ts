/** What `natcheck coturn lint` does. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { NatcheckError } from '../../core/index.ts'
import { Conf } from '../../coturn/conf.ts'
import { parseCommand } from '../../coturn/command.ts'
import { fix, lint, type LintInput } from '../../coturn/lint/lint.ts'
import type { ObservedFile, Observations } from '../../coturn/lint/observations.ts'
import { countOf, renderReport, reporters } from '../../coturn/lint/reporters.ts'
import { parseConf } from '../../coturn/parse.ts'
import { type CliIo, type ExitCode, errorLine, exitCodes, usage } from '../io.ts'
import { readWord } from '../values.ts'
import { codeOf, type ConfText, readConf, textOf } from './files.ts'
import { type Target, targetOf } from './version.ts'
import { type CoturnWorld, machine } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

/** Exit code 1 when errors are left. Throws USAGE and BAD_FILE. */
export async function lintCommand(
  named: string | undefined,
  flags: Flags,
  io: CliIo,
  world: CoturnWorld = machine(),
): Promise<ExitCode> {
  const reporter = readWord(flags['reporter'] ?? 'text', '--reporter', reporters)
  const command = textOf(flags['command'])
  const target = await targetOf(flags['coturnVersion'], '--coturn-version', world)
  // A command line names its file itself.
  const file = (named || undefined) ?? (command === undefined ? undefined : parseCommand(command, target.version).file)
  if (file === undefined && command === undefined)
    throw usage('neither a file nor --command is given', 'name the turnserver.conf')
  const conf = file === undefined ? undefined : readConf(resolve(io.cwd, file), file, { toMend: flags['fix'] === true })
  const input = { text: conf?.text ?? '', version: target.version, command }
  const observed = observe(input, conf, target, io.cwd, world)
  const text = flags['fix'] === true ? applyFixes({ ...input, observed }, file, conf, io) : input.text
  const findings = lint({ ...input, text, observed })
  await io.out(renderReport(reporter, { file: file ?? 'command line', version: target.version, findings }))
  return countOf(findings, 'error') > 0 ? exitCodes.failed : exitCodes.ok
}

/** Everything about the machine that rules ask for. */
export function observe(
  { text, version, command }: LintInput,
  conf: ConfText | undefined,
  { lacks }: Target,
  cwd: string,
  world: CoturnWorld,
): Observations {
  const settings = new Conf(
    parseConf(text),
    version,
    command === undefined ? undefined : parseCommand(command, version),
  )
  const files: Record<string, ObservedFile> = {}
  for (const name of ['cert', 'pkey', 'CA-file', 'dh-file']) {
    const path = settings.value(name)
    // Relative names are looked for in a dozen places, which is a finding of its own.
    if (path?.startsWith('/')) files[path] = world.look(path, cwd)
  }
  const cert = settings.value('cert')
  const certificate = cert?.startsWith('/') ? world.certificate(cert, settings.value('pkey'), cwd) : undefined
  return {
    now: new Date(world.now()),
    files,
    lacks,
    ...(conf ? { mode: conf.mode } : {}),
    ...(certificate ? { certificate } : {}),
  }
}

/** Where Unix and Windows line ends stand mixed, Unix ones; a file that has one kind keeps it. */
const evenLineEnds = (text: string): string => (/(?:^|[^\r])\n/.test(text) ? text.replaceAll('\r\n', '\n') : text)

/** Writes the file only when something changed; a link stays a link, and the mode stays too. */
function applyFixes(input: LintInput, file: string | undefined, conf: ConfText | undefined, io: CliIo): string {
  if (file === undefined || conf === undefined) throw usage('--fix needs a file', 'name the turnserver.conf')
  const { text: fixed, rules } = fix(input)
  const text = evenLineEnds(fixed)
  if (text !== input.text) {
    try {
      writeFileSync(resolve(io.cwd, file), conf.encode(text))
    } catch (cause) {
      throw new NatcheckError('BAD_FILE', `${file} can't be written (${codeOf(cause)})`, {
        fix: 'check that this user may write it',
        cause,
      })
    }
  }
  const message = rules.length === 0 ? `nothing to fix in ${file}` : `fixed in ${file}: ${rules.join(', ')}`
  io.err(errorLine({ code: 'FIXED', message, fix: null }))
  return text
}
