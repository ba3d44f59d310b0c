/**
 * A full ICE agent for diagnosis: it forms every pair, checks all of them, and reports the whole matrix instead of
 * stopping at the first success. RFC 8445 §5–8, candidates trickling in by RFC 8838.
 */
import {
  after,
  earliest,
  elapsed,
  formatAddress,
  type Instant,
  type Random,
  type StateMachine,
  type TransportAddress,
} from '../../core/index.ts'
import {
  decodeMessage,
  get,
  looksLikeStun,
  newTransactionId,
  type StunMessage,
  xorMappedAddress,
} from '../../wire/index.ts'
import type { TransactionTiming } from '../stun/index.ts'
import type { IceAgentOptions, IceEffect, IceInput, IceReport } from './agent-types.ts'
import type { Candidate } from './candidate.ts'
import { CandidateTable } from './candidate-table.ts'
import { acceptCheck, failureOf, type IncomingCheck, readCheck, refuseRole } from './check.ts'
import { Checklist } from './checklist.ts'
import { checkCredentials, type IceCredentials, newIceCredentials } from './credentials.ts'
import { type CandidatePair, type IceRole, isFinished, pairFoundation, reportPair } from './pair.ts'
import { Nomination } from './nomination.ts'
import { peerReflexivePriority } from './priority.ts'
import { type FinishedCheck, type RunningCheck, RunningChecks } from './running-checks.ts'

const defaultDeadlineMs = 20_000

/**
 * Five requests at 0, 0.5, 1.5, 3.5 and 7.5 s, and 2 s for the last answer. RFC 8489's seven take 39.5 s, which nobody
 * waits for, and what five have not opened the last two won't.
 */
const checkTiming: Partial<TransactionTiming> = { requestCount: 5, lastWaitFactor: 4 }

/** RFC 8445 §14.3: never below 500 ms. */
const minimumRtoMs = 500

/** Sans-IO. It answers the peer's checks for as long as it is fed. */
export class IceAgent implements StateMachine<IceInput, IceEffect> {
  readonly credentials: IceCredentials
  readonly #options: IceAgentOptions
  readonly #candidates: CandidateTable
  readonly #checklist: Checklist
  readonly #checks: RunningChecks
  readonly #effects: IceEffect[] = []
  readonly #ended = { local: false, remote: false }
  readonly #nomination = new Nomination()
  #role: IceRole
  #tieBreaker: bigint
  #remote: IceCredentials | undefined
  #startedAt: Instant | undefined
  #nextCheckAt: Instant | undefined
  #deadlineAt: Instant | undefined
  #expired = false
  #settled = false

  constructor(options: IceAgentOptions) {
    this.#options = options
    this.#role = options.role
    this.credentials = options.credentials ?? newIceCredentials(options.random)
    this.#tieBreaker = newTieBreaker(options.random)
    const { maxPairs = 100 } = options
    // As many candidates as pairs: more could never be checked.
    this.#candidates = new CandidateTable(maxPairs)
    this.#checklist = new Checklist(maxPairs)
    this.#checks = new RunningChecks((bytes, base, to) => this.#effects.push({ kind: 'send', bytes, base, to }))
  }

  get role(): IceRole {
    return this.#role
  }

