/** RFC 3489 §10.1: the flowchart of tests I, II, I′ and III exactly as published, walked over what was observed. */
import type { ClassicNatType } from '../../core/index.ts'
import { alternateOf } from './alternate.ts'
import { type ClassicStep, type Finding, inconclusive, observed } from './behaviors.ts'
import { answer, find } from './evidence.ts'
import type { FilteringState } from './filtering.ts'
import { dishonesty } from './filtering.ts'
import type { ExchangeObservation, TestName } from './observations.ts'

export interface ClassicState {
  /** undefined: more packets may still change it. */
  readonly finding: Finding<ClassicNatType> | undefined
  readonly trace: readonly ClassicStep[]
  readonly wanted: readonly TestName[]
}

/** A server that answers other requests gets this many chances to answer test I. */
const testIRepeats = 16

/**
 * Its tests are the filtering socket's: I, II and III are RFC 5780's filtering tests, and I′ is the request that
 * opens the way to the alternate address. They are sent with RFC 8489 framing; servers of RFC 3489 itself
 * name the alternate address in CHANGED-ADDRESS. One departure: II and III leave together with I, since
 * neither depends on another's answer; the flowchart then reads them in its own order.
 */
export function judgeClassic(
  all: readonly ExchangeObservation[],
  server: number,
  filtering: FilteringState,
  udpBlocked: boolean,
): ClassicState {
  const exchanges = all.filter((exchange) => exchange.server === server)
  const testI = find(exchanges, 'filtering-1') ?? find(exchanges, 'mapping-1')
  const reply = answer(testI)
  const alive = exchanges.some((exchange) => answer(exchange) !== undefined)
  if (alive && testI && !reply && testI.sentAtMs.length < testIRepeats) {
    return { finding: undefined, trace: steps([['I', testI]], exchanges), wanted: ['filtering-1'] }
  }
  if (!testI || !reply?.mapped) {
    const finding = udpBlocked
      ? observed<ClassicNatType>('udp-blocked', 'test I: no answer over UDP, while TCP gets through')
      : inconclusive('test I: no answer, and nothing proves that UDP is blocked rather than the server silent')
    return { finding, trace: steps([['I', testI]], exchanges), wanted: ['filtering-1'] }
  }
  const testII = find(exchanges, 'filtering-2')
  const done = (finding: Finding<ClassicNatType> | undefined, used: Used, wanted: TestName[] = []): ClassicState => ({
    finding,
    trace: steps([['I', testI], ...used], exchanges),
    wanted,
  })
  const alternate = alternateOf(exchanges, server, testI.to)
  if (!alternate) return done(inconclusive('test II: the server names no other address (RFC 3489 CHANGED-ADDRESS)'), [])
  if (alternate.problem) return done(inconclusive(`test II: ${alternate.problem}`), [])

  const { test2, test3 } = filtering
  if (test2 === 'pending') return done(undefined, [['II', testII]], ['filtering-1', 'filtering-2'])
  if (test2 !== 'answered' && test2 !== 'silent') {
    return done(inconclusive(`test II: ${dishonesty[test2]}`), [['II', testII]])
  }
  if (reply.mapped === testI.local) {
    const type: ClassicNatType = test2 === 'answered' ? 'open-internet' : 'symmetric-udp-firewall'
    const why = `test I sees our own address; test II ${test2 === 'answered' ? 'came in' : 'was kept out'}`
    return done(agreeing(filtering, type, why), [['II', testII]])
  }
  if (test2 === 'answered') {
    return done(observed('full-cone', 'test I sees another address; test II came in'), [['II', testII]])
  }
  return walkInside(exchanges, reply.mapped, filtering, test3, done)
}

type Used = (readonly [ClassicStep['test'], ExchangeObservation | undefined])[]

/** Behind a NAT that kept test II out: I′ and, where it sees the same mapping, III. */
function walkInside(
  exchanges: readonly ExchangeObservation[],
  mapped: string,
  filtering: FilteringState,
  test3: FilteringState['test3'],
  done: (finding: Finding<ClassicNatType> | undefined, used: Used, wanted?: TestName[]) => ClassicState,
): ClassicState {
  const used: Used = [['II', find(exchanges, 'filtering-2')]]
  const again = find(exchanges, 'open-alternate')
  used.push(["I'", again])
  const mappedAgain = answer(again)?.mapped
  if (!mappedAgain) {
    if (filtering.finding === undefined) return done(undefined, used, ['open-alternate'])
    return done(inconclusive("test I': no answer from the server's other address"), used)
  }
  if (mappedAgain !== mapped) {
    return done(observed('symmetric', `test I' sees ${mappedAgain} where test I saw ${mapped}`), used)
  }
  used.push(['III', find(exchanges, 'filtering-3')])
  if (test3 === 'pending') return done(undefined, used, ['filtering-1', 'filtering-3'])
  if (test3 !== 'answered' && test3 !== 'silent') return done(inconclusive(`test III: ${dishonesty[test3]}`), used)
  const type: ClassicNatType = test3 === 'answered' ? 'restricted-cone' : 'port-restricted-cone'
  return done(agreeing(filtering, type, `test III ${test3 === 'answered' ? 'came in' : 'was kept out'}`), used)
}

/** A type that rests on silence stands only when the server is fit: the filtering test's controls say whether it is. */
function agreeing(filtering: FilteringState, type: ClassicNatType, why: string): Finding<ClassicNatType> | undefined {
  if (filtering.finding === undefined) return type === 'open-internet' ? observed(type, why) : undefined
  return filtering.finding.kind === 'observed' ? observed(type, why) : inconclusive(filtering.finding.why)
}

/** What was sent and what came of it; an answer that our own later packet let in is not the test's. */
function steps(
  used: readonly (readonly [ClassicStep['test'], ExchangeObservation | undefined])[],
  exchanges: readonly ExchangeObservation[],
): ClassicStep[] {
  const trace: ClassicStep[] = []
  for (const [test, exchange] of used) {
    if (!exchange) continue
    const opener = test === 'II' ? 'open-alternate' : test === 'III' ? 'open-port' : undefined
    const openedAt = opener && find(exchanges, opener)?.sentAtMs[0]
    const reply = exchange.replies.find(({ atMs }) => openedAt === undefined || atMs <= openedAt)
    trace.push({
      test,
      from: exchange.local,
      to: exchange.to,
      change: exchange.change,
      sentAtMs: openedAt === undefined ? exchange.sentAtMs : exchange.sentAtMs.filter((sent) => sent < openedAt),
      reply: reply ? { atMs: reply.atMs, from: reply.from, mapped: reply.mapped } : null,
    })
  }
  return trace
}
