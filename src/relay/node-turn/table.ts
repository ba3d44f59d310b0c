/** The allocations: opening their sockets, how long they live, how many there may be, and that nothing of them stays. */
import { after, type Cancel, type Instant, NatcheckError, type TransportAddress } from '../../core/index.ts'
import type { AuthenticatedUser } from '../../proto/stun/index.ts'
import {
  type ClientPath,
  type CloseReason,
  defaultLifetimes,
  defaultPorts,
  Flow,
  type Lifetimes,
  noTraffic,
  PortPool,
  type TurnEvent,
} from '../../proto/turn-server/index.ts'
import { openFailure, RELAY_BUFFER } from '../datapath/datapath.ts'
import { answerOf, clientOf, quotaFrom } from '../hooks.ts'
import type { RelayHooks, RelayPorts, RelayQuota } from '../relay.ts'
import type { ServerSettings } from '../server.ts'
import { NodeTurnAllocation } from './allocation.ts'
import type { TheirAllocation } from './package.ts'
import { RelaySocket } from './socket.ts'

/** A port that is taken by another process is tried once in a while; sixteen in a row mean something else is wrong. */
const portAttempts = 16

/** An Allocate whose socket is being opened. */
interface Opening {
  readonly path: ClientPath
  readonly user: AuthenticatedUser | undefined
  readonly quota: RelayQuota | undefined
  socket: RelaySocket | undefined
}

export interface TableHandlers {
  tell(event: TurnEvent): void
  /** A datagram of a peer. */
  onPeer(allocation: NodeTurnAllocation, from: TransportAddress, bytes: Uint8Array): void
  /** node-turn's own table has to forget it too. */
  onEnded(allocation: NodeTurnAllocation): void
}

export class AllocationTable {
  /** What was relayed since the start, ended allocations included. */
  readonly toPeer: ReturnType<typeof noTraffic> = noTraffic()
  readonly toClient: ReturnType<typeof noTraffic> = noTraffic()
  readonly lifetimes: Lifetimes
  /** Datagrams to peers that did not leave. */
  undelivered = 0
  readonly #ports: RelayPorts
  readonly #settings: ServerSettings
  readonly #hooks: RelayHooks
  readonly #handlers: TableHandlers
  readonly #pool: PortPool
  readonly #allocations = new Map<string, NodeTurnAllocation>()
  readonly #timers = new Map<NodeTurnAllocation, Cancel>()
  readonly #openings = new Map<string, Opening>()
  #deadline: Instant | undefined
  #cancelDeadline: Cancel = () => {}
  #stopped = false

  constructor(ports: RelayPorts, settings: ServerSettings, hooks: RelayHooks, handlers: TableHandlers) {
    this.#ports = ports
    this.#settings = settings
    this.#hooks = hooks
    this.#handlers = handlers
    this.#pool = new PortPool(settings.ports ?? defaultPorts, ports.random)
    const { allocation, maxAllocation, permission, channel } = settings.lifetimes
    this.lifetimes = {
      ...defaultLifetimes,
      allocation: allocation ?? defaultLifetimes.allocation,
      maxAllocation: maxAllocation ?? defaultLifetimes.maxAllocation,
      permission: permission ?? defaultLifetimes.permission,
      channel: channel ?? defaultLifetimes.channel,
    }
  }

  get draining(): boolean {
    return this.#deadline !== undefined
  }

  get(key: string): NodeTurnAllocation | undefined {
    return this.#allocations.get(key)
  }

