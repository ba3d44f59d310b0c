/** The checks that are under way: transactions, and what each is for. */
import { type DeliveryFailure, earliest, type Instant, sameAddress, type TransportAddress } from '../../core/index.ts'
import { shortTermKey, type StunMessage, transactionKey } from '../../wire/index.ts'
import { checkReply, ClientTransaction, type TransactionOutcome, type TransactionTiming } from '../stun/index.ts'
import { type CheckRequest, encodeCheck } from './check.ts'
import type { CandidatePair } from './pair.ts'

export interface RunningCheck {
  readonly pair: CandidatePair
  readonly request: CheckRequest
  readonly transaction: ClientTransaction
  /** A later check of this pair has taken over: not repeated any more, but an answer still counts. RFC 8445 §7.3.1.4 */
  superseded: boolean
}

/** How a check ended; `asymmetric`: answered, but not on the way it was sent. RFC 8445 §7.2.5.2.1 */
export interface FinishedCheck {
  readonly check: RunningCheck
  readonly outcome: TransactionOutcome | { readonly kind: 'asymmetric'; readonly from: TransportAddress }
}

export class RunningChecks {
  readonly #send: (bytes: Uint8Array, base: TransportAddress, to: TransportAddress) => void
  readonly #running = new Map<string, RunningCheck>()
  readonly #finished: FinishedCheck[] = []

  constructor(send: (bytes: Uint8Array, base: TransportAddress, to: TransportAddress) => void) {
    this.#send = send
  }

  start(pair: CandidatePair, request: CheckRequest, timing: Partial<TransactionTiming>, now: Instant): void {
    const transaction = new ClientTransaction(
      {
        request: encodeCheck(request),
        to: pair.remote.address,
        timing,
        check: (reply) => verify(reply, request),
      },
      now,
    )
    const check = { pair, request, transaction, superseded: false }
    this.#running.set(transactionKey(request.transactionId), check)
    this.#drain(check)
  }

  /** A response, from anybody. */
  receive(message: StunMessage, from: TransportAddress, base: TransportAddress, now: Instant): void {
    const check = this.#running.get(transactionKey(message.transactionId))
    if (!check) return
    if (sameAddress(base, check.pair.local.base)) {
      check.transaction.handleInput({ kind: 'message', message, from }, now)
      this.#drain(check)
    } else if (verify(message, check.request).accepted) this.#finish({ check, outcome: { kind: 'asymmetric', from } })
  }

  fail(failure: DeliveryFailure, base: TransportAddress, now: Instant): void {
    for (const check of this.#running.values()) {
      if (!sameAddress(check.pair.local.base, base)) continue
      check.transaction.handleInput({ kind: 'failure', failure }, now)
      this.#drain(check)
    }
  }

  handleTimeout(now: Instant): void {
    for (const check of this.#running.values()) {
      if (check.superseded) continue
      check.transaction.handleTimeout(now)
      this.#drain(check)
    }
  }

  /** Time is up for all of them. */
  expire(now: Instant): void {
    for (const check of this.#running.values()) {
      check.transaction.handleInput({ kind: 'deadline' }, now)
      this.#drain(check)
    }
  }

  /** One superseded check a pair is enough to hear late answers of. */
  supersede(pair: CandidatePair): void {
    for (const [key, check] of this.#running) {
      if (check.pair !== pair) continue
      if (check.superseded) this.#running.delete(key)
      check.superseded = true
    }
  }

  /** The pair's fate is settled: what is still under way has no more use. */
  forget(pair: CandidatePair): void {
    for (const [key, check] of this.#running) if (check.pair === pair) this.#running.delete(key)
  }

  pollFinished(): FinishedCheck | undefined {
    return this.#finished.shift()
  }

  pollTimeout(): Instant | undefined {
    const live = [...this.#running.values()].filter(({ superseded }) => !superseded)
    return earliest(...live.map(({ transaction }) => transaction.pollTimeout()))
  }

  #drain(check: RunningCheck): void {
    const { transaction, pair } = check
    for (let effect = transaction.pollEffect(); effect; effect = transaction.pollEffect()) {
      if (effect.kind === 'send') {
        pair.sent++
        this.#send(effect.bytes, pair.local.base, effect.to)
      } else if (effect.kind === 'stray') {
        // Nobody but the peer could have signed it, so this is how the path answers.
        if (verify(effect.message, check.request).accepted) {
          this.#finish({ check, outcome: { kind: 'asymmetric', from: effect.from } })
        }
      } else if (effect.kind === 'done') this.#finish({ check, outcome: effect.outcome })
    }
  }

  #finish(finished: FinishedCheck): void {
    const key = transactionKey(finished.check.request.transactionId)
    if (this.#running.delete(key)) this.#finished.push(finished)
  }
}

const verify = (reply: StunMessage, { credentials }: CheckRequest): ReturnType<typeof checkReply> =>
  checkReply(reply, { key: shortTermKey(credentials.password), algorithm: 'sha1' }, 'short-term')
