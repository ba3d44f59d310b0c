/** `--verbose`: every packet in the order of time; who sent it to whom, for which test, and what came back. */
import type {
  ExchangeObservation,
  FamilyObservations,
  ReplyObservation,
  TestName,
} from '../../probe/nat/observations.ts'
import type { FamilyReport } from '../nat-report.ts'
import type { Page } from './layout.ts'

interface Line {
  readonly atMs: number
  readonly text: string
}

const meanings: Record<TestName, string> = {
  reachability: 'indication from a connected socket, which hears ICMP errors',
  'mapping-1': 'RFC 5780 mapping test I',
  'mapping-2': 'test II, to its other IP',
  'mapping-3': 'test III, to its other IP and port',
  'filtering-1': 'RFC 5780 filtering test I, and loss control',
  'filtering-2': 'test II, answer from its other IP and port',
  'filtering-3': 'test III, answer from its other port',
  'open-alternate': "opens the way from the other IP, RFC 3489 test I'",
  'open-port': 'opens the way from the other port',
  'prove-alternate': 'has an answer sent to the open port: can it answer from its other IP?',
  'prove-port': 'has an answer sent to the open port: can it answer from its other port?',
  'port-assignment': 'port of a new mapping',
  hairpin: 'to our own mapped address',
  'lifetime-create': 'new mapping',
  'lifetime-probe': 'is the mapping alive?',
  'fragment-control': 'plain request',
  fragment: 'request larger than any MTU',
}

export function renderEvidence(page: Page, observations: FamilyObservations): void {
  const lines = [...observations.exchanges.flatMap(linesOf), ...arrivals(observations)]
  const streams = observations.streams.map(
    ({ to, connected, problem }) =>
      `TCP to ${to}: ${connected ? 'connected' : `not connected (${problem ?? 'no answer'})`}`,
  )
  const routers = observations.router.map(
    ({ protocol, outcome, externalIp, server, rttMs, detail }) =>
      `router by ${protocol}: ${[outcome, externalIp, server, rttMs === undefined ? undefined : `${rttMs.toFixed(1)} ms`, detail].filter((part) => part !== undefined).join(', ')}`,
  )
  const trials = observations.lifetime.map(
    ({ idleSeconds, alive }) =>
      `after ${idleSeconds} s idle: ${alive === null ? 'could not be told' : alive ? 'still open' : 'closed'}`,
  )
  const strangers = [
    ...observations.notStun.map((from) => `${from} sent something that is not STUN`),
    ...observations.unmatched.map((from) => `${from} sent STUN that answers nothing we asked`),
  ]
  const undated = [...streams, ...routers, ...trials, ...strangers]
  if (lines.length + undated.length === 0) return
  page.heading(`Evidence IPv${observations.family} (milliseconds since the first packet)`)
  for (const { atMs, text } of lines.toSorted((a, b) => a.atMs - b.atMs))
    page.text(`${atMs.toFixed(1).padStart(9)}  `, text)
  for (const text of undated) page.text('           ', text)
}

/** RFC 3489's flowchart as it was walked: what went from where to where, and what came back. */
export function renderClassicTrace(page: Page, family: 4 | 6, nat: FamilyReport | null): void {
  const { trace = [] } = nat?.rfc3489 ?? {}
  if (trace.length === 0) return
  page.heading(`RFC 3489 tests IPv${family} (milliseconds since the first packet)`)
  for (const { test, from, to, change, sentAtMs, reply } of trace) {
    const asked = change === 'none' ? '' : `, asking for an answer from ${asksFor[change]}`
    const first = sentAtMs[0] ?? 0
    const times = sentAtMs.length > 1 ? `, ${sentAtMs.length} times until ${sentAtMs.at(-1)?.toFixed(1)}` : ''
    const came = reply
      ? `answered at ${reply.atMs.toFixed(1)} from ${reply.from}${reply.mapped === null ? '' : `, mapped ${reply.mapped}`}`
      : 'no answer'
    page.text(`  ${test.padEnd(4)}`, `${from} → ${to} at ${first.toFixed(1)}${times}${asked}: ${came}`)
  }
}

const asksFor = { port: 'its other port', 'ip-and-port': 'its other IP and port' } as const

function linesOf({ test, local, to, sentAtMs, replies, failure }: ExchangeObservation): Line[] {
  const sent = sentAtMs.map((atMs, index) => ({
    atMs,
    text: `${local} → ${to} ${index === 0 ? `${test}: ${meanings[test]}` : `${test} again (${index + 1})`}`,
  }))
  const received = replies.map((reply, index) => {
    // OTHER-ADDRESS is frozen from the first answer; that of a later one decides nothing.
    const shown = index === 0 ? reply : { ...reply, otherAddress: null }
    return { atMs: reply.atMs, text: `${local} ← ${reply.from} ${test}: ${replyWords(shown)}` }
  })
  if (!failure) return [...sent, ...received]
  const failed = { atMs: failure.atMs, text: `${local} ✗ ${to} ${test}: ${failure.reason} (${failure.detail})` }
  return [...sent, ...received, failed]
}

function replyWords(reply: ReplyObservation): string {
  const words: string[] = []
  if (reply.errorCode !== null) words.push(`error ${reply.errorCode}`)
  if (reply.mapped !== null) words.push(`mapped ${reply.mapped}`)
  if (reply.mappedPlain !== null && reply.mappedPlain !== reply.mapped) {
    words.push(`but MAPPED-ADDRESS ${reply.mappedPlain}`)
  }
  if (reply.otherAddress !== null) words.push(`other ${reply.otherAddress}`)
  return words.length > 0 ? words.join(', ') : 'an answer without an address'
}

const arrivals = ({ hairpinArrivals }: FamilyObservations): Line[] =>
  hairpinArrivals.map(({ atMs, sender, from }) => ({ atMs, text: `← ${from} hairpinned packet of ${sender}` }))
