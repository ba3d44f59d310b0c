/** The NAT probe of one address family as a sans-IO machine: sends what the plan wants, when it is due. */
import {
  after,
  type DeliveryFailure,
  earliest,
  formatAddress,
  type Instant,
  parseAddress,
  type Random,
  sameAddress,
  type StateMachine,
  type TransportAddress,
} from '../../core/index.ts'
import { decodeMessage } from '../../wire/index.ts'
import type { TransactionBudget } from './budget.ts'
import { enoughRounds, estimatePath, find, isLossy } from './evidence.ts'
import {
  bindingIndication,
  bindingRequest,
  type Exchange,
  exchangeKey,
  newExchange,
  recordReply,
  type Stopwatch,
  toObservation,
} from './exchange.ts'
import { judgeMapping } from './mapping.ts'
import type { AddressText, ExchangeObservation } from './observations.ts'
import { farHorizon } from './filtering.ts'
import { blindScheduleMs, deadAfterMs, horizonMs, retransmitMs, roundMs, streamCheckAfterMs } from './pacing.ts'
import { firstRequestMs, type Plan, type PlanInput, plan, type Want } from './plan.ts'

export type ProbeInput =
  | { readonly kind: 'socket-opened'; readonly socket: string; readonly local: TransportAddress }
  | { readonly kind: 'datagram'; readonly socket: string; readonly bytes: Uint8Array; readonly from: TransportAddress }
  | { readonly kind: 'failure'; readonly socket: string; readonly failure: DeliveryFailure }

export type ProbeEffect =
  | { readonly kind: 'open-socket'; readonly socket: string }
  | { readonly kind: 'send'; readonly socket: string; readonly bytes: Uint8Array; readonly to: TransportAddress }
  /** No server answers over UDP: see whether TCP gets through. */
  | { readonly kind: 'try-streams' }
  | { readonly kind: 'finished' }

export interface FamilyProbeOptions {
  /** The servers' addresses; null where there is none of this family. */
  readonly servers: readonly (AddressText | null)[]
  /** A connected socket per server, opened beforehand: it hears ICMP errors, which an unconnected socket never does. */
  readonly companions: ReadonlyMap<number, TransportAddress>
  /** The list is the user's own: ask every server on it. */
  readonly exclusive: boolean
  readonly budget: TransactionBudget
  /** How many places of the budget to leave to a more urgent family. */
  readonly reserve: () => number
  /** Further sockets for the port assignment; `required`: the run waits for them. */
  readonly ports: PlanInput['ports']
  readonly random: Random
  readonly stopwatch: Stopwatch
  readonly timeoutMs: number
}

/** Public servers raced at first, and added each time when none of them answers. */
const raceWidth = 2
const widenAfterMs = 350
/** Widened later than this the last ones would have no time to answer before the network is taken for silent. */
const widenings = 2

/** New transactions of a whole run against one server: what the port assignment has to leave room for. */
export const transactionsOfARun = 10
/** The same where the mapping is known to be one for all, so that its test II is not needed. */
const transactionsOfASteadyRun = 9

export const companionSocket = (server: number): string => `reachability-${server}`

export class FamilyProbe implements StateMachine<ProbeInput, ProbeEffect> {
  readonly #options: FamilyProbeOptions
  readonly #exchanges: Exchange[] = []
  readonly #byKey = new Map<string, Exchange>()
  readonly #sockets = new Map<string, TransportAddress | 'opening'>()
  readonly #unmatched = new Set<AddressText>()
  readonly #effects: ProbeEffect[] = []
  #startedAt: Instant | undefined
  /** The server under test, and what the last plan knew besides. */
  #testing: number | undefined
  #answered = false
  #silentMs = 0
  #widened = 0
  #triedStreams = false
  #finished = false
  #wakeAt: Instant | undefined

  constructor(options: FamilyProbeOptions) {
    this.#options = options
    for (const [server, local] of options.companions) this.#sockets.set(companionSocket(server), local)
  }

