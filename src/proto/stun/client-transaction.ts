/** One STUN request until it is answered or given up. RFC 8489 §6.2, §6.3.3, §6.3.4 */
import {
  after,
  type DeliveryFailure,
  elapsed,
  formatAddress,
  type Instant,
  NatcheckError,
  sameAddress,
  type StateMachine,
  type TransportAddress,
} from '../../core/index.ts'
import {
  decodeMessage,
  type ErrorCode,
  errorCode,
  get,
  type StunMessage,
  transactionKey,
  unknownComprehensionRequired,
} from '../../wire/index.ts'
import { defaultRtoMs } from './rtt-estimator.ts'

/** RFC 8489 §6.2.1, §6.2.2. */
export interface TransactionTiming {
  /** RTO: milliseconds until the first retransmission; each next interval is twice as long. */
  readonly rtoMs: number
  /** Rc: how often the request is sent in all. */
  readonly requestCount: number
  /** Rm: the last request is waited for Rm × the first RTO. */
  readonly lastWaitFactor: number
  /** Ti: milliseconds to wait over TCP or TLS, where the request is sent once. */
  readonly reliableTimeoutMs: number
}

/**
 * The values of RFC 8489: the request is sent at 0, 500, 1500, 3500, 7500, 15500 and 31500 ms, and given up at 39500
 * ms.
 */
export const rfc8489Timing: TransactionTiming = {
  rtoMs: defaultRtoMs,
  requestCount: 7,
  lastWaitFactor: 16,
  reliableTimeoutMs: 39_500,
}

/** What the credential mechanism makes of a reply. One that is not accepted counts as never received. */
export type ReplyCheck = { readonly accepted: true } | { readonly accepted: false; readonly why: string }

export interface TransactionOptions {
  /** The encoded request. Every retransmission is these very bytes: the server recognises it by them. */
  readonly request: Uint8Array
  readonly to: TransportAddress
  /** Over TCP or TLS nothing is repeated. */
  readonly reliable?: boolean | undefined
  readonly timing?: Partial<TransactionTiming> | undefined
  /** Judges integrity; without it every well-formed reply is accepted. RFC 8489 §9.1.4, §9.2.5 */
  readonly check?: ((reply: StunMessage) => ReplyCheck) | undefined
}

export type TransactionInput =
  /** A message that arrived, from anybody about anything: what isn't ours is left alone. */
  | { readonly kind: 'message'; readonly message: StunMessage; readonly from: TransportAddress }
  | { readonly kind: 'failure'; readonly failure: DeliveryFailure }
  /** The stream ended, or carries something else than STUN. */
  | { readonly kind: 'closed'; readonly why: string }
  /** The caller waits no longer: ends as if the last wait had passed. */
  | { readonly kind: 'deadline' }
  | { readonly kind: 'cancel' }

export type TransactionEffect =
  | { readonly kind: 'send'; readonly bytes: Uint8Array; readonly to: TransportAddress }
  /** Our transaction id, but not from where the request went: reported, never taken for the answer. */
  | { readonly kind: 'stray'; readonly from: TransportAddress; readonly message: StunMessage }
  | ({ readonly kind: 'discarded' } & DiscardedReply)
  | { readonly kind: 'done'; readonly outcome: TransactionOutcome }

/** A reply from the right place that proves nothing. */
export interface DiscardedReply {
  readonly message: StunMessage
  readonly why: string
}

/** How the request fared on the way. */
export interface TransactionMeasures {
  /** How often the request was sent. */
  readonly transmissions: number
  /** Milliseconds from the first transmission to the end. */
  readonly elapsedMs: number
}

export type TransactionOutcome = TransactionMeasures &
  (
    | ({ readonly kind: 'success' } & TransactionReply)
    | ({ readonly kind: 'error-response'; readonly error: ErrorCode } & TransactionReply)
    /**
     * The server answered with what we must understand and don't, or with an error that has no code. RFC 8489 §6.3.3,
     * §6.3.4
     */
    | { readonly kind: 'invalid-response'; readonly message: StunMessage; readonly why: string }
    | { readonly kind: 'timeout' }
    /** There were replies, and none could prove that the server wrote it. RFC 8489 §9.2.5 */
    | { readonly kind: 'integrity-violated'; readonly why: string }
    | { readonly kind: 'unreachable'; readonly failure: DeliveryFailure }
    | { readonly kind: 'closed'; readonly why: string }
    | { readonly kind: 'cancelled' }
  )

export interface TransactionReply {
  readonly message: StunMessage
  readonly from: TransportAddress
  /** Milliseconds; undefined when the request was repeated, for nobody can say which copy was answered (Karn). */
  readonly rttMs: number | undefined
}

/** The sans-IO client transaction. It sends for the first time when it is made; drain its effects then. */
export class ClientTransaction implements StateMachine<TransactionInput, TransactionEffect> {
  readonly #options: TransactionOptions
  readonly #timing: TransactionTiming
  readonly #method: number
  readonly #key: string
  readonly #startedAt: Instant
  readonly #effects: TransactionEffect[] = []
  #intervalMs: number
  #transmissions = 0
  #dueAt: Instant | undefined
  #violation: string | undefined

