/** The mmsg datapath itself: waits for sockets, relays what has a route, and gives everything else to the machine. */
import {
  type AddressFamily,
  elapsed,
  formatAddress,
  type Instant,
  type IpAddress,
  NatcheckError,
  type TransportAddress,
} from '../../../core/index.ts'
import type { ClientPath, CloseReason, Flow, RelayId, Route, TurnEvent } from '../../../proto/turn-server/index.ts'
import { encodeChannelData } from '../../../wire/index.ts'
import {
  type EffectPorts,
  LISTENER_BUFFER,
  performEffects,
  RELAY_BUFFER,
  type ServerMachine,
  SPARE_DESCRIPTORS,
} from '../datapath.ts'
import { Batch, RECEIVE_AT_ONCE } from './batch.ts'
import { toDestination } from './destination.ts'
import { ErrorQueue } from './error-queue.ts'
import { errno } from './layout.ts'
import { KernelListener, KernelPath, KernelRelay } from './endpoints.ts'
import { COALESCE_MICROSECONDS, Pace } from './pace.ts'
import { READY_AT_ONCE, type SocketOptions, Sockets } from './sockets.ts'
import type { System } from './system.ts'

export interface LoopOptions {
  readonly system: System
  readonly machine: ServerMachine
  now(): Instant
  onEvent(event: TurnEvent): void
  /** For clients that came by a stream. */
  sendToStream(path: ClientPath, bytes: Uint8Array): void
  /** Called when `wake` was written to: commands have come. */
  onWake(): void
  /** Whether several loops have the same listening addresses (SO_REUSEPORT), and whether this is the first. Default: none. */
  readonly sharing?: 'none' | 'first' | 'joined' | undefined
  /** UDP_SEGMENT and UDP_GRO. Default true. */
  readonly offload?: boolean | undefined
  /** See `Pace`. 0: wake up for every packet. */
  readonly coalesceMicroseconds?: number | undefined
}

/** Never an index of a source. */
const WAKE = 0xffff_ffff
/** The longest wait, so that a clock that jumps does no harm. */
const LONGEST_WAIT_MS = 60_000

type Source = KernelListener | KernelRelay

export class Loop implements EffectPorts {
  readonly wakeFd: number
  readonly #options: LoopOptions
  readonly #machine: ServerMachine
  readonly #batch: Batch
  readonly #sockets: Sockets
  readonly #errors: ErrorQueue
  readonly #pace: Pace
  readonly #sources: (Source | undefined)[] = []
  readonly #freeTags: number[] = []
  readonly #relays = new Map<RelayId, KernelRelay>()
  readonly #listening: KernelListener[] = []
  /** Whether the last look has left packets behind, so that there is nothing to pause for. */
  #more = false
  #stopped = false

  constructor(options: LoopOptions) {
    this.#options = options
    this.#machine = options.machine
    this.#batch = new Batch(options.system)
    this.#sockets = new Sockets(options.system)
    this.#errors = new ErrorQueue(options.system)
    this.#pace = new Pace(options.coalesceMicroseconds ?? COALESCE_MICROSECONDS)
    this.wakeFd = options.system.eventfd(0, 0o4000)
    this.#sockets.watch(this.wakeFd, WAKE)
  }

  /** Datagrams that the kernel did not take. */
  get dropped(): number {
    return this.#batch.dropped
  }

  /** Datagrams that have arrived; those that the kernel joined count as one. */
  get received(): number {
    return this.#batch.received
  }

