/**
 * node-turn made fit for a call. Its server, its handlers, its allocations and its messages do the work; here stand the
 * checks in front of it and what 0.0.6 gets wrong or leaves out. Its objects are changed one by one, the package is not.
 */
import { after, type Instant, type TransportAddress } from '../../core/index.ts'
import { ServerAuth } from '../../proto/stun/index.ts'
import {
  type ClientPath,
  type DropReason,
  knownAttributes,
  readOptional,
  readPeers,
  servedChannelNumber,
  SourceLimit,
  sourceLimitMemory,
  type TurnEvent,
} from '../../proto/turn-server/index.ts'
import {
  attribute,
  type AttributeCodec,
  channelNumber,
  data,
  decodeChannelData,
  decodeMessage,
  type EncodableAttribute,
  errorCode,
  errorReason,
  evenPort,
  fingerprint,
  get,
  has,
  isClassic,
  lifetime,
  maxLegacyChannelNumber,
  Method,
  requestedTransport,
  type StunMessage,
  unknownAttributes,
  unknownComprehensionRequired,
  verifyFingerprint,
  xorPeerAddress,
} from '../../wire/index.ts'
import { EventReporter, trafficOf } from '../events.ts'
import { answerOf, passwordFrom } from '../hooks.ts'
import type { RelayEvent, RelayHooks, RelayPorts } from '../relay.ts'
import { policyOf, type ServerRules, type ServerSettings, usersOf } from '../server.ts'
import type { RelayStats } from '../stats.ts'
import type { NodeTurnAllocation } from './allocation.ts'
import { type Asked, Checks } from './checks.ts'
import { Messages, type Received, type Shown } from './messages.ts'
import type { NodeTurn, TheirMessage, TheirServer, TheirSocket } from './package.ts'
import { AllocationTable } from './table.ts'
import { makeServer } from './their-server.ts'

/** What fits a UDP datagram behind the headers, as in the native engine. */
const maxIndicationData = 65_456
const maxChannelData = 65_500
/** Answers to unauthenticated requests, per source and second. */
const unauthenticatedPerSecond = 100
const known = knownAttributes(false)

interface Refusal {
  readonly code: number
  readonly attributes?: readonly EncodableAttribute[] | undefined
}

export interface NodeTurnHandlers {
  onEvent(event: RelayEvent): void
  onDrained(): void
}

export class NodeTurnServer {
  readonly #ports: RelayPorts
  readonly #handlers: NodeTurnHandlers
  readonly #their: TheirServer
  readonly #messages: Messages
  readonly #table: AllocationTable
  readonly #auth: ServerAuth | undefined
  readonly #limit: SourceLimit
  readonly #reporter: EventReporter
  readonly #checks: Checks

