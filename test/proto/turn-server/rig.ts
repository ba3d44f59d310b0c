/** A TURN server on hand-driven time, a datapath that only writes down, and clients that speak as the RFCs say. */
import { after, type Instant, instant, type TransportAddress, wallTime } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import {
  answerChallenge,
  checkReply,
  type LongTermSession,
  ServerAuth,
  type ServerAuthOptions,
  signRequest,
} from '../../../src/proto/stun/index.ts'
import {
  type AllocationInfo,
  type ClientPath,
  type CloseReason,
  type OpenFailure,
  PeerPolicy,
  type RelayId,
  type TurnEffect,
  type TurnEvent,
  TurnServer,
  type TurnServerOptions,
} from '../../../src/proto/turn-server/index.ts'
import {
  attribute,
  attributeName,
  channelNumber,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  get,
  type IntegrityOptions,
  lifetime,
  Method,
  rawAttribute,
  requestedTransport,
  RequestedTransport,
  type StunMessage,
  toChannelNumber,
  xorPeerAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'

export const serverAddress: TransportAddress = { ip: '198.51.100.1', port: 3478 }
export const peer: TransportAddress = { ip: '8.8.4.4', port: 5000 }
export const peer6: TransportAddress = { ip: '2001:4860:4860::8844', port: 5000 }
export const realmName = 'example.org'
export const password = 'secret'
/** The calendar time of instant 0. */
export const epoch = 1_700_000_000_000

export interface OpenRelay {
  readonly ip: string
  readonly port: number
}

export interface RigOptions extends Omit<Partial<TurnServerOptions>, 'auth'> {
  readonly auth?: Partial<ServerAuthOptions> | 'none'
  /** What the datapath says to each opening; undefined: nothing yet. Default: always `opened`. */
  readonly opening?: (port: number) => 'opened' | OpenFailure | undefined
}

export class Rig {
  readonly server: TurnServer
  readonly auth: ServerAuth | undefined
  readonly random: SeededRandom = new SeededRandom('rig')
  now: Instant = instant(0)
  /** What the datapath has open. */
  readonly open: Map<RelayId, OpenRelay> = new Map()
  readonly closed: CloseReason[] = []
  readonly events: TurnEvent[] = []
  #opening: (port: number) => 'opened' | OpenFailure | undefined
  #clients = 0

  constructor(options: RigOptions = {}) {
    const { auth, opening, ...rest } = options
    this.#opening = opening ?? (() => 'opened')
    this.auth =
      auth === 'none'
        ? undefined
        : new ServerAuth({
            realm: realmName,
            nonceKey: new Uint8Array(32).fill(7),
            users: new Map([
              ['alice', password],
              ['bob', password],
            ]),
            ...auth,
          })
    this.server = new TurnServer({
      random: this.random.fork('server'),
      clock: { wallTime: () => wallTime(epoch + this.now) },
      auth: this.auth ?? 'none',
      relayAddresses: [{ ip: '198.51.100.1' }, { ip: '2001:db8::1' }],
      listeners: [serverAddress],
      ...rest,
    })
  }

  setOpening(opening: (port: number) => 'opened' | OpenFailure | undefined): void {
    this.#opening = opening
  }

  client(options: Partial<ClientPath> & { username?: string; password?: string } = {}): Client {
    this.#clients++
    const { username = 'alice', password: secret = password, ...path } = options
    return new Client(
      this,
      {
        key: `client ${this.#clients}`,
        protocol: 'udp',
        client: { ip: '9.9.9.9', port: 40_000 + this.#clients },
        server: serverAddress,
        ...path,
      },
      { username, password: secret },
    )
  }

  /** Performs the effects as a datapath would and returns those that somebody outside sees. */
  settle(): TurnEffect[] {
    const seen: TurnEffect[] = []
    for (let effect = this.server.pollEffect(); effect !== undefined; effect = this.server.pollEffect()) {
      if (effect.kind === 'event') {
        this.events.push(effect.event)
        continue
      }
      seen.push(effect)
      if (effect.kind === 'close-relayed-address') {
        this.open.delete(effect.relay)
        this.closed.push(effect.why)
      } else if (effect.kind === 'open-relayed-address') {
        this.open.set(effect.relay, { ip: effect.ip, port: effect.port })
        const answer = this.#opening(effect.port)
        if (answer === 'opened') this.server.handleRelayOpened(effect.relay, this.now)
        else if (answer) {
          this.open.delete(effect.relay)
          this.server.handleRelayFailed(effect.relay, answer, this.now)
        }
      }
    }
    return seen
  }

  fromClient(path: ClientPath, bytes: Uint8Array): TurnEffect[] {
    this.server.handleClient(path, bytes, this.now)
    return this.settle()
  }

  fromPeer(relay: RelayId, from: TransportAddress, bytes: Uint8Array): TurnEffect[] {
    this.server.handlePeer(relay, from, bytes, this.now)
    return this.settle()
  }

  /** Lets time pass, waking the server exactly when it wants to be woken. */
  pass(seconds: number): TurnEffect[] {
    const until = after(this.now, seconds * 1000)
    const seen: TurnEffect[] = []
    for (let at = this.server.pollTimeout(); at !== undefined && at <= until; at = this.server.pollTimeout()) {
      if (at < this.now) throw new Error(`wants to be woken at ${at}, which is past`)
      this.now = at
      this.server.handleTimeout(at)
      const next = this.server.pollTimeout()
      if (next !== undefined && next <= at) throw new Error('left something that is over')
      seen.push(...this.settle())
    }
    this.now = until
    return seen
  }

  /** Kinds of the events so far, drops with their reasons; forgets them. */
  told(): string[] {
    const told = this.events.map((event) => {
      if (event.kind === 'drop') return `drop ${event.reason}`
      if (event.kind === 'allocation-ended' || event.kind === 'auth-failure' || event.kind === 'relay-failed') {
        return `${event.kind} ${event.why}`
      }
      return event.kind === 'error-response' ? `error ${event.code}` : event.kind
    })
    this.events.length = 0
    return told
  }

  get allocations(): AllocationInfo[] {
    return [...this.server.allocations()]
  }

  /** Nothing is left: no state, no timer, no socket. */
  get idle(): boolean {
    const counts = Object.values(this.server.counts)
    return counts.every((count) => count === 0) && this.server.pollTimeout() === undefined && this.open.size === 0
  }
}

export interface Asked {
  readonly id?: Uint8Array
  /** Sign with these instead of the session's. */
  readonly integrity?: IntegrityOptions | undefined
  readonly fingerprint?: boolean
}

export class Client {
  readonly rig: Rig
  readonly path: ClientPath
  session: LongTermSession | undefined
  /** The integrity of the last request. */
  sealed: IntegrityOptions | undefined
  readonly #credentials: { kind: 'long-term'; username: string; password: string }

  constructor(rig: Rig, path: ClientPath, credentials: { username: string; password: string }) {
    this.rig = rig
    this.path = path
    this.#credentials = { kind: 'long-term', ...credentials }
  }

  /** One transmission of a request: its bytes, for sending them again. */
  bytes(method: number, attributes: readonly EncodableAttribute[] = [], asked: Asked = {}): Uint8Array {
    const signed = signRequest(attributes, this.#credentials, this.session)
    this.sealed = asked.integrity ?? signed.integrity
    return encodeMessage({
      class: 'request',
      method,
      transactionId: asked.id ?? this.rig.random.bytes(12),
      attributes: signed.attributes,
      integrity: this.sealed,
      fingerprint: asked.fingerprint,
    })
  }

  /** All messages that came back to this client. */
  exchange(bytes: Uint8Array): StunMessage[] {
    return answers(this.rig.fromClient(this.path, bytes), this.path)
  }

  /** One request without challenge handling. */
  once(method: number, attributes: readonly EncodableAttribute[] = [], asked: Asked = {}): StunMessage {
    const [reply, ...more] = this.exchange(this.bytes(method, attributes, asked))
    if (!reply || more.length > 0) throw new Error(`${more.length + (reply ? 1 : 0)} answers`)
    return reply
  }

  /** A request as a client makes it: meets challenges, believes only what is proven. */
  request(method: number, attributes: readonly EncodableAttribute[] = [], asked: Asked = {}): StunMessage {
    for (let tries = 0; tries < 3; tries++) {
      const reply = this.once(method, attributes, asked)
      const check = checkReply(reply, this.sealed, 'long-term')
      if (!check.accepted) throw new Error(check.why)
      const answer = answerChallenge(this.#credentials, this.session, reply)
      if (answer?.kind !== 'retry') return reply
      this.session = answer.session
    }
    throw new Error('challenged again and again')
  }

  allocate(attributes: readonly EncodableAttribute[] = [], asked: Asked = {}): StunMessage {
    return this.request(Method.allocate, [udp, ...attributes], asked)
  }

  /** The relayed address; throws when there is none. */
  relayed(attributes: readonly EncodableAttribute[] = []): TransportAddress {
    const reply = this.allocate(attributes)
    const address = get(reply, xorRelayedAddress)
    if (!address) throw new Error(`error ${codeOf(reply)}`)
    return address
  }

  refresh(seconds?: number, asked: Asked = {}): StunMessage {
    return this.request(Method.refresh, seconds === undefined ? [] : [attribute(lifetime, seconds)], asked)
  }

  permit(...peers: TransportAddress[]): StunMessage {
    return this.request(
      Method.createPermission,
      peers.map((address) => attribute(xorPeerAddress, address)),
    )
  }

  bind(channel: number, to: TransportAddress = peer): StunMessage {
    const number =
      channel <= 0x4fff && channel >= 0x4000
        ? attribute(channelNumber, toChannelNumber(channel))
        : rawAttribute(channelNumber.type, Uint8Array.of(channel >> 8, channel, 0, 0))
    return this.request(Method.channelBind, [number, attribute(xorPeerAddress, to)])
  }

  /** What the server relays, or what it says. */
  send(bytes: Uint8Array, to: TransportAddress = peer, extra: readonly EncodableAttribute[] = []): TurnEffect[] {
    return this.rig.fromClient(this.path, sendIndication(this.rig.random.bytes(12), bytes, to, extra))
  }

  channelData(channel: number, data: Uint8Array, padding = 0): TurnEffect[] {
    return this.rig.fromClient(this.path, channelDataBytes(channel, data, padding))
  }

  /** The relay's id as the datapath knows it. */
  relayId(address: TransportAddress): RelayId {
    for (const [id, { port }] of this.rig.open) if (port === address.port) return id
    throw new Error('no such relay')
  }
}

export const udp: EncodableAttribute = attribute(requestedTransport, RequestedTransport.udp)

export const channelDataBytes = (channel: number, data: Uint8Array, padding = 0): Uint8Array =>
  Uint8Array.from([
    channel >> 8,
    channel & 255,
    data.length >> 8,
    data.length & 255,
    ...data,
    ...new Uint8Array(padding),
  ])

export const sendIndication = (
  transactionId: Uint8Array,
  bytes: Uint8Array,
  to: TransportAddress,
  extra: readonly EncodableAttribute[] = [],
): Uint8Array =>
  encodeMessage({
    class: 'indication',
    method: Method.send,
    transactionId,
    attributes: [attribute(xorPeerAddress, to), rawAttribute(0x0013, bytes), ...extra],
  })

export function answers(effects: readonly TurnEffect[], path?: ClientPath): StunMessage[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'send-to-client' || (path && effect.path !== path && effect.path.key !== path.key)) return []
    const decoded = decodeMessage(effect.bytes)
    if (!decoded.ok) throw new Error(decoded.why)
    return [decoded.value]
  })
}

export const codeOf = (message: StunMessage): number | undefined => get(message, errorCode)?.code

/** `success`, or the error code. */
export const outcome = (message: StunMessage): string | number => codeOf(message) ?? message.class

export const names = (message: StunMessage): string[] => message.attributes.map(({ type }) => attributeName(type))

export const policyOf = (...allow: string[]): PeerPolicy => new PeerPolicy({ allow })

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
