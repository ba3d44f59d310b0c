/**
 * Filtering behaviour (RFC 5780 §4.4) of one virgin socket towards one server, with the controls that the RFC
 * doesn't have: how much the way loses, how long the server's other address takes to answer, and whether the
 * server can answer from there at all.
 */
import type { FilteringBehavior } from '../../core/index.ts'
import { alternateOf, mixAddress } from './alternate.ts'
import { type Finding, inconclusive, observed } from './behaviors.ts'
import { answer, doubt, estimatePath, find, isSilent, standing } from './evidence.ts'
import type { AddressText, ExchangeObservation, TestName } from './observations.ts'
import { acceptedFarDoubt, deadAfterMs, horizonMs, mostRounds } from './pacing.ts'
import { type Proof, prove } from './proof.ts'

/**
 * What a request has shown so far. `quiet`: silent for as long as the server itself takes to answer, while its other
 * address may take longer. `ignored`: answered from where it was sent to, as if nothing had been asked; `misdirected`:
 * answered from yet another address; `refused`: an error response.
 */
export type Outcome = 'pending' | 'quiet' | 'answered' | 'silent' | 'ignored' | 'misdirected' | 'refused'

export interface FilteringState {
  /** undefined: more packets, or more time, may still change it. */
  readonly finding: Finding<FilteringBehavior> | undefined
  readonly test2: Outcome
  readonly test3: Outcome
  /** Which tests are worth sending (again). */
  readonly wanted: readonly TestName[]
  /** What disqualifies the server; null while nothing does. */
  readonly unfit: string | null
}

/** What the judgement looks at. `near` and `far` are how long answers from the two addresses may take. */
export interface View {
  readonly exchanges: readonly ExchangeObservation[]
  readonly control: ExchangeObservation
  readonly nowMs: number
  readonly alternate: AddressText
  readonly near: number
  /** undefined until the alternate address has answered. */
  readonly far: number | undefined
}

const phaseOne: readonly TestName[] = ['filtering-1', 'filtering-2', 'filtering-3']

export const dishonesty: Readonly<Record<'ignored' | 'misdirected' | 'refused', string>> = {
  ignored: 'it ignores CHANGE-REQUEST and answers from the address it was asked at',
  misdirected: 'it answers CHANGE-REQUEST from an address other than the one it announced',
  refused: 'it offers an alternate address but refuses CHANGE-REQUEST',
}

const isDishonest = (outcome: Outcome): outcome is keyof typeof dishonesty => Object.hasOwn(dishonesty, outcome)

/** `nowMs` on the clock of the observations. */
export function judgeFiltering(all: readonly ExchangeObservation[], server: number, nowMs: number): FilteringState {
  const exchanges = all.filter((exchange) => exchange.server === server)
  const control = find(exchanges, 'filtering-1')
  const primary = (control ?? find(exchanges, 'mapping-1'))?.to
  const pending: FilteringState = {
    finding: undefined,
    test2: 'pending',
    test3: 'pending',
    wanted: phaseOne,
    unfit: null,
  }
  const path = estimatePath(exchanges)
  if (!primary || !path) return pending
  const alternate = alternateOf(exchanges, server, primary)
  if (alternate === undefined) return pending
  if (alternate === null) {
    return {
      ...pending,
      finding: inconclusive('the server does not offer RFC 5780, so filtering was not tested'),
      wanted: [],
    }
  }
  if (alternate.problem) return disqualify(pending, alternate.problem)
  if (!control) return pending

  const near = horizonMs(path)
  const view = { exchanges, control, nowMs, alternate: alternate.address, near, far: farHorizon(exchanges, near) }
  const test2 = outcome(view, 'filtering-2', alternate.address)
  const test3 = outcome(view, 'filtering-3', mixAddress(control.to, alternate.address))
  const state = { ...pending, test2, test3 }
  const dishonest = [test2, test3].find(isDishonest)
  if (dishonest) return disqualify(state, dishonesty[dishonest])
  const judged = conclude(view, state)
  return judged.finding === undefined && isHopeless(view) ? tooLossy(view, judged) : judged
}

