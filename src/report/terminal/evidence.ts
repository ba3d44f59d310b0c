/** `--verbose`: every packet in the order of time; who sent it to whom, for which test, and what came back. */
import type {
  ExchangeObservation,
  FamilyObservations,
  ReplyObservation,
  TestName,
} from '../../probe/nat/observations.ts'
import type { Page } from './layout.ts'

interface Line {
  readonly atMs: number
  readonly text: string
}

const meanings: Record<TestName, string> = {
  reachability: 'reachability, connected socket',
  'mapping-1': 'mapping test I',
  'mapping-2': 'mapping test II',
  'mapping-3': 'mapping test III',
  'filtering-1': 'filtering test I, loss control',
  'filtering-2': 'filtering test II, answer from the other IP and port',
  'filtering-3': 'filtering test III, answer from the other port',
  'open-alternate': "opens the way from the other IP, RFC 3489 test I'",
  'open-port': 'opens the way from the other port',
  'port-assignment': 'port of a new mapping',
  hairpin: 'hairpinning',
  'lifetime-create': 'lifetime, new mapping',
  'lifetime-probe': 'lifetime, is it alive?',
  'fragment-out': 'fragments out',
  'fragment-both': 'fragments both ways',
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
  if (lines.length + streams.length + routers.length + trials.length === 0) return
  page.heading(`Evidence IPv${observations.family} (milliseconds since the first packet)`)
  for (const { atMs, text } of lines.toSorted((a, b) => a.atMs - b.atMs))
    page.text(`${atMs.toFixed(1).padStart(9)}  `, text)
  for (const text of [...streams, ...routers, ...trials]) page.text('           ', text)
}

function linesOf(exchange: ExchangeObservation): Line[] {
  const { test, local, to, sentAtMs, replies, failure } = exchange
  const lines = sentAtMs.map((atMs, index) => ({
    atMs,
    text: `${local} → ${to}  ${meanings[test]}${index === 0 ? '' : `, sent again (${index + 1})`}`,
  }))
  lines.push(
    ...replies.map((reply) => ({ atMs: reply.atMs, text: `${local} ← ${reply.from}  ${replyWords(test, reply)}` })),
  )
  if (failure) {
    lines.push({
      atMs: failure.atMs,
      text: `${local} ✗ ${to}  ${meanings[test]}: ${failure.reason} (${failure.detail})`,
    })
  }
  return lines
}

function replyWords(test: TestName, reply: ReplyObservation): string {
  const words: string[] = []
  if (reply.errorCode !== null) words.push(`error ${reply.errorCode}`)
  if (reply.mapped !== null) words.push(`mapped ${reply.mapped}`)
  if (reply.mappedPlain !== null && reply.mappedPlain !== reply.mapped) {
    words.push(`but MAPPED-ADDRESS ${reply.mappedPlain}`)
  }
  if (reply.otherAddress !== null) words.push(`other ${reply.otherAddress}`)
  return `${test}: ${words.length > 0 ? words.join(', ') : 'an answer without an address'}`
}

const arrivals = ({ hairpinArrivals }: FamilyObservations): Line[] =>
  hairpinArrivals.map(({ atMs, sender, from }) => ({ atMs, text: `← ${from}  hairpinned packet of ${sender}` }))
