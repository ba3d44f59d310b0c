/** The allocations of a server, and everything that hangs on them. RFC 8656 §3.2, §9, §12 */
import { after, type AddressFamily, type Instant, type TransportAddress } from '../../core/index.ts'
import type { ChannelNumber } from '../../wire/index.ts'
import type { AuthenticatedUser } from '../stun/index.ts'
import type { AllocationLedger } from './options.ts'
import { ExpiryHeap, type Expiring } from './expiry.ts'
import { Flow, type Forwarding, type MutableTraffic, noTraffic, type Route } from './forwarding.ts'
import { type AddressKey, addressKey, type IpKey, ipKey } from './keys.ts'
import type { AllocationInfo, ClientKey, ClientPath, CloseReason, RelayId, TurnEffect } from './types.ts'
import type { PortPool } from './ports.ts'

/** What a 5-tuple was given. It ends with its last relayed address. */
export class Allocation implements AllocationInfo {
  readonly path: ClientPath
  readonly user: AuthenticatedUser | undefined
  readonly createdAt: Instant
  readonly toPeer: Flow
  readonly toClient: Flow
  /** One, or one of each family. Empty until the datapath has opened them. */
  readonly relays: Relay[] = []
  /** By peer IP, whatever the port. */
  readonly permissions: Map<IpKey, Permission> = new Map()
  /** Most clients bind one or two, some none. */
  channels: Map<number, Channel> | undefined
  /** Keeps ICMP errors from being told without end; undefined before the first. */
  errors: Flow | undefined
  /** The Allocate that it was granted to, and the answer, for retransmissions. */
  grant: { readonly transaction: string; readonly bytes: Uint8Array } | undefined

  constructor(
    path: ClientPath,
    user: AuthenticatedUser | undefined,
    flows: { toPeer: Flow; toClient: Flow },
    now: Instant,
  ) {
    this.path = path
    this.user = user
    this.toPeer = flows.toPeer
    this.toClient = flows.toClient
    this.createdAt = now
  }

  get username(): string {
    return this.user?.username ?? ''
  }

  get identity(): string {
    return this.user?.identity ?? ''
  }

  get relayed(): readonly TransportAddress[] {
    return this.relays.map(({ address }) => address)
  }

  relayFor(family: AddressFamily): Relay | undefined {
    for (const relay of this.relays) if (relay.family === family) return relay
    return undefined
  }

  permission(ip: string, now: Instant): Permission | undefined {
    const permission = this.permissions.get(ipKey(ip))
    return permission !== undefined && permission.expiresAt > now ? permission : undefined
  }
}

/** A relayed transport address from its opening to its closing. RFC 8656 §3.2 */
export class Relay implements Expiring {
  readonly kind = 'relay'
  expiresAt: Instant
  heapIndex: number = -1
  readonly id: RelayId
  readonly family: AddressFamily
  /** As clients and peers see it. */
  readonly address: TransportAddress
  readonly pool: PortPool
  /** Undefined while it is being opened, and while it is reserved. */
  allocation: Allocation | undefined
  /** By the peer they lead to. */
  channels: Map<AddressKey, Channel> | undefined

  constructor(id: RelayId, family: AddressFamily, address: TransportAddress, pool: PortPool, now: Instant) {
    this.id = id
    this.family = family
    this.address = address
    this.pool = pool
    this.expiresAt = now
  }
}

/** Lets one peer IP in. RFC 8656 §9 */
export class Permission implements Expiring {
  readonly kind = 'permission'
  expiresAt: Instant
  heapIndex: number = -1
  readonly key: IpKey
  readonly relay: Relay

  constructor(key: IpKey, relay: Relay, now: Instant) {
    this.key = key
    this.relay = relay
    this.expiresAt = now
  }
}

/** Four bytes of header in place of a peer's address. RFC 8656 §12 */
export class Channel implements Expiring, Route {
  readonly kind = 'channel'
  expiresAt: Instant
  heapIndex: number = -1
  readonly channel: ChannelNumber
  readonly peer: TransportAddress
  readonly peerKey: AddressKey
  readonly path: ClientPath
  readonly relay: RelayId
  readonly toPeer: Flow
  readonly toClient: Flow
  readonly relayed: Relay

  constructor(channel: ChannelNumber, peer: TransportAddress, allocation: Allocation, relayed: Relay, now: Instant) {
    this.channel = channel
    this.peer = peer
    this.peerKey = addressKey(peer)
    this.path = allocation.path
    this.relay = relayed.id
    this.toPeer = allocation.toPeer
    this.toClient = allocation.toClient
    this.relayed = relayed
    this.expiresAt = now
  }
}