  /** Throws ADDRESS_IN_USE, BAD_ADDRESS, PERMISSION_DENIED or UNSUPPORTED. Returns the address really bound. */
  listen(address: TransportAddress): TransportAddress {
    const { sharing = 'none' } = this.#options
    // Shared addresses can be had although another program has them, so the first thread has to see to it.
    const probe = sharing === 'first' ? this.#sockets.open(address, {}) : undefined
    if (probe?.ok) this.#sockets.close(probe.fd)
    else if (probe) throw bindError(address, probe.errno)
    const buffers = { receiveBuffer: LISTENER_BUFFER, sendBuffer: LISTENER_BUFFER }
    const bound = this.#sockets.open(address, { ...this.#socketOptions, ...buffers, reusePort: sharing !== 'none' })
    if (!bound.ok) throw bindError(address, bound.errno)
    const listener = new KernelListener(bound.fd, bound.local, this.#listening.length, this.#offload)
    this.#listening.push(listener)
    this.#watch(listener)
    return bound.local
  }

  /** Runs until `stop`. */
  run(): void {
    while (!this.#stopped) this.turn(LONGEST_WAIT_MS)
  }

  /** Serves what is there, after waiting for it so many milliseconds at most, and what the machine waits for. */
  turn(longestWaitMs: number): void {
    const { system } = this.#options
    const timeout = this.#machine.pollTimeout()
    const wait = timeout === undefined ? longestWaitMs : Math.ceil(elapsed(this.#options.now(), timeout))
    const pause = this.#more ? 0 : this.#pace.pauseMicroseconds
    if (pause > 0) system.usleep(pause)
    const ready = this.#sockets.wait(pause > 0 ? 0 : Math.max(0, Math.min(wait, longestWaitMs)))
    const at = this.#options.now()
    this.#pace.update(this.#batch.received, at)
    this.#more = ready === READY_AT_ONCE
    for (let i = 0; i < ready; i++) this.#serve(this.#sockets.tagAt(i), this.#sockets.failedAt(i), at)
    this.#batch.flush()
    if (timeout === undefined || at < timeout) return
    this.#machine.handleTimeout(at)
    this.perform()
  }

  stop(): void {
    this.#stopped = true
  }

  /** Performs what the machine wants: to be called after feeding it from outside, such as in `onWake`. */
  perform(): void {
    performEffects(this.#machine, this)
  }

  /** Relays ChannelData that came by a stream. Returns false when there is no route. */
  relayFromStream(path: ClientPath, channel: number, data: Uint8Array, now: Instant): boolean {
    const route = this.#machine.forwarding.channelToPeer(path.key, channel, now)
    const relay = route && this.#relays.get(route.relay)
    if (!route || !relay) return false
    if (route.toPeer.admit(data.length, now)) this.#batch.sendNow(relay.outbox, relay.destinationOf(route), data)
    return true
  }

  sendToClient(path: ClientPath, bytes: Uint8Array): void {
    if (path instanceof KernelPath) this.#batch.sendNow(path.listener.outbox, path.destination, bytes)
    else if (path.protocol !== 'udp') this.#options.sendToStream(path, bytes)
    else {
      // The machine may answer from another socket than the one that was asked (RFC 5780).
      const { ip, port } = path.server
      const listener = this.#listening.find(({ local }) => local.ip === ip && local.port === port)
      if (listener) this.#batch.sendNow(listener.outbox, toDestination(path.client), bytes)
    }
  }

  sendToPeer(id: RelayId, peer: TransportAddress, bytes: Uint8Array, dontFragment: boolean): void {
    const relay = this.#relays.get(id)
    if (!relay) return
    const send = (): void => this.#batch.sendNow(relay.outbox, relay.destinationTo(peer), bytes)
    if (!dontFragment) return send()
    this.#sockets.withoutFragments(relay.fd, relay.family, send)
    // Of a datagram that is too large for the path the kernel tells at once.
    this.#takeErrors(relay, peer, this.#options.now())
  }

  openRelayed(id: RelayId, family: AddressFamily, ip: IpAddress, port: number): void {
    const bound = this.#sockets.open({ ip, port }, this.#relayOptions)
    const now = this.#options.now()
    if (bound.ok) {
      const relay = new KernelRelay(bound.fd, id, family, this.#offload)
      this.#relays.set(id, relay)
      this.#watch(relay)
      this.#machine.handleRelayOpened(id, now)
    } else this.#machine.handleRelayFailed(id, openFailure(bound.errno), now)
  }

  closeRelayed(id: RelayId, _why: CloseReason): void {
    const relay = this.#relays.get(id)
    if (!relay) return
    // What is queued on its socket leaves first: the number of a closed descriptor may be another's a moment later.
    this.#batch.send()
    this.#relays.delete(id)
    this.#sources[relay.tag] = undefined
    this.#freeTags.push(relay.tag)
    this.#sockets.close(relay.fd)
  }

  event(event: TurnEvent): void {
    this.#options.onEvent(event)
  }

  get #offload(): boolean {
    return this.#options.offload ?? true
  }

  get #relayOptions(): SocketOptions {
    const spareDescriptors = SPARE_DESCRIPTORS
    return { ...this.#socketOptions, receiveBuffer: RELAY_BUFFER, errors: true, spareDescriptors }
  }

  get #socketOptions(): SocketOptions {
    return { gro: this.#offload }
  }

  #watch(source: Source): void {
    source.tag = this.#freeTags.pop() ?? this.#sources.length
    this.#sources[source.tag] = source
    this.#sockets.watch(source.fd, source.tag)
  }

  #serve(tag: number, failed: boolean, now: Instant): void {
    if (tag === WAKE) return this.#woken()
    if (this.#batch.room < RECEIVE_AT_ONCE / 2) this.#batch.flush()
    const source = this.#sources[tag]
    // Closed by what came before it in the same round.
    if (source === undefined) return
    if (failed && source instanceof KernelRelay) {
      this.#takeErrors(source, undefined, now)
      this.perform()
      if (this.#sources[tag] !== source) return
    }
    const first = this.#batch.filled
    const most = Math.min(RECEIVE_AT_ONCE, this.#batch.room)
    const count = this.#batch.receive(source.fd, most)
    if (count === most) this.#more = true
    const end = first + count
    if (source instanceof KernelListener) this.#fromClients(source, first, end, now)
    else this.#fromPeers(source, first, end, now)
  }

  /** `sentTo`: whom the last datagram was for. */
  #takeErrors(relay: KernelRelay, sentTo: TransportAddress | undefined, now: Instant): void {
    for (const { peer, icmp } of this.#errors.take(relay.fd)) {
      const to = peer.port === 0 ? sentTo : peer
      if (to) this.#machine.handlePeerError(relay.id, to, icmp, now)
    }
  }

  #woken(): void {
    // Its count is of no interest; reading makes it quiet.
    const { memory } = this.#batch
    this.#options.system.read(this.wakeFd, memory.base + 8, 8)
    this.#options.onWake()
  }

  #fromClients(listener: KernelListener, first: number, end: number, now: Instant): void {
    const batch = this.#batch
    const { view } = batch.memory
    for (let slot = first; slot < end; slot++) {
      const start = batch.offsetOf(slot)
      const length = batch.lengthOf(slot)
      const segment = batch.segmentOf(slot) || length || 1
      listener.recognise(batch.memory, batch.nameOf(slot))
      // An empty datagram is one too.
      for (let offset = 0; offset <= Math.max(0, length - 1); offset += segment) {
        const size = Math.min(segment, length - offset)
        const at = start + offset
        const route = size < 4 ? undefined : this.#channelRoute(listener, view.getUint16(at), now)
        const payload = route ? view.getUint16(at + 2) : 0
        if (route && payload + 4 <= size) {
          if (route.toPeer.admit(payload, now)) this.#toPeer(route, at + 4, payload)
        } else this.#handleClient(listener, slot, at, size, now)
      }
    }
    listener.forget()
  }

  /** Packets come in runs: the last route serves until something else has happened to the machine. */
  #channelRoute(listener: KernelListener, channel: number, now: Instant): Route | undefined {
    if (channel < 0x4000 || channel > 0x7fff) return undefined
    if (channel === listener.lastChannel) return listener.lastRoute
    const route = this.#machine.forwarding.channelToPeer(listener.lastKey, channel, now)
    listener.lastChannel = route ? channel : 0
    listener.lastRoute = route
    return route
  }

  #toPeer(route: Route, offset: number, length: number): void {
    const relay = this.#relays.get(route.relay)
    if (relay) this.#batch.enqueue(relay.outbox, relay.destinationOf(route), offset, length)
  }

  #handleClient(listener: KernelListener, slot: number, offset: number, length: number, now: Instant): void {
    const { memory } = this.#batch
    const path = listener.pathOf(memory, this.#batch.nameOf(slot))
    this.#machine.handleClient(path, memory.bytes.slice(offset, offset + length), now)
    listener.lastChannel = 0
    this.perform()
  }

  #fromPeers(relay: KernelRelay, first: number, end: number, now: Instant): void {
    const batch = this.#batch
    for (let slot = first; slot < end; slot++) {
      // The machine may have closed it on hearing of an earlier datagram.
      const length = batch.lengthOf(slot)
      const segment = batch.segmentOf(slot)
      const start = batch.offsetOf(slot)
      const known = relay.recognise(batch.memory, batch.nameOf(slot)) && slot > first
      if (!known) relay.lastRoute = this.#machine.forwarding.peerToClient(relay.id, relay.lastKey, now)
      const route = relay.lastRoute
      if (route === undefined) this.#handlePeer(relay, slot, length, segment, now)
      else if (!(route.path instanceof KernelPath)) this.#toStream(route, route.path, slot, length, segment, now)
      else if (segment === 0) this.#toClient(route, route.toClient, route.path, start, length, now)
      else this.#joinedToClient(route, route.path, start, length, segment, now)
    }
  }

