/** A million packets that went wrong in every way: nothing throws, nothing leaks, and every answer keeps to its bounds. */
import { describe, expect, it } from 'vitest'
import { after, type Instant, instant, sameAddress, type TransportAddress, wallTime } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import { type LongTermSession, ServerAuth, signRequest } from '../../../src/proto/stun/index.ts'
import {
  type ClientPath,
  PeerPolicy,
  type RelayId,
  type TurnEffect,
  TurnServer,
} from '../../../src/proto/turn-server/index.ts'
import {
  additionalAddressFamily,
  attribute,
  channelNumber,
  data,
  decodeMessage,
  dontFragment,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  evenPort,
  get,
  has,
  lifetime,
  longTermKey,
  messageIntegrity,
  messageIntegritySha256,
  Method,
  rawAttribute,
  requestedAddressFamily,
  reservationToken,
  type StunMessage,
  toChannelNumber,
  xorMappedAddress,
  xorPeerAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'
import { channelDataBytes, epoch, peer, peer6, serverAddress, udp } from './rig.ts'

/** Two in three of them are wrong or arbitrary: more than a million in four runs. */
const packetsPerRun = 390_000
/** Clients come back on the same few 5-tuples, so that mutated packets meet allocations of every age. */
const tuples = 40
const realmName = 'example.org'
const users = ['alice', 'bob'] as const
const peers: readonly TransportAddress[] = [
  peer,
  peer6,
  { ip: '9.8.7.6', port: 1 },
  { ip: '10.0.0.1', port: 80 },
  serverAddress,
]
/** RFC 8656 and RFC 8489 have no others for a relay. */
const codes = new Set([400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508])

/** One to three things that happen to packets, or that attackers do. */
function mutate(original: Uint8Array, random: SeededRandom): Uint8Array {
  let bytes: Uint8Array = original.slice()
  for (let times = random.integer(1, 3); times > 0 && bytes.length >= 4; times--) {
    const at = random.integer(0, bytes.length - 1)
    switch (random.integer(0, 6)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7))
        break
      case 1:
        bytes[at] = random.integer(0, 255)
        break
      case 2:
        bytes = bytes.slice(0, at)
        break
      case 3:
        bytes = join(bytes, random.bytes(random.integer(1, 40)))
        break
      case 4:
        new DataView(bytes.buffer).setUint16(2, random.integer(0, 60) * (random.chance(0.75) ? 4 : 1))
        break
      case 5:
        new DataView(bytes.buffer).setUint16(0, random.integer(0, 0x1ff))
        break
      default:
        bytes.fill(random.integer(0, 255), at, at + random.integer(1, 8))
    }
  }
  return bytes
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** Attributes that clients send, some of them wrong. */
function someAttributes(random: SeededRandom, tokens: readonly Uint8Array[]): EncodableAttribute[] {
  const pools: readonly (() => EncodableAttribute)[] = [
    () => udp,
    () => udp,
    () => attribute(lifetime, random.pick([0, 0, 1, 600, 3600, 0xffffffff])),
    () => attribute(xorPeerAddress, random.pick(peers)),
    () => attribute(xorPeerAddress, random.pick(peers)),
    () => attribute(channelNumber, toChannelNumber(0x4000 + random.integer(0, 5))),
    () => attribute(requestedAddressFamily, random.pick([4, 6])),
    () => rawAttribute(requestedAddressFamily.type, Uint8Array.of(random.integer(0, 9), 0, 0, 0)),
    () => attribute(additionalAddressFamily, random.pick([4, 6])),
    () => attribute(evenPort, { reserveNext: random.chance(0.5) }),
    () => attribute(reservationToken, tokens.length > 0 ? random.pick(tokens) : random.bytes(8)),
    () => attribute(dontFragment, true),
    () => attribute(data, random.bytes(random.integer(0, 20))),
    () => rawAttribute(random.integer(0, 0x30), random.bytes(random.integer(0, 20))),
    () => rawAttribute(random.integer(0, 0xffff), random.bytes(random.integer(0, 20))),
  ]
  return Array.from({ length: random.integer(0, 4) }, () => random.pick(pools)())
}

