/**
 * Filtering behaviour (RFC 5780 §4.4) of one virgin socket towards one server, with two controls that the RFC
 * doesn't have: how much the way loses, and whether the server can answer from its other addresses at all.
 */
import type { FilteringBehavior } from '../../core/index.ts'
import { alternateOf, mixAddress } from './alternate.ts'
import { type Finding, inconclusive, observed } from './behaviors.ts'
import { answer, find, isSilent } from './evidence.ts'
import type { AddressText, ExchangeObservation, TestName } from './observations.ts'
import type { PathEstimate } from './pacing.ts'

/**
 * What a request has shown so far. `ignored`: answered, but from where it was sent to, as if nothing had been
 * asked; `misdirected`: answered from yet another address; `refused`: an error response.
 */
export type Outcome = 'pending' | 'answered' | 'silent' | 'ignored' | 'misdirected' | 'refused'

/**
 * Once our own packet has opened the way from the alternate address, a server that honours CHANGE-REQUEST is
 * heard. `impossible`: the NAT maps that destination elsewhere, so that nothing was opened for the answer.
 */
type Proof = 'pending' | 'proved' | 'failed' | 'dead' | 'impossible'

export interface FilteringState {
  /** undefined: more packets may still change it. */
  readonly finding: Finding<FilteringBehavior> | undefined
  readonly test2: Outcome
  readonly test3: Outcome
  /** Which tests are worth sending (again). */
  readonly wanted: readonly TestName[]
  /** Was the server's ability to answer from elsewhere proved wherever silence was taken for filtering? */
  readonly proved: boolean
}

const phaseOne: readonly TestName[] = ['filtering-1', 'filtering-2', 'filtering-3']

/** `nowMs` on the clock of the observations. */
export function judgeFiltering(
  all: readonly ExchangeObservation[],
  server: number,
  nowMs: number,
  path: PathEstimate | undefined,
): FilteringState {
  const exchanges = all.filter((exchange) => exchange.server === server)
  const control = find(exchanges, 'filtering-1')
  const primary = (control ?? find(exchanges, 'mapping-1'))?.to
  const pending: FilteringState = {
    finding: undefined,
    test2: 'pending',
    test3: 'pending',
    wanted: phaseOne,
    proved: false,
  }
  if (!primary || !path) return pending
  const alternate = alternateOf(exchanges, server, primary)
  if (alternate === undefined) return pending
  const settle = (why: string): FilteringState => ({ ...pending, finding: inconclusive(why), wanted: [] })
  if (alternate === null) return settle('the server does not offer RFC 5780, so filtering was not tested')
  if (alternate.problem) return settle(`the server is unfit for the test: ${alternate.problem}`)
  if (!control) return pending

  const view: View = { exchanges, control, nowMs, path, alternate: alternate.address }
  const test2 = outcome(view, 'filtering-2', alternate.address)
  const test3 = outcome(view, 'filtering-3', mixAddress(control.to, alternate.address))
  const dishonest = [test2, test3].find((it) => it === 'ignored' || it === 'misdirected' || it === 'refused')
  if (dishonest) return { ...settle(`the server is unfit for the test: ${dishonesty[dishonest]}`), test2, test3 }
  return conclude(view, test2, test3)
}

interface View {
  readonly exchanges: readonly ExchangeObservation[]
  readonly control: ExchangeObservation
  readonly nowMs: number
  readonly path: PathEstimate
  readonly alternate: AddressText
}

export const dishonesty: Readonly<Record<'ignored' | 'misdirected' | 'refused', string>> = {
  ignored: 'it ignores CHANGE-REQUEST and answers from the address it was asked at',
  misdirected: 'it answers CHANGE-REQUEST from an address other than the one it announced',
  refused: 'it offers an alternate address but refuses CHANGE-REQUEST',
}