  all(): NodeTurnAllocation[] {
    return [...this.#allocations.values()]
  }

  isOpening(key: string): boolean {
    return this.#openings.has(key)
  }

  /** Seconds that an Allocate or a Refresh gets. RFC 8656 §7.2, §8.2 */
  grantedLifetime(requested: number | undefined): number {
    const { allocation, maxAllocation } = this.lifetimes
    const granted = Math.max(allocation, Math.min(requested ?? allocation, maxAllocation))
    if (this.#deadline === undefined) return granted
    return Math.max(1, Math.min(granted, Math.ceil((this.#deadline - this.#ports.clock.now()) / 1000)))
  }

  /** Takes note of an Allocate that node-turn is about to get; an error code where it may not. */
  begin(key: string, path: ClientPath, user: AuthenticatedUser | undefined): 486 | 508 | undefined {
    if (this.draining) return 508
    const { quota: ask } = this.#hooks
    const client = clientOf({ path, username: user?.username ?? '' })
    const quota = ask && quotaFrom(answerOf(() => ask(client)))
    const { totalQuota = Number.POSITIVE_INFINITY, userQuota } = this.#settings
    if (this.#allocations.size + this.#openings.size >= totalQuota) return 486
    const limit = quota?.allocations ?? userQuota
    if (limit !== undefined && this.#countOf(user?.identity) >= limit) return 486
    this.#openings.set(key, { path, user, quota, socket: undefined })
    return undefined
  }

  /** Opens a relayed address. Rejects when there is none to be had: node-turn then answers 508. */
  async open(key: string, kind: 'any' | 'even'): Promise<RelaySocket> {
    for (let attempt = 1; ; attempt++) {
      const port = this.#pool.take(kind)
      if (port === undefined) {
        this.#handlers.tell({ kind: 'relay-failed', why: 'no-port' })
        throw new NatcheckError('ADDRESS_IN_USE', 'no relayed port is free')
      }
      try {
        const socket = await this.#bind(port)
        const opening = this.#openings.get(key)
        if (!this.#stopped && opening) {
          opening.socket = socket
          return socket
        }
        this.#close(socket)
        throw new NatcheckError('CANCELLED', 'the relay has ended')
      } catch (error) {
        this.#pool.release(port)
        const why = openFailure(error)
        if (why === 'address-in-use' && attempt < portAttempts) continue
        if (!this.#stopped) this.#handlers.tell({ kind: 'relay-failed', why })
        throw error
      }
    }
  }

  /** The Allocate was refused after all. */
  abandon(key: string): void {
    const opening = this.#openings.get(key)
    this.#openings.delete(key)
    if (opening?.socket) this.#close(opening.socket)
    this.#tellWhenDrained()
  }

  /** node-turn has made an allocation of the socket that was opened. */
  adopt(key: string, their: TheirAllocation, now: Instant): void {
    const opening = this.#openings.get(key)
    if (!opening?.socket) return
    this.#openings.delete(key)
    const { path, user, quota, socket } = opening
    const cap = quota?.bytesPerSecond ?? this.#settings.bytesPerSecond
    const allocation = new NodeTurnAllocation(their, {
      path,
      user,
      socket,
      createdAt: now,
      toPeer: new Flow(this.toPeer, cap, now),
      toClient: new Flow(this.toClient, cap, now),
    })
    socket.deliver = (bytes, from) => this.#handlers.onPeer(allocation, from, bytes)
    // Its own asks for a setting that doesn't exist, and its timer then fires at once.
    their.update = (seconds) => {
      if (seconds !== undefined) this.#setLifetime(key, allocation, seconds)
    }
    their.permit = (ip) => allocation.permit(ip, this.lifetimes.permission, this.#ports.clock.now())
    this.#allocations.set(key, allocation)
    this.#setLifetime(key, allocation, their.lifetime)
    this.#handlers.tell({ kind: 'allocation-created', allocation })
  }

  end(key: string, why: CloseReason): void {
    const allocation = this.#allocations.get(key)
    if (!allocation) return
    this.#allocations.delete(key)
    this.#timers.get(allocation)?.()
    this.#timers.delete(allocation)
    this.#close(allocation.socket)
    this.#handlers.onEnded(allocation)
    this.#handlers.tell({ kind: 'allocation-ended', allocation, why })
    this.#tellWhenDrained()
  }

  drain(deadline: Instant): void {
    this.#deadline = deadline
    this.#cancelDeadline()
    this.#cancelDeadline = this.#ports.clock.schedule(deadline, () => this.#endAll())
    this.#tellWhenDrained()
  }

  stop(): void {
    this.#stopped = true
    this.#deadline ??= this.#ports.clock.now()
    this.#endAll()
    this.#cancelDeadline()
  }

  #endAll(): void {
    for (const key of this.#allocations.keys()) this.end(key, 'drained')
  }

  #tellWhenDrained(): void {
    if (!this.draining || this.#allocations.size + this.#openings.size > 0) return
    this.#cancelDeadline()
    this.#handlers.tell({ kind: 'drained' })
  }

  #setLifetime(key: string, allocation: NodeTurnAllocation, seconds: number): void {
    this.#timers.get(allocation)?.()
    const { clock } = this.#ports
    const expire = (): void => this.end(key, 'expired')
    this.#timers.set(allocation, clock.schedule(after(clock.now(), seconds * 1000), expire))
  }

  async #bind(port: number): Promise<RelaySocket> {
    const ip = this.#settings.relayAddresses[0]?.ip ?? '127.0.0.1'
    let socket: RelaySocket | undefined
    const endpoint = await this.#ports.network.openDatagram(
      { family: 4, ip, port, receiveBuffer: RELAY_BUFFER },
      {
        onDatagram: (bytes, from) => socket?.deliver(bytes, from),
        onFailure: () => this.undelivered++,
      },
    )
    socket = new RelaySocket(endpoint)
    return socket
  }

  #close({ endpoint }: RelaySocket): void {
    endpoint.close()
    this.#pool.release(endpoint.local.port)
  }

  #countOf(identity: string | undefined): number {
    return [...this.#allocations.values(), ...this.#openings.values()].filter(({ user }) => user?.identity === identity)
      .length
  }
}