  /** Throws USAGE when `request` is no STUN request. */
  constructor(options: TransactionOptions, now: Instant) {
    const request = decodeMessage(options.request)
    if (!request.ok || request.value.class !== 'request') {
      throw new NatcheckError(
        'USAGE',
        `a transaction begins with a request: ${request.ok ? request.value.class : request.why}`,
      )
    }
    this.#options = options
    this.#timing = { ...rfc8489Timing, ...options.timing }
    this.#method = request.value.method
    this.#key = transactionKey(request.value.transactionId)
    this.#startedAt = now
    this.#intervalMs = this.#timing.rtoMs
    this.#transmit(now)
  }

  handleInput(input: TransactionInput, now: Instant): void {
    if (this.#dueAt === undefined) return
    switch (input.kind) {
      case 'message':
        if (transactionKey(input.message.transactionId) === this.#key) this.#handleReply(input.message, input.from, now)
        return
      case 'failure':
        if (input.failure.to === undefined || sameAddress(input.failure.to, this.#options.to)) {
          this.#finish({ ...this.#measures(now), kind: 'unreachable', failure: input.failure })
        }
        return
      case 'closed':
        return this.#finish({ ...this.#measures(now), kind: 'closed', why: input.why })
      case 'deadline':
        return this.#giveUp(now)
      case 'cancel':
        this.#finish({ ...this.#measures(now), kind: 'cancelled' })
    }
  }

  handleTimeout(now: Instant): void {
    if (this.#dueAt === undefined || now < this.#dueAt) return
    if (!this.#options.reliable && this.#transmissions < this.#timing.requestCount) this.#transmit(now)
    else this.#giveUp(now)
  }

  pollEffect(): TransactionEffect | undefined {
    return this.#effects.shift()
  }

  pollTimeout(): Instant | undefined {
    return this.#dueAt
  }

  /**
   * Times run from now and not from when this was due: after a suspended laptop wakes, the server gets its full time to
   * answer.
   */
  #transmit(now: Instant): void {
    const { request, to, reliable } = this.#options
    const { rtoMs, requestCount, lastWaitFactor, reliableTimeoutMs } = this.#timing
    this.#effects.push({ kind: 'send', bytes: request, to })
    this.#transmissions++
    const last = this.#transmissions >= requestCount
    const wait = reliable ? reliableTimeoutMs : last ? rtoMs * lastWaitFactor : this.#intervalMs
    this.#intervalMs *= 2
    this.#dueAt = after(now, wait)
  }

  #giveUp(now: Instant): void {
    const measures = this.#measures(now)
    if (this.#violation === undefined) this.#finish({ ...measures, kind: 'timeout' })
    else this.#finish({ ...measures, kind: 'integrity-violated', why: this.#violation })
  }

  #handleReply(message: StunMessage, from: TransportAddress, now: Instant): void {
    if (!sameAddress(from, this.#options.to)) {
      this.#effects.push({ kind: 'stray', from, message })
      return
    }
    if (message.class === 'request' || message.class === 'indication') {
      return this.#discard(message, `${formatAddress(from)} sent a ${message.class} with our transaction id`)
    }
    if (message.method !== this.#method) return this.#discard(message, 'the reply is to another method')
    const check = this.#options.check?.(message) ?? { accepted: true }
    if (!check.accepted) return this.#reject(message, check.why, now)
    const measures = this.#measures(now)
    const unknown = unknownComprehensionRequired(message)
    if (unknown.length > 0) {
      const types = unknown.map((type) => `0x${type.toString(16).padStart(4, '0')}`).join(', ')
      return this.#finish({ ...measures, kind: 'invalid-response', message, why: `unknown attributes ${types}` })
    }
    const reply = { message, from, rttMs: this.#transmissions === 1 ? measures.elapsedMs : undefined }
    if (message.class === 'success') return this.#finish({ ...measures, ...reply, kind: 'success' })
    const error = get(message, errorCode)
    if (!error) return this.#finish({ ...measures, kind: 'invalid-response', message, why: 'error without ERROR-CODE' })
    this.#finish({ ...measures, ...reply, kind: 'error-response', error })
  }

  /**
   * A reply that fails its check. On a datagram the true answer may still come; on a stream it can't. RFC 8489 §9.2.5
   */
  #reject(message: StunMessage, why: string, now: Instant): void {
    this.#violation ??= why
    this.#discard(message, why)
    if (this.#options.reliable) this.#finish({ ...this.#measures(now), kind: 'integrity-violated', why })
  }

  #discard(message: StunMessage, why: string): void {
    this.#effects.push({ kind: 'discarded', message, why })
  }

  #finish(outcome: TransactionOutcome): void {
    this.#dueAt = undefined
    this.#effects.push({ kind: 'done', outcome })
  }

  #measures(now: Instant): TransactionMeasures {
    return { transmissions: this.#transmissions, elapsedMs: elapsed(this.#startedAt, now) }
  }
}
