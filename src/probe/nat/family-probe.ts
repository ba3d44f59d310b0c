/** The NAT probe of one address family as a sans-IO machine: sends what the plan wants, when it is due. */
import {
  after,
  type DeliveryFailure,
  earliest,
  type Instant,
  parseAddress,
  type Random,
  sameAddress,
  type StateMachine,
  type TransportAddress,
} from '../../core/index.ts'
import { decodeMessage } from '../../wire/index.ts'
import type { TransactionBudget } from './budget.ts'
import { enoughRounds, find } from './evidence.ts'
import {
  type BindingRequest,
  bindingRequest,
  type Exchange,
  exchangeKey,
  newExchange,
  recordReply,
  type Stopwatch,
  toObservation,
} from './exchange.ts'
import type { AddressText, ExchangeObservation } from './observations.ts'
import { blindScheduleMs, horizonMs, retransmitMs, roundMs, streamCheckAfterMs } from './pacing.ts'
import { type Plan, plan, type Want } from './plan.ts'

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
  readonly random: Random
  readonly stopwatch: Stopwatch
  readonly timeoutMs: number
}

/** Public servers raced at first, and added each time when none of them answers. */
const raceWidth = 2
const widenAfterMs = 350

export const companionSocket = (server: number): string => `reachability-${server}`

export class FamilyProbe implements StateMachine<ProbeInput, ProbeEffect> {
  readonly #options: FamilyProbeOptions
  readonly #exchanges: Exchange[] = []
  readonly #byKey = new Map<string, Exchange>()
  readonly #sockets = new Map<string, TransportAddress | 'opening'>()
  readonly #requests = new Map<number, BindingRequest>()
  readonly #effects: ProbeEffect[] = []
  #startedAt: Instant | undefined
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

  /** Transactions begun so far, repeats and shared ones not counted. */
  get begun(): number {
    return new Set(this.#exchanges.map(({ bytes }) => bytes)).size
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
    if (current.settled || runningMs >= this.#options.timeoutMs) {
      this.#finished = true
      this.#effects.push({ kind: 'finished' })
      return
    }
    if (current.silent) this.#whileSilent(runningMs)
    this.#wakeAt = after(this.#startedAt, this.#options.timeoutMs)
    if (current.silent) this.#wakeBy(after(now, 50))
    const nowMs = this.#options.stopwatch.at(now)
    for (const want of current.wants) this.#pursue(want, current, now, nowMs)
    // Whatever else is due, time must go on.
    if (this.#wakeAt <= now) this.#wakeAt = after(now, 0.1)
  }

  #plan(now: Instant): Plan {
    const { servers, exclusive, stopwatch } = this.#options
    const nowMs = stopwatch.started ? stopwatch.at(now) : 0
    return plan({ servers, exclusive, asked: this.asked, exchanges: this.#exchanges, nowMs })
  }

  #whileSilent(runningMs: number): void {
    if (runningMs >= streamCheckAfterMs && !this.#triedStreams) {
      this.#triedStreams = true
      this.#effects.push({ kind: 'try-streams' })
    }
    this.#widened = Math.floor(runningMs / widenAfterMs)
  }

  #wakeBy(at: Instant): void {
    this.#wakeAt = earliest(this.#wakeAt, at)
  }

  #pursue(want: Want, current: Plan, now: Instant, nowMs: number): void {
    const socket = this.#sockets.get(want.socket)
    if (socket === undefined) {
      this.#sockets.set(want.socket, 'opening')
      this.#effects.push({ kind: 'open-socket', socket: want.socket })
    }
    if (socket === undefined || socket === 'opening') return
    const exchange = this.#exchanges.find(
      (it) => it.test === want.test && it.server === want.server && it.socket === want.socket,
    )
    if (!exchange) return this.#begin(want, socket, now)
    const due = this.#dueMs(exchange, current, nowMs)
    if (due === undefined) return
    if (due <= nowMs + 0.01) {
      if (want.test === 'mapping-1') this.#repeatAlongside(want.server, now)
      this.#send(exchange, now)
      this.#wakeBy(after(now, Math.max(0.1, (this.#dueMs(exchange, current, nowMs) ?? nowMs) - nowMs)))
    } else this.#wakeBy(after(now, due - nowMs))
  }

  #begin(want: Want, local: TransportAddress, now: Instant): void {
    const to = parseAddress(want.to)
    if (!to) return
    // The same bytes from further sockets are the same transaction for the server: no new work, no new id.
    const shared =
      want.test === 'port-assignment' || want.test === 'mapping-1' ? this.#requests.get(want.server) : undefined
    if (!shared && !this.#options.budget.tryTake(now, this.#options.reserve())) {
      this.#wakeBy(this.#options.budget.nextFree(now, this.#options.reserve()) ?? after(now, 20))
      return
    }
    const request = shared ?? bindingRequest(this.#options.random, want.change)
    const exchange = this.#add(newExchange({ ...want, local, to }, request))
    if (want.test === 'mapping-1') {
      this.#requests.set(want.server, request)
      this.#alongside(want, request, to, now)
    }
    this.#send(exchange, now)
    this.#wakeBy(after(now, 1))
    // One after another, so that the order of the NAT's new mappings is known.
    if (want.test === 'port-assignment') this.#wakeBy(after(now, 2))
  }

  /** The same request over the connected companion socket, which learns what ICMP has to say. */
  #alongside(want: Want, request: BindingRequest, to: TransportAddress, now: Instant): void {
    const socket = companionSocket(want.server)
    const local = this.#sockets.get(socket)
    if (local === undefined || local === 'opening') return
    const plan = { test: 'reachability', server: want.server, socket, local, to, change: 'none' } as const
    this.#send(this.#add(newExchange(plan, request)), now)
  }

  /** Until it has heard something: the first ICMP error may get lost, or a router's limit on them be used up. */
  #repeatAlongside(server: number, now: Instant): void {
    const exchange = this.#exchanges.find((it) => it.test === 'reachability' && it.server === server)
    if (exchange && exchange.replies.length === 0 && !exchange.failure) this.#send(exchange, now)
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
  #dueMs(exchange: Exchange, { path }: Plan, nowMs: number): number | undefined {
    const { sentAtMs, test, server } = exchange
    const first = sentAtMs[0] ?? nowMs
    const last = sentAtMs[sentAtMs.length - 1] ?? nowMs
    if (!path) {
      const wait = blindScheduleMs[sentAtMs.length]
      return wait === undefined ? undefined : first + wait
    }
    const control = find(this.#exchanges, 'filtering-1', server)
    const opener = test === 'filtering-3' ? 'open-port' : 'open-alternate'
    const opened = test.startsWith('filtering-') ? find(this.#exchanges, opener, server) : undefined
    if (control && test.startsWith('filtering-') && (test === 'filtering-1' || !opened)) {
      // All that are sure to be needed have left: wait for their answers before sending more.
      if (enoughRounds(sentAtMs.length, control, nowMs, path)) return Math.max(last + horizonMs(path) + 0.1, nowMs + 1)
      return last + roundMs(path)
    }
    // Proof wanted: along with the packet that opened the way, then as often as that one.
    const since = opened ? sentAtMs.filter((sent) => sent >= (opened.sentAtMs[0] ?? 0)) : sentAtMs
    if (since.length === 0) return nowMs
    return last + (since.length < 3 ? retransmitMs(path) : roundMs(path))
  }
}
