/** What lines and options mean. */
import { nearest } from '../core/index.ts'
import { boolean } from './conf.ts'
import { parseCommand } from './command.ts'
import { findOption, findShort, optionNames } from './options/table.ts'
import { isFlag, isKnownIn, type OptionSpec, type OptionType } from './options/spec.ts'
import { parseConf } from './parse.ts'
import { type CoturnVersion, isSince } from './version.ts'

const values: Readonly<Record<OptionType, string>> = {
  flag: 'a flag: on without a value, off with 0, no, false or off',
  switch: 'a flag that is on whatever its value says, even with 0',
  number: 'a number',
  port: 'a port',
  ip: 'an IP address',
  'ip-port': 'IP:PORT',
  range: 'IP or IP-IP, no CIDR',
  mapping: 'PUBLIC or PUBLIC/PRIVATE, IP addresses',
  device: 'a network interface',
  file: 'a file',
  text: 'a text',
  word: 'a word',
  character: 'one character',
  connection: 'a connection string: host=… dbname=… user=… password=… port=…',
  user: 'NAME:PASSWORD or NAME:0xKEY',
  url: 'a URL',
}

/** Several lines about an option; undefined when coturn has none of that name. Dashes before the name don't matter. */
export function explainOption(written: string): string | undefined {
  const name = written.replace(/^-+/, '')
  const spec = findOption(name) ?? (name.length === 1 ? findShort(name) : undefined)
  if (!spec) return undefined
  const takes = spec.words ? `one of ${spec.words.join(', ')}` : values[spec.type]
  const rows: [string, string | undefined][] = [
    ['takes', spec.optional === true ? `${takes}; without one, the default` : takes],
    ['default', spec.default ?? (spec.type === 'flag' || spec.type === 'switch' ? 'off' : 'none')],
    ['several', spec.list === true ? 'each line adds one' : 'the last one counts'],
    ['since', spec.since ?? 'before 4.5'],
    ['until', spec.removed === undefined ? undefined : `removed in ${spec.removed}`],
    ['obsolete', spec.obsolete && `since ${spec.obsolete.since}: ${spec.obsolete.instead}`],
    ['build', spec.build === 'prometheus' ? 'not in every build; Debian’s has no prometheus' : undefined],
    [
      'command line',
      ['-' + (spec.short ?? ''), `--${spec.name}`, ...spec.aliases.map((each) => `--${each}`)]
        .filter((each) => each !== '-')
        .join(', '),
    ],
  ]
  const known = rows.flatMap(([label, value]) => (value === undefined ? [] : [`    ${label.padEnd(14)}${value}`]))
  return [`${spec.name} (${spec.group})`, `    ${spec.doc}`, ...known, ''].join('\n')
}

export const nearestOption = (written: string): string | undefined => nearest(written.replace(/^-+/, ''), optionNames)

export interface Explained {
  /** Absent: the command line. */
  readonly line?: number
  /** As it is set, secrets hidden. */
  readonly setting: string
  readonly meaning: string
}

/** Each line that sets something, in its order, then the command line. */
export function explainConf(text: string, version: CoturnVersion, command?: string): Explained[] {
  const inFile = parseConf(text).lines.flatMap((line): Explained[] => {
    if (line.kind !== 'setting') return []
    const spec = findOption(line.name)
    return [
      { line: line.number, setting: shown(line.name, line.value, spec), meaning: meaningOf(spec, version, line.name) },
    ]
  })
  const onCommand = command === undefined ? [] : parseCommand(command, version).settings
  return [
    ...inFile,
    ...onCommand.map(({ written, spec, value }) => ({
      setting: shown(written, value, spec),
      meaning: meaningOf(spec, version, written),
    })),
  ]
}

function shown(written: string, value: string, spec: OptionSpec | undefined): string {
  const name = spec ? written : (written.split(':', 1)[0] ?? '')
  if (value === '') return name
  // The value of an unknown option may be a misspelt secret, and that of a flag one in the wrong place.
  const isOdd = spec === undefined || (isFlag(spec) && boolean(value) === undefined)
  return `${name}=${isOdd || spec.secret === true ? '…' : value}`
}

function meaningOf(spec: OptionSpec | undefined, version: CoturnVersion, written: string): string {
  if (!spec) {
    const meant = nearestOption(written)
    return `Unknown: coturn ignores it.${meant ? ` Did you mean ${meant}?` : ''}`
  }
  const { doc, default: preset, since, removed, obsolete } = spec
  if (!isKnownIn(spec, version)) {
    const why =
      removed !== undefined && isSince(version, removed) ? `it was removed in ${removed}` : `it came with ${since}`
    return `${doc} Ignored: this is ${version}, ${why}.`
  }
  const notes = [
    ...(preset === undefined ? [] : [`default ${preset}`]),
    ...(since === undefined ? [] : [`since ${since}`]),
    ...(obsolete && isSince(version, obsolete.since) ? [`obsolete: ${obsolete.instead}`] : []),
  ]
  return notes.length === 0 ? doc : `${doc} (${notes.join('; ')})`
}