function conclude(view: View, state: FilteringState): FilteringState {
  const { test2, test3 } = state
  if (test2 === 'answered') {
    const why = `an answer from ${view.alternate} came in unasked`
    return { ...state, finding: observed('endpoint-independent', why), wanted: [] }
  }
  const rounds: TestName[] = phaseOne.filter(
    (test) => test === 'filtering-1' || (test === 'filtering-2' ? test2 : test3) === 'pending',
  )
  if (test2 === 'pending') return { ...state, wanted: rounds }
  const wanted: TestName[] = test3 === 'pending' ? rounds : []
  if (view.far === undefined) {
    if (isDead(view)) return disqualify(state, `its alternate address ${view.alternate} does not answer`)
    return { ...state, wanted: [...wanted, 'mapping-3'] }
  }
  if (test2 === 'quiet') return { ...state, wanted }
  return concludeSilence(view, state, wanted)
}

/** Test II was kept out, or never answered: the server has to show that it was the former. */
function concludeSilence(view: View, state: FilteringState, rounds: readonly TestName[]): FilteringState {
  const { test3 } = state
  const proof2 = prove(view, 'alternate')
  if (isFailed(proof2)) return disqualify(state, failures[proof2.result](view.alternate))
  const wanted = [...rounds, ...proof2.wanted]
  if (!alternateIsSteady(view)) wanted.push('open-alternate')
  if (cameLate(view, 'filtering-2')) return tooSlow(view, state)
  if (test3 === 'answered' && wanted.length === 0) return kept(view, state, 'address-dependent')
  if (test3 !== 'silent') return { ...state, wanted }
  const proof3 = prove(view, 'port')
  if (isFailed(proof3)) return disqualify(state, failures[proof3.result](mixAddress(view.control.to, view.alternate)))
  wanted.push(...proof3.wanted)
  if (wanted.length > 0) return { ...state, wanted }
  if (cameLate(view, 'filtering-3')) return tooSlow(view, state)
  return kept(view, state, 'address-and-port-dependent')
}

/** More stragglers than this share of the requests are no stragglers. */
const stragglers = 0.25

/**
 * Answers to the test itself that come after the opening were on their way before. One or two may have been overtaken
 * by others; when many come, the server is slow about CHANGE-REQUEST, and the silence before meant nothing.
 */
function cameLate(view: View, test: 'filtering-2' | 'filtering-3'): boolean {
  const { replies = [], sentAtMs = [] } = find(view.exchanges, test) ?? {}
  return replies.length > Math.max(2, stragglers * sentAtMs.length)
}

function tooSlow(view: View, state: FilteringState): FilteringState {
  const why = `answers to CHANGE-REQUEST from ${view.alternate} take too long to tell late from filtered`
  return { ...state, finding: inconclusive(why), wanted: [] }
}

const failures: Readonly<Record<'dead' | 'failed' | 'unproved', (address: AddressText) => string>> = {
  dead: (address) => `its address ${address} does not answer`,
  failed: (address) => `it does not answer CHANGE-REQUEST from ${address} even where the way for that is open`,
  unproved: (address) =>
    `whether it answers CHANGE-REQUEST from ${address} can't be shown behind this NAT, as it does not honour RESPONSE-PORT`,
}

const isFailed = (proof: Proof): proof is Proof & { result: keyof typeof failures } =>
  Object.hasOwn(failures, proof.result)

/** Does the way from the other address lose no more than the first, so that the silence can't be loss on it alone? */
function alternateIsSteady(view: View): boolean {
  const openedAt = find(view.exchanges, 'open-alternate')?.sentAtMs[0]
  const sent = find(view.exchanges, 'filtering-2')?.sentAtMs ?? []
  const unanswered = sent.filter((at) => openedAt === undefined || at < openedAt).length
  const stands = (['mapping-2', 'mapping-3', 'open-alternate', 'prove-alternate'] as const).map((test) =>
    standing(find(view.exchanges, test), view.nowMs, view.far ?? view.near),
  )
  const asked = stands.reduce((sum, it) => sum + it.sent, 0)
  const answered = stands.reduce((sum, it) => sum + it.answered, 0)
  return doubt(unanswered, { sent: asked, answered }) <= acceptedFarDoubt
}

