/**
 * The TURN server machine with what a relay adds to it: users, peer rules, counters, NAT behaviour discovery. Made where
 * the packets are, which may be a worker: settings, requests and messages are plain data.
 */
import {
  after,
  elapsed,
  formatAddress,
  type Instant,
  instant,
  type IpAddress,
  type TransportAddress,
} from '../core/index.ts'
import { BindingResponder, type ResponderSocket, responderSockets, ServerAuth } from '../proto/stun/index.ts'
import {
  type AllocationInfo,
  type BindingAnswer,
  type ClientContext,
  type ClientPath,
  PeerPolicy,
  type RelayAddress,
  type TurnEvent,
  TurnServer,
  type UserQuota,
} from '../proto/turn-server/index.ts'
import type { CreateServer, DatapathHost, DatapathServer } from './datapath/datapath.ts'
import type { PortRange, RelayLifetimes } from './options.ts'
import type { RelayAllocation, RelayClient, RelayEvent, RelayHooks } from './relay.ts'
import { EventCounter, type RelayStats, type TrafficCount } from './stats.ts'

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
  readonly discovery: { readonly primary: TransportAddress; readonly alternate: TransportAddress } | undefined
}

/** What the relay asks of the machine. */
export type ServerRequest =
  | { readonly kind: 'stats' } // → RelayStats
  | { readonly kind: 'replace-rules'; readonly rules: ServerRules }
  /** Told by `drained`, at the latest after `timeoutMs`. */
  | { readonly kind: 'drain'; readonly timeoutMs: number }

/** What the machine tells. */
export type ServerMessage = { readonly kind: 'drained' } | { readonly kind: 'event'; readonly event: RelayEvent }

/** Events of one kind that are told in a second; the counters have them all. An attacker must not fill the log. */
const toldPerSecond = 10

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
  readonly #counter = new EventCounter()
  readonly #told = new Map<string, { since: Instant; count: number }>()

  constructor(settings: ServerSettings, host: DatapathHost, hooks: RelayHooks) {
    this.#host = host
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
    this.#counter.count(event)
    switch (event.kind) {
      case 'allocation-created':
        return this.#post({ kind: 'allocation-created', allocation: allocationOf(event.allocation, now) })
      case 'allocation-ended':
        return this.#post({ kind: 'allocation-ended', allocation: allocationOf(event.allocation, now), why: event.why })
      case 'auth-failure': {
        const { path, username, why } = event
        return this.#postSome({ kind: event.kind, client: path.client, protocol: path.protocol, username, why }, now)
      }
      case 'relay-failed':
        return this.#postSome({ kind: event.kind, why: event.why }, now)
      case 'drained':
        return this.#host.post({ kind: 'drained' } satisfies ServerMessage)
      case 'error-response':
      case 'success-response':
      case 'drop':
    }
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
      toPeer: countOf(toPeer),
      toClient: countOf(toClient),
      undelivered: this.#host.dropped(),
      ...this.#counter.snapshot(),
    }
  }

  #replace(rules: ServerRules): void {
    // Throws for a bad rule before anything has changed.
    const policy = policyOf(rules)
    this.#auth?.replace(usersOf(rules))
    this.machine.setPeerPolicy(policy)
  }

  #post(event: RelayEvent): void {
    this.#host.post({ kind: 'event', event } satisfies ServerMessage)
  }

  #postSome(event: RelayEvent & { readonly why: string }, now: Instant): void {
    const name = `${event.kind} ${event.why}`
    const told = this.#told.get(name)
    if (told === undefined || elapsed(told.since, now) >= 1000) this.#told.set(name, { since: instant(now), count: 1 })
    else if (++told.count > toldPerSecond) return
    this.#post(event)
  }
}

const usersOf = ({
  users,
  secrets,
}: ServerRules): { users: ReadonlyMap<string, string>; secrets: readonly string[] } => ({
  users: new Map(users),
  secrets,
})

const policyOf = ({ allowPeers, denyPeers }: ServerRules): PeerPolicy =>
  new PeerPolicy({ allow: allowPeers, deny: denyPeers })

/** What stands for a hook's answer when it has none. No hook can give it. */
const failed: unique symbol = Symbol('failed')

/** What a hook answers. Hooks are others' code, so that may be anything, whatever its type says. */
function answerOf(ask: () => unknown): unknown {
  try {
    const answer = ask()
    // The answer is needed now. That nobody waits for it must not end the process when it fails.
    if (answer instanceof Promise) answer.catch(() => {})
    return answer
  } catch {
    return failed
  }
}

const passwordFrom = (answer: unknown): { password: string } | undefined =>
  typeof answer === 'string' && answer !== '' ? { password: answer } : undefined

/** Limits that are none refuse: what the hook wanted to say is unknown. */
function quotaFrom(answer: unknown): UserQuota | undefined {
  if (answer === undefined) return undefined
  const refusal = { allocations: 0 }
  if (typeof answer !== 'object' || answer === null || 'then' in answer) return refusal
  const { allocations, bytesPerSecond } = answer as { allocations?: unknown; bytesPerSecond?: unknown }
  return isLimit(allocations) && isLimit(bytesPerSecond) ? { allocations, bytesPerSecond } : refusal
}

const isLimit = (value: unknown): value is number | undefined =>
  value === undefined || (typeof value === 'number' && value >= 0)

const clientOf = ({ path: { protocol, client, server }, username }: ClientContext): RelayClient => ({
  protocol,
  client,
  server,
  username,
})

/** A copy: the machine's own goes on changing. */
const allocationOf = (info: AllocationInfo, now: Instant): RelayAllocation => ({
  protocol: info.path.protocol,
  client: info.path.client,
  username: info.username,
  relayed: [...info.relayed],
  ageSeconds: elapsed(info.createdAt, now) / 1000,
  toPeer: countOf(info.toPeer),
  toClient: countOf(info.toClient),
})

const countOf = ({ packets, bytes, refused }: TrafficCount): TrafficCount => ({ packets, bytes, refused })

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