function conclude(view: View, test2: Outcome, test3: Outcome): FilteringState {
  const state = { test2, test3, wanted: [], proved: true }
  if (test2 === 'answered') {
    return { ...state, finding: observed('endpoint-independent', `an answer from ${view.alternate} came in unasked`) }
  }
  const open: TestName[] = phaseOne.filter(
    (test) => test === 'filtering-1' || (test === 'filtering-2' ? test2 : test3) === 'pending',
  )
  if (test2 === 'pending') return { ...state, finding: undefined, wanted: open, proved: false }

  const proof2 = proof(view, 'filtering-2', 'open-alternate')
  if (proof2 === 'dead' || proof2 === 'failed') return { ...state, ...verdict(view, 'address-dependent', [proof2]) }
  const wanted: TestName[] = test3 === 'pending' ? open : []
  if (proof2 === 'pending') wanted.push('open-alternate', 'filtering-2')
  if (test3 === 'answered' && proof2 !== 'pending') {
    return { ...state, ...verdict(view, 'address-dependent', [proof2]) }
  }
  const proof3 = test3 === 'silent' ? proof(view, 'filtering-3', 'open-port') : 'pending'
  if (test3 === 'silent' && proof3 === 'pending') wanted.push('open-port', 'filtering-3')
  if (proof2 === 'pending' || proof3 === 'pending') return { ...state, finding: undefined, wanted, proved: false }
  return { ...state, ...verdict(view, 'address-and-port-dependent', [proof2, proof3]) }
}

function verdict(
  view: View,
  value: FilteringBehavior,
  proofs: readonly Proof[],
): { finding: Finding<FilteringBehavior>; proved: boolean } {
  const unfit = (why: string) => ({ finding: inconclusive(`the server is unfit for the test: ${why}`), proved: false })
  if (proofs.includes('dead')) return unfit(`its alternate address ${view.alternate} does not answer`)
  if (proofs.includes('failed')) {
    return unfit('it does not answer CHANGE-REQUEST from its other addresses even where the way for that is open')
  }
  const { sentAtMs, replies } = view.control
  const heard = value === 'address-dependent' ? 'only from the server’s own IP' : 'only from where we had sent to'
  const why = `answers came in ${heard}, while ${Math.min(replies.length, sentAtMs.length)} of ${sentAtMs.length} control requests were answered`
  return { finding: observed(value, why), proved: !proofs.includes('impossible') }
}

/** Outcome of a CHANGE-REQUEST test that should be answered from `expected`, before our own packets opened the way. */
function outcome(view: View, test: 'filtering-2' | 'filtering-3', expected: AddressText): Outcome {
  const exchange = find(view.exchanges, test)
  if (!exchange) return 'pending'
  const openedAt = find(view.exchanges, test === 'filtering-2' ? 'open-alternate' : 'open-port')?.sentAtMs[0]
  const before = exchange.replies.filter(({ atMs }) => openedAt === undefined || atMs <= openedAt)
  if (before.some(({ from, errorCode }) => from === expected && errorCode === null)) return 'answered'
  const other = exchange.replies.find(({ from }) => from !== expected)
  if (other) {
    if (other.errorCode !== null) return 'refused'
    return other.from === exchange.to ? 'ignored' : 'misdirected'
  }
  // The way was opened only after the silence had been established.
  if (openedAt !== undefined) return 'silent'
  return isSilent(exchange, view.control, view.nowMs, view.path) ? 'silent' : 'pending'
}

function proof(view: View, test: 'filtering-2' | 'filtering-3', opener: 'open-alternate' | 'open-port'): Proof {
  const opening = find(view.exchanges, opener)
  const openedAt = opening?.sentAtMs[0]
  if (!opening || openedAt === undefined) return 'pending'
  const changed = find(view.exchanges, test)
  const proved = changed?.replies.some(({ atMs, from }) => atMs > openedAt && from === opening.to)
  const mapped = answer(opening)?.mapped
  if (!mapped) {
    if (!isSilent(opening, view.control, view.nowMs, view.path)) return 'pending'
    return proved ? 'proved' : 'dead'
  }
  if (proved) return 'proved'
  if (mapped !== answer(view.control)?.mapped) return 'impossible'
  if (!changed) return 'pending'
  return isSilent(changed, view.control, view.nowMs, view.path, openedAt) ? 'failed' : 'pending'
}
