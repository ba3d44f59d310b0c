/** The TURN client of one 5-tuple. RFC 8656, with the long-term credentials of RFC 8489 */
import {
  type DeliveryFailure,
  earliest,
  formatAddress,
  type Instant,
  type Random,
  sameAddress,
  type StateMachine,
  type TransportAddress,
  type TransportProtocol,
} from '../../core/index.ts'
import {
  type ChannelData,
  type ChannelNumber,
  encodeChannelData,
  encodeMessage,
  Method,
  methodName,
  newTransactionId,
  type StreamFrame,
  type StunMessage,
} from '../../wire/index.ts'
import { type LongTermCredentials, type LongTermSession, RttEstimator, type TransactionTiming } from '../stun/index.ts'
import { readDataIndication, sendAttributes } from './data.ts'
import { Inbound } from './framing.ts'
import { type HeldAllocation, Holdings } from './holdings.ts'
import { Operations } from './operations.ts'
import { allocating, bindingChannel, permitting, refreshing, releasing } from './purposes.ts'
import { Requests } from './requests.ts'
import type { Allocation, ChannelBinding, DataVia, Loss, TurnClientEffect, TurnClientInput } from './types.ts'

export interface TurnClientOptions {
  readonly random: Random
  /** The server. */
  readonly to: TransportAddress
  readonly protocol: TransportProtocol
  /** Absent: for servers that relay for everybody. */
  readonly credentials?: LongTermCredentials | undefined
  /** Rc, Rm, Ti; and RTO, which is otherwise learned. */
  readonly timing?: Partial<TransactionTiming> | undefined
  /** Shared by whoever talks to the same server over the same transport. */
  readonly rtt?: RttEstimator | undefined
  /** Adds FINGERPRINT to every request. */
  readonly fingerprint?: boolean | undefined
}

type Command<K extends TurnClientInput['kind']> = Extract<TurnClientInput, { kind: K }>
/** More peers make no message that fits a datagram everywhere. */
const peersPerRequest = 20

/**
 * Commands go in by `handleInput`, and each ends in one effect with its id. What was granted is renewed in time until
 * `release`. Throws USAGE for values that no message can carry; never for what a server sends.
 */
export class TurnClient implements StateMachine<TurnClientInput, TurnClientEffect> {
  readonly rtt: RttEstimator
  readonly #options: TurnClientOptions
  readonly #requests: Requests
  readonly #inbound: Inbound
  readonly #holdings = new Holdings()
  readonly #effects: TurnClientEffect[] = []
  readonly #operations: Operations
  /** Asked for in the Allocate, and so in every Send indication. */
  #dontFragment = false