  /** Throws USAGE for rules that are none. */
  constructor(
    nodeTurn: NodeTurn,
    ports: RelayPorts,
    settings: ServerSettings,
    hooks: RelayHooks,
    handlers: NodeTurnHandlers,
  ) {
    this.#ports = ports
    this.#handlers = handlers
    this.#checks = new Checks(settings, hooks)
    this.#auth = settings.noAuth ? undefined : authOf(settings, hooks)
    this.#limit = new SourceLimit(unauthenticatedPerSecond, sourceLimitMemory(ports.random))
    this.#reporter = new EventReporter((event) => handlers.onEvent(event))
    this.#table = new AllocationTable(ports, settings, hooks, {
      tell: (event) => this.#tell(event),
      onPeer: (allocation, from, bytes) => this.#fromPeer(allocation, from, bytes),
      onEnded: ({ path }) => void delete this.#their.allocations[String(path.key)],
    })
    this.#their = makeServer(nodeTurn, settings, this.#table, (line) =>
      handlers.onEvent({ kind: 'warning', message: `node-turn: ${line}` }),
    )
    this.#messages = new Messages(nodeTurn, this.#their)
  }

  /** The 5-tuple under the name that node-turn has for it. */
  pathOf(client: TransportAddress, server: TransportAddress): ClientPath {
    const key = `UDP://${client.ip}:${client.port}>${server.ip}:${server.port}`
    return { key, protocol: 'udp', client, server }
  }

  /** A datagram at a listener. Never throws, whatever the bytes. */
  receive(path: ClientPath, socket: TheirSocket, bytes: Uint8Array): void {
    const first = bytes[0] ?? 0xff
    // RFC 7983 §7, with the channels of RFC 5766. node-turn takes no ChannelData from clients.
    if (first >= 0x40 && first <= 0x7f) return this.#channelData(path, bytes)
    const decoded = first <= 3 ? decodeMessage(bytes) : undefined
    if (!decoded?.ok || decoded.value.bytes.length !== bytes.length) return this.#drop('client', 'malformed')
    const received: Received = { path, socket, message: decoded.value }
    const { message } = received
    if (isClassic(message)) return this.#drop('client', 'malformed')
    if (has(message, fingerprint) && !verifyFingerprint(message)) return this.#drop('client', 'bad-fingerprint')
    if (message.class === 'request') return this.#request(received)
    // Binding indications keep NAT mappings alive; there is nothing to do about them.
    if (message.class === 'indication' && message.method === Method.binding) return
    if (message.class !== 'indication' || message.method !== Method.send) return this.#drop('client', 'unexpected')
    this.#send(received)
  }

  stats(): RelayStats {
    const { clock } = this.#ports
    const all = this.#table.all()
    for (const allocation of all) allocation.prune(clock.now())
    return {
      allocations: all.length,
      permissions: all.reduce((sum, { permissions }) => sum + permissions, 0),
      channels: all.reduce((sum, { channels }) => sum + channels, 0),
      toPeer: trafficOf(this.#table.toPeer),
      toClient: trafficOf(this.#table.toClient),
      undelivered: this.#table.undelivered,
      ...this.#reporter.counts(),
    }
  }

  /** Throws, with nothing changed, for rules that are none. */
  replaceRules(rules: ServerRules): void {
    const policy = policyOf(rules)
    this.#auth?.replace(usersOf(rules))
    this.#checks.policy = policy
    for (const allocation of this.#table.all()) {
      allocation.prune(this.#ports.clock.now(), (peer) => policy.permits(peer.ip))
    }
  }

  drain(timeoutMs: number): void {
    this.#table.drain(after(this.#ports.clock.now(), timeoutMs))
  }

  stop(): void {
    this.#table.stop()
  }

  #request(received: Received): void {
    const { path, message } = received
    const { method } = message
    if (method === Method.binding) {
      if (!this.#limit.admit(path.client.ip, this.#now)) return this.#drop('client', 'rate-limited')
      const unknown = unknownComprehensionRequired(message, known)
      if (unknown.length > 0) return this.#refuse(received, { code: 420, attributes: unknownOf(unknown) })
      return this.#pass({ ...received, user: undefined }, { attributes: [] })
    }
    if (!served.has(method)) return this.#drop('client', 'unexpected')
    const asked = this.#authenticate(received)
    if (!asked) return
    const unknown = unknownComprehensionRequired(message, known)
    if (unknown.length > 0) return this.#refuse(asked, { code: 420, attributes: unknownOf(unknown) })
    if (method === Method.allocate) return this.#allocate(asked)
    const allocation = this.#table.get(String(path.key))
    allocation?.prune(this.#now)
    // Without one node-turn says so itself: 437.
    const code = allocation && this.#checks.request(asked, allocation)
    if (code !== undefined) return this.#refuse(asked, { code })
    this.#pass(asked, shown(message, method === Method.refresh ? this.#grant(message) : undefined))
  }

  #allocate(asked: Asked): void {
    const { path, message } = asked
    const key = String(path.key)
    // A retransmission while its socket is being opened: the answer is on its way.
    if (this.#table.isOpening(key)) return
    const seconds = this.#grant(message)
    const even = readOptional(message, evenPort)
    // Its parser throws for EVEN-PORT, and its handler misspells LIFETIME.
    const values = new Map<string, unknown>([['liftetime', seconds]])
    if (even !== undefined) values.set('even-port', false)
    if (!this.#table.get(key)) {
      const refused = this.#checks.allocate(message) ?? this.#table.begin(key, path, asked.user)
      if (refused !== undefined) return this.#refuse(asked, { code: refused })
    }
    this.#pass(asked, { ...shown(message, seconds), values })
  }

  #grant(message: StunMessage): number {
    const asked = get(message, lifetime)
    return asked === 0 && message.method === Method.refresh ? 0 : this.#table.grantedLifetime(asked)
  }

  /** Undefined when the answer was a challenge. */
  #authenticate(received: Received): Asked | undefined {
    const { path, message } = received
    if (!this.#auth) return { ...received, user: undefined }
    const result = this.#auth.check(message, {
      client: path.client,
      now: this.#ports.clock.wallTime(),
      judgeExpiry: message.method === Method.allocate,
      known: this.#table.get(String(path.key))?.user,
    })
    const { integrity } = result
    if (result.kind === 'authenticated') return { ...received, integrity, user: result.user }
    const { why, username, code, attributes } = result
    if (why !== 'no-credentials' && why !== 'stale-nonce') {
      this.#tell({ kind: 'auth-failure', path, method: message.method, why, username })
    }
    if (!integrity && !this.#limit.admit(path.client.ip, this.#now)) this.#drop('client', 'rate-limited')
    else this.#refuse({ ...received, integrity }, { code, attributes })
    return undefined
  }

  #refuse(received: Received, { code, attributes = [] }: Refusal): void {
    const count = (): readonly EncodableAttribute[] => {
      this.#tell({ kind: 'error-response', path: received.path, method: received.message.method, code })
      return attributes
    }
    this.#messages.toTheirs(received, { attributes: [] }, count).reply().reject(code, errorReason(code))
  }

  /** Hands it to node-turn. */
  #pass(asked: Asked, what: Shown): void {
    const onAnswer = (answer: StunMessage, their: TheirMessage): readonly EncodableAttribute[] => {
      this.#answered(asked, answer, their)
      return []
    }
    const their = this.#messages.toTheirs(asked, what, onAnswer)
    // Its server looks this up for every method but Allocate, so that it takes no Allocate for a retransmission.
    their.allocation = this.#their.allocations[String(asked.path.key)] ?? null
    try {
      this.#their.emit('message', their)
    } catch (error) {
      // As its own network does: a fault of a handler is not the end of every call.
      this.#handlers.onEvent({ kind: 'warning', message: `node-turn: ${String(error)}` })
    }
  }

  /** What node-turn's answer says has happened. It has not left yet. */
  #answered({ path, message }: Asked, answer: StunMessage, their: TheirMessage): void {
    const key = String(path.key)
    const { method } = message
    const error = get(answer, errorCode)
    if (error) {
      this.#tell({ kind: 'error-response', path, method, code: error.code })
      if (method === Method.allocate) this.#table.abandon(key)
      return
    }
    this.#tell({ kind: 'success-response', path, method })
    if (method === Method.allocate && their.allocation) this.#table.adopt(key, their.allocation, this.#now)
    if (method === Method.refresh && !this.#their.allocations[key]) this.#table.end(key, 'refreshed-to-zero')
    if (method === Method.channelBind) this.#bound(key, message)
  }

  #bound(key: string, message: StunMessage): void {
    const allocation = this.#table.get(key)
    const number = get(message, servedChannelNumber)
    const peer = get(message, xorPeerAddress)
    if (!allocation || number === undefined || !peer) return
    const { channel } = this.#table.lifetimes
    allocation.bind(number, peer, channel, this.#now)
    // As long as the channel: aioice renews its channels every 500 s and nothing else.
    allocation.permit(peer.ip, channel, this.#now)
  }

  #send(received: Received): void {
    const { path, message } = received
    if (unknownComprehensionRequired(message, known).length > 0) return this.#drop('client', 'unknown-attribute')
    const allocation = this.#table.get(String(path.key))
    if (!allocation) return this.#drop('client', 'no-allocation')
    const peer = get(message, xorPeerAddress)
    const bytes = get(message, data)
    if (!peer || !bytes || peer.port === 0) return this.#drop('client', 'bad-indication')
    if (!allocation.permits(peer.ip, this.#now)) return this.#drop('client', 'no-permission')
    if (this.#checks.isOwn(peer)) return this.#drop('client', 'denied-peer')
    if (!allocation.toPeer.admit(bytes.length, this.#now)) return this.#drop('client', 'over-bandwidth')
    this.#pass({ ...received, user: undefined }, shown(message))
  }

  #channelData(path: ClientPath, bytes: Uint8Array): void {
    const decoded = decodeChannelData(bytes, maxLegacyChannelNumber)
    if (!decoded.ok) return this.#drop('client', 'malformed')
    const allocation = this.#table.get(String(path.key))
    const { channel, data: payload } = decoded.value
    const peer = allocation?.peerOf(channel, this.#now)
    if (!allocation || !peer) return this.#drop('client', allocation ? 'no-channel' : 'no-allocation')
    if (!allocation.toPeer.admit(payload.length, this.#now)) return this.#drop('client', 'over-bandwidth')
    allocation.socket.send(payload, peer.port, peer.ip)
  }

  /**
   * In place of its own listener, which dies of datagrams shorter than two bytes, takes a peer's data for ChannelData
   * where it looks like that, and lets Data indications overtake each other.
   */
  #fromPeer(allocation: NodeTurnAllocation, from: TransportAddress, bytes: Uint8Array): void {
    const now = this.#now
    const number = allocation.numberOf(from, now)
    if (number === undefined && !allocation.permits(from.ip, now)) return this.#drop('peer', 'no-permission')
    if (bytes.length > (number === undefined ? maxIndicationData : maxChannelData)) return this.#drop('peer', 'too-big')
    if (!allocation.toClient.admit(bytes.length, now)) return this.#drop('peer', 'over-bandwidth')
    const { path, their } = allocation
    const { client } = path
    const datagram =
      number === undefined
        ? this.#messages.dataIndication(path, from, bytes, this.#ports.random.bytes(12))
        : this.#messages.channelData(number, bytes)
    their.transport.socket.send(datagram, client.port, client.ip)
  }

  get #now(): Instant {
    return this.#ports.clock.now()
  }

  #drop(from: 'client' | 'peer', reason: DropReason): void {
    this.#tell({ kind: 'drop', from, reason })
  }

  #tell(event: TurnEvent): void {
    this.#reporter.report(event, this.#now)
    if (event.kind === 'drained') this.#handlers.onDrained()
  }
}

const served: ReadonlySet<number> = new Set([
  Method.allocate,
  Method.refresh,
  Method.createPermission,
  Method.channelBind,
])

const unknownOf = (types: readonly number[]): EncodableAttribute[] => [attribute(unknownAttributes, types)]

/** Without the algorithms of RFC 8489: node-turn's clients sign with SHA-1. */
function authOf(settings: ServerSettings, { authenticate }: RelayHooks): ServerAuth {
  return new ServerAuth({
    realm: settings.realm,
    nonceKey: settings.nonceKey,
    nonceLifetime: settings.lifetimes.nonce,
    algorithms: [],
    ...usersOf(settings),
    authenticate: authenticate && ((name, client) => passwordFrom(answerOf(() => authenticate(name, client)))),
  })
}

/** The attributes that its handlers look at, first ones first. `seconds` stands for LIFETIME: what is granted. */
function shown(message: StunMessage, seconds?: number): Shown {
  const copy = <T>(codec: AttributeCodec<T>): EncodableAttribute[] => {
    const value = get(message, codec)
    return value === undefined ? [] : [attribute(codec, value)]
  }
  const number = get(message, servedChannelNumber)
  return {
    attributes: [
      ...copy(requestedTransport),
      ...(number === undefined ? [] : [attribute(channelNumber, number)]),
      ...(readPeers(message) ?? []).map((peer) => attribute(xorPeerAddress, peer)),
      ...copy(data),
      ...(seconds === undefined ? [] : [attribute(lifetime, seconds)]),
    ],
  }
}