  handleInput(input: ProbeInput, now: Instant): void {
    if (this.#finished) return
    if (input.kind === 'socket-opened') this.#sockets.set(input.socket, input.local)
    else if (input.kind === 'datagram') this.#receive(input.socket, input.bytes, input.from, now)
    else this.#fail(input.socket, input.failure, now)
    this.#step(now)
  }

  handleTimeout(now: Instant): void {
    if (!this.#finished && (this.#wakeAt === undefined || now >= this.#wakeAt)) this.#step(now)
  }

  pollEffect(): ProbeEffect | undefined {
    return this.#effects.shift()
  }

  pollTimeout(): Instant | undefined {
    return this.#finished ? undefined : this.#wakeAt
  }

  observations(): readonly ExchangeObservation[] {
    return this.#exchanges.map(toObservation)
  }

  /** Sources of STUN messages that answered nothing we had asked. */
  get unmatched(): readonly AddressText[] {
    return [...this.#unmatched]
  }

  /** New transactions of the verdict that may still come. */
  get needs(): number {
    if (this.#finished) return 0
    const testing = this.#testing
    // Nobody there so far: whoever else waits for places shall have them.
    if (testing === undefined) return this.#answered || this.#silentMs > streamCheckAfterMs ? 0 : transactionsOfARun
    const own = this.#exchanges.filter(({ server }) => server === testing)
    const begun = own.filter(({ test }) => test !== 'reachability' && test !== 'port-assignment').length
    const mapping = judgeMapping(this.#exchanges).value
    const steady = mapping === 'endpoint-independent' || mapping === 'none'
    return Math.max(0, (steady ? transactionsOfASteadyRun : transactionsOfARun) - begun)
  }

  /** Servers that were sent to. */
  get asked(): readonly number[] {
    const usable: number[] = []
    for (const [index, address] of this.#options.servers.entries()) if (address !== null) usable.push(index)
    return this.#options.exclusive ? usable : usable.slice(0, raceWidth * (1 + this.#widened))
  }

  #receive(socket: string, bytes: Uint8Array, from: TransportAddress, now: Instant): void {
    const decoded = decodeMessage(bytes)
    if (!decoded.ok || decoded.value.class === 'request' || decoded.value.class === 'indication') return
    const exchange = this.#byKey.get(exchangeKey(socket, decoded.value.transactionId))
    if (exchange) recordReply(exchange, decoded.value, from, this.#options.stopwatch.arrival(now))
    else this.#unmatched.add(formatAddress(from))
  }

  #fail(socket: string, { to, reason, detail }: DeliveryFailure, now: Instant): void {
    const atMs = this.#options.stopwatch.at(now)
    for (const exchange of this.#exchanges) {
      if (exchange.socket !== socket || exchange.failure || (to && !sameAddress(to, exchange.destination))) continue
      exchange.failure = { atMs, reason, detail }
    }
  }

  #step(now: Instant): void {
    this.#startedAt ??= now
    const runningMs = now - this.#startedAt
    const current = this.#plan(now)
    this.#testing = current.testing
    this.#answered = !current.silent
    const first = firstRequestMs(this.#exchanges)
    this.#silentMs = first === undefined ? 0 : this.#options.stopwatch.at(now) - first
    if (current.settled || runningMs >= this.#options.timeoutMs) {
      this.#finished = true
      this.#effects.push({ kind: 'finished' })
      return
    }
    this.#wakeAt = after(this.#startedAt, this.#options.timeoutMs)
    if (current.silent) this.#whileSilent(this.#silentMs, now)
    const nowMs = this.#options.stopwatch.at(now)
    for (const want of current.wants) this.#pursue(want, now, nowMs)
    this.#wakeWhenSilenceRipens(now, nowMs)
    // Whatever is due, time must go on, and by more than rounding takes away.
    const soonest = after(now, 0.1)
    if (this.#wakeAt < soonest) this.#wakeAt = soonest
  }

  #plan(now: Instant): Plan {
    const { servers, exclusive, stopwatch, ports } = this.#options
    const nowMs = stopwatch.started ? stopwatch.at(now) : 0
    return plan({ servers, exclusive, ports, asked: this.asked, exchanges: this.#exchanges, nowMs })
  }

  #whileSilent(silentMs: number, now: Instant): void {
    if (silentMs >= streamCheckAfterMs && !this.#triedStreams) {
      this.#triedStreams = true
      this.#effects.push({ kind: 'try-streams' })
    }
    this.#widened = Math.min(widenings, Math.floor(silentMs / widenAfterMs))
    this.#wakeBy(after(now, 50))
  }

  #wakeBy(at: Instant): void {
    this.#wakeAt = earliest(this.#wakeAt, at)
  }

  /** Nothing happens when an answer fails to come, so the moments from which that counts have to be looked out for. */
  #wakeWhenSilenceRipens(now: Instant, nowMs: number): void {
    for (const server of this.asked) {
      const own = this.#exchanges.filter((exchange) => exchange.server === server)
      const path = estimatePath(own)
      if (!path) continue
      const near = horizonMs(path)
      const far = farHorizon(own, near) ?? near
      for (const { test, sentAtMs, replies } of own) {
        if (test === 'reachability' || (replies.length > 0 && test !== 'filtering-1')) continue
        const last = sentAtMs[sentAtMs.length - 1] ?? 0
        for (const moment of [last + near, last + far, (sentAtMs[0] ?? 0) + deadAfterMs]) {
          if (moment + 0.1 > nowMs) this.#wakeBy(after(now, moment + 0.1 - nowMs))
        }
      }
    }
  }

  #pursue(want: Want, now: Instant, nowMs: number): void {
    const exchange = this.#exchanges.find(
      (it) => it.test === want.test && it.server === want.server && it.socket === want.socket,
    )
    if (!exchange && !this.#mayBegin(want, now)) return
    const socket = this.#sockets.get(want.socket)
    if (socket === undefined) {
      this.#sockets.set(want.socket, 'opening')
      this.#effects.push({ kind: 'open-socket', socket: want.socket })
    }
    if (socket === undefined || socket === 'opening') return
    if (!exchange) return this.#begin(want, socket, now)
    const due = this.#dueMs(exchange, nowMs)
    if (due === undefined) return
    if (due <= nowMs + 0.01) {
      if (want.test === 'mapping-1') this.#indicate(want, now)
      this.#send(exchange, now)
      this.#wakeBy(after(now, Math.max(0.1, (this.#dueMs(exchange, nowMs) ?? nowMs) - nowMs)))
    } else this.#wakeBy(after(now, due - nowMs))
  }

  #mayBegin({ test, optional }: Want, now: Instant): boolean {
    const { budget, reserve } = this.#options
    const kept = reserve() + (test === 'port-assignment' ? this.needs : 0)
    const free = budget.nextFree(now, kept)
    if (free === undefined) return true
    // What is optional is taken along or left; it is no reason to wake for.
    if (optional !== true) this.#wakeBy(free)
    return false
  }

  #begin(want: Want, local: TransportAddress, now: Instant): void {
    const to = parseAddress(want.to)
    if (!to || !this.#options.budget.tryTake(now, this.#options.reserve())) return
    const request = bindingRequest(this.#options.random, want.change, want.responsePort)
    const exchange = this.#add(newExchange({ ...want, local, to }, request))
    if (want.test === 'mapping-1') this.#indicate(want, now)
    this.#send(exchange, now)
    this.#wakeBy(after(now, 1))
  }

  /**
   * Over the connected companion socket, which alone learns what ICMP has to say. An indication provokes ICMP errors as a
   * request does, and is no transaction: nobody has to answer it. Repeated, since routers limit how many errors they send.
   */
  #indicate(want: Want, now: Instant): void {
    const socket = companionSocket(want.server)
    const local = this.#sockets.get(socket)
    const to = parseAddress(want.to)
    if (!to || local === undefined || local === 'opening') return
    const known = this.#exchanges.find((it) => it.socket === socket)
    if (known?.failure) return
    const plan = { test: 'reachability', server: want.server, socket, local, to, change: 'none' } as const
    this.#send(known ?? this.#add(newExchange(plan, bindingIndication(this.#options.random))), now)
  }

  #add(exchange: Exchange): Exchange {
    this.#exchanges.push(exchange)
    this.#byKey.set(exchange.key, exchange)
    return exchange
  }

  #send(exchange: Exchange, now: Instant): void {
    exchange.sentAtMs.push(this.#options.stopwatch.at(now))
    const { socket, bytes, destination: to } = exchange
    this.#effects.push({ kind: 'send', socket, bytes, to })
  }

  /** When a request leaves again, in milliseconds of the run; undefined: not until something else happens. */
  #dueMs(exchange: Exchange, nowMs: number): number | undefined {
    const { sentAtMs, test, server } = exchange
    const first = sentAtMs[0] ?? nowMs
    const last = sentAtMs[sentAtMs.length - 1] ?? nowMs
    const path = estimatePath(this.#exchanges.filter((it) => it.server === server))
    if (!path) {
      const wait = blindScheduleMs[sentAtMs.length]
      return wait === undefined ? undefined : first + wait
    }
    const control = find(this.#exchanges, 'filtering-1', server)
    const isRound = test === 'filtering-1' || test === 'filtering-2' || test === 'filtering-3'
    if (control && isRound) {
      const horizon = horizonMs(path)
      // All that are sure to be needed have left: wait for their answers before sending more.
      if (enoughRounds(sentAtMs.length, control, nowMs, horizon)) return Math.max(last + horizon + 0.1, nowMs + 1)
      return last + roundMs(path)
    }
    // Its answers also show how much the way from the other address loses.
    if (test === 'open-alternate') return last + roundMs(path)
    const patient = sentAtMs.length < 3 && !(control && isLossy(control, nowMs, horizonMs(path)))
    return last + (patient ? retransmitMs(path) : Math.max(leisurelyMs, roundMs(path)))
  }
}

/** Between the repeats of a request that three have not got answered, or that leaves on a lossy way. */
const leisurelyMs = 45