  #toClient(route: Route, flow: Flow, path: KernelPath, start: number, length: number, now: Instant): void {
    if (!flow.admit(length, now)) return
    const { view } = this.#batch.memory
    view.setUint16(start - 4, route.channel)
    view.setUint16(start - 2, length)
    this.#batch.enqueue(path.listener.outbox, path.destination, start - 4, length + 4)
  }

  #joinedToClient(route: Route, path: KernelPath, start: number, length: number, segment: number, now: Instant): void {
    for (let offset = 0; offset < length; offset += segment) {
      const size = Math.min(segment, length - offset)
      if (!route.toClient.admit(size, now)) continue
      this.#batch.enqueueChannelData(path.listener.outbox, path.destination, start + offset, size, route.channel)
    }
  }

  #toStream(route: Route, path: ClientPath, slot: number, length: number, segment: number, now: Instant): void {
    const start = this.#batch.offsetOf(slot)
    const { bytes } = this.#batch.memory
    const step = segment || length || 1
    for (let offset = 0; offset <= Math.max(0, length - 1); offset += step) {
      const size = Math.min(step, length - offset)
      if (route.toClient.admit(size, now)) {
        const data = bytes.subarray(start + offset, start + offset + size)
        this.#options.sendToStream(path, encodeChannelData({ channel: route.channel, data }, { pad: true }))
      }
    }
  }

  #handlePeer(relay: KernelRelay, slot: number, length: number, segment: number, now: Instant): void {
    const { memory } = this.#batch
    const start = this.#batch.offsetOf(slot)
    const peer = relay.addressOf(memory, this.#batch.nameOf(slot))
    const step = segment || length || 1
    for (let offset = 0; offset <= Math.max(0, length - 1); offset += step) {
      const end = Math.min(offset + step, length)
      this.#machine.handlePeer(relay.id, peer, memory.bytes.slice(start + offset, start + end), now)
    }
    this.perform()
  }

  /** Closes every socket. */
  end(): void {
    for (const source of this.#sources) if (source) this.#sockets.close(source.fd)
    this.#sockets.end()
    this.#sockets.close(this.wakeFd)
  }
}

function openFailure(word: number): 'address-in-use' | 'no-descriptors' | 'other' {
  if (word === errno.EADDRINUSE) return 'address-in-use'
  return word === errno.EMFILE || word === errno.ENFILE ? 'no-descriptors' : 'other'
}

function bindError(address: TransportAddress, word: number): NatcheckError {
  const where = formatAddress(address)
  switch (word) {
    case errno.EADDRINUSE:
      return new NatcheckError('ADDRESS_IN_USE', `${where} is already in use`, {
        fix: 'choose another port, or stop the program that holds it',
      })
    case errno.EADDRNOTAVAIL:
      return new NatcheckError('BAD_ADDRESS', `${address.ip} is not an address of this machine`, {
        fix: 'use one that `ip address` lists',
      })
    case errno.EACCES:
      return new NatcheckError('PERMISSION_DENIED', `not allowed to bind ${where}`, {
        fix: 'use a port of 1024 or above, or run with the right to bind lower ones',
      })
    default:
      return new NatcheckError('UNSUPPORTED', `the system refused to bind ${where} (errno ${word})`)
  }
}
