/** The same configuration for another release of coturn. */
import { Conf } from './conf.ts'
import { findOption } from './options/table.ts'
import { isKnownIn, type OptionSpec } from './options/spec.ts'
import { type Line, parseConf, renderConf, type SettingLine, settingLine } from './parse.ts'
import { covers, formatRange, parseCidr, parseRange } from './ranges.ts'
import { mappedSince } from './special.ts'
import { type CoturnVersion, isBefore, isSince } from './version.ts'

export interface Migration {
  readonly text: string
  readonly changes: readonly Change[]
}

/** `note`: nothing was written, but the new release behaves otherwise. */
export interface Change {
  readonly kind: 'removed' | 'rewritten' | 'commented-out' | 'added' | 'note'
  /** In the file as it was. */
  readonly line?: number
  readonly what: string
  readonly why: string
}

/** What was on until switched off, and is off until switched on. */
const turns: readonly {
  readonly at: CoturnVersion
  readonly on: string
  readonly off: string
  readonly what: string
}[] = [
  { at: '4.7.0', on: 'rfc5780', off: 'no-rfc5780', what: 'NAT behaviour discovery' },
  { at: '4.7.0', on: 'software-attribute', off: 'no-software-attribute', what: 'the SOFTWARE attribute' },
  {
    at: '4.7.0',
    on: 'stun-backward-compatibility',
    off: 'no-stun-backward-compatibility',
    what: 'compatibility with old STUN',
  },
  { at: '4.7.0', on: 'tlsv1', off: 'no-tlsv1', what: 'TLS 1.0' },
  { at: '4.7.0', on: 'tlsv1_1', off: 'no-tlsv1_1', what: 'TLS 1.1' },
  { at: '4.10.0', on: 'cli', off: 'no-cli', what: 'the telnet console' },
  { at: '4.17.0', on: 'dtls', off: 'no-dtls', what: 'DTLS' },
]

/** Changes no more than it must; every change is told. */
export function migrate(text: string, from: CoturnVersion, to: CoturnVersion): Migration {
  const file = parseConf(text)
  const end = file.lines.some(({ raw }) => raw.endsWith('\r\n')) ? '\r\n' : '\n'
  const changes: Change[] = []
  const lines = file.lines.flatMap((line): Line[] => {
    const edit = line.kind === 'setting' ? editOf(line, from, to) : undefined
    if (!edit) return [line]
    changes.push({ ...edit.change, line: line.number })
    const ending = /\r?\n$/.exec(line.raw)?.[0] ?? ''
    return edit.text === undefined ? [] : [{ ...line, raw: `${edit.text}${ending}` }]
  })
  const { added, changes: further } = turned(new Conf(file, from), from, to)
  const body = renderConf({ lines })
  const gap = added.length === 0 || body === '' || body.endsWith('\n') ? '' : end
  return { text: body + gap + added.map((each) => each + end).join(''), changes: [...changes, ...further] }
}

interface LineEdit {
  readonly text: string | undefined
  readonly change: Omit<Change, 'line'>
}

function editOf(line: SettingLine, from: CoturnVersion, to: CoturnVersion): LineEdit | undefined {
  const spec = findOption(line.name)
  if (!spec || !isKnownIn(spec, from)) return undefined
  const removed = (why: string): LineEdit => ({ text: undefined, change: { kind: 'removed', what: spec.name, why } })
  const turn = turns.find(({ on, off }) => spec.name === on || spec.name === off)
  if (turn && spec.name === turn.off && isSince(to, turn.at))
    return removed(`${turn.what}: off by default since ${turn.at}`)
  if (turn && spec.name === turn.on && isBefore(to, turn.at))
    return removed(`${turn.what}: governed by ${turn.off} before ${turn.at}`)
  if (!isKnownIn(spec, to)) {
    if (spec.obsolete) return removed(spec.obsolete.instead)
    const why =
      spec.removed !== undefined && isSince(to, spec.removed) ? `removed in ${spec.removed}` : `new in ${spec.since}`
    return { text: `# ${line.raw.trim()}`, change: { kind: 'commented-out', what: spec.name, why } }
  }
  if (spec.obsolete && isSince(to, spec.obsolete.since)) return outdated(spec, spec.obsolete.instead, removed)
  return peerEdit(line, spec, to)
}

function outdated(spec: OptionSpec, instead: string, removed: (why: string) => LineEdit): LineEdit {
  const match = /^write ([\w-]+)(?:=(\S+))?$/.exec(instead)
  const text = match ? settingLine({ name: match[1] ?? '', value: match[2] ?? '' }) : undefined
  if (text === undefined) return removed(instead)
  return { text, change: { kind: 'rewritten', what: `${spec.name} as ${text}`, why: instead } }
}

/** Ranges that the new release reads otherwise. */
function peerEdit({ value }: SettingLine, spec: OptionSpec, to: CoturnVersion): LineEdit | undefined {
  if (spec.type !== 'range') return undefined
  const cidr = parseCidr(value)
  if (cidr && isSince(to, '4.11.0')) {
    const range = formatRange(cidr)
    const why = `coturn ends at CIDR since 4.11.0; before it ignored the line, so ${range} is in force only now`
    return { text: `${spec.name}=${range}`, change: { kind: 'rewritten', what: `${value} as ${range}`, why } }
  }
  const mapped = parseCidr('::ffff:0:0/96')
  const range = parseRange(value)
  if (mapped && range && isSince(to, mappedSince) && covers([range], mapped) && spec.name === 'denied-peer-ip') {
    const why = `since ${mappedSince} IPv4-mapped peers are compared as IPv4, and this would deny all of IPv4`
    return { text: undefined, change: { kind: 'removed', what: value, why } }
  }
  return undefined
}

/** Defaults that turned between the two releases. */
function turned(conf: Conf, from: CoturnVersion, to: CoturnVersion): { added: string[]; changes: Change[] } {
  const added: string[] = []
  const changes: Change[] = []
  const add = (line: string, why: string): void => {
    added.push(line)
    changes.push({ kind: 'added', what: line, why })
  }
  for (const { at, on, off, what } of turns) {
    const known = findOption(off)
    if (isBefore(from, at) && isSince(to, at)) {
      if (!conf.isOn(off))
        changes.push({
          kind: 'note',
          what: on,
          why: `${what} was on by default and is off since ${at}: add ${on} if you need it`,
        })
    } else if (isSince(from, at) && isBefore(to, at) && !conf.isOn(on) && known && isKnownIn(known, to)) {
      add(off, `${what} is on by default before ${at}`)
    }
  }
  if (isSince(from, mappedSince) && isBefore(to, mappedSince) && conf.has('denied-peer-ip'))
    add(
      'denied-peer-ip=::ffff:0.0.0.0-::ffff:255.255.255.255',
      `before ${mappedSince} IPv4-mapped peers pass the IPv4 ranges`,
    )
  return { added, changes }
}