class Sweep {
  readonly random: SeededRandom
  readonly server: TurnServer
  readonly open: Map<RelayId, number> = new Map()
  readonly seen: Map<string, number> = new Map()
  now: Instant = instant(0)
  /** Packets that no correct client or peer sends. */
  wrong = 0
  readonly #auth: ServerAuth
  /** The server's own address is allowed, so that only its listeners are not. */
  readonly #policy = new PeerPolicy({ allow: ['198.51.100.0/24'] })
  readonly #paths: readonly ClientPath[]
  readonly #keys: Readonly<Record<string, Uint8Array>>
  readonly #tokens: Uint8Array[] = []
  readonly #recent: RelayId[] = []

  constructor(seed: string, dontFragmentServed: boolean) {
    this.random = new SeededRandom(seed)
    this.#auth = new ServerAuth({
      realm: realmName,
      nonceKey: this.random.bytes(32),
      users: new Map(users.map((name) => [name, `password of ${name}`])),
    })
    this.#keys = Object.fromEntries(
      users.map((name) => [
        name,
        longTermKey({ username: name, realm: realmName, password: `password of ${name}` }, 'sha-256'),
      ]),
    )
    this.#paths = Array.from({ length: tuples }, (_, index) => ({
      key: index,
      protocol: index % 4 === 0 ? ('tcp' as const) : ('udp' as const),
      // Half of them are not counted by the limit on unauthenticated answers.
      client: index % 2 === 0 ? { ip: '127.0.0.1', port: 1000 + index } : { ip: '2001:db8:9::9', port: 1000 + index },
      server: serverAddress,
    }))
    this.server = new TurnServer({
      random: this.random.fork('server'),
      clock: { wallTime: () => wallTime(epoch + this.now) },
      auth: this.#auth,
      relayAddresses: [{ ip: '198.51.100.1' }, { ip: '2001:db8::1' }],
      listeners: [serverAddress],
      ports: { min: 50_000, max: 50_063 },
      userQuota: 25,
      maxPermissions: 4,
      bytesPerSecond: 50,
      unauthenticatedPerSecond: 1,
      peerPolicy: this.#policy,
      dontFragment: dontFragmentServed,
    })
  }

  step(): void {
    const { random } = this
    if (random.chance(0.3)) this.now = after(this.now, random.integer(0, random.chance(0.01) ? 60_000 : 400))
    const path = random.pick(this.#paths)
    const kind = random.float()
    if (kind < 0.15) return this.#peerPacket()
    if (kind < 0.152) return this.#event(path)
    const sent = this.#packet(path, kind)
    const before = sent.slice()
    this.server.handleClient(path, sent, this.now)
    if (Buffer.compare(before, sent) !== 0) throw new Error('the packet was changed')
    this.#settle(sent)
  }

  /** Everything expires; what is left is a leak. */
  finish(): void {
    this.now = after(this.now, 2 * 3600_000)
    this.server.handleTimeout(this.now)
    this.#settle()
    expect(Object.entries(this.server.counts).filter(([, count]) => count !== 0)).toEqual([])
    expect(this.server.pollTimeout()).toBeUndefined()
    expect([...this.open.keys()]).toEqual([])
  }

  /** Signed as it should be, and then perhaps mutated; or mutated first and then signed, which gets further. */
  #packet(path: ClientPath, kind: number): Uint8Array {
    const { random } = this
    if (kind < 0.2) return this.#arbitrary(80)
    if (kind < 0.28) {
      const channelData = channelDataBytes(0x4000 + random.integer(0, 5), random.bytes(random.integer(0, 40)))
      return random.chance(0.3) ? this.#mutate(channelData) : channelData
    }
    if (kind < 0.36) {
      const attributes = [attribute(xorPeerAddress, random.pick(peers)), attribute(data, random.bytes(9))]
      const wrong = random.chance(0.3) ? this.#attributes() : []
      return this.#encode('indication', Method.send, [...attributes, ...wrong], undefined)
    }
    if (kind < 0.42) return this.#mutate(this.#encode('request', Method.binding, [], undefined))
    const method = random.pick([
      Method.allocate,
      Method.refresh,
      Method.createPermission,
      Method.channelBind,
      random.integer(0, 12),
    ])
    const useful = this.#useful(method)
    const session = random.chance(0.97) ? this.#session(path) : undefined
    if (random.chance(0.4)) return this.#mutate(this.#encode('request', method, useful, session))
    const attributes = random.chance(0.6) ? useful : [...useful, ...this.#attributes()]
    return this.#encode('request', method, attributes, session)
  }

  #arbitrary(maxLength: number): Uint8Array {
    this.wrong++
    return this.random.bytes(this.random.integer(0, maxLength))
  }

  #mutate(bytes: Uint8Array): Uint8Array {
    this.wrong++
    return mutate(bytes, this.random)
  }

  #attributes(): EncodableAttribute[] {
    this.wrong++
    return someAttributes(this.random, this.#tokens)
  }

  #useful(method: number): EncodableAttribute[] {
    if (method === Method.allocate) return [udp]
    if (method === Method.createPermission) return [attribute(xorPeerAddress, this.random.pick(peers))]
    if (method !== Method.channelBind) return []
    const number = attribute(channelNumber, toChannelNumber(0x4000 + this.random.integer(0, 3)))
    return [number, attribute(xorPeerAddress, this.random.pick(peers))]
  }

  #session(path: ClientPath): { name: string; session: LongTermSession } {
    const name = users[this.random.chance(0.9) ? Number(path.key) % 2 : this.random.integer(0, 1)] ?? 'alice'
    const session: LongTermSession = {
      realm: realmName,
      nonce: this.random.chance(0.98)
        ? this.#auth.nonceFor(path.client.ip, wallTime(epoch + this.now))
        : this.#auth.nonceFor(path.client.ip, wallTime(epoch + this.now - 3600_000)),
      anonymous: this.random.chance(0.1),
      offered: Uint8Array.of(0, 2, 0, 0, 0, 1, 0, 0),
      algorithm: 'sha-256',
      key: this.#keys[name] ?? new Uint8Array(16),
    }
    return { name, session }
  }

  #encode(
    messageClass: 'request' | 'indication',
    method: number,
    attributes: readonly EncodableAttribute[],
    as: { name: string; session: LongTermSession } | undefined,
  ): Uint8Array {
    const credentials = as && ({ kind: 'long-term', username: as.name, password: '' } as const)
    const signed = signRequest(attributes, credentials, as?.session)
    const transactionId = this.random.bytes(12)
    const fingerprint = this.random.chance(0.1)
    const { integrity } = signed
    return encodeMessage({
      class: messageClass,
      method,
      transactionId,
      attributes: signed.attributes,
      integrity,
      fingerprint,
    })
  }

  #peerPacket(): void {
    const { random } = this
    const relay =
      random.chance(0.95) && this.#recent.length > 0 ? random.pick(this.#recent) : (random.integer(0, 99) as RelayId)
    const bytes = this.#arbitrary(random.chance(0.01) ? 2000 : 60)
    if (random.chance(0.1)) {
      const icmp = { type: random.integer(0, 255), code: random.integer(0, 600), data: random.uint32() }
      this.server.handlePeerError(relay, random.pick(peers), icmp, this.now)
    } else this.server.handlePeer(relay, random.pick(peers), bytes, this.now)
    this.#settle()
  }

  #event(path: ClientPath): void {
    const relay = this.#recent.length > 0 ? this.random.pick(this.#recent) : (1 as RelayId)
    const what = this.random.integer(0, 2)
    if (what === 0) this.server.handleClientGone(path, this.now)
    else if (what === 1) this.server.handleRelayFailed(relay, 'other', this.now)
    else this.server.handleRelayOpened(relay, this.now)
    this.#settle()
  }

  #settle(sent?: Uint8Array): void {
    let answers = 0
    for (let effect = this.server.pollEffect(); effect !== undefined; effect = this.server.pollEffect()) {
      if (effect.kind === 'send-to-client') {
        const message = this.#checkAnswer(effect.bytes, sent)
        if (message && message.class !== 'indication' && isAnswerTo(message, sent) && ++answers > 1)
          throw new Error('two answers')
      } else this.#perform(effect)
    }
    const next = this.server.pollTimeout()
    if (next !== undefined && next <= this.now) throw new Error('left something that is over')
  }

  #perform(effect: Exclude<TurnEffect, { kind: 'send-to-client' }>): void {
    switch (effect.kind) {
      case 'open-relayed-address':
        return this.#openRelay(effect.relay, effect.port)
      case 'close-relayed-address':
        if (!this.open.delete(effect.relay)) throw new Error('closed what was not open')
        return this.#count(`closed: ${effect.why}`)
      case 'send-to-peer':
        if (!this.open.has(effect.relay)) throw new Error('sent from what is not open')
        if (!this.#policy.permits(effect.peer.ip) || effect.peer.port === 0 || sameAddress(effect.peer, serverAddress))
          throw new Error('sent to a denied peer')
        return this.#count('to peer')
      case 'event':
        return this.#count(effect.event.kind === 'drop' ? `drop: ${effect.event.reason}` : effect.event.kind)
    }
  }

  #openRelay(relay: RelayId, port: number): void {
    if (this.open.has(relay)) throw new Error('opened twice')
    if ([...this.open.values()].filter((taken) => taken === port).length > 1) throw new Error('a port given out twice')
    this.open.set(relay, port)
    this.#recent.push(relay)
    if (this.#recent.length > tuples) this.#recent.shift()
    const fate = this.random.float()
    if (fate < 0.9) this.server.handleRelayOpened(relay, this.now)
    else if (fate < 0.97) {
      this.server.handleRelayFailed(relay, this.random.pick(['address-in-use', 'no-descriptors', 'other']), this.now)
    }
  }

  /** Undefined for ChannelData. */
  #checkAnswer(bytes: Uint8Array, sent: Uint8Array | undefined): StunMessage | undefined {
    const wrong = (what: string): Error =>
      new Error(`${what}: ${Buffer.from(bytes).toString('hex')} to ${Buffer.from(sent ?? []).toString('hex')}`)
    if ((bytes[0] ?? 0) >= 0x40) {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint16(2)
      if (bytes.length < 4 + length || bytes.length > 4 + length + 3) throw wrong('malformed ChannelData')
      this.#count('ChannelData')
      return undefined
    }
    const decoded = decodeMessage(bytes)
    if (!decoded.ok || decoded.value.bytes.length !== bytes.length) throw wrong('malformed answer')
    const message = decoded.value
    if (message.class === 'indication') {
      if (message.method !== Method.data || !get(message, xorPeerAddress)) throw wrong('an indication of another kind')
      this.#count('Data')
      return message
    }
    const code = get(message, errorCode)?.code
    if (message.class === 'request' || (message.class === 'error' && !codes.has(code ?? 0)))
      throw wrong(`error ${code}`)
    // UNKNOWN-ATTRIBUTES takes two bytes for at least four of the request.
    if (bytes.length > 260 + (sent?.length ?? 0) / 2) throw wrong('too long')
    this.#count(`${message.class} ${code ?? message.method}`)
    if (message.class === 'success' && message.method !== Method.binding) this.#checkSuccess(message, wrong)
    return message
  }

  #checkSuccess(message: StunMessage, wrong: (what: string) => Error): void {
    if (!has(message, messageIntegrity) && !has(message, messageIntegritySha256)) throw wrong('unsigned success')
    if (message.method !== Method.allocate) return
    const complete = get(message, xorRelayedAddress) && get(message, xorMappedAddress) && get(message, lifetime)
    if (!complete) throw wrong('an incomplete Allocate success')
    const token = get(message, reservationToken)
    if (token) this.#tokens.unshift(token.slice())
    this.#tokens.length = Math.min(this.#tokens.length, 4)
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1)
  }
}