  /** The matrix as it stands now. */
  report(): IceReport {
    const pairs = this.#checklist.pairs.map(reportPair)
    const nominated = pairs.find((pair) => pair.nominated) ?? null
    return { role: this.#role, pairs, nominated, passedOver: this.#candidates.passedOver }
  }

  handleInput(input: IceInput, now: Instant): void {
    switch (input.kind) {
      case 'remote-credentials':
        this.#begin(input.credentials, now)
        break
      case 'local-candidate':
        if (this.#candidates.addLocal(input.candidate)) {
          for (const remote of this.#candidates.remotes) this.#checklist.add(input.candidate, remote, this.#role)
        }
        break
      case 'remote-candidate':
        this.#addRemote(input.candidate)
        break
      case 'end-of-candidates':
        this.#ended[input.side] = true
        break
      case 'datagram':
        this.#receive(input.bytes, input.from, input.base, now)
        break
      case 'failure':
        this.#checks.fail(input.failure, input.base, now)
    }
    this.#advance(now)
  }

  handleTimeout(now: Instant): void {
    this.#checks.handleTimeout(now)
    this.#advance(now)
  }

  pollEffect(): IceEffect | undefined {
    return this.#effects.shift()
  }

  pollTimeout(): Instant | undefined {
    const next = this.#remote && this.#checklist.hasNext ? this.#nextCheckAt : undefined
    const deadline = this.#expired ? undefined : this.#deadlineAt
    return earliest(next, this.#checks.pollTimeout(), deadline, this.#nomination.pollTimeout())
  }

  #begin(credentials: IceCredentials, now: Instant): void {
    this.#remote ??= credentials
    if (this.#startedAt !== undefined) return
    this.#startedAt = now
    this.#nextCheckAt = now
    this.#deadlineAt = after(now, this.#options.deadlineMs ?? defaultDeadlineMs)
  }

  /** A peer-reflexive candidate may turn out to be one that the description had not brought yet. */
  #addRemote(candidate: Candidate): void {
    const added = this.#candidates.addRemote(candidate)
    if (added?.kind === 'known') {
      for (const pair of this.#checklist.pairs) if (pair.remote === added.was) pair.remote = added.remote
      this.#checklist.reprioritise(this.#role)
    }
    if (!added) return
    for (const local of this.#candidates.locals) {
      const isPaired = this.#checklist.pairs.some((pair) => pair.local === local && pair.remote === added.remote)
      if (!isPaired) this.#checklist.add(local, added.remote, this.#role)
    }
  }

  /** All that follows from what has just happened. */
  #advance(now: Instant): void {
    if (!this.#expired && this.#deadlineAt !== undefined && now >= this.#deadlineAt) this.#expire(now)
    this.#conclude(now)
    this.#checkNext(now)
    // A check may end at once, where there is no route.
    this.#conclude(now)
    this.#settle(now)
  }

  #expire(now: Instant): void {
    this.#expired = true
    this.#checks.expire(now)
    this.#conclude(now)
    this.#checklist.abandon((pair) => this.#fail(pair, 'not checked: time was up', now))
  }

  #checkNext(now: Instant): void {
    if (!this.#remote || this.#nextCheckAt === undefined || now < this.#nextCheckAt) return
    const pair = this.#checklist.next()
    if (!pair) return
    this.#nextCheckAt = after(now, this.#options.taMs ?? 50)
    pair.state = 'in-progress'
    pair.startedAtMs ??= this.#sinceStart(now)
    this.#startCheck(pair, this.#remote, false, now)
    this.#tell(pair)
  }

  #startCheck(pair: CandidatePair, remote: IceCredentials, nominate: boolean, now: Instant): void {
    const { random, taMs = 50, timing } = this.#options
    const request = {
      transactionId: newTransactionId(random),
      credentials: checkCredentials(this.credentials, remote),
      priority: peerReflexivePriority(pair.local.priority),
      role: this.#role,
      tieBreaker: this.#tieBreaker,
      nominate,
    }
    const open = this.#checklist.pairs.filter(({ state }) => state === 'waiting' || state === 'in-progress').length
    // RFC 8445 §14.3: all checks together keep to the pace of Ta.
    const rtoMs = Math.max(minimumRtoMs, taMs * open)
    this.#checks.start(pair, request, { ...checkTiming, rtoMs, ...timing }, now)
  }

  #receive(bytes: Uint8Array, from: TransportAddress, base: TransportAddress, now: Instant): void {
    const decoded = looksLikeStun(bytes) ? decodeMessage(bytes) : undefined
    if (!decoded?.ok) {
      this.#effects.push({ kind: 'data', bytes, base, from })
      return
    }
    const message = decoded.value
    if (message.class === 'success' || message.class === 'error') this.#checks.receive(message, from, base, now)
    else if (message.class === 'request') this.#answer(message, from, base)
  }

  /** RFC 8445 §7.3 */
  #answer(request: StunMessage, from: TransportAddress, base: TransportAddress): void {
    const check = readCheck(request, this.credentials)
    if (!check) return
    const send = (bytes: Uint8Array): void => void this.#effects.push({ kind: 'send', bytes, base, to: from })
    if (check.kind === 'refused') return send(check.reply)
    if (check.role === this.#role) {
      // The larger tie-breaker controls.
      const weControl = this.#tieBreaker >= check.tieBreaker
      if (weControl === (this.#role === 'controlling')) return send(refuseRole(request, this.credentials))
      this.#switchRole()
    }
    send(acceptCheck(request, from, this.credentials))
    const pair = this.#pairOf(check, from, base)
    if (!pair) return
    pair.received++
    if (!this.#expired) this.#trigger(pair)
    if (check.nominates && this.#role === 'controlled') {
      if (pair.state === 'succeeded') this.#nominate(pair)
      else pair.nominateOnSuccess = true
    }
  }

  /** The pair that a check arrived on. Who is not known yet has a peer-reflexive candidate. RFC 8445 §7.3.1.3 */
  #pairOf(
    check: IncomingCheck & { readonly kind: 'check' },
    from: TransportAddress,
    base: TransportAddress,
  ): CandidatePair | undefined {
    const known = this.#checklist.find(base, from)
    if (known) return known
    const local = this.#candidates.localAt(base)
    const remote = local && this.#candidates.remoteAt(from, check.priority, local.component)
    return remote && this.#checklist.add(local, remote, this.#role)
  }

  /** RFC 8445 §7.3.1.4 */
  #trigger(pair: CandidatePair): void {
    if (pair.state === 'succeeded') return
    if (pair.state === 'in-progress') this.#checks.supersede(pair)
    pair.state = 'waiting'
    pair.why = null
    pair.endedAtMs = null
    pair.triggered = true
    this.#checklist.trigger(pair)
  }

