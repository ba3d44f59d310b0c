/** Listening and relayed sockets, each with what it remembers of the last packet: packets come in runs. */
import type { AddressFamily, TransportAddress } from '../../../core/index.ts'
import {
  type AddressKey,
  addressKey,
  type ClientKey,
  type ClientPath,
  type RelayId,
  type Route,
} from '../../../proto/turn-server/index.ts'
import { Outbox } from './batch.ts'
import { type Destination, destinationAt, readAddress, readAddressKey, toDestination } from './destination.ts'
import type { Memory } from './memory.ts'

/** Client keys are numbers below 2^53: a listener, an IPv4 address, a port. IPv6 ones are text. */
const LISTENER = 2 ** 48
const NUMBERED_LISTENERS = 2 ** 5

/** Destinations that a relay keeps at hand. More peers than that at a time are rare, and only cost a little. */
const KNOWN_PEERS = 64

/** A socket address as the last packet had it: two or seven words, compared without making anything of them. */
class Sender {
  #family = 0
  #words = new Int32Array(7)

  /** Whether the address at `at` is the last one again; it is the last one from now on. */
  recognise({ view }: Memory, at: number): boolean {
    const words = this.#words
    const first = view.getInt32(at, true)
    const second = view.getInt32(at + 4, true)
    let same = first === words[0] && second === words[1]
    words[0] = first
    words[1] = second
    this.#family = first & 0xffff
    if (this.#family === 2) return same
    for (let word = 2; word < 7; word++) {
      const next = view.getInt32(at + word * 4, true)
      same = same && next === words[word]
      words[word] = next
    }
    return same
  }
}

/** A UDP client's 5-tuple, with what a packet to it needs. */
export class KernelPath implements ClientPath {
  readonly protocol = 'udp'
  readonly key: ClientKey
  readonly client: TransportAddress
  readonly listener: KernelListener
  readonly destination: Destination

  constructor(key: ClientKey, client: TransportAddress, listener: KernelListener, destination: Destination) {
    this.key = key
    this.client = client
    this.listener = listener
    this.destination = destination
  }

  get server(): TransportAddress {
    return this.listener.local
  }
}

export class KernelListener {
  readonly fd: number
  readonly local: TransportAddress
  readonly outbox: Outbox
  tag = 0
  /** Who sent the packet that was recognised last. */
  lastKey: ClientKey = -1
  /** 0: no route is known. */
  lastChannel = 0
  lastRoute: Route | undefined
  readonly #index: number
  readonly #sender = new Sender()

  constructor(fd: number, local: TransportAddress, index: number, segmentation: boolean) {
    this.fd = fd
    this.local = local
    this.#index = index
    this.outbox = new Outbox(fd, segmentation)
  }

  recognise(memory: Memory, at: number): void {
    if (this.#sender.recognise(memory, at)) return
    const key = readAddressKey(memory, at)
    const plain = typeof key === 'number' && this.#index < NUMBERED_LISTENERS
    this.lastKey = plain ? this.#index * LISTENER + key : `${this.#index} ${key}`
    this.lastChannel = 0
  }

  /** A route is good for the moment it was looked up in. */
  forget(): void {
    this.lastChannel = 0
    this.lastRoute = undefined
  }

  /** The path of the sender recognised last, whose address is at `at`. */
  pathOf(memory: Memory, at: number): KernelPath {
    return new KernelPath(this.lastKey, readAddress(memory, at), this, destinationAt(memory, at))
  }
}

export class KernelRelay {
  readonly fd: number
  readonly id: RelayId
  readonly family: AddressFamily
  readonly outbox: Outbox
  tag = 0
  lastKey: AddressKey = -1
  lastRoute: Route | undefined
  readonly #sender = new Sender()
  readonly #destinations = new Map<AddressKey, Destination>()
  #lastTo: Route | undefined
  #lastDestination: Destination | undefined

  constructor(fd: number, id: RelayId, family: AddressFamily, segmentation: boolean) {
    this.fd = fd
    this.id = id
    this.family = family
    this.outbox = new Outbox(fd, segmentation)
  }

  recognise(memory: Memory, at: number): boolean {
    if (this.#sender.recognise(memory, at)) return true
    this.lastKey = readAddressKey(memory, at)
    return false
  }

  addressOf(memory: Memory, at: number): TransportAddress {
    return readAddress(memory, at)
  }

  /** One object for one peer, so that runs to it are seen as such. */
  destinationOf(route: Route): Destination {
    if (route === this.#lastTo && this.#lastDestination) return this.#lastDestination
    this.#lastTo = route
    this.#lastDestination = this.#find(route.peerKey, route.peer)
    return this.#lastDestination
  }

  destinationTo(peer: TransportAddress): Destination {
    return this.#find(addressKey(peer), peer)
  }

  #find(key: AddressKey, peer: TransportAddress): Destination {
    const known = this.#destinations.get(key)
    if (known) return known
    if (this.#destinations.size >= KNOWN_PEERS) this.#destinations.clear()
    const destination = toDestination(peer)
    this.#destinations.set(key, destination)
    return destination
  }
}
