/** Requests to one server as plain async calls: transactions, credentials and learned timing strung together. */
import {
  after,
  type Clock,
  type DeliveryFailure,
  Driver,
  type Random,
  type TransportAddress,
} from '../../core/index.ts'
import {
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  newTransactionId,
  type StunMessage,
  transactionKey,
} from '../../wire/index.ts'
import {
  ClientTransaction,
  type DiscardedReply,
  type ReplyCheck,
  type TransactionEffect,
  type TransactionInput,
  type TransactionOutcome,
  type TransactionTiming,
} from './client-transaction.ts'
import { answerChallenge, checkReply, type Credentials, type LongTermSession, signRequest } from './credentials.ts'
import { RttEstimator } from './rtt-estimator.ts'

export interface StunClientOptions {
  readonly clock: Clock
  readonly random: Random
  readonly to: TransportAddress
  /** Sends to `to`. A failure comes back through `fail` or `closed`. */
  send(bytes: Uint8Array): void
  /** Over TCP or TLS. */
  readonly reliable?: boolean | undefined
  readonly credentials?: Credentials | undefined
  /** Rc, Rm, Ti; and RTO, which is otherwise learned. */
  readonly timing?: Partial<TransactionTiming> | undefined
  /** Shared by whoever talks to the same server over the same transport. */
  readonly rtt?: RttEstimator | undefined
  /** Adds FINGERPRINT to every request. */
  readonly fingerprint?: boolean | undefined
}

export interface StunRequest {
  readonly method: number
  /** Without credentials, integrity and fingerprint. */
  readonly attributes?: readonly EncodableAttribute[] | undefined
  /** Milliseconds for the request with all its challenges; absent: as long as the timing takes. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What became of a request. Times, counts and the last reply are those of its last transaction. */
export type RequestOutcome = TransactionOutcome & {
  /** Transactions it took: 1, and 1 more for each challenge met. */
  readonly transactions: number
  /** Milliseconds from the first transmission of the first transaction. */
  readonly totalMs: number
  /** Whether integrity protected the reply. */
  readonly authenticated: boolean
  /** Why a 401 or 438 was not met with another try. */
  readonly refusal: string | undefined
  /** Replies with our transaction id from elsewhere, and those that proved nothing. The first few. */
  readonly strays: readonly StrayReply[]
  readonly discarded: readonly DiscardedReply[]
}

export interface StrayReply {
  readonly from: TransportAddress
  readonly message: StunMessage
}

/** One 401, and 438 three times: a server that finds every nonce of its own stale will go on doing so. */
const maxChallenges = 4

/** Enough to see a pattern; a flood is not evidence. */
const maxNotes = 8

interface Notes {
  readonly strays: StrayReply[]
  readonly discarded: DiscardedReply[]
}

/** Sends requests to one server and hears their answers. Whoever owns the socket feeds it with what arrives. */
export class StunClient {
  readonly rtt: RttEstimator
  readonly #options: StunClientOptions
  readonly #running = new Map<string, Driver<TransactionInput, TransactionEffect>>()
  #session: LongTermSession | undefined
  #closedWhy: string | undefined

  constructor(options: StunClientOptions) {
    this.#options = options
    this.rtt = options.rtt ?? new RttEstimator()
  }

  /** What the server's last challenge said; undefined before the first. */
  get session(): LongTermSession | undefined {
    return this.#session
  }

  /** A datagram from anybody. Tells whether it was a reply of ours. */
  receiveDatagram(bytes: Uint8Array, from: TransportAddress): boolean {
    const decoded = decodeMessage(bytes)
    return decoded.ok && this.receive(decoded.value, from)
  }

  /** A message from anybody. Tells whether it belongs to a request that is still open. */
  receive(message: StunMessage, from: TransportAddress): boolean {
    const driver = this.#running.get(transactionKey(message.transactionId))
    driver?.handle({ kind: 'message', message, from })
    return driver !== undefined
  }

  /** Delivery failed: every open request to that address ends. */
  fail(failure: DeliveryFailure): void {
    this.#end({ kind: 'failure', failure })
  }

  /** The stream has ended, or is no STUN: open and later requests end with `closed`. */
  closed(why: string): void {
    this.#closedWhy ??= why
    this.#end({ kind: 'closed', why })
  }

  /** Ends every open request with `cancelled`. */
  cancel(): void {
    this.#end({ kind: 'cancel' })
  }