  #switchRole(): void {
    this.#role = this.#role === 'controlling' ? 'controlled' : 'controlling'
    this.#nomination.reset()
    this.#checklist.reprioritise(this.#role)
    this.#effects.push({ kind: 'role', role: this.#role })
  }

  #conclude(now: Instant): void {
    for (let done = this.#checks.pollFinished(); done; done = this.#checks.pollFinished()) this.#finish(done, now)
  }

  #finish({ check, outcome }: FinishedCheck, now: Instant): void {
    const { pair } = check
    if (outcome.kind === 'success') return this.#succeed(check, outcome.message, outcome.rttMs, now)
    if (outcome.kind === 'error-response' && outcome.error.code === 487) return this.#giveWay(check)
    if (check.request.nominate) {
      this.#nomination.failed(pair)
      return
    }
    // The check that has taken over will tell.
    if (check.superseded) return
    const why =
      outcome.kind === 'asymmetric'
        ? `answered from ${formatAddress(outcome.from)}, or to another address of ours: the way back is not the way there`
        : failureOf(outcome, pair.received)
    this.#fail(pair, why, now)
  }

  /** RFC 8445 §7.2.5.1 */
  #giveWay({ pair, request }: RunningCheck): void {
    if (this.#role === request.role) this.#switchRole()
    this.#tieBreaker = newTieBreaker(this.#options.random)
    if (pair.state === 'in-progress' && !this.#expired) {
      pair.state = 'waiting'
      this.#checklist.trigger(pair)
    }
  }

  /** RFC 8445 §7.2.5.3 */
  #succeed({ pair, request }: RunningCheck, reply: StunMessage, rttMs: number | undefined, now: Instant): void {
    const mapped = get(reply, xorMappedAddress)
    if (!mapped) return this.#fail(pair, 'the answer names no address of ours', now)
    this.#checks.forget(pair)
    this.#checklist.withdraw(pair)
    pair.rttMs ??= rttMs ?? null
    pair.valid = { local: this.#candidates.localSeenAs(mapped, pair.local, request.priority), remote: pair.remote }
    if (pair.state !== 'succeeded') {
      pair.state = 'succeeded'
      pair.why = null
      pair.endedAtMs = this.#sinceStart(now)
      this.#checklist.unfreeze(pairFoundation(pair))
    }
    const isNomination = this.#role === 'controlling' ? request.nominate : pair.nominateOnSuccess
    if (isNomination) this.#nominate(pair)
    else this.#tell(pair)
  }

  #fail(pair: CandidatePair, why: string, now: Instant): void {
    this.#checks.forget(pair)
    pair.state = 'failed'
    pair.why = why
    pair.endedAtMs = this.#sinceStart(now)
    this.#tell(pair)
  }

  #nominate(pair: CandidatePair): void {
    if (pair.nominated) return
    pair.nominated = true
    this.#tell(pair)
  }

  /**
   * When every check has ended the controlling agent nominates the best valid pair (RFC 8445 §8.1.1), and the
   * controlled one waits for that.
   */
  #settle(now: Instant): void {
    const { pairs } = this.#checklist
    const complete = this.#expired || (this.#remote && this.#ended.local && this.#ended.remote)
    if (!this.#remote || !complete || !pairs.every(isFinished)) {
      this.#settled = false
      this.#nomination.reset()
      return
    }
    if (this.#settled) return
    const next = this.#nomination.next(this.#role, pairs, now)
    if (next === 'wait') return
    if (next) return this.#startCheck(next, this.#remote, true, now)
    this.#settled = true
    this.#nomination.reset()
    this.#effects.push({ kind: 'settled', report: this.report() })
  }

  #tell(pair: CandidatePair): void {
    this.#effects.push({ kind: 'pair', pair: reportPair(pair) })
  }

  #sinceStart(now: Instant): number {
    return elapsed(this.#startedAt ?? now, now)
  }
}

const newTieBreaker = (random: Random): bigint =>
  random.bytes(8).reduce((value, byte) => value * 256n + BigInt(byte), 0n)
