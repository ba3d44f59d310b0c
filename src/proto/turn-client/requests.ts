/** Requests on their way: each a client transaction, and one more for every challenge it meets. */
import { earliest, type Instant, NatcheckError, type Random, type TransportAddress } from '../../core/index.ts'
import {
  attribute,
  type EncodableAttribute,
  encodeMessage,
  get,
  type IntegrityOptions,
  newTransactionId,
  nonce,
  opaqueString,
  passwordAlgorithms,
  realm,
  software,
  type StunMessage,
  transactionKey,
  username,
} from '../../wire/index.ts'
import {
  answerChallenge,
  checkReply,
  ClientTransaction,
  type DiscardedReply,
  type LongTermCredentials,
  type LongTermSession,
  type RefusalCause,
  type RttEstimator,
  signRequest,
  type TransactionInput,
  type TransactionOutcome,
  type TransactionTiming,
} from '../stun/index.ts'
import type { TurnClientEffect, TurnObservation } from './types.ts'

export interface RequestsOptions {
  readonly random: Random
  readonly to: TransportAddress
  readonly reliable: boolean
  readonly credentials: LongTermCredentials | undefined
  readonly timing: Partial<TransactionTiming> | undefined
  readonly rtt: RttEstimator
  readonly fingerprint: boolean | undefined
}

export interface OutgoingRequest {
  readonly method: number
  /** Without credentials, integrity and fingerprint. */
  readonly attributes: readonly EncodableAttribute[]
  readonly deadline?: Instant | undefined
  /** Default: as the server's last challenge asks for. */
  readonly sign?: 'session' | 'never' | undefined
  /** Instead of the server's nonce. */
  readonly nonce?: string | undefined
  /** Default true. */
  readonly meetChallenges?: boolean | undefined
}

/** What became of a request. */
export interface EndedRequest {
  readonly outcome: TransactionOutcome
  /** Whether its last transaction proved who we are. */
  readonly signed: boolean
  /** Why a 401 or 438 was not met with another try. */
  readonly refusal: { readonly cause: RefusalCause | 'stale-nonce-loop'; readonly why: string } | undefined
  /** Where replies came from that count as none, because the request went elsewhere. The first few. */
  readonly strays: readonly TransportAddress[]
  readonly discarded: readonly DiscardedReply[]
  /** The stream carries something else than TURN. */
  readonly foreign: boolean
}

export type RequestEnd = (ended: EndedRequest, now: Instant) => void

/** One transaction's request, to be sent again. */
interface Sealed {
  readonly bytes: Uint8Array
  readonly key: string
  readonly integrity: IntegrityOptions | undefined
  readonly session: LongTermSession | undefined
}

interface Open {
  readonly request: OutgoingRequest
  readonly onEnd: RequestEnd
  readonly strays: TransportAddress[]
  readonly discarded: DiscardedReply[]
  sealed: Sealed
  transaction: ClientTransaction
  sentAt: Instant
  transactions: number
}

/** Names a request that is on its way. */
export type RequestHandle = symbol

/** One 401, and 438 three times: a server that finds every nonce of its own stale will go on doing so. */
const maxChallenges = 4

/** Enough to see a pattern; a flood is not evidence. */
const maxNotes = 8

export class Requests {
  /** What the server's last challenge said. */
  session: LongTermSession | undefined
  /** What came on the stream was no TURN. */
  foreign = false
  readonly #options: RequestsOptions
  readonly #emit: (effect: TurnClientEffect) => void
  readonly #open = new Map<RequestHandle, Open>()
  readonly #last = new Map<number, Sealed>()
  #closedWhy: string | undefined

  /** Throws USAGE for a username that no message can carry. */
  constructor(options: RequestsOptions, emit: (effect: TurnClientEffect) => void) {
    if (options.credentials) assertSendable(options.credentials)
    this.#options = options
    this.#emit = emit
  }

  /** Throws USAGE for attributes that no message can carry. `onEnd` is called once, perhaps before this returns. */
  begin(request: OutgoingRequest, now: Instant, onEnd: RequestEnd): RequestHandle {
    return this.#begin(request, this.#seal(request), now, onEnd)
  }

