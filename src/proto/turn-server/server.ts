/** The TURN server. RFC 8656, over the long-term credentials of RFC 8489 */
import { earliest, type Instant, type StateMachine, type TransportAddress } from '../../core/index.ts'
import {
  attribute,
  decodeMessage,
  errorCode,
  fingerprint,
  get,
  has,
  type IcmpError,
  isClassic,
  Method,
  type StunMessage,
  unknownAttributes,
  unknownComprehensionRequired,
  verifyFingerprint,
} from '../../wire/index.ts'
import { BindingResponder } from '../stun/index.ts'
import { Allocator } from './allocate.ts'
import { knownAttributes } from './attributes.ts'
import type { Forwarding, MutableTraffic } from './forwarding.ts'
import { addressKey, type AddressKey } from './keys.ts'
import type { BindingAnswer, TurnServerOptions } from './options.ts'
import type { Inquiry } from './outbox.ts'
import type { PeerPolicy } from './peer-policy.ts'
import { handleChannelData, handlePeer, handlePeerError, handleSend } from './relaying.ts'
import { findAllocation, handleChannelBind, handleCreatePermission, handleRefresh } from './requests.ts'
import { SourceLimit, sourceLimitMemory } from './source-limit.ts'
import { type AuthenticRequest, ServerState } from './state.ts'
import type { TableEntry, TurnCounts } from './table.ts'
import type {
  AllocationInfo,
  ClientPath,
  DropReason,
  OpenFailure,
  RelayId,
  TurnEffect,
  TurnInput,
  TurnMachine,
} from './types.ts'

const defaultUnauthenticatedPerSecond = 100

/** Listeners are few; only a datapath that names a new server address with every packet would make more. */
const maxResponders = 256

/** Every input is one packet or one piece of news; every effect is one thing to do. Throws USAGE for bad options only. */
export class TurnServer implements TurnMachine, StateMachine<TurnInput, TurnEffect> {
  readonly forwarding: Forwarding
  readonly #state: ServerState
  readonly #allocator: Allocator
  readonly #limit: SourceLimit
  readonly #known: ReadonlySet<number>
  readonly #responders = new Map<AddressKey, BindingResponder>()
  #drained = false

  constructor(options: TurnServerOptions) {
    this.#state = new ServerState(options)
    this.forwarding = this.#state.table
    this.#allocator = new Allocator(this.#state)
    const { unauthenticatedPerSecond = defaultUnauthenticatedPerSecond, random, sourceLimit } = options
    this.#limit = new SourceLimit(unauthenticatedPerSecond, sourceLimit ?? sourceLimitMemory(random))
    this.#known = knownAttributes(options.dontFragment ?? false)
  }

  /** What there is now. */
  get counts(): TurnCounts {
    return this.#state.table.counts
  }

  /** What was relayed since the start, ended allocations included. */
  get traffic(): { readonly toPeer: Readonly<MutableTraffic>; readonly toClient: Readonly<MutableTraffic> } {
    return this.#state.table.total
  }

  get draining(): boolean {
    return this.#state.draining !== undefined
  }

