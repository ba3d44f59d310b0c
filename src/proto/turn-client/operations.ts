/** The caller's commands on their way: each is one request, and ends in one effect with its id. */
import type { Instant, TransportAddress } from '../../core/index.ts'
import { failureOf } from './failures.ts'
import type { Purpose } from './purposes.ts'
import type { RequestEnd, RequestHandle, Requests } from './requests.ts'
import type { OperationId, RawExchange, TurnClientEffect, TurnFailure } from './types.ts'

type OnFailure = (failure: TurnFailure, now: Instant) => void

export class Operations {
  readonly #requests: Requests
  readonly #to: TransportAddress
  readonly #emit: (effect: TurnClientEffect) => void
  readonly #handles = new Map<OperationId, RequestHandle>()

  constructor(requests: Requests, to: TransportAddress, emit: (effect: TurnClientEffect) => void) {
    this.#requests = requests
    this.#to = to
    this.#emit = emit
  }

  /** The caller hears of a failure, unless somebody else is to. */
  start(id: OperationId, purpose: Purpose, now: Instant, onFailure?: OnFailure): void {
    this.#begin(id, purpose, now, onFailure ?? ((failure) => this.#fail(id, failure)))
  }

  /** A request that nobody has asked for. */
  startOwn(purpose: Purpose, now: Instant, onFailure: OnFailure): void {
    this.#begin(undefined, purpose, now, onFailure)
  }

  exchange(id: OperationId, exchange: RawExchange, deadline: Instant | undefined, now: Instant): void {
    const { method, repeat, attributes = [], meetChallenges = false } = exchange
    const onEnd: RequestEnd = (ended) => {
      this.#handles.delete(id)
      const { outcome } = ended
      if (outcome.kind !== 'success' && outcome.kind !== 'error-response') {
        return this.#emit({ kind: 'failed', id, failure: failureOf(ended, 'exchange', this.#to) })
      }
      const error = outcome.kind === 'error-response' ? outcome.error : undefined
      this.#emit({ kind: 'exchanged', id, value: { message: outcome.message, error, rttMs: outcome.rttMs } })
    }
    const handle = repeat
      ? this.#requests.repeat(method, deadline, now, onEnd)
      : this.#requests.begin({ ...exchange, attributes, meetChallenges, deadline }, now, onEnd)
    this.#remember(id, handle)
  }

  cancel(id: OperationId, now: Instant): void {
    const handle = this.#handles.get(id)
    if (handle) this.#requests.cancel(handle, now)
  }

  #begin(id: OperationId | undefined, purpose: Purpose, now: Instant, onFailure: OnFailure): void {
    const handle = this.#requests.begin(purpose, now, (ended, at) => {
      if (id !== undefined) this.#handles.delete(id)
      const { outcome } = ended
      const failure =
        outcome.kind === 'success' ? purpose.onSuccess(outcome.message, at) : failureOf(ended, purpose.stage, this.#to)
      if (failure) onFailure(failure, at)
    })
    if (id !== undefined) this.#remember(id, handle)
  }

  #remember(id: OperationId, handle: RequestHandle): void {
    if (this.#requests.isOpen(handle)) this.#handles.set(id, handle)
  }

  #fail(id: OperationId, failure: TurnFailure): void {
    const { alternate: to } = failure
    this.#emit(to ? { kind: 'redirected', id, to, failure } : { kind: 'failed', id, failure })
  }
}