  /** The last request of this method again, byte for byte. Throws USAGE when there was none. */
  repeat(method: number, deadline: Instant | undefined, now: Instant, onEnd: RequestEnd): RequestHandle {
    const sealed = this.#last.get(method)
    if (!sealed) throw new NatcheckError('USAGE', 'no request of this method was sent that could be repeated')
    return this.#begin({ method, attributes: [], deadline, meetChallenges: false }, sealed, now, onEnd)
  }

  /** A message from anybody. Tells whether it belongs to a request that is still open. */
  handleMessage(message: StunMessage, from: TransportAddress, now: Instant): boolean {
    const key = transactionKey(message.transactionId)
    for (const [handle, { sealed }] of this.#open) {
      if (sealed.key !== key) continue
      this.#feed(handle, { kind: 'message', message, from }, now)
      return true
    }
    return false
  }

  /** Feeds every open request: delivery has failed, or the stream has ended. */
  handleAll(input: TransactionInput, now: Instant): void {
    if (input.kind === 'closed') this.#closedWhy ??= input.why
    const handles = [...this.#open.keys()]
    for (const handle of handles) this.#feed(handle, input, now)
  }

  isOpen(handle: RequestHandle): boolean {
    return this.#open.has(handle)
  }

  cancel(handle: RequestHandle, now: Instant): void {
    this.#feed(handle, { kind: 'cancel' }, now)
  }

  handleTimeout(now: Instant): void {
    const open = [...this.#open]
    for (const [handle, { request, transaction }] of open) {
      if (request.deadline !== undefined && now >= request.deadline) this.#feed(handle, { kind: 'deadline' }, now)
      else transaction.handleTimeout(now)
      this.#drain(handle, now)
    }
  }

  pollTimeout(): Instant | undefined {
    const waits = [...this.#open.values()].flatMap(({ request, transaction }) => [
      request.deadline,
      transaction.pollTimeout(),
    ])
    return earliest(...waits)
  }

  #begin(request: OutgoingRequest, sealed: Sealed, now: Instant, onEnd: RequestEnd): RequestHandle {
    const handle: RequestHandle = Symbol('request')
    if (this.#closedWhy !== undefined) {
      const outcome = { kind: 'closed', why: this.#closedWhy, transmissions: 0, elapsedMs: 0 } as const
      onEnd({ outcome, signed: false, refusal: undefined, strays: [], discarded: [], foreign: this.foreign }, now)
      return handle
    }
    const transaction = this.#transact(sealed, now)
    this.#open.set(handle, {
      request,
      onEnd,
      strays: [],
      discarded: [],
      sealed,
      transaction,
      sentAt: now,
      transactions: 1,
    })
    this.#drain(handle, now)
    return handle
  }

  #seal(request: OutgoingRequest): Sealed {
    const { credentials, fingerprint, random } = this.#options
    const session = request.sign === 'never' ? undefined : this.session
    const used = session && request.nonce !== undefined ? { ...session, nonce: request.nonce } : session
    const { attributes, integrity } = signRequest(request.attributes, credentials, used)
    const transactionId = newTransactionId(random)
    const { method } = request
    const bytes = encodeMessage({ class: 'request', method, transactionId, attributes, integrity, fingerprint })
    const sealed = { bytes, key: transactionKey(transactionId), integrity, session }
    this.#last.set(method, sealed)
    return sealed
  }

  #transact({ bytes, integrity }: Sealed, now: Instant): ClientTransaction {
    const { to, reliable, timing, rtt } = this.#options
    const check = (reply: StunMessage): ReturnType<typeof checkReply> => checkReply(reply, integrity, 'long-term')
    return new ClientTransaction({ request: bytes, to, reliable, timing: { rtoMs: rtt.rto(), ...timing }, check }, now)
  }

  #feed(handle: RequestHandle, input: TransactionInput, now: Instant): void {
    this.#open.get(handle)?.transaction.handleInput(input, now)
    this.#drain(handle, now)
  }

  #drain(handle: RequestHandle, now: Instant): void {
    const open = this.#open.get(handle)
    if (!open) return
    for (let effect = open.transaction.pollEffect(); effect; effect = open.transaction.pollEffect()) {
      switch (effect.kind) {
        case 'send':
          this.#emit({ kind: 'send', bytes: effect.bytes })
          break
        case 'stray':
          if (open.strays.length < maxNotes) open.strays.push(effect.from)
          this.#observe({ kind: 'stray', at: now, from: effect.from, method: effect.message.method })
          break
        case 'discarded':
          if (open.discarded.length < maxNotes) open.discarded.push({ message: effect.message, why: effect.why })
          this.#observe({ kind: 'discarded', at: now, from: this.#options.to, why: effect.why })
          break
        case 'done':
          this.#observe(observationOf(open, effect.outcome, now))
          this.#learn(effect.outcome)
          this.#settle(handle, open, effect.outcome, now)
          return
      }
    }
  }

  /** The end, or another try when it is a challenge that can be met. */
  #settle(handle: RequestHandle, open: Open, outcome: TransactionOutcome, now: Instant): void {
    const refusal = this.#meet(handle, open, outcome, now)
    if (refusal === 'met') return
    this.#open.delete(handle)
    const { strays, discarded } = open
    const signed = open.sealed.integrity !== undefined
    open.onEnd({ outcome, signed, refusal, strays, discarded, foreign: this.foreign }, now)
  }

  #meet(handle: RequestHandle, open: Open, outcome: TransactionOutcome, now: Instant): EndedRequest['refusal'] | 'met' {
    if (outcome.kind !== 'error-response') return undefined
    const challenge = answerChallenge(this.#options.credentials, open.sealed.session, outcome.message)
    if (!challenge) return undefined
    if (challenge.kind === 'refuse') return challenge
    // What was not signed can be challenged by anybody, and that must not weaken what was agreed on before.
    if (open.sealed.session !== undefined) this.session = challenge.session
    else this.session ??= challenge.session
    if (open.request.meetChallenges === false) return undefined
    if (open.transactions > maxChallenges) {
      const why = `the server found ${open.transactions} of its own nonces stale or unknown, one after the other`
      return { cause: 'stale-nonce-loop', why }
    }
    try {
      open.sealed = this.#seal(open.request)
    } catch {
      // A realm or nonce longer than any may be: it can be read, but not sent back.
      return { cause: 'bad-challenge', why: 'the REALM or NONCE of the server is too long to be sent back' }
    }
    open.transaction = this.#transact(open.sealed, now)
    open.sentAt = now
    open.transactions++
    this.#drain(handle, now)
    return 'met'
  }

  /** Karn's rule. A request that was never answered says nothing about the time answers take. */
  #learn(outcome: TransactionOutcome): void {
    if (outcome.kind !== 'success' && outcome.kind !== 'error-response') return
    if (outcome.rttMs !== undefined) this.#options.rtt.sample(outcome.rttMs)
    else this.#options.rtt.backOff()
  }

  #observe(observation: TurnObservation): void {
    this.#emit({ kind: 'observed', observation })
  }
}

/** Credentials are first sent in answer to a challenge, and that is too late to complain about them. */
function assertSendable({ username: name, password }: LongTermCredentials): void {
  opaqueString(password)
  const attributes = [attribute(username, opaqueString(name))]
  encodeMessage({ class: 'request', method: 0, transactionId: new Uint8Array(12), attributes })
}

function observationOf({ request, sealed, sentAt }: Open, outcome: TransactionOutcome, now: Instant): TurnObservation {
  const message = 'message' in outcome ? outcome.message : undefined
  return {
    kind: 'request',
    method: request.method,
    sentAt,
    endedAt: now,
    transmissions: outcome.transmissions,
    rttMs: 'rttMs' in outcome ? outcome.rttMs : undefined,
    signed: sealed.integrity !== undefined,
    result: outcome.kind,
    error: outcome.kind === 'error-response' ? outcome.error : undefined,
    software: message && get(message, software),
    realm: message && get(message, realm),
    nonce: message && get(message, nonce),
    passwordAlgorithms: message && get(message, passwordAlgorithms)?.map(({ algorithm }) => algorithm),
  }
}