/** A port kept for whoever shows its RESERVATION-TOKEN. RFC 8656 §7.2 */
export class Reservation implements Expiring {
  readonly kind = 'reservation'
  expiresAt: Instant
  heapIndex: number = -1
  readonly token: string
  readonly identity: string
  readonly relay: Relay

  constructor(token: string, identity: string, relay: Relay, now: Instant) {
    this.token = token
    this.identity = identity
    this.relay = relay
    this.expiresAt = now
  }
}

/** An Allocate that waits for the datapath. */
export interface Opening extends Expiring {
  readonly kind: 'opening'
  expiresAt: Instant
}

/** The answer to a Refresh that ended an allocation, for its retransmissions. */
export class Farewell implements Expiring {
  readonly kind = 'farewell'
  expiresAt: Instant
  heapIndex: number = -1
  readonly key: ClientKey
  readonly transaction: string
  readonly bytes: Uint8Array

  constructor(key: ClientKey, transaction: string, bytes: Uint8Array, now: Instant) {
    this.key = key
    this.transaction = transaction
    this.bytes = bytes
    this.expiresAt = now
  }
}

export type TableEntry = Relay | Permission | Channel | Reservation | Opening | Farewell

/** How many farewells are kept; the oldest go first. */
const maxFarewells = 4096

/** What there is now. */
export interface TurnCounts {
  /** Those that are being opened among them. */
  readonly allocations: number
  readonly permissions: number
  readonly channels: number
  readonly reservations: number
  /** Relayed addresses: of allocations, reserved, or being opened. */
  readonly relays: number
  /** Users with an allocation or a reservation. */
  readonly users: number
}

export class AllocationTable implements Forwarding {
  readonly timers: ExpiryHeap<TableEntry> = new ExpiryHeap()
  readonly total: { readonly toPeer: MutableTraffic; readonly toClient: MutableTraffic } = {
    toPeer: noTraffic(),
    toClient: noTraffic(),
  }
  readonly reservations: Map<string, Reservation> = new Map()
  readonly #allocations = new Map<ClientKey, Allocation>()
  readonly #relays = new Map<RelayId, Relay>()
  readonly #users = new Map<string, number>()
  readonly #farewells = new Map<ClientKey, Farewell>()
  readonly #emit: (effect: TurnEffect) => void
  readonly #ledger: AllocationLedger | undefined
  #permissions = 0
  #channels = 0

  constructor(emit: (effect: TurnEffect) => void, ledger?: AllocationLedger) {
    this.#emit = emit
    this.#ledger = ledger
  }

  get counts(): TurnCounts {
    return {
      allocations: this.#allocations.size,
      permissions: this.#permissions,
      channels: this.#channels,
      reservations: this.reservations.size,
      relays: this.#relays.size,
      users: this.#users.size,
    }
  }

  get size(): number {
    return this.#allocations.size
  }

  /** With reservations, and those of the relay's other threads: what quotas are measured by. */
  get sizeInAll(): number {
    return this.#ledger?.total ?? this.#allocations.size + this.reservations.size
  }

  /** The same for one user. */
  countInAll(identity: string): number {
    return this.#ledger?.countOf(identity) ?? this.countOf(identity)
  }

  all(): IterableIterator<Allocation> {
    return this.#allocations.values()
  }

  get(key: ClientKey): Allocation | undefined {
    return this.#allocations.get(key)
  }

  relay(id: RelayId): Relay | undefined {
    return this.#relays.get(id)
  }

  /** Allocations of one user, those being opened and reservations among them. */
  countOf(identity: string): number {
    return this.#users.get(identity) ?? 0
  }

  channelToPeer(key: ClientKey, channel: number, now: Instant): Channel | undefined {
    const found = this.#allocations.get(key)?.channels?.get(channel)
    return found !== undefined && found.expiresAt > now && found.relayed.expiresAt > now ? found : undefined
  }

  peerToClient(relay: RelayId, peer: AddressKey, now: Instant): Channel | undefined {
    const found = this.#relays.get(relay)?.channels?.get(peer)
    return found !== undefined && found.expiresAt > now && found.relayed.expiresAt > now ? found : undefined
  }

  add(
    path: ClientPath,
    user: AuthenticatedUser | undefined,
    bytesPerSecond: number | undefined,
    now: Instant,
  ): Allocation {
    const flows = {
      toPeer: new Flow(this.total.toPeer, bytesPerSecond, now),
      toClient: new Flow(this.total.toClient, bytesPerSecond, now),
    }
    const allocation = new Allocation(path, user, flows, now)
    this.#allocations.set(path.key, allocation)
    this.#count(allocation.identity)
    return allocation
  }

