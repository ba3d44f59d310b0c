/** An allocation of node-turn with what it lacks: lifetimes that end, a socket that closes, counters. */
import { after, type Instant, type IpAddress, type TransportAddress } from '../../core/index.ts'
import {
  type AddressKey,
  addressKey,
  type AllocationInfo,
  type ClientPath,
  type Flow,
} from '../../proto/turn-server/index.ts'
import type { AuthenticatedUser } from '../../proto/stun/index.ts'
import type { TheirAllocation } from './package.ts'
import type { RelaySocket } from './socket.ts'

export interface AllocationParts {
  readonly path: ClientPath
  readonly user: AuthenticatedUser | undefined
  readonly socket: RelaySocket
  readonly createdAt: Instant
  readonly toPeer: Flow
  readonly toClient: Flow
}

export class NodeTurnAllocation implements AllocationInfo {
  readonly path: ClientPath
  readonly user: AuthenticatedUser | undefined
  readonly socket: RelaySocket
  readonly createdAt: Instant
  readonly toPeer: Flow
  readonly toClient: Flow
  readonly relayed: readonly TransportAddress[]
  readonly their: TheirAllocation
  readonly #permissions = new Map<IpAddress, Instant>()
  readonly #channels = new Map<number, { readonly peer: TransportAddress; until: Instant }>()
  readonly #numbers = new Map<AddressKey, number>()

  constructor(their: TheirAllocation, { path, user, socket, createdAt, toPeer, toClient }: AllocationParts) {
    this.their = their
    this.path = path
    this.user = user
    this.socket = socket
    this.createdAt = createdAt
    this.toPeer = toPeer
    this.toClient = toClient
    const { address, port } = their.relayedTransportAddress
    this.relayed = [{ ip: address, port }]
    // Its own timer forgets the allocation and leaves the socket open.
    clearTimeout(their.timer)
  }

  get username(): string {
    return this.user?.username ?? ''
  }

  get permissions(): number {
    return this.#permissions.size
  }

  get channels(): number {
    return this.#channels.size
  }

  /** Never shortens what is there: a channel's permission outlives the usual one. */
  permit(ip: IpAddress, seconds: number, now: Instant): void {
    const until = after(now, seconds * 1000)
    const known = this.#permissions.get(ip)
    if (known === undefined || known < until) this.#permissions.set(ip, until)
    // Its handlers compare with the date; when a permission ends is told by this class.
    this.their.permissions[ip] = Number.POSITIVE_INFINITY
  }

  permits(ip: IpAddress, now: Instant): boolean {
    return (this.#permissions.get(ip) ?? now) > now
  }

  hasPermission(ip: IpAddress): boolean {
    return this.#permissions.has(ip)
  }

  /** After node-turn has found that number and peer may be bound. */
  bind(number: number, peer: TransportAddress, seconds: number, now: Instant): void {
    this.#channels.set(number, { peer, until: after(now, seconds * 1000) })
    this.#numbers.set(addressKey(peer), number)
  }

  peerOf(number: number, now: Instant): TransportAddress | undefined {
    const channel = this.#channels.get(number)
    return channel && channel.until > now ? channel.peer : undefined
  }

  numberOf(peer: TransportAddress, now: Instant): number | undefined {
    const number = this.#numbers.get(addressKey(peer))
    return number !== undefined && this.peerOf(number, now) ? number : undefined
  }

  /** Forgets what is over, and what `permits` no longer does. */
  prune(now: Instant, permits: (peer: TransportAddress) => boolean = () => true): void {
    for (const [ip, until] of this.#permissions) {
      if (until > now && permits({ ip, port: 0 })) continue
      this.#permissions.delete(ip)
      delete this.their.permissions[ip]
    }
    for (const [number, { peer, until }] of this.#channels) {
      if (until > now && permits(peer)) continue
      this.#channels.delete(number)
      this.#numbers.delete(addressKey(peer))
      delete this.their.channelBindings[number]
    }
  }
}