  *allocations(): IterableIterator<AllocationInfo> {
    for (const allocation of this.#state.table.all()) if (allocation.relays.length > 0) yield allocation
  }

  /** Other rules from now on: permissions and channels that they forbid end, allocations stay. */
  setPeerPolicy(policy: PeerPolicy): void {
    this.#state.peerPolicy = policy
    for (const allocation of this.#state.table.all()) {
      for (const permission of allocation.permissions.values()) {
        const ip = typeof permission.key === 'string' ? permission.key : ipv4Text(permission.key)
        if (!policy.permits(ip)) this.#state.table.removePermission(permission)
      }
      for (const channel of allocation.channels?.values() ?? []) {
        if (!this.#state.permits(channel.peer, channel.path, allocation.username)) {
          this.#state.table.removeChannel(channel)
        }
      }
    }
  }

  handleInput(input: TurnInput, now: Instant): void {
    switch (input.kind) {
      case 'client':
        return this.handleClient(input.path, input.bytes, now)
      case 'client-gone':
        return this.handleClientGone(input.path, now)
      case 'peer':
        return this.handlePeer(input.relay, input.peer, input.bytes, now)
      case 'peer-error':
        return this.handlePeerError(input.relay, input.peer, input.icmp, now)
      case 'relay-opened':
        return this.handleRelayOpened(input.relay, now)
      case 'relay-failed':
        return this.handleRelayFailed(input.relay, input.why, now)
    }
  }

  handleClient(path: ClientPath, bytes: Uint8Array, now: Instant): void {
    this.handleTimeout(now)
    const first = bytes[0] ?? 0xff
    // RFC 7983 §7, with the channels of RFC 5766.
    if (first >= 0x40 && first <= 0x7f) return handleChannelData(this.#state, path, bytes, now)
    const decoded = first <= 3 ? decodeMessage(bytes) : undefined
    if (!decoded?.ok || decoded.value.bytes.length !== bytes.length) return this.#drop('malformed')
    this.#handleMessage(path, decoded.value, now)
  }

  handlePeer(relay: RelayId, peer: TransportAddress, bytes: Uint8Array, now: Instant): void {
    this.handleTimeout(now)
    handlePeer(this.#state, relay, peer, bytes, now)
  }

  handlePeerError(relay: RelayId, peer: TransportAddress, icmp: IcmpError, now: Instant): void {
    this.handleTimeout(now)
    handlePeerError(this.#state, relay, peer, icmp, now)
  }

  handleClientGone(path: ClientPath, now: Instant): void {
    this.handleTimeout(now)
    const allocation = this.#state.table.get(path.key)
    if (!allocation) return
    if (!this.#allocator.cancel(allocation, 'client-gone')) this.#state.table.end(allocation, 'client-gone')
    this.#tellWhenDrained()
  }

  handleRelayOpened(relay: RelayId, now: Instant): void {
    this.handleTimeout(now)
    this.#allocator.opened(relay, now)
  }

  handleRelayFailed(relay: RelayId, why: OpenFailure, now: Instant): void {
    this.handleTimeout(now)
    if (!this.#allocator.failed(relay, why, now)) {
      const { table } = this.#state
      for (const reservation of table.reservations.values()) {
        if (reservation.relay.id === relay) table.unreserve(reservation)
      }
      const open = table.relay(relay)
      if (open) table.closeRelay(open, 'failed')
    }
    this.#tellWhenDrained()
  }

  handleTimeout(now: Instant): void {
    const { timers } = this.#state.table
    let ended = false
    for (let entry = timers.first; entry !== undefined && entry.expiresAt <= now; entry = timers.first) {
      timers.remove(entry)
      this.#expire(entry)
      ended = true
    }
    const deadline = this.#state.draining?.deadline
    if (deadline !== undefined && deadline <= now && !this.#drained) this.#endAll()
    if (ended) this.#tellWhenDrained()
  }

  pollTimeout(): Instant | undefined {
    const deadline = this.#drained ? undefined : this.#state.draining?.deadline
    return earliest(this.#state.table.timers.first?.expiresAt, deadline)
  }

  pollEffect(): TurnEffect | undefined {
    return this.#state.outbox.poll()
  }

  drain(now: Instant, deadline?: Instant): void {
    this.#state.draining = { deadline }
    this.handleTimeout(now)
    this.#tellWhenDrained()
  }

  stop(_now: Instant): void {
    this.#state.draining ??= { deadline: undefined }
    this.#endAll()
  }

  #tellWhenDrained(): void {
    if (this.#drained || !this.#state.draining || this.#state.table.size > 0) return
    this.#drained = true
    // Nobody can claim these any more.
    const { table } = this.#state
    for (const reservation of table.reservations.values()) {
      table.unreserve(reservation)
      table.closeRelay(reservation.relay, 'drained')
    }
    this.#state.outbox.tell({ kind: 'drained' })
  }

  #endAll(): void {
    const { table } = this.#state
    for (const allocation of table.all()) {
      if (!this.#allocator.cancel(allocation, 'drained')) table.end(allocation, 'drained')
    }
    this.#tellWhenDrained()
  }

  #expire(entry: TableEntry): void {
    const { table } = this.#state
    switch (entry.kind) {
      case 'relay':
        return table.closeRelay(entry, 'expired')
      case 'permission':
        return table.removePermission(entry)
      case 'channel':
        return table.removeChannel(entry)
      case 'reservation':
        table.unreserve(entry)
        return table.closeRelay(entry.relay, 'abandoned')
      case 'opening':
        return this.#allocator.timedOutEntry(entry)
      case 'farewell':
        return table.removeFarewell(entry.key)
    }
  }

  #drop(reason: DropReason): void {
    this.#state.outbox.drop('client', reason)
  }

  #handleMessage(path: ClientPath, message: StunMessage, now: Instant): void {
    const isBinding = message.method === Method.binding
    if (isClassic(message) && !isBinding) return this.#drop('malformed')
    if (has(message, fingerprint) && !verifyFingerprint(message)) return this.#drop('bad-fingerprint')
    if (message.class === 'request') {
      if (isBinding) return this.#answerBinding(path, message, now)
      return authenticated.has(message.method) ? this.#handleRequest(path, message, now) : this.#drop('unexpected')
    }
    // Binding indications keep NAT mappings alive; there is nothing to do about them.
    if (message.class === 'indication' && isBinding) return
    if (message.class !== 'indication' || message.method !== Method.send) return this.#drop('unexpected')
    if (unknownComprehensionRequired(message, this.#known).length > 0) return this.#drop('unknown-attribute')
    handleSend(this.#state, path, message, now)
  }

  #answerBinding(path: ClientPath, { bytes }: StunMessage, now: Instant): void {
    if (this.#isFlooding(path, now)) return this.#drop('rate-limited')
    const { binding } = this.#state.options
    const answer = binding ? binding(bytes, path) : this.#bind(bytes, path)
    if (!answer) return this.#drop('malformed')
    const { outbox } = this.#state
    outbox.send(answer.path, answer.bytes)
    const decoded = decodeMessage(answer.bytes)
    const code = decoded.ok && decoded.value.class === 'error' ? get(decoded.value, errorCode)?.code : undefined
    if (code === undefined) outbox.tell({ kind: 'success-response', path, method: Method.binding })
    else outbox.tell({ kind: 'error-response', path, method: Method.binding, code })
  }

  #bind(bytes: Uint8Array, path: ClientPath): BindingAnswer | undefined {
    const key = addressKey(path.server)
    let responder = this.#responders.get(key)
    if (!responder) {
      // RFC 5780 is for servers that are there to tell NATs apart; here RESPONSE-PORT would only hit other ports.
      const { classic = false } = this.#state.options
      responder = new BindingResponder({ primary: path.server, classic, discovery: false })
      if (this.#responders.size < maxResponders) this.#responders.set(key, responder)
    }
    const reply = responder.respond(bytes, path.client, 'primary')
    return reply && { bytes: reply.bytes, path }
  }

  #handleRequest(path: ClientPath, request: StunMessage, now: Instant): void {
    const asked = this.#authenticate(path, request, now)
    if (!asked) return
    const unknown = unknownComprehensionRequired(request, this.#known)
    if (unknown.length > 0) {
      return this.#state.outbox.fail(asked.inquiry, 420, [attribute(unknownAttributes, unknown)])
    }
    switch (request.method) {
      case Method.allocate:
        return this.#allocator.handle(asked, now)
      case Method.refresh:
        handleRefresh(this.#state, asked, now)
        return this.#tellWhenDrained()
      case Method.createPermission:
        return handleCreatePermission(this.#state, asked, now)
      case Method.channelBind:
        return handleChannelBind(this.#state, asked, now)
      default:
        // RFC 6062's Connect and ConnectionBind, for which there are no allocations here.
        if (findAllocation(this.#state, asked)) this.#state.outbox.fail(asked.inquiry, 400, [], 'UDP allocation')
    }
  }

  /** The request with its sender; undefined when the answer was a challenge. */
  #authenticate(path: ClientPath, request: StunMessage, now: Instant): AuthenticRequest | undefined {
    const { auth, clock } = this.#state.options
    const inquiry: Inquiry = {
      path,
      method: request.method,
      transactionId: request.transactionId.slice(),
      integrity: undefined,
      fingerprint: has(request, fingerprint),
    }
    if (auth === 'none') return { request, inquiry, user: undefined }
    const known = this.#state.table.get(path.key)?.user
    const judgeExpiry = request.method === Method.allocate
    const result = auth.check(request, { client: path.client, now: clock.wallTime(), judgeExpiry, known })
    const { integrity } = result
    if (result.kind === 'authenticated') return { request, inquiry: { ...inquiry, integrity }, user: result.user }
    const { why, username, code, attributes } = result
    if (why !== 'no-credentials' && why !== 'stale-nonce') {
      this.#state.outbox.tell({ kind: 'auth-failure', path, method: request.method, why, username })
    }
    if (!integrity && this.#isFlooding(path, now)) this.#drop('rate-limited')
    else this.#state.outbox.fail({ ...inquiry, integrity }, code, attributes)
    return undefined
  }

  /** Streams can't be forged, so nobody can be flooded with their answers. */
  #isFlooding({ protocol, client }: ClientPath, now: Instant): boolean {
    return protocol === 'udp' && !this.#limit.admit(client.ip, now)
  }
}

const authenticated: ReadonlySet<number> = new Set([
  Method.allocate,
  Method.refresh,
  Method.createPermission,
  Method.channelBind,
  Method.connect,
  Method.connectionBind,
])

const ipv4Text = (value: number): string =>
  `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`
