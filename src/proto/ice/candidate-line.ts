/** The `candidate:` line: reading and writing. RFC 8839 §5.1, RFC 6544 §4.5, RFC 8838, RFC 8840 §8.2 */
import { type Decoded, parseIp } from '../../core/index.ts'
import { type Candidate, type CandidateExtension, candidateTypes, type TcpType, tcpTypes } from './candidate.ts'

/** The attribute that says that no more candidates come. RFC 8840 §8.2 */
export const endOfCandidates = 'end-of-candidates'

/** Whether a line says so: the attribute, or the empty candidate by which the WebRTC API says it. */
export const isEndOfCandidates = (line: string): boolean => /^(?:(?:a=)?end-of-candidates|)\r?\n?$/.test(line)

/** `candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host`: as browsers give it; SDP has `a=` before it. */
export function renderCandidate(candidate: Candidate): string {
  const { foundation, component, transport, priority, host, port, type, related, tcpType, extensions } = candidate
  const words = [`candidate:${foundation}`, component, transport, priority, host, port, 'typ', type]
  if (related) words.push('raddr', related.host, 'rport', related.port)
  if (tcpType) words.push('tcptype', tcpType)
  for (const { name, value } of extensions) words.push(name, value)
  return words.join(' ')
}

/** Longer lines are nobody's candidate; 255 is the longest name, and extensions are few and short. */
const maxLineLength = 4096

/**
 * Reads a line with or without `a=` before it and a line end behind. What is wrong is told by the field's name
 * (`where`) and the rule (`why`). A candidate of a transport or type that natcheck does not know is wrong, too: RFC 8839
 * has agents pass over it.
 */
export function parseCandidate(line: string): Decoded<Candidate> {
  if (line.length > maxLineLength) return bad('candidate', `has more than ${maxLineLength} characters`)
  const text = line.replace(/\r?\n$/, '').replace(/^a=/i, '')
  const match = /^candidate:/i.exec(text)
  if (!match) return bad('candidate', 'does not begin with "candidate:"')
  // Empty words are kept: an extension's value may be empty.
  const [foundation = '', component, transport, priority, host, port, typ, type, ...rest] = text
    .slice(match[0].length)
    .split(' ')
  const fields: Fields = { foundation, component, transport, priority, host, port, typ, type }
  const wrong = firstWrong(fields)
  if (wrong) return wrong
  const pairs = readPairs(rest)
  return pairs.ok ? assemble(fields, pairs.value) : pairs
}

type Field = 'foundation' | 'component' | 'transport' | 'priority' | 'host' | 'port' | 'typ' | 'type'
type Fields = Readonly<Record<Field, string | undefined>>

const inRange = (text: string, first: number, last: number): boolean =>
  /^\d{1,10}$/.test(text) && Number(text) >= first && Number(text) <= last

/** What each field has to be, in the order of the line. */
const rules: readonly (readonly [Field, string, (text: string) => boolean])[] = [
  ['foundation', 'is 1 to 32 letters, digits, + or /', (text) => /^[A-Za-z0-9+/]{1,32}$/.test(text)],
  ['component', 'is a number from 1 to 256', (text) => inRange(text, 1, 256)],
  ['transport', 'is udp or tcp', (text) => /^(?:udp|tcp)$/i.test(text)],
  ['priority', 'is a number from 1 to 2147483647', (text) => inRange(text, 1, 2 ** 31 - 1)],
  ['host', 'is an IP address or a name', isHost],
  ['port', 'is a number from 0 to 65535', (text) => inRange(text, 0, 65535)],
  ['typ', 'is the word "typ"', (text) => text.toLowerCase() === 'typ'],
  ['type', `is one of ${candidateTypes.join(', ')}`, (text) => findWord(candidateTypes, text) !== undefined],
]

function firstWrong(fields: Fields): Failure | undefined {
  for (const [field, rule, holds] of rules) {
    const text = fields[field]
    if (text === undefined) return bad(field, `is missing; it ${rule}`)
    if (!holds(text)) return bad(field, `${rule}, not ${quote(text)}`)
  }
  return undefined
}

