/** One request and its answers while they happen. */
import { formatAddress, type Instant, type Random, type TransportAddress } from '../../core/index.ts'
import {
  attribute,
  changedAddress,
  changeRequest,
  encodeMessage,
  type EncodableAttribute,
  errorCode,
  get,
  mappedAddress,
  Method,
  newTransactionId,
  otherAddress,
  responsePort,
  type StunMessage,
  transactionKey,
  xorMappedAddress,
} from '../../wire/index.ts'
import type { Change, ExchangeObservation, FailureObservation, ReplyObservation, TestName } from './observations.ts'

/** Enough for every repeat of a test; a flood of answers is not evidence. */
const maxReplies = 64

/** An ExchangeObservation that still grows. */
export interface Exchange extends ExchangeObservation {
  readonly sentAtMs: number[]
  readonly replies: ReplyObservation[]
  failure: FailureObservation | null
  readonly destination: TransportAddress
  readonly bytes: Uint8Array
  /** Socket and transaction id: what an answer is matched by. */
  readonly key: string
}

export interface ExchangePlan {
  readonly test: TestName
  readonly server: number
  readonly socket: string
  readonly local: TransportAddress
  readonly to: TransportAddress
  readonly change: Change
}

/** The transaction id and the encoded request. */
export interface BindingRequest {
  readonly id: Uint8Array
  readonly bytes: Uint8Array
}

export function bindingRequest(random: Random, change: Change, port?: number): BindingRequest {
  const id = newTransactionId(random)
  const attributes: EncodableAttribute[] = []
  if (change !== 'none') {
    attributes.push(attribute(changeRequest, { changeIp: change === 'ip-and-port', changePort: true }))
  }
  if (port !== undefined) attributes.push(attribute(responsePort, port))
  return { id, bytes: encodeMessage({ class: 'request', method: Method.binding, transactionId: id, attributes }) }
}

/** RFC 8489 §6.3.2: a message that nobody answers. */
export function bindingIndication(random: Random): BindingRequest {
  const id = newTransactionId(random)
  return { id, bytes: encodeMessage({ class: 'indication', method: Method.binding, transactionId: id }) }
}

export function newExchange(plan: ExchangePlan, request: BindingRequest): Exchange {
  return {
    test: plan.test,
    socket: plan.socket,
    local: formatAddress(plan.local),
    server: plan.server,
    to: formatAddress(plan.to),
    change: plan.change,
    sentAtMs: [],
    replies: [],
    failure: null,
    destination: plan.to,
    bytes: request.bytes,
    key: exchangeKey(plan.socket, request.id),
  }
}

export const exchangeKey = (socket: string, transactionId: Uint8Array): string =>
  `${socket} ${transactionKey(transactionId)}`

/** Records an answer with our transaction id, from wherever it came. */
export function recordReply(exchange: Exchange, message: StunMessage, from: TransportAddress, atMs: number): void {
  if (exchange.replies.length >= maxReplies) return
  const xor = get(message, xorMappedAddress)
  const plain = get(message, mappedAddress)
  const other = get(message, otherAddress) ?? get(message, changedAddress)
  const mapped = xor ?? plain
  exchange.replies.push({
    atMs,
    from: formatAddress(from),
    mapped: mapped ? formatAddress(mapped) : null,
    mappedPlain: xor && plain ? formatAddress(plain) : null,
    otherAddress: other ? formatAddress(other) : null,
    bytes: message.bytes.length,
    errorCode: message.class === 'error' ? (get(message, errorCode)?.code ?? 0) : null,
  })
}

/** The observation without what only the running probe needs. */
export function toObservation(exchange: Exchange): ExchangeObservation {
  const { test, socket, local, server, to, change, sentAtMs, replies, failure } = exchange
  return { test, socket, local, server, to, change, sentAtMs: [...sentAtMs], replies: [...replies], failure }
}

/** Milliseconds since the first packet of the run; the first caller sets the origin. */
export class Stopwatch {
  #origin: Instant | undefined
  #lastArrival = Number.NEGATIVE_INFINITY

  at(now: Instant): number {
    this.#origin ??= now
    // Microseconds are below what any clock here resolves; rounding keeps reports readable.
    return Math.round((now - this.#origin) * 1000) / 1000
  }

  /** As `at`, but never twice the same: the order in which answers arrived must survive in the report. */
  arrival(now: Instant): number {
    this.#lastArrival = Math.max(this.at(now), Math.round((this.#lastArrival + 0.001) * 1000) / 1000)
    return this.#lastArrival
  }

  get started(): boolean {
    return this.#origin !== undefined
  }
}
