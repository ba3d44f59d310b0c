/** What node-turn does not check: who may reach whom, and requests that its handlers have no answer for. */
import { addressFamily, formatAddress, type TransportAddress } from '../../core/index.ts'
import type { AuthenticatedUser } from '../../proto/stun/index.ts'
import {
  type ClientPath,
  type PeerPolicy,
  readOptional,
  readPeers,
  servedChannelNumber,
} from '../../proto/turn-server/index.ts'
import {
  evenPort,
  has,
  lifetime,
  Method,
  requestedAddressFamily,
  reservationToken,
  type StunMessage,
} from '../../wire/index.ts'
import { answerOf, clientOf } from '../hooks.ts'
import type { RelayHooks } from '../relay.ts'
import { policyOf, type ServerSettings } from '../server.ts'
import type { NodeTurnAllocation } from './allocation.ts'
import type { Received } from './messages.ts'

/** Permissions of one allocation at a time; so many channels too. */
const maxPermissions = 1024

/** A request with its sender. */
export interface Asked extends Received {
  readonly user: AuthenticatedUser | undefined
}

/** Error codes; undefined: go on. */
export class Checks {
  policy: PeerPolicy
  readonly #hooks: RelayHooks
  readonly #own: ReadonlySet<string>
  readonly #relays: boolean

  /** Throws USAGE for rules that are none. */
  constructor(settings: ServerSettings, hooks: RelayHooks) {
    this.policy = policyOf(settings)
    this.#hooks = hooks
    this.#own = ownAddresses(settings)
    this.#relays = settings.relayAddresses.length > 0
  }

  /** Why an Allocate is refused: it asks for what only other engines can do. */
  allocate(message: StunMessage): number | undefined {
    if (!this.#relays) return 440
    const family = readOptional(message, requestedAddressFamily)
    const even = readOptional(message, evenPort)
    if (family === 'malformed' || even === 'malformed' || readOptional(message, lifetime) === 'malformed') return 400
    if (family === 6) return 440
    return has(message, reservationToken) || even?.reserveNext ? 508 : undefined
  }

  /** Why a request of an allocation's client is refused before node-turn sees it. */
  request({ path, message, user }: Asked, allocation: NodeTurnAllocation): number | undefined {
    if (allocation.username !== (user?.username ?? '')) return 441
    if (message.method === Method.refresh) {
      const family = readOptional(message, requestedAddressFamily)
      if (readOptional(message, lifetime) === 'malformed' || family === 'malformed') return 400
      return family === 6 ? 443 : undefined
    }
    const peers = readPeers(message)
    if (!peers) return 400
    if (peers.some((peer) => addressFamily(peer) === 6)) return 443
    const bind = message.method === Method.channelBind
    if (bind && (peers[0]?.port ?? 0) === 0) return 400
    if (bind && typeof readOptional(message, servedChannelNumber) !== 'number') return 400
    if (!peers.every((peer) => this.#permits(peer, path, allocation.username, bind))) return 403
    const added = new Set(peers.map(({ ip }) => ip).filter((ip) => !allocation.hasPermission(ip)))
    const full = allocation.permissions + added.size > maxPermissions || (bind && allocation.channels >= maxPermissions)
    return full ? 508 : undefined
  }

  /** A permission is for all ports of an IP, so this relay's own sockets are told apart where there is a port. */
  #permits(peer: TransportAddress, path: ClientPath, username: string, withPort: boolean): boolean {
    const { permitPeer } = this.#hooks
    if (!this.policy.permits(peer.ip) || (withPort && this.isOwn(peer))) return false
    return permitPeer === undefined || answerOf(() => permitPeer(peer, clientOf({ path, username }))) === true
  }

  /** This relay's own sockets for clients: who reaches one through a relayed address can go round in circles. */
  isOwn(peer: TransportAddress): boolean {
    return this.#own.has(formatAddress(peer)) && !this.policy.names(peer.ip)
  }
}

function ownAddresses({ listeners, relayAddresses }: ServerSettings): ReadonlySet<string> {
  const ips = [
    ...listeners.map(({ ip }) => ip),
    ...relayAddresses.flatMap(({ ip, externalIp = ip }) => [ip, externalIp]),
  ]
  return new Set(listeners.flatMap(({ port }) => ips.map((ip) => formatAddress({ ip, port }))))
}