/** An earlier Allocate may be answered on the way, when the time that its opening may take is over. */
const isAnswerTo = ({ transactionId }: StunMessage, sent: Uint8Array | undefined): boolean =>
  sent !== undefined && Buffer.compare(transactionId, sent.subarray(8, 20)) === 0

/** What has to have happened often, or the mutations would prove little. */
const expected = [
  'success 3',
  'success 4',
  'success 8',
  'success 9',
  'error 400',
  'error 401',
  'error 403',
  'error 420',
  'error 437',
  'error 438',
  'error 440',
  'error 441',
  'error 443',
  'error 508',
  'to peer',
  'ChannelData',
  'Data',
  'closed: expired',
  'closed: refreshed-to-zero',
  'closed: client-gone',
  'closed: abandoned',
  'closed: failed',
  'drop: malformed',
  'drop: no-permission',
  'drop: no-channel',
  'drop: over-bandwidth',
  'drop: denied-peer',
  'drop: unknown-relay',
  'drop: rate-limited',
  'auth-failure',
]

describe('mutated packets against the TURN server', () => {
  it.each(['one', 'two', 'three', 'four'])(`run %s of ${packetsPerRun}`, (seed) => {
    const sweep = new Sweep(seed, seed === 'two')
    for (let packet = 0; packet < packetsPerRun; packet++) sweep.step()
    sweep.finish()
    const rare = expected.filter((what) => (sweep.seen.get(what) ?? 0) < 5)
    expect(rare).toEqual([])
    expect(sweep.wrong).toBeGreaterThan(250_000)
  })
})
