/**
 * From exchanges to outcomes. "No answer" is a measurement: it counts as silence only when control requests,
 * sent just as often on the same way, were answered often enough that loss can't explain it.
 */
import { parseAddress, scopeOf } from '../../core/index.ts'
import type { AddressText, ExchangeObservation, ReplyObservation, TestName } from './observations.ts'
import { acceptedDoubt, type PathEstimate } from './pacing.ts'

/** RTTs to a server's primary address over these exchanges; undefined while nothing was answered. */
export function estimatePath(exchanges: readonly ExchangeObservation[]): PathEstimate | undefined {
  let exact: PathEstimate | undefined
  let upperBound = Number.POSITIVE_INFINITY
  for (const exchange of exchanges) {
    if (exchange.test !== 'mapping-1' && exchange.test !== 'filtering-1') continue
    const { sentAtMs } = exchange
    const reply = answer(exchange)
    if (reply === undefined || sentAtMs[0] === undefined) continue
    const rtt = Math.max(0.01, reply.atMs - sentAtMs[0])
    upperBound = Math.min(upperBound, rtt)
    // Karn's rule: after a retransmission nobody knows which transmission was answered.
    if (sentAtMs[1] !== undefined && sentAtMs[1] < reply.atMs) continue
    exact = { minRttMs: Math.min(exact?.minRttMs ?? rtt, rtt), maxRttMs: Math.max(exact?.maxRttMs ?? rtt, rtt) }
  }
  if (exact) return exact
  return upperBound === Number.POSITIVE_INFINITY ? undefined : { minRttMs: upperBound, maxRttMs: upperBound }
}

/** The first success response from where it should come, with an address in it. */
export function answer(exchange: ExchangeObservation | undefined): ReplyObservation | undefined {
  if (!exchange) return undefined
  return exchange.replies.find(({ from, errorCode, mapped }) => from === exchange.to && errorCode === null && mapped)
}

/** How often a request was sent long enough ago, and how many of those were answered. */
export interface Tally {
  readonly sent: number
  readonly answered: number
}

function tally(exchange: ExchangeObservation, nowMs: number, horizon: number): Tally {
  const due = exchange.sentAtMs.filter((sent) => sent <= nowMs - horizon)
  // Each answer is credited to the oldest transmission that it can belong to.
  let answered = 0
  let next = 0
  for (const { atMs } of exchange.replies) {
    while (next < due.length && atMs - (due[next] ?? 0) > 2 * horizon) next++
    if (next < due.length && (due[next] ?? 0) <= atMs) {
      answered++
      next++
    }
  }
  return { sent: due.length, answered }
}

/** As it stands now: an answer counts at once, a transmission without one only when its time has passed. */
export function standing(exchange: ExchangeObservation | undefined, nowMs: number, horizon: number, fromMs = 0): Tally {
  if (!exchange) return { sent: 0, answered: 0 }
  const sent = exchange.sentAtMs.filter((at) => at >= fromMs)
  const answered = Math.min(sent.length, exchange.replies.filter(({ atMs }) => atMs > fromMs).length)
  const due = sent.filter((at) => at <= nowMs - horizon).length
  return { sent: Math.max(due, answered), answered }
}

/**
 * The probability that `unanswered` requests were all lost, when of `control.sent` like them
 * `control.answered` came back: E[q^n] for q ~ Beta(1 + lost, 1 + answered).
 */
export function doubt(unanswered: number, control: Tally): number {
  const alpha = 1 + control.sent - control.answered
  const total = 2 + control.sent
  let probability = 1
  for (let i = 0; i < unanswered; i++) probability *= (alpha + i) / (total + i)
  return probability
}

/**
 * Is `exchange` silent beyond doubt? `horizon` is how long after sending an answer may still arrive; only
 * transmissions in [fromMs, …) count. `control` is the exchange that shows how much the way loses.
 */
export function isSilent(
  exchange: ExchangeObservation,
  control: ExchangeObservation,
  nowMs: number,
  horizon: number,
  fromMs: number = Number.NEGATIVE_INFINITY,
): boolean {
  let unanswered = 0
  for (const sent of exchange.sentAtMs) if (sent >= fromMs && sent <= nowMs - horizon) unanswered++
  return doubt(unanswered, tally(control, nowMs, horizon)) <= acceptedDoubt
}

/** Did the control lose so little that more rounds aren't needed: sending can pause until the answers are due. */
export function enoughRounds(sent: number, control: ExchangeObservation, nowMs: number, horizon: number): boolean {
  const known = tally(control, nowMs, horizon)
  // Of those still under way as many are expected to be answered as of those before; when they aren't, this turns false.
  const pending = control.sentAtMs.length - known.sent
  const expected = Math.floor(pending * (known.sent > 0 ? known.answered / known.sent : 1))
  return doubt(sent, { sent: known.sent + pending, answered: known.answered + expected }) <= acceptedDoubt
}

/** Has the way lost anything so far? */
export function isLossy(control: ExchangeObservation, nowMs: number, horizon: number): boolean {
  const { sent, answered } = tally(control, nowMs, horizon)
  return answered < sent
}

export const find = (
  exchanges: readonly ExchangeObservation[],
  test: TestName,
  server?: number,
): ExchangeObservation | undefined =>
  exchanges.find((exchange) => exchange.test === test && (server === undefined || exchange.server === server))

/** IP part of an address text. */
export const ipOf = (address: AddressText): string => parseAddress(address)?.ip ?? ''

/** Port part of an address text. */
export const portOf = (address: AddressText): number => parseAddress(address)?.port ?? 0

/** Beyond every NAT, as far as an address can tell. Documentation ranges stand for the internet in laboratories. */
export function isOuter(address: AddressText): boolean {
  const scope = scopeOf(ipOf(address))
  return scope === 'global' || scope === 'reserved'
}

/** Without the servers this side of the NAT, where some beyond it answered too: those see another address of us. */
export function outward(exchanges: readonly ExchangeObservation[]): readonly ExchangeObservation[] {
  const outer = exchanges.filter(({ to }) => isOuter(to))
  return outer.some((exchange) => answer(exchange)) ? outer : exchanges
}