  constructor(options: TurnClientOptions) {
    const { random, to, protocol, credentials, timing, fingerprint, rtt = new RttEstimator() } = options
    this.#options = options
    this.rtt = rtt
    this.#inbound = new Inbound(protocol)
    this.#requests = new Requests(
      { random, to, reliable: protocol !== 'udp', credentials, timing, rtt, fingerprint },
      (effect) => this.#emit(effect),
    )
    this.#operations = new Operations(this.#requests, to, (effect) => this.#emit(effect))
  }

  /** What the server's last challenge said; undefined before the first. */
  get session(): LongTermSession | undefined {
    return this.#requests.session
  }

  /** What is held; undefined before it is granted and after it is released or lost. */
  get allocation(): Allocation | undefined {
    return this.#holdings.allocation?.allocation
  }

  channelOf(peer: TransportAddress): ChannelNumber | undefined {
    return this.#holdings.channelOf(peer)
  }

  handleInput(input: TurnClientInput, now: Instant): void {
    switch (input.kind) {
      case 'received':
        for (const frame of this.#inbound.push(input.bytes)) this.#handleFrame(frame, input.from, now)
        return
      case 'failure':
        return this.#fail(input.failure, now)
      case 'closed':
        return this.#close(input.why, now)
      case 'cancel':
        return this.#operations.cancel(input.id, now)
      case 'send':
        return this.#send(input.peer, input.bytes, input.via)
      case 'allocate':
        return this.#allocate(input, now)
      case 'move':
        return this.#move(input, now)
      case 'permit':
        return this.#permit(input, now)
      case 'bind-channel':
        return this.#bindChannel(input, now)
      case 'refresh':
        return this.#refresh(input, now)
      case 'release':
        return this.#release(input, now)
      case 'exchange':
        return this.#operations.exchange(input.id, input.exchange, input.deadline, now)
    }
  }

  handleTimeout(now: Instant): void {
    this.#requests.handleTimeout(now)
    const { allocation, peers, channels } = this.#holdings.takeDue(now)
    if (allocation) this.#renewAllocation(allocation, now)
    for (let first = 0; first < peers.length; first += peersPerRequest) {
      this.#renewPermissions(peers.slice(first, first + peersPerRequest), now)
    }
    for (const binding of channels) this.#renewChannel(binding, now)
  }

  pollEffect(): TurnClientEffect | undefined {
    return this.#effects.shift()
  }

  pollTimeout(): Instant | undefined {
    return earliest(this.#requests.pollTimeout(), this.#holdings.nextDue())
  }

  // Commands

  #allocate({ id, options, deadline }: Command<'allocate'>, now: Instant): void {
    this.#dontFragment = options.dontFragment ?? false
    const purpose = allocating(options, (allocation, at) => {
      this.#holdings.holdAllocation(allocation, at)
      this.#emit({ kind: 'allocated', id, value: allocation })
    })
    this.#operations.start(id, { ...purpose, deadline }, now)
  }

  #move({ id, allocation, deadline }: Command<'move'>, now: Instant): void {
    const purpose = refreshing(allocation, undefined, (moved, at) => {
      this.#holdings.holdAllocation(moved, at)
      this.#emit({ kind: 'allocated', id, value: moved })
    })
    this.#operations.start(id, { ...purpose, deadline }, now)
  }

  #permit({ id, peers, deadline }: Command<'permit'>, now: Instant): void {
    const purpose = permitting(peers, (at) => {
      this.#holdings.holdPermissions(peers, at)
      this.#emit({ kind: 'permitted', id, value: peers })
    })
    this.#operations.start(id, { ...purpose, deadline }, now)
  }

  /** The channel that the peer has already is bound again. */
  #bindChannel({ id, peer, channel, deadline }: Command<'bind-channel'>, now: Instant): void {
    const chosen = channel ?? this.#holdings.channelOf(peer) ?? this.#holdings.takeChannel()
    if (chosen === undefined) {
      const why = 'every channel number was used: a new allocation has them all again'
      return this.#emit({ kind: 'failed', id, failure: { stage: 'channel', cause: 'error', why } })
    }
    const binding = { channel: chosen, peer }
    const purpose = bindingChannel(binding, (at) => {
      this.#holdings.holdChannel(binding, at)
      this.#emit({ kind: 'channel-bound', id, value: binding })
    })
    this.#inbound.expectChannelData()
    this.#operations.start(id, { ...purpose, deadline }, now)
  }

  #refresh({ id, lifetimeSeconds, deadline }: Command<'refresh'>, now: Instant): void {
    if (lifetimeSeconds === 0) return this.#release({ kind: 'release', id, deadline }, now)
    const purpose = refreshing(this.allocation, lifetimeSeconds, (refreshed, at) => {
      this.#keep(refreshed, at)
      this.#emit({ kind: 'refreshed', id, value: refreshed.lifetimeSeconds })
    })
    this.#operations.start(id, { ...purpose, deadline }, now)
  }

  #release({ id, deadline }: Command<'release'>, now: Instant): void {
    this.#holdings.clear()
    const released = (): void => this.#emit({ kind: 'released', id, value: undefined })
    this.#operations.start(id, { ...releasing(released), deadline }, now, (failure) => {
      // RFC 8656 §8.3: a client that hears 437 has what it wanted.
      if (failure.error?.code === 437) released()
      else this.#emit({ kind: 'failed', id, failure })
    })
  }

  /** Requests are small: a datagram too big was the caller's data. */
  #fail(failure: DeliveryFailure, now: Instant): void {
    const { reason, detail } = failure
    if (reason === 'message-too-big') return this.#discard(`data too big to be sent (${detail})`, this.#options.to, now)
    this.#requests.handleAll({ kind: 'failure', failure }, now)
  }

  // Renewals

  #renewAllocation({ allocation, expiresAt }: HeldAllocation, now: Instant): void {
    // Without LIFETIME the server would fall back to its default.
    const purpose = refreshing(allocation, allocation.lifetimeSeconds, (refreshed, at) => this.#keep(refreshed, at))
    this.#operations.startOwn({ ...purpose, deadline: expiresAt }, now, (failure) => {
      if (this.allocation) this.#lose({ what: 'allocation', failure })
    })
  }

  /** One peer that is denied fails a request of several: then each goes alone, and only the denied one is lost. */
  #renewPermissions(peers: readonly TransportAddress[], now: Instant): void {
    const purpose = permitting(peers, (at) => this.#holdings.holdPermissions(peers, at))
    this.#operations.startOwn(purpose, now, (failure, at) => {
      const [first] = peers
      if (!this.allocation || !first) return
      if (peers.length === 1) this.#lose({ what: 'permission', ip: first.ip, failure })
      else for (const peer of peers) this.#renewPermissions([peer], at)
    })
  }

  #renewChannel(binding: ChannelBinding, now: Instant): void {
    const purpose = bindingChannel(binding, (at) => this.#holdings.holdChannel(binding, at))
    this.#operations.startOwn(purpose, now, (failure) => {
      if (this.allocation) this.#lose({ what: 'channel', channel: binding.channel, failure })
    })
  }

  /** Unless it was released meanwhile. */
  #keep(refreshed: Allocation, now: Instant): void {
    if (this.allocation) this.#holdings.holdAllocation(refreshed, now)
  }

  #lose(lost: Loss): void {
    if (lost.what === 'allocation') this.#holdings.clear()
    else if (lost.what === 'permission') this.#holdings.dropPermission(lost.ip)
    else this.#holdings.dropChannel(lost.channel)
    this.#emit({ kind: 'lost', lost })
  }

  #close(why: string, now: Instant): void {
    this.#requests.handleAll({ kind: 'closed', why }, now)
    if (this.allocation) this.#lose({ what: 'allocation', failure: { stage: 'refresh', cause: 'closed', why } })
  }

  // Data

  #send(peer: TransportAddress, bytes: Uint8Array, via: DataVia): void {
    const channel = via === 'channel' ? this.#holdings.channelOf(peer) : undefined
    if (channel !== undefined) {
      const pad = this.#options.protocol !== 'udp'
      return this.#emit({ kind: 'send', bytes: encodeChannelData({ channel, data: bytes }, { pad }) })
    }
    const { random, fingerprint } = this.#options
    const attributes = sendAttributes(peer, bytes, this.#dontFragment)
    const transactionId = newTransactionId(random)
    const message = { class: 'indication', method: Method.send, transactionId, attributes, fingerprint } as const
    this.#emit({ kind: 'send', bytes: encodeMessage(message) })
  }

  #handleFrame(frame: StreamFrame, from: TransportAddress, now: Instant): void {
    switch (frame.kind) {
      case 'message':
        return this.#handleMessage(frame.message, from, now)
      case 'channel-data':
        return this.#handleChannelData(frame.channelData, from, now)
      case 'malformed':
        return this.#discard(`${frame.where}: ${frame.why}`, from, now)
      case 'broken': {
        const why = `${formatAddress(from)} does not speak TURN: ${frame.why}`
        this.#discard(why, from, now)
        this.#requests.foreign = true
        return this.#close(why, now)
      }
    }
  }

  #handleMessage(message: StunMessage, from: TransportAddress, now: Instant): void {
    if (message.class !== 'indication' || message.method !== Method.data) {
      if (this.#requests.handleMessage(message, from, now)) return
      return this.#discard(`a ${methodName(message.method)} ${message.class} that nobody waits for`, from, now)
    }
    if (!this.#isServer(from)) return this.#discard('a Data indication from another address', from, now)
    const arrival = readDataIndication(message)
    if (arrival.kind === 'nothing') return this.#discard(arrival.why, from, now)
    const { peer } = arrival
    if (arrival.kind === 'icmp') return this.#emit({ kind: 'icmp', peer, error: arrival.error })
    const permitted = this.#holdings.permits(peer.ip)
    this.#emit({ kind: 'data', data: { peer, bytes: arrival.bytes, via: 'indication', permitted } })
  }

  #handleChannelData({ channel, data: bytes }: ChannelData, from: TransportAddress, now: Instant): void {
    const peer = this.#isServer(from) ? this.#holdings.peerOf(channel) : undefined
    if (peer) this.#emit({ kind: 'data', data: { peer, bytes, via: 'channel', permitted: true } })
    else this.#discard(`ChannelData on 0x${channel.toString(16)}, which is not bound`, from, now)
  }

  #isServer(from: TransportAddress): boolean {
    return sameAddress(from, this.#options.to)
  }

  #discard(why: string, from: TransportAddress, at: Instant): void {
    this.#emit({ kind: 'observed', observation: { kind: 'discarded', at, from, why } })
  }

  #emit(effect: TurnClientEffect): void {
    this.#effects.push(effect)
  }
}