  /** Resolves with what became of the request. Rejects only for attributes that no message can carry. */
  async request(request: StunRequest): Promise<RequestOutcome> {
    const { clock, credentials } = this.#options
    const startedAt = clock.now()
    const notes: Notes = { strays: [], discarded: [] }
    for (let transactions = 1; ; transactions++) {
      const session = this.#session
      const outcome = await this.#transact(request, remaining(request, clock.now() - startedAt), notes)
      const challenge =
        outcome.kind === 'error-response' ? answerChallenge(credentials, session, outcome.message) : undefined
      const tired = transactions > maxChallenges
      if (challenge?.kind === 'retry') {
        this.#session = challenge.session
        if (!tired) continue
      }
      const signed = credentials?.kind === 'short-term' || session !== undefined
      return {
        ...outcome,
        ...notes,
        transactions,
        totalMs: clock.now() - startedAt,
        authenticated: signed && challenge === undefined && 'message' in outcome,
        refusal: challenge?.kind === 'retry' ? tooManyNonces(transactions) : challenge?.why,
      }
    }
  }

  #end(input: TransactionInput): void {
    for (const driver of this.#running.values()) driver.handle(input)
  }

  /** One transaction to its end; none, when there is no use in beginning it. */
  #transact(request: StunRequest, timeoutMs: number | undefined, notes: Notes): Promise<TransactionOutcome> {
    const unsent = { transmissions: 0, elapsedMs: 0 } as const
    if (request.signal?.aborted) return Promise.resolve({ ...unsent, kind: 'cancelled' })
    if (this.#closedWhy !== undefined) return Promise.resolve({ ...unsent, kind: 'closed', why: this.#closedWhy })
    if (timeoutMs !== undefined && timeoutMs <= 0) return Promise.resolve({ ...unsent, kind: 'timeout' })
    const transactionId = newTransactionId(this.#options.random)
    const transaction = this.#begin(request, transactionId)
    return this.#run(transaction, transactionKey(transactionId), { ...request, timeoutMs }, notes)
  }

  #begin(request: StunRequest, transactionId: Uint8Array): ClientTransaction {
    const { clock, credentials, fingerprint, reliable, timing, to } = this.#options
    const signed = signRequest(request.attributes ?? [], credentials, this.#session)
    const bytes = encodeMessage({ class: 'request', method: request.method, transactionId, ...signed, fingerprint })
    const check = (reply: StunMessage): ReplyCheck => checkReply(reply, signed.integrity, credentials?.kind)
    const options = { request: bytes, to, reliable, timing: { rtoMs: this.rtt.rto(), ...timing }, check }
    return new ClientTransaction(options, clock.now())
  }

  #run(
    transaction: ClientTransaction,
    key: string,
    { signal, timeoutMs }: Pick<StunRequest, 'signal' | 'timeoutMs'>,
    notes: Notes,
  ): Promise<TransactionOutcome> {
    const { clock } = this.#options
    return new Promise((resolve) => {
      const driver = new Driver<TransactionInput, TransactionEffect>(transaction, clock, (effect) => {
        note(effect, notes)
        if (effect.kind === 'send') this.#options.send(effect.bytes)
        if (effect.kind !== 'done') return
        this.#running.delete(key)
        cancelDeadline?.()
        signal?.removeEventListener('abort', abort)
        this.#learn(effect.outcome)
        resolve(effect.outcome)
      })
      const abort = (): void => driver.handle({ kind: 'cancel' })
      signal?.addEventListener('abort', abort)
      const deadline = timeoutMs === undefined ? undefined : after(clock.now(), timeoutMs)
      const expire = (): void => driver.handle({ kind: 'deadline' })
      const cancelDeadline = deadline === undefined ? undefined : clock.schedule(deadline, expire)
      this.#running.set(key, driver)
      driver.start()
    })
  }

  /** Karn's rule. A request that was never answered says nothing about the time answers take. */
  #learn(outcome: TransactionOutcome): void {
    if (outcome.kind !== 'success' && outcome.kind !== 'error-response') return
    if (outcome.rttMs !== undefined) this.rtt.sample(outcome.rttMs)
    else this.rtt.backOff()
  }
}

function note(effect: TransactionEffect, { strays, discarded }: Notes): void {
  if (effect.kind === 'stray' && strays.length < maxNotes) strays.push({ from: effect.from, message: effect.message })
  if (effect.kind === 'discarded' && discarded.length < maxNotes) {
    discarded.push({ message: effect.message, why: effect.why })
  }
}

const tooManyNonces = (transactions: number): string =>
  `the server found ${transactions} of its own nonces stale or unknown, one after the other`

const remaining = ({ timeoutMs }: StunRequest, spentMs: number): number | undefined =>
  timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - spentMs)
