/** What `natcheck coturn explain`, `migrate` and `convert` do. */
import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { NatcheckError } from '../../core/index.ts'
import { Conf } from '../../coturn/conf.ts'
import { convert, type ConvertTarget } from '../../coturn/convert.ts'
import { type Explained, explainConf, explainOption, nearestOption } from '../../coturn/explain.ts'
import { migrate } from '../../coturn/migrate.ts'
import { parseConf } from '../../coturn/parse.ts'
import { type CliIo, type ExitCode, errorLine, exitCodes, usage } from '../io.ts'
import { readWord } from '../values.ts'
import { codeOf, readNamed, textOf } from './files.ts'
import { readVersion, targetOf } from './version.ts'
import { type CoturnWorld, machine } from './world.ts'

type Flags = Readonly<Record<string, unknown>>

const say = (io: CliIo, message: string): void => io.err(errorLine({ code: 'NOTE', message, fix: null }))

/** Throws USAGE and BAD_FILE. */
export async function explainCommand(
  named: string | undefined,
  flags: Flags,
  io: CliIo,
  world: CoturnWorld = machine(),
): Promise<ExitCode> {
  const command = textOf(flags['command'])
  if (named === undefined && command === undefined)
    throw usage('neither a file nor an option is given', 'write natcheck coturn explain stale-nonce')
  const option = named === undefined || /[/.]/.test(named) ? undefined : explainOption(named)
  if (option !== undefined && command === undefined) {
    await io.out(option)
    return exitCodes.ok
  }
  const isWord = named !== undefined && /^-*[\w-]+$/.test(named)
  if (named !== undefined && isWord && !existsSync(resolve(io.cwd, named))) {
    const meant = nearestOption(named)
    throw usage(
      `coturn has no option "${named}", and there is no such file`,
      meant ? `did you mean ${meant}?` : 'check the name',
    )
  }
  const { version } = await targetOf(flags['coturnVersion'], '--coturn-version', world)
  const text = named === undefined ? '' : readNamed(named, io.cwd).text
  await io.out(explained(explainConf(text, version, command)))
  return exitCodes.ok
}

function explained(rows: readonly Explained[]): string {
  if (rows.length === 0) return 'It sets nothing.\n'
  const digits = String(rows.at(-1)?.line ?? 0).length + 1
  return rows
    .map(({ line, setting, meaning }) => {
      const number = String(line ?? '').padStart(digits)
      const shown = setting.length > 100 ? `${setting.slice(0, 100)}…` : setting
      return `${number}  ${shown.replace(/\p{Cc}/gu, '?')}\n${' '.repeat(digits)}      ${meaning}\n`
    })
    .join('')
}

/** Throws USAGE and BAD_FILE. */
export async function migrateCommand(
  named: string | undefined,
  flags: Flags,
  io: CliIo,
  world: CoturnWorld = machine(),
): Promise<ExitCode> {
  const conf = readNamed(named, io.cwd)
  const wanted = textOf(flags['to'])
  if (wanted === undefined) throw usage('--to is missing', 'write --to 4.17.2')
  const { version: from } = await targetOf(flags['from'], '--from', world)
  const to = readVersion(wanted, '--to')
  const { text, changes } = migrate(conf.text, from, to)
  if (flags['write'] === true) write(conf.path, conf.encode(text), conf.file)
  else await io.out(text)
  for (const { kind, line, what, why } of changes)
    say(
      io,
      `${line === undefined ? '' : `line ${line}: `}${kind === 'note' ? '' : `${kind.replace('-', ' ')} `}${what}: ${why}`,
    )
  if (changes.length === 0) say(io, `nothing differs between ${from} and ${to} for this file`)
  return exitCodes.ok
}

function write(path: string, bytes: Uint8Array, shown: string): void {
  try {
    writeFileSync(path, bytes)
  } catch (cause) {
    const fix = 'check that this user may write it'
    throw new NatcheckError('BAD_FILE', `${shown} can't be written (${codeOf(cause)})`, { fix, cause })
  }
}

const targets: readonly ConvertTarget[] = ['eturnal', 'natcheck']

/** Throws USAGE and BAD_FILE. */
export async function convertCommand(
  named: string | undefined,
  flags: Flags,
  io: CliIo,
  world: CoturnWorld = machine(),
): Promise<ExitCode> {
  const conf = readNamed(named, io.cwd)
  if (flags['to'] === undefined) throw usage('--to is missing', 'write --to eturnal or --to natcheck')
  const target = readWord(flags['to'], '--to', targets)
  const { version } = await targetOf(flags['coturnVersion'], '--coturn-version', world)
  const { text, lost, secrets } = convert(new Conf(parseConf(conf.text), version), target)
  await io.out(text)
  for (const each of lost) say(io, `not carried over: ${each}`)
  if (target === 'natcheck' && secrets.length > 0)
    say(io, 'put the value of static-auth-secret into the file turn-secret, mode 0640')
  return exitCodes.ok
}