/** Digits and dots alone are a bad address, not a name. */
function isHost(text: string): boolean {
  if (parseIp(text) !== undefined) return true
  return text.length <= 255 && /^(?=.*[A-Za-z_-])[A-Za-z0-9_.-]+$/.test(text)
}

function readPairs(words: readonly string[]): Decoded<readonly CandidateExtension[]> {
  const pairs: CandidateExtension[] = []
  for (let index = 0; index < words.length; index += 2) {
    const name = words[index] ?? ''
    const value = words[index + 1]
    // One space at the end of a pasted line is no extension.
    if (name === '' && value === undefined) break
    if (!isToken(name)) return bad('extension', `names are visible ASCII, not ${quote(name)}`)
    if (value === undefined) return bad(name, 'has no value')
    if (!/^[!-~]*$/.test(value)) return bad(name, `is visible ASCII, not ${quote(value)}`)
    pairs.push({ name, value })
  }
  return { ok: true, value: pairs }
}

const isToken = (text: string): boolean => /^[!-~]+$/.test(text)

/** `raddr`, `rport` and `tcptype` are looked for among the pairs, because senders differ in their order. */
function assemble(fields: Fields, pairs: readonly CandidateExtension[]): Decoded<Candidate> {
  const value = (name: string): string | undefined => pairs.find((pair) => pair.name === name)?.value
  const [raddr, rport, direction] = [value('raddr'), value('rport'), value('tcptype')]
  const transport = fields.transport?.toLowerCase() === 'tcp' ? 'tcp' : 'udp'
  const tcpType = direction === undefined ? undefined : findWord(tcpTypes, direction)
  const wrong = wrongRelated(raddr, rport) ?? wrongTcpType(transport, direction, tcpType)
  if (wrong) return wrong
  return {
    ok: true,
    value: {
      foundation: fields.foundation ?? '',
      component: Number(fields.component),
      transport,
      priority: Number(fields.priority),
      host: canonical(fields.host ?? ''),
      port: Number(fields.port),
      type: findWord(candidateTypes, fields.type ?? '') ?? 'host',
      ...(raddr !== undefined && { related: { host: canonical(raddr), port: Number(rport) } }),
      ...(tcpType && { tcpType }),
      extensions: pairs.filter(({ name }) => !reserved.has(name)),
    },
  }
}

const reserved: ReadonlySet<string> = new Set(['raddr', 'rport', 'tcptype'])

function wrongRelated(raddr: string | undefined, rport: string | undefined): Failure | undefined {
  if (raddr === undefined && rport === undefined) return undefined
  if (raddr === undefined) return bad('raddr', 'is missing, though rport is there')
  if (rport === undefined) return bad('rport', 'is missing, though raddr is there')
  if (!isHost(raddr)) return bad('raddr', `is an IP address or a name, not ${quote(raddr)}`)
  return inRange(rport, 0, 65535) ? undefined : bad('rport', `is a number from 0 to 65535, not ${quote(rport)}`)
}

function wrongTcpType(transport: string, given: string | undefined, known: TcpType | undefined): Failure | undefined {
  if (transport === 'udp') return given === undefined ? undefined : bad('tcptype', 'is for TCP candidates only')
  if (given === undefined) return bad('tcptype', 'is missing, and a TCP candidate needs it (RFC 6544 section 4.5)')
  return known ? undefined : bad('tcptype', `is one of ${tcpTypes.join(', ')}, not ${quote(given)}`)
}

/** The grammar's words are compared without regard to case (RFC 5234 §2.3). */
const findWord = <T extends string>(words: readonly T[], text: string): T | undefined =>
  words.find((word) => word === text.toLowerCase())

const canonical = (host: string): string => parseIp(host) ?? host

type Failure = Decoded<never> & { ok: false }

const bad = (where: string, why: string): Failure => ({ ok: false, where, why })

/** Whatever came in, as one short line of ASCII. */
const quote = (text: string): string => JSON.stringify(text.slice(0, 40)).replace(/[^ -~]/g, '?')
