/**
 * From exchanges to outcomes. "No answer" is a measurement: it counts as silence only when control requests,
 * sent just as often on the same way, were answered often enough that loss can't explain it.
 */
import type { AddressText, ExchangeObservation, ReplyObservation, TestName } from './observations.ts'
import { acceptedDoubt, horizonMs, type PathEstimate } from './pacing.ts'

/** RTTs over all exchanges; undefined while nothing was answered. */
export function estimatePath(exchanges: readonly ExchangeObservation[]): PathEstimate | undefined {
  let exact: PathEstimate | undefined
  let upperBound = Number.POSITIVE_INFINITY
  for (const { sentAtMs, replies, to, change } of exchanges) {
    const reply = change === 'none' ? replies.find(({ from }) => from === to) : undefined
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

/** The first success response from where it should come. */
export function answer(exchange: ExchangeObservation | undefined): ReplyObservation | undefined {
  if (!exchange) return undefined
  return exchange.replies.find((reply) => reply.from === exchange.to && reply.errorCode === null)
}

/** How often a request was sent long enough ago, and how many of those were answered. */
interface Tally {
  readonly sent: number
  readonly answered: number
}

function tally(exchange: ExchangeObservation, nowMs: number, path: PathEstimate): Tally {
  const horizon = horizonMs(path)
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
 * Is `exchange` silent beyond doubt? Only transmissions in [fromMs, …) count.
 * `control` is the exchange that shows how much the way loses.
 */
export function isSilent(
  exchange: ExchangeObservation,
  control: ExchangeObservation,
  nowMs: number,
  path: PathEstimate,
  fromMs: number = Number.NEGATIVE_INFINITY,
): boolean {
  const horizon = horizonMs(path)
  let unanswered = 0
  for (const sent of exchange.sentAtMs) if (sent >= fromMs && sent <= nowMs - horizon) unanswered++
  return doubt(unanswered, tally(control, nowMs, path)) <= acceptedDoubt
}

/** Did the control lose so little that more rounds aren't needed: sending can pause until the answers are due. */
export function enoughRounds(sent: number, control: ExchangeObservation, nowMs: number, path: PathEstimate): boolean {
  const known = tally(control, nowMs, path)
  // Those still under way are expected to be answered; when they aren't, this turns false again.
  const pending = control.sentAtMs.length - known.sent
  return doubt(sent, { sent: known.sent + pending, answered: known.answered + pending }) <= acceptedDoubt
}

export const find = (
  exchanges: readonly ExchangeObservation[],
  test: TestName,
  server?: number,
): ExchangeObservation | undefined =>
  exchanges.find((exchange) => exchange.test === test && (server === undefined || exchange.server === server))

/** IP part of an address text. */
export const ipOf = (address: AddressText): string => {
  const host = address.slice(0, address.lastIndexOf(':'))
  return host.startsWith('[') ? host.slice(1, -1) : host
}

/** Port part of an address text. */
export const portOf = (address: AddressText): number => Number(address.slice(address.lastIndexOf(':') + 1))
