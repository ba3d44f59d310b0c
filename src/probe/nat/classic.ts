/** RFC 3489 §10.1: the flowchart of tests I, II, I′ and III exactly as published, walked over what was observed. */
import type { ClassicNatType } from '../../core/index.ts'
import { alternateOf } from './alternate.ts'
import { type ClassicStep, type Finding, inconclusive, observed } from './behaviors.ts'
import { answer, find } from './evidence.ts'
import { dishonesty, type FilteringState } from './filtering.ts'
import type { ExchangeObservation, TestName } from './observations.ts'

export interface ClassicState {
  /** undefined: more packets may still change it. */
  readonly finding: Finding<ClassicNatType> | undefined
  readonly trace: readonly ClassicStep[]
  /** Which tests are worth sending (again), beside the filtering test's own. */
  readonly wanted: readonly TestName[]
}

/** A server that answers otherwise gets so many chances to answer test I′. */
const repeats = 16

type Used = readonly (readonly [ClassicStep['test'], ExchangeObservation | undefined])[]

/**
 * Tests I and I′ are the mapping socket's, II and III the filtering socket's. One socket for all, as in 2003, goes wrong
 * on today's most common NAT: Linux remembers the answers to II that it keeps out as flows of their own, and then has to
 * give I′, from the same socket to the same address, another port, which reads as "symmetric". They are sent with
 * RFC 8489 framing, II and III together; servers of RFC 3489 name their other address in CHANGED-ADDRESS.
 */
export function judgeClassic(
  all: readonly ExchangeObservation[],
  server: number,
  filtering: FilteringState,
  udpBlocked: boolean,
): ClassicState {
  const exchanges = all.filter((exchange) => exchange.server === server)
  const testI = find(exchanges, 'mapping-1')
  const testII = find(exchanges, 'filtering-2')
  const used: Used = [['I', testI]]
  const state = (finding: Finding<ClassicNatType> | undefined, more: Used = []): ClassicState => ({
    finding,
    trace: steps([...used, ...more], exchanges),
    wanted: [],
  })
  const mapped = answer(testI)?.mapped
  if (!testI || !mapped) {
    if (udpBlocked) return state(observed('udp-blocked', 'test I: no answer over UDP, while TCP gets through'))
    return state(
      inconclusive('test I: no answer, and nothing proves that UDP is blocked rather than the server silent'),
    )
  }
  const alternate = alternateOf(exchanges, server, testI.to)
  if (!alternate) return state(inconclusive('test II: the server names no other address (RFC 3489 CHANGED-ADDRESS)'))
  if (alternate.problem) return state(inconclusive(`test II: ${alternate.problem}`))

  const { test2 } = filtering
  if (test2 === 'ignored' || test2 === 'misdirected' || test2 === 'refused') {
    return state(inconclusive(`test II: ${dishonesty[test2]}`), [['II', testII]])
  }
  if (test2 !== 'answered' && test2 !== 'silent') return state(resting(filtering), [['II', testII]])
  if (mapped === testI.local) {
    const type = test2 === 'answered' ? 'open-internet' : 'symmetric-udp-firewall'
    const why = `test I sees our own address; test II ${test2 === 'answered' ? 'came in' : 'was kept out'}`
    return state(test2 === 'answered' ? observed(type, why) : resting(filtering, type, why), [['II', testII]])
  }
  if (test2 === 'answered') {
    return state(observed('full-cone', 'test I sees another address; test II came in'), [['II', testII]])
  }
  return walkInside(exchanges, mapped, filtering, state)
}

/** Behind a NAT that kept test II out: I′ and, where it sees the same mapping, III. */
function walkInside(
  exchanges: readonly ExchangeObservation[],
  mapped: string,
  filtering: FilteringState,
  state: (finding: Finding<ClassicNatType> | undefined, more?: Used) => ClassicState,
): ClassicState {
  const again = find(exchanges, 'mapping-3')
  const used: Used = [
    ['II', find(exchanges, 'filtering-2')],
    ["I'", again],
  ]
  const mappedAgain = answer(again)?.mapped
  if (!mappedAgain) {
    const open = (again?.sentAtMs.length ?? 0) < repeats && filtering.finding?.kind !== 'inconclusive'
    if (open) return { ...state(undefined, used), wanted: ['mapping-3'] }
    return state(inconclusive("test I': no answer from the server's other address"), used)
  }
  if (mappedAgain !== mapped) {
    return state(resting(filtering, 'symmetric', `test I' sees ${mappedAgain} where test I saw ${mapped}`), used)
  }
  const { test3 } = filtering
  const all: Used = [...used, ['III', find(exchanges, 'filtering-3')]]
  if (test3 === 'answered') return state(resting(filtering, 'restricted-cone', 'test III came in'), all)
  if (test3 === 'silent') return state(resting(filtering, 'port-restricted-cone', 'test III was kept out'), all)
  return state(resting(filtering), all)
}

/** A type that rests on silence stands only when the server is fit: the filtering test's controls say whether it is. */
function resting({ finding }: FilteringState, type?: ClassicNatType, why = ''): Finding<ClassicNatType> | undefined {
  if (finding === undefined || finding.kind !== 'observed') return finding && inconclusive(finding.why)
  return type && observed(type, why)
}

/** What was sent and what came of it; an answer that our own later packet let in is not the test's. */
function steps(used: Used, exchanges: readonly ExchangeObservation[]): ClassicStep[] {
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
