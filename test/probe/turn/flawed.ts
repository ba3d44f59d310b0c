/** A TURN server on the virtual network that does what it should, except for what it is told to do wrong. */
import { after, type DatagramEndpoint, formatAddress, scopeOf, type TransportAddress } from '../../../src/core/index.ts'
import {
  attribute,
  type ChannelNumber,
  channelNumber,
  data,
  decodeChannelData,
  decodeMessage,
  type EncodableAttribute,
  encodeChannelData,
  encodeMessage,
  evenPort,
  get,
  has,
  lifetime,
  Method,
  messageIntegrity,
  mobilityTicket,
  newTransactionId,
  nonce,
  realm,
  reservationToken,
  software,
  type StunMessage,
  transactionKey,
  unknownAttributes,
  xorMappedAddress,
  xorPeerAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'
import { type Host, SeededRandom, type VirtualClock } from '../../../src/lab/index.ts'
import { type Reply, replyBytes } from '../../proto/turn-client/scripted.ts'

export interface Flaws {
  readonly noAuthentication?: boolean
  /** What the same Allocate again gets. */
  readonly again?: 437 | 'another address'
  readonly unknownAttribute?: 'passed over' | 400 | 'dropped'
  readonly staleNonce?: 'accepted' | 401 | 'without NONCE'
  readonly software?: string
  /** Bytes that 401 has too many. */
  readonly fat?: number
  /** Whom it lets its clients reach besides global addresses. */
  readonly opens?: (ip: string) => boolean
  readonly refusesItself?: boolean
  /** Passes on what comes from addresses without a permission. */
  readonly leaks?: boolean
  readonly relayedIp?: string
  readonly firstPort?: number
  readonly lifetime?: number
  readonly keepsAllocations?: boolean
  readonly quota?: number
  readonly evenPort?: 'odd' | 'no token' | 'wrong port' | 508
  readonly mobility?: 'ticket only'
  readonly refusesChannels?: boolean
  /** What crosses it in one direction only. */
  readonly oneWay?: 'out' | 'in'
  /** Larger payloads are lost, towards peers and from them. */
  readonly mtu?: { readonly out: number; readonly in: number }
  /** Milliseconds that it takes for each packet it relays. */
  readonly slowMs?: number
  /** Packets that it relays in a second; more are lost. */
  readonly packetsPerSecond?: number
  /** Milliseconds after which it forgets permissions and channels, however often they are renewed. */
  readonly forgetsAfterMs?: number
  /** Milliseconds after which every nonce is stale, which it says without a new one. */
  readonly nonceDiesAfterMs?: number
}

interface Relayed {
  readonly client: TransportAddress
  readonly address: TransportAddress
  readonly endpoint: DatagramEndpoint
  readonly transaction: string
  readonly success: Reply
  readonly permissions: Set<string>
  readonly channels: Map<number, TransportAddress>
  readonly since: number
}

const knownTypes = new Set([
  0x0006, 0x0008, 0x000c, 0x000d, 0x0012, 0x0013, 0x0014, 0x0015, 0x0017, 0x0018, 0x0019, 0x001a, 0x0022,
])

const theNonce = 'a nonce of the server'

export class FlawedServer {
  readonly #host: Host
  readonly #clock: VirtualClock
  readonly #flaws: Flaws
  readonly #to: TransportAddress
  readonly #random = new SeededRandom('flawed')
  readonly #held = new Map<string, Relayed>()
  readonly #reserved = new Map<string, number>()
  #endpoint: DatagramEndpoint | undefined
  #nextPort: number
  #busyUntil = 0
  readonly #startedAt: number
  /** Allocations that were granted, in all. */
  granted = 0

  constructor(host: Host, clock: VirtualClock, to: TransportAddress, flaws: Flaws) {
    this.#host = host
    this.#clock = clock
    this.#to = to
    this.#flaws = flaws
    this.#nextPort = flaws.firstPort ?? 50_001
    this.#startedAt = clock.now()
  }

  /** Allocations that are held. */
  get held(): number {
    return this.#held.size
  }

  async start(): Promise<void> {
    this.#endpoint = await this.#host.openDatagram(
      { family: 4, ...this.#to },
      { onDatagram: (bytes, from) => void this.#hear(bytes, from), onFailure: () => undefined },
    )
  }

  async #hear(bytes: Uint8Array, from: TransportAddress): Promise<void> {
    const channelData = decodeChannelData(bytes)
    if ((bytes[0] ?? 0) >= 0x40) {
      const relayed = this.#held.get(formatAddress(from))
      const peer = channelData.ok && relayed?.channels.get(channelData.value.channel)
      if (relayed && peer && channelData.ok) this.#toPeer(relayed, peer, channelData.value.data)
      return
    }
    const decoded = decodeMessage(bytes)
    if (!decoded.ok) return
    const message = decoded.value
    if (message.class === 'indication' && message.method === Method.send) return this.#send(message, from)
    if (message.class !== 'request') return
    const reply = await this.#answer(message, from)
    if (reply) this.#endpoint?.send(replyBytes(message, this.#dressed(reply)), from)
  }

  #dressed(reply: Reply): Reply {
    const { software: name } = this.#flaws
    return name === undefined
      ? reply
      : { ...reply, attributes: [...(reply.attributes ?? []), attribute(software, name)] }
  }

  async #answer(request: StunMessage, from: TransportAddress): Promise<Reply | undefined> {
    if (request.method === Method.binding) return { attributes: [attribute(xorMappedAddress, from)] }
    const refusal = this.#identify(request)
    if (refusal) return refusal
    const strange = request.attributes.map(({ type }) => type).filter((type) => type < 0x8000 && !knownTypes.has(type))
    if (strange.length > 0) {
      const { unknownAttribute } = this.#flaws
      if (unknownAttribute === 'dropped') return undefined
      if (unknownAttribute === 400) return { code: 400 }
      if (unknownAttribute === undefined) return { code: 420, attributes: [attribute(unknownAttributes, strange)] }
    }
    if (request.method === Method.allocate) return await this.#allocate(request, from)
    const relayed = this.#held.get(formatAddress(from))
    if (request.method === Method.refresh) return this.#refresh(request, from, relayed)
    if (!relayed) return { code: 437 }
    const peer = get(request, xorPeerAddress)
    if (!peer) return { code: 400 }
    if (!this.#mayReach(peer.ip)) return { code: 403 }
    const number = get(request, channelNumber)
    if (number !== undefined) {
      if (this.#flaws.refusesChannels) return { code: 400 }
      relayed.channels.set(number, peer)
    }
    relayed.permissions.add(peer.ip)
    return {}
  }

  #identify(request: StunMessage): Reply | undefined {
    const { noAuthentication, staleNonce, fat = 0, nonceDiesAfterMs } = this.#flaws
    if (noAuthentication) return undefined
    const challenge = [attribute(realm, 'example.org'), attribute(nonce, theNonce)]
    if (!has(request, messageIntegrity)) {
      const padding = fat > 0 ? [attribute(software, 'x'.repeat(fat))] : []
      return { code: 401, attributes: [...challenge, ...padding] }
    }
    const isDead = nonceDiesAfterMs !== undefined && this.#clock.now() - this.#startedAt > nonceDiesAfterMs
    if (isDead) return { code: 438 }
    if (get(request, nonce) === theNonce || staleNonce === 'accepted') return undefined
    if (staleNonce === 401) return { code: 401, attributes: challenge }
    return { code: 438, attributes: staleNonce === 'without NONCE' ? challenge.slice(0, 1) : challenge }
  }

  async #allocate(request: StunMessage, from: TransportAddress): Promise<Reply | undefined> {
    const key = formatAddress(from)
    const transaction = transactionKey(request.transactionId)
    const held = this.#held.get(key)
    const { again, quota = Infinity } = this.#flaws
    if (held && held.transaction === transaction && again !== 437) {
      if (again === undefined) return held.success
      return { attributes: this.#successOf({ ip: this.#to.ip, port: 60_000 }, from) }
    }
    if (held) return { code: 437 }
    if (this.#held.size >= quota) return { code: 486 }
    if (get(request, evenPort) && this.#flaws.evenPort === 508) return { code: 508 }
    const port = this.#portFor(request)
    const address = { ip: this.#flaws.relayedIp ?? this.#to.ip, port }
    const success = { attributes: [...this.#successOf(address, from), ...this.#extras(request, port)] }
    const endpoint = await this.#host.openDatagram(
      { family: 4, ip: this.#to.ip, port },
      { onDatagram: (bytes, peer) => this.#fromPeer(relayed, bytes, peer), onFailure: () => undefined },
    )
    const relayed: Relayed = {
      client: from,
      address,
      endpoint,
      transaction,
      success,
      permissions: new Set(),
      channels: new Map(),
      since: this.#clock.now(),
    }
    this.#held.set(key, relayed)
    this.granted++
    return success
  }

  #successOf(address: TransportAddress, from: TransportAddress): EncodableAttribute[] {
    return [
      attribute(xorRelayedAddress, address),
      attribute(lifetime, this.#flaws.lifetime ?? 600),
      attribute(xorMappedAddress, from),
    ]
  }

  #portFor(request: StunMessage): number {
    const token = get(request, reservationToken)
    if (token) {
      const port = this.#reserved.get(String(token)) ?? 0
      return this.#flaws.evenPort === 'wrong port' ? port + 10 : port
    }
    const odd = (this.#nextPort += 4)
    return get(request, evenPort) && this.#flaws.evenPort !== 'odd' ? odd + 1 : odd
  }

  #extras(request: StunMessage, port: number): EncodableAttribute[] {
    const extras: EncodableAttribute[] = []
    if (get(request, evenPort)?.reserveNext && this.#flaws.evenPort !== 'no token') {
      const token = this.#random.bytes(8)
      this.#reserved.set(String(token), port + 1)
      extras.push(attribute(reservationToken, token))
    }
    if (has(request, mobilityTicket) && this.#flaws.mobility) {
      extras.push(attribute(mobilityTicket, this.#random.bytes(8)))
    }
    return extras
  }

  #refresh(request: StunMessage, from: TransportAddress, relayed: Relayed | undefined): Reply {
    if (!relayed) return { code: 437 }
    const seconds = get(request, lifetime) ?? this.#flaws.lifetime ?? 600
    if (seconds === 0 && !this.#flaws.keepsAllocations) {
      relayed.endpoint.close()
      this.#held.delete(formatAddress(from))
    }
    return { attributes: [attribute(lifetime, seconds)] }
  }

  #mayReach(ip: string): boolean {
    if (ip === this.#to.ip && this.#flaws.refusesItself) return false
    return scopeOf(ip) === 'global' || this.#flaws.opens?.(ip) === true
  }

  #send(indication: StunMessage, from: TransportAddress): void {
    const relayed = this.#held.get(formatAddress(from))
    const peer = get(indication, xorPeerAddress)
    const bytes = get(indication, data)
    if (relayed && peer && bytes && relayed.permissions.has(peer.ip)) this.#toPeer(relayed, peer, bytes)
  }

  #toPeer(relayed: Relayed, peer: TransportAddress, bytes: Uint8Array): void {
    const { oneWay, mtu } = this.#flaws
    if (oneWay === 'in' || bytes.length > (mtu?.out ?? Infinity) || this.#forgets(relayed)) return
    this.#relay(() => relayed.endpoint.send(bytes, peer))
  }

  #fromPeer(relayed: Relayed, bytes: Uint8Array, peer: TransportAddress): void {
    const { oneWay, mtu, leaks } = this.#flaws
    if (oneWay === 'out' || bytes.length > (mtu?.in ?? Infinity) || this.#forgets(relayed)) return
    if (!leaks && !relayed.permissions.has(peer.ip)) return
    const bound = [...relayed.channels].find(([, each]) => formatAddress(each) === formatAddress(peer))
    this.#relay(() =>
      this.#endpoint?.send(bound ? channelDataOf(bound[0], bytes) : this.#indication(peer, bytes), relayed.client),
    )
  }

  #indication(peer: TransportAddress, bytes: Uint8Array): Uint8Array {
    const attributes = [attribute(xorPeerAddress, peer), attribute(data, bytes)]
    const transactionId = newTransactionId(this.#random)
    return encodeMessage({ class: 'indication', method: Method.data, transactionId, attributes })
  }

  #forgets({ since }: Relayed): boolean {
    const { forgetsAfterMs } = this.#flaws
    return forgetsAfterMs !== undefined && this.#clock.now() - since > forgetsAfterMs
  }

  #relay(send: () => void): void {
    const { slowMs, packetsPerSecond } = this.#flaws
    if (packetsPerSecond !== undefined) {
      const now = this.#clock.now()
      if (this.#busyUntil > now + 50) return
      this.#busyUntil = Math.max(this.#busyUntil, now) + 1000 / packetsPerSecond
    }
    if (slowMs === undefined) send()
    else this.#clock.schedule(after(this.#clock.now(), slowMs), send)
  }
}

const channelDataOf = (channel: number, bytes: Uint8Array): Uint8Array =>
  encodeChannelData({ channel: channel as ChannelNumber, data: bytes }, { pad: false })

export async function flawedServer(host: Host, clock: VirtualClock, flaws: Flaws = {}): Promise<FlawedServer> {
  const server = new FlawedServer(host, clock, { ip: '50.0.0.1', port: 3478 }, flaws)
  await server.start()
  return server
}
