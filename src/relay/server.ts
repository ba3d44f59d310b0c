/**
 * The TURN server machine with what a relay adds to it: users, peer rules, counters, NAT behaviour discovery. Made where
 * the packets are, which may be a worker: settings, requests and messages are plain data.
 */
import { after, formatAddress, type Instant, type IpAddress, type TransportAddress } from '../core/index.ts'
import { BindingResponder, type ResponderSocket, responderSockets, ServerAuth } from '../proto/stun/index.ts'
import {
  type BindingAnswer,
  type ClientPath,
  PeerPolicy,
  type RelayAddress,
  type TurnEvent,
  TurnServer,
} from '../proto/turn-server/index.ts'
import type { CreateServer, DatapathHost, DatapathServer } from './datapath/datapath.ts'
import type { Discovery } from './discovery.ts'
import type { PortRange, RelayLifetimes } from './options.ts'
import { EventReporter, trafficOf } from './events.ts'
import { answerOf, clientOf, passwordFrom, quotaFrom } from './hooks.ts'
import type { RelayEvent, RelayHooks } from './relay.ts'
import type { RelayStats } from './stats.ts'

export interface ServerRules {
  readonly users: readonly (readonly [name: string, password: string])[]
  readonly secrets: readonly string[]
  readonly allowPeers: readonly string[]
  readonly denyPeers: readonly string[]
}

export interface ServerSettings extends ServerRules {
  readonly realm: string
  readonly nonceKey: Uint8Array
  readonly noAuth: boolean
  /** Empty: Binding only. */
  readonly relayAddresses: readonly RelayAddress[]
  readonly listeners: readonly TransportAddress[]
  readonly ports: PortRange | undefined
  readonly userQuota: number | undefined
  readonly totalQuota: number | undefined
  readonly bytesPerSecond: number | undefined
  readonly lifetimes: RelayLifetimes
  readonly dontFragment: boolean
  /** RFC 5780: four UDP sockets, of which this names the first and the other address. */
  readonly discovery: Discovery | undefined
}

/** What the relay asks of the machine. */
export type ServerRequest =
  | { readonly kind: 'stats' } // → RelayStats
  | { readonly kind: 'replace-rules'; readonly rules: ServerRules }
  /** Told by `drained`, at the latest after `timeoutMs`. */
  | { readonly kind: 'drain'; readonly timeoutMs: number }

/** What the machine tells. */
export type ServerMessage = { readonly kind: 'drained' } | { readonly kind: 'event'; readonly event: RelayEvent }

/** For `startDgram`, which runs in this thread: with hooks. */
export const createServerWith =
  (hooks: RelayHooks): CreateServer<ServerSettings> =>
  (settings, host) =>
    new RelayServer(settings, host, hooks)

/** For a worker. */
export const createServer: CreateServer<ServerSettings> = createServerWith({})

class RelayServer implements DatapathServer {
  readonly machine: TurnServer
  readonly #host: DatapathHost
  readonly #auth: ServerAuth | undefined
  readonly #reporter: EventReporter

  constructor(settings: ServerSettings, host: DatapathHost, hooks: RelayHooks) {
    this.#host = host
    this.#reporter = new EventReporter((event) => host.post({ kind: 'event', event } satisfies ServerMessage))
    const { lifetimes, discovery } = settings
    const { nonce, ...others } = lifetimes
    const { authenticate, permitPeer, quota } = hooks
    this.#auth = settings.noAuth
      ? undefined
      : new ServerAuth({
          realm: settings.realm,
          nonceKey: settings.nonceKey,
          nonceLifetime: nonce,
          ...usersOf(settings),
          authenticate: authenticate && ((name, client) => passwordFrom(answerOf(() => authenticate(name, client)))),
        })
    this.machine = new TurnServer({
      random: host.random,
      clock: host.clock,
      auth: this.#auth ?? 'none',
      relayAddresses: settings.relayAddresses,
      listeners: settings.listeners,
      ports: settings.ports,
      peerPolicy: policyOf(settings),
      permitPeer: permitPeer && ((peer, context) => answerOf(() => permitPeer(peer, clientOf(context))) === true),
      quota: quota && ((context) => quotaFrom(answerOf(() => quota(clientOf(context))))),
      userQuota: settings.userQuota,
      totalQuota: settings.totalQuota,
      ledger: host.ledger,
      sourceLimit: host.sourceLimit,
      bytesPerSecond: settings.bytesPerSecond,
      lifetimes: Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined)),
      dontFragment: settings.dontFragment,
      classic: discovery !== undefined,
      binding: discovery && behaviorDiscovery(discovery.primary, discovery.alternate),
    })
  }

  onEvent(event: TurnEvent, now: Instant): void {
    this.#reporter.report(event, now)
    if (event.kind === 'drained') this.#host.post({ kind: 'drained' } satisfies ServerMessage)
  }

  onRequest(request: unknown, now: Instant): unknown {
    // Only native.ts asks, and only what ServerRequest says.
    const asked = request as ServerRequest
    switch (asked.kind) {
      case 'stats':
        return this.#stats()
      case 'replace-rules':
        return this.#replace(asked.rules)
      case 'drain':
        return this.machine.drain(now, after(now, asked.timeoutMs))
    }
  }

  #stats(): RelayStats {
    const { allocations, permissions, channels } = this.machine.counts
    const { toPeer, toClient } = this.machine.traffic
    return {
      allocations,
      permissions,
      channels,
      toPeer: trafficOf(toPeer),
      toClient: trafficOf(toClient),
      undelivered: this.#host.dropped(),
      ...this.#reporter.counts(),
    }
  }

  #replace(rules: ServerRules): void {
    // Throws for a bad rule before anything has changed.
    const policy = policyOf(rules)
    this.#auth?.replace(usersOf(rules))
    this.machine.setPeerPolicy(policy)
  }
}

export const usersOf = ({
  users,
  secrets,
}: ServerRules): { users: ReadonlyMap<string, string>; secrets: readonly string[] } => ({
  users: new Map(users),
  secrets,
})

export const policyOf = ({ allowPeers, denyPeers }: ServerRules): PeerPolicy =>
  new PeerPolicy({ allow: allowPeers, deny: denyPeers })

/** Binding on the four sockets of RFC 5780 §3, and as usual on all others. */
function behaviorDiscovery(
  primary: TransportAddress,
  alternate: TransportAddress,
): (bytes: Uint8Array, path: ClientPath) => BindingAnswer | undefined {
  const addresses = responderSockets.map((name, index) => {
    const ip: IpAddress = index & 2 ? alternate.ip : primary.ip
    return [name, { ip, port: index & 1 ? alternate.port : primary.port }] as const
  })
  const sockets = new Map<string, ResponderSocket>(addresses.map(([name, address]) => [formatAddress(address), name]))
  const addressOf = new Map<ResponderSocket, TransportAddress>(addresses)
  const responder = new BindingResponder({ primary, alternateIp: alternate.ip, alternatePort: alternate.port })
  return (bytes, path) => {
    const { key, protocol, client, server } = path
    const socket = protocol === 'udp' ? sockets.get(formatAddress(server)) : undefined
    const own = socket
      ? responder
      : new BindingResponder({ primary: server, classic: protocol === 'udp', discovery: false })
    const reply = own.respond(bytes, client, socket ?? 'primary')
    if (!reply) return undefined
    const from = socket ? (addressOf.get(reply.from) ?? server) : server
    return { bytes: reply.bytes, path: { key, protocol, client: reply.to, server: from } }
  }
}