function kept({ control }: View, state: FilteringState, value: FilteringBehavior): FilteringState {
  const { sentAtMs, replies } = control
  const heard = value === 'address-dependent' ? 'only from the server’s own IP' : 'only from where we had sent to'
  const why = `answers came in ${heard}, while ${Math.min(replies.length, sentAtMs.length)} of ${sentAtMs.length} control requests were answered`
  return { ...state, finding: observed(value, why), wanted: [] }
}

function disqualify(state: FilteringState, why: string): FilteringState {
  return { ...state, finding: inconclusive(`the server is unfit for the test: ${why}`), wanted: [], unfit: why }
}

function isHopeless({ exchanges, control }: View): boolean {
  const opener = find(exchanges, 'open-alternate')
  return control.sentAtMs.length >= mostRounds || (opener?.sentAtMs.length ?? 0) >= mostRounds
}

function tooLossy({ control }: View, state: FilteringState): FilteringState {
  const answered = Math.min(control.replies.length, control.sentAtMs.length)
  const why = `too many packets are lost to tell loss from filtering: ${answered} of ${control.sentAtMs.length} control requests were answered`
  return { ...state, finding: inconclusive(why), wanted: [] }
}

/** How long an answer from the alternate address may take, from the requests that went there directly. */
export function farHorizon(exchanges: readonly ExchangeObservation[], near: number): number | undefined {
  const rtts = (['mapping-2', 'mapping-3', 'open-alternate'] as const).flatMap((test) => {
    const exchange = find(exchanges, test)
    const reply = answer(exchange)
    return reply && exchange?.sentAtMs[0] !== undefined ? [reply.atMs - exchange.sentAtMs[0]] : []
  })
  return rtts.length === 0 ? undefined : Math.max(near, 1.3 * Math.min(...rtts) + 20)
}

function isDead(view: View): boolean {
  const asked = (['mapping-2', 'mapping-3'] as const).flatMap((test) => find(view.exchanges, test) ?? [])
  return (
    asked.length > 0 &&
    asked.every(
      (exchange) =>
        view.nowMs - (exchange.sentAtMs[0] ?? view.nowMs) >= deadAfterMs &&
        isSilent(exchange, view.control, view.nowMs, view.near),
    )
  )
}

/** Outcome of a CHANGE-REQUEST test that should be answered from `expected`, before our own packets opened the way. */
function outcome(view: View, test: 'filtering-2' | 'filtering-3', expected: AddressText): Outcome {
  const exchange = find(view.exchanges, test)
  if (!exchange) return 'pending'
  const openedAt = find(view.exchanges, test === 'filtering-2' ? 'open-alternate' : 'open-port')?.sentAtMs[0]
  const before = exchange.replies.filter(({ atMs }) => openedAt === undefined || atMs <= openedAt)
  if (before.some(({ from, errorCode }) => from === expected && errorCode === null)) return 'answered'
  const other = exchange.replies.find(({ from, errorCode }) => from !== expected || errorCode !== null)
  if (other) {
    if (other.errorCode !== null) return 'refused'
    return other.from === exchange.to ? 'ignored' : 'misdirected'
  }
  // The way was opened only after the silence had been established.
  if (openedAt !== undefined) return 'silent'
  if (!isSilent(exchange, view.control, view.nowMs, view.near)) return 'pending'
  // The last one, too, gets its time: once the way is open its answer would come in.
  if (view.nowMs - (exchange.sentAtMs.at(-1) ?? 0) < (view.far ?? view.near)) return 'quiet'
  return view.far !== undefined && isSilent(exchange, view.control, view.nowMs, view.far) ? 'silent' : 'quiet'
}