  /** Forgets an allocation; its relays are the caller's to close. */
  remove(allocation: Allocation): void {
    if (this.#allocations.get(allocation.path.key) !== allocation) return
    this.#allocations.delete(allocation.path.key)
    this.#uncount(allocation.identity)
  }

  addRelay(relay: Relay): void {
    this.#relays.set(relay.id, relay)
  }

  attach(allocation: Allocation, relay: Relay, expiresAt: Instant): void {
    relay.allocation = allocation
    allocation.relays.push(relay)
    this.timers.set(relay, expiresAt)
  }

  /** Closes one relayed address and all that leads through it; the allocation ends with its last. */
  closeRelay(relay: Relay, why: CloseReason): void {
    if (!this.#relays.delete(relay.id)) return
    this.timers.remove(relay)
    relay.pool.release(relay.address.port)
    const { allocation } = relay
    if (allocation) {
      for (const channel of relay.channels?.values() ?? []) this.#forgetChannel(allocation, channel)
      for (const permission of allocation.permissions.values()) {
        if (permission.relay === relay) this.removePermission(permission)
      }
    }
    relay.channels = undefined
    this.#emit({ kind: 'close-relayed-address', relay: relay.id, why })
    if (!allocation) return
    const last = allocation.relays.length === 1
    // The event tells all that it had.
    if (last) {
      this.remove(allocation)
      this.#emit({ kind: 'event', event: { kind: 'allocation-ended', allocation, why } })
    } else allocation.relays.splice(allocation.relays.indexOf(relay), 1)
  }

  /** Ends a granted allocation. */
  end(allocation: Allocation, why: CloseReason): void {
    for (const relay of allocation.relays.slice()) this.closeRelay(relay, why)
  }

  /** Installs a permission or makes it last longer; it is never cut short. */
  permit(allocation: Allocation, relay: Relay, ip: string, until: Instant): void {
    const key = ipKey(ip)
    let permission = allocation.permissions.get(key)
    if (!permission) {
      permission = new Permission(key, relay, until)
      allocation.permissions.set(key, permission)
      this.#permissions++
    }
    if (permission.heapIndex < 0 || permission.expiresAt < until) this.timers.set(permission, until)
  }

  bind(allocation: Allocation, relay: Relay, number: ChannelNumber, peer: TransportAddress, until: Instant): void {
    let channel = allocation.channels?.get(number)
    if (!channel) {
      channel = new Channel(number, peer, allocation, relay, until)
      allocation.channels ??= new Map()
      allocation.channels.set(number, channel)
      relay.channels ??= new Map()
      relay.channels.set(channel.peerKey, channel)
      this.#channels++
    }
    this.timers.set(channel, until)
  }

  removePermission(permission: Permission): void {
    this.timers.remove(permission)
    if (permission.relay.allocation?.permissions.delete(permission.key)) this.#permissions--
  }

  removeChannel(channel: Channel): void {
    const { allocation, channels } = channel.relayed
    channels?.delete(channel.peerKey)
    if (allocation) this.#forgetChannel(allocation, channel)
  }

  /** It counts as an allocation: otherwise who allocates and refreshes to zero could reserve all ports. */
  reserve(reservation: Reservation, seconds: number, now: Instant): void {
    this.reservations.set(reservation.token, reservation)
    this.#count(reservation.identity)
    this.timers.set(reservation, after(now, seconds * 1000))
  }

  /** The relay is the caller's from now on. */
  unreserve(reservation: Reservation): void {
    this.timers.remove(reservation)
    if (this.reservations.delete(reservation.token)) this.#uncount(reservation.identity)
  }

  farewell(key: ClientKey): Farewell | undefined {
    return this.#farewells.get(key)
  }

  addFarewell(farewell: Farewell, seconds: number, now: Instant): void {
    this.removeFarewell(farewell.key)
    const oldest = this.#farewells.size >= maxFarewells ? this.#farewells.keys().next() : undefined
    if (oldest && !oldest.done) this.removeFarewell(oldest.value)
    this.#farewells.set(farewell.key, farewell)
    this.timers.set(farewell, after(now, seconds * 1000))
  }

  removeFarewell(key: ClientKey): void {
    const farewell = this.#farewells.get(key)
    if (!farewell) return
    this.timers.remove(farewell)
    this.#farewells.delete(key)
  }

  #count(identity: string): void {
    this.#users.set(identity, this.countOf(identity) + 1)
    this.#ledger?.add(identity)
  }

  #uncount(identity: string): void {
    this.#ledger?.remove(identity)
    const left = this.countOf(identity) - 1
    if (left > 0) this.#users.set(identity, left)
    else this.#users.delete(identity)
  }

  #forgetChannel(allocation: Allocation, channel: Channel): void {
    this.timers.remove(channel)
    if (allocation.channels?.delete(channel.channel)) this.#channels--
    if (allocation.channels?.size === 0) allocation.channels = undefined
  }
}
