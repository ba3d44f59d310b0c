/** What the parts of the server share: its options made whole, its allocations, its ports, its outbox. */
import {
  type AddressFamily,
  familyOf,
  type Instant,
  type IpAddress,
  NatcheckError,
  type Random,
  scopeOf,
  type TransportAddress,
} from '../../core/index.ts'
import type { StunMessage } from '../../wire/index.ts'
import type { AuthenticatedUser } from '../stun/index.ts'
import { defaultLifetimes, defaultPorts, type Lifetimes, type TurnServerOptions } from './options.ts'
import { type Inquiry, Outbox } from './outbox.ts'
import { embeddedAddresses, PeerPolicy } from './peer-policy.ts'
import { PortPool } from './ports.ts'
import { AllocationTable } from './table.ts'
import type { ClientPath } from './types.ts'

/** A request whose sender is known. */
export interface AuthenticRequest {
  readonly request: StunMessage
  readonly inquiry: Inquiry
  /** Undefined where there is no authentication. */
  readonly user: AuthenticatedUser | undefined
}

/** Where relayed addresses of one family come from. */
export interface RelaySource {
  readonly ip: IpAddress
  readonly externalIp: IpAddress
  readonly pool: PortPool
}

const defaultMaxPermissions = 1024

export class ServerState {
  readonly options: TurnServerOptions
  readonly random: Random
  readonly lifetimes: Lifetimes
  readonly outbox: Outbox
  readonly table: AllocationTable
  readonly sources: ReadonlyMap<AddressFamily, RelaySource>
  readonly maxPermissions: number
  peerPolicy: PeerPolicy
  /** Set from `drain` on; the deadline may be never. */
  draining: { readonly deadline: Instant | undefined } | undefined
  readonly #listenerPorts: ReadonlySet<number>
  readonly #ownIps: ReadonlySet<IpAddress>

  /** Throws USAGE for options that make no sense. */
  constructor(options: TurnServerOptions) {
    this.options = options
    this.random = options.random
    this.lifetimes = { ...defaultLifetimes, ...options.lifetimes }
    this.outbox = new Outbox(options.software)
    this.table = new AllocationTable((effect) => this.outbox.push(effect), options.ledger)
    this.maxPermissions = options.maxPermissions ?? defaultMaxPermissions
    this.peerPolicy = options.peerPolicy ?? new PeerPolicy()
    this.sources = relaySources(options)
    const listeners = options.listeners ?? []
    this.#listenerPorts = new Set(listeners.map(({ port }) => port))
    const relayIps = [...this.sources.values()].flatMap(({ ip, externalIp }) => [ip, externalIp])
    const listenerIps = listeners.map(({ ip }) => ip).filter((ip) => scopeOf(ip) !== 'unspecified')
    this.#ownIps = new Set([...listenerIps, ...relayIps])
  }

  /** Whether a client may reach a peer's IP at all. */
  permitsIp(ip: IpAddress): boolean {
    return this.peerPolicy.permits(ip)
  }

  /** Whether a client may reach this very address: the port tells this server's listeners from its relayed addresses. */
  permits(peer: TransportAddress, path: ClientPath, username: string): boolean {
    if (!this.permitsIp(peer.ip)) return false
    if (this.isListener(peer, path) && !this.peerPolicy.names(peer.ip)) return false
    return this.options.permitPeer?.(peer, { path, username }) ?? true
  }

  /** This server's own sockets for clients: who reaches them through a relayed address can go round in circles. */
  isListener({ ip, port }: TransportAddress, { server }: ClientPath): boolean {
    if (port !== server.port && !this.#listenerPorts.has(port)) return false
    const forms = familyOf(ip) === 6 ? [ip, ...embeddedAddresses(ip)] : [ip]
    return forms.some((form) => form === server.ip || this.#ownIps.has(form))
  }

  /** Seconds that an Allocate or a Refresh gets. RFC 8656 §7.2, §8.2 */
  grantedLifetime(requested: number | undefined, now: Instant): number {
    const { allocation, maxAllocation } = this.lifetimes
    const granted =
      requested === undefined || requested <= allocation
        ? allocation
        : Math.min(requested, Math.max(maxAllocation, allocation))
    const deadline = this.draining?.deadline
    return deadline === undefined ? granted : Math.max(1, Math.min(granted, Math.ceil((deadline - now) / 1000)))
  }
}

function relaySources({ relayAddresses, ports, random }: TurnServerOptions): Map<AddressFamily, RelaySource> {
  const sources = new Map<AddressFamily, RelaySource>()
  for (const { ip, externalIp = ip } of relayAddresses) {
    const family = familyOf(ip)
    if (sources.has(family)) {
      throw new NatcheckError('USAGE', `two relay addresses of IPv${family}`, { fix: 'Give one of each family.' })
    }
    if (familyOf(externalIp) !== family) {
      throw new NatcheckError('USAGE', `${externalIp} and ${ip} are of different families`, {
        fix: 'Give the external address in the family of the relay address.',
      })
    }
    sources.set(family, { ip, externalIp, pool: new PortPool(ports ?? defaultPorts, random) })
  }
  return sources
}
