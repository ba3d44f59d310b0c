/** The datapath of every platform: over core's Network, one packet at a time. Runs on the virtual network too. */
import {
  type AddressFamily,
  addressFamily,
  type Cancel,
  type Clock,
  type DatagramEndpoint,
  type IpAddress,
  NatcheckError,
  type Network,
  type Random,
  type ServerCertificate,
  type StreamListener,
  type TransportAddress,
} from '../../core/index.ts'
import {
  addressKey,
  type ClientKey,
  type ClientPath,
  type RelayId,
  type TurnEvent,
} from '../../proto/turn-server/index.ts'
import { encodeChannelData } from '../../wire/index.ts'
import {
  type CreateServer,
  type Datapath,
  type DatapathHandlers,
  type DatapathServer,
  type EffectPorts,
  type ListenerOptions,
  LISTENER_BUFFER,
  type ListeningAddress,
  openFailure,
  performEffects,
  RELAY_BUFFER,
  SPARE_DESCRIPTORS,
} from './datapath.ts'
import { StreamClients, StreamPath } from './streams.ts'

export interface DgramPorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
}

/** Binds the listeners and starts. Rejects as `Network.openDatagram` and `listenStream` do; nothing stays open then. */
export async function startDgram<Settings>(
  ports: DgramPorts,
  listeners: readonly ListenerOptions[],
  settings: Settings,
  createServer: CreateServer<Settings>,
  handlers: DatapathHandlers,
): Promise<Datapath> {
  const { clock, random } = ports
  let running: DgramDatapath | undefined
  const server = createServer(settings, {
    clock,
    random,
    post: (message) => handlers.onMessage(message),
    dropped: () => running?.dropped ?? 0,
  })
  running = new DgramDatapath(ports, server)
  try {
    for (const listener of listeners) await running.listen(listener)
  } catch (error) {
    await running.close()
    throw error
  }
  return running
}

/** A UDP client's 5-tuple. Answers leave from the listener it asked. */
class DatagramPath implements ClientPath {
  readonly key: ClientKey
  readonly protocol = 'udp'
  readonly client: TransportAddress
  readonly listener: Listener

  constructor(client: TransportAddress, listener: Listener) {
    this.key = listener.keyOf(client)
    this.client = client
    this.listener = listener
  }

  get server(): TransportAddress {
    return this.listener.endpoint.local
  }
}

/** Client keys below 2^53 are numbers: a listener, an IPv4 address, a port. */
const LISTENER = 2 ** 48
const NUMBERED_LISTENERS = 2 ** 5

class Listener {
  readonly endpoint: DatagramEndpoint
  readonly #index: number

  constructor(endpoint: DatagramEndpoint, index: number) {
    this.endpoint = endpoint
    this.#index = index
  }

  keyOf(client: TransportAddress): ClientKey {
    const key = addressKey(client)
    return typeof key === 'number' && this.#index < NUMBERED_LISTENERS
      ? this.#index * LISTENER + key
      : `${this.#index} ${key}`
  }
}

class DgramDatapath implements Datapath, EffectPorts {
  readonly name = 'dgram'
  readonly listening: ListeningAddress[] = []
  /** Datagrams that the operating system did not take. */
  dropped = 0
  readonly #ports: DgramPorts
  readonly #server: DatapathServer
  readonly #streams: StreamClients
  readonly #datagramListeners: Listener[] = []
  readonly #streamListeners: StreamListener[] = []
  /** Undefined while a socket is being opened. */
  readonly #relays = new Map<RelayId, DatagramEndpoint | undefined>()
  #cancelTimer: Cancel | undefined
  #timerAt: number | undefined
  #performing = false
  #closed = false

  constructor(ports: DgramPorts, server: DatapathServer) {
    this.#ports = ports
    this.#server = server
    this.#streams = new StreamClients(ports.clock, {
      onMessage: (path, bytes) => this.#fromClient(path, bytes),
      onChannelData: (path, channel, data) => this.#channelData(path, channel, data),
      onGone: (path) => {
        this.#server.machine.handleClientGone(path, ports.clock.now())
        this.#settle()
      },
    })
  }

  async listen({ protocol, address, certificate }: ListenerOptions): Promise<void> {
    const { network } = this.#ports
    const where = { family: addressFamily(address), ip: address.ip, port: address.port }
    if (protocol === 'udp') {
      let listener: Listener | undefined
      const endpoint = await network.openDatagram(
        { ...where, receiveBuffer: LISTENER_BUFFER },
        {
          onDatagram: (bytes, from) => listener && this.#datagram(listener, bytes, from),
          onFailure: () => void this.dropped++,
        },
      )
      listener = new Listener(endpoint, this.#datagramListeners.length)
      this.#datagramListeners.push(listener)
      this.listening.push({ protocol, address: endpoint.local })
      return
    }
    const tls = protocol === 'tls' ? certificate : undefined
    if (protocol === 'tls' && !tls) throw new NatcheckError('USAGE', 'a TLS listener needs a certificate')
    const options = { ...where, tls, spareDescriptors: SPARE_DESCRIPTORS }
    const listener = await network.listenStream(options, (stream) => this.#streams.accept(protocol, stream))
    this.#streamListeners.push(listener)
    this.listening.push({ protocol, address: listener.local })
  }

  async request(request: unknown): Promise<readonly unknown[]> {
    const answer = this.#server.onRequest(request, this.#ports.clock.now())
    this.#settle()
    return [answer]
  }

  replaceCertificate(certificate: ServerCertificate): void {
    for (const [index, { protocol }] of this.listening.filter(({ protocol }) => protocol !== 'udp').entries()) {
      if (protocol === 'tls') this.#streamListeners[index]?.replaceCertificate(certificate)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTimer?.()
    this.#streams.close()
    for (const listener of this.#streamListeners) listener.close()
    for (const { endpoint } of this.#datagramListeners) endpoint.close()
    for (const endpoint of this.#relays.values()) endpoint?.close()
    this.#relays.clear()
  }

  sendToClient(path: ClientPath, bytes: Uint8Array): void {
    if (path instanceof StreamPath) path.send(bytes)
    else this.#listenerOf(path)?.endpoint.send(bytes, path.client)
  }

  sendToPeer(relay: RelayId, peer: TransportAddress, bytes: Uint8Array): void {
    this.#relays.get(relay)?.send(bytes, peer)
  }

  openRelayed(relay: RelayId, family: AddressFamily, ip: IpAddress, port: number): void {
    this.#relays.set(relay, undefined)
    void this.#open(relay, family, ip, port)
  }

  closeRelayed(relay: RelayId): void {
    this.#relays.get(relay)?.close()
    this.#relays.delete(relay)
  }

  event(event: TurnEvent): void {
    this.#server.onEvent(event, this.#ports.clock.now())
  }

  async #open(relay: RelayId, family: AddressFamily, ip: IpAddress, port: number): Promise<void> {
    const { network, clock } = this.#ports
    const { machine } = this.#server
    try {
      const endpoint = await network.openDatagram(
        { family, ip, port, receiveBuffer: RELAY_BUFFER, spareDescriptors: SPARE_DESCRIPTORS },
        {
          onDatagram: (bytes, from) => this.#fromPeer(relay, bytes, from),
          onFailure: () => void this.dropped++,
        },
      )
      // Closed while it was being opened.
      if (!this.#relays.has(relay)) return endpoint.close()
      this.#relays.set(relay, endpoint)
      machine.handleRelayOpened(relay, clock.now())
    } catch (error) {
      if (!this.#relays.delete(relay)) return
      machine.handleRelayFailed(relay, openFailure(error), clock.now())
    }
    this.#settle()
  }

  #datagram(listener: Listener, bytes: Uint8Array, from: TransportAddress): void {
    const first = bytes[0] ?? 0
    if (first >= 0x40 && first < 0x80 && bytes.length >= 4) {
      const channel = (first << 8) | (bytes[1] ?? 0)
      const end = 4 + (((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0))
      if (end <= bytes.length && this.#relay(listener.keyOf(from), channel, bytes.subarray(4, end))) return
    }
    this.#fromClient(new DatagramPath(from, listener), bytes)
  }

  #channelData(path: StreamPath, channel: number, data: Uint8Array): void {
    if (this.#relay(path.key, channel, data)) return
    // The machine says why not. It is told what the client sent.
    this.#fromClient(path, encodeFrame(channel, data))
  }

  /** Relays ChannelData; false when there is no route. */
  #relay(key: ClientKey, channel: number, data: Uint8Array): boolean {
    const now = this.#ports.clock.now()
    const route = this.#server.machine.forwarding.channelToPeer(key, channel, now)
    if (route?.toPeer.admit(data.length, now)) this.#relays.get(route.relay)?.send(data, route.peer)
    return route !== undefined
  }

  #fromPeer(relay: RelayId, bytes: Uint8Array, from: TransportAddress): void {
    const { machine } = this.#server
    const now = this.#ports.clock.now()
    const route = machine.forwarding.peerToClient(relay, addressKey(from), now)
    if (route === undefined) {
      machine.handlePeer(relay, from, bytes, now)
      this.#settle()
    } else if (route.toClient.admit(bytes.length, now)) {
      const pad = route.path.protocol !== 'udp'
      this.sendToClient(route.path, encodeChannelData({ channel: route.channel, data: bytes }, { pad }))
    }
  }

  #fromClient(path: ClientPath, bytes: Uint8Array): void {
    this.#server.machine.handleClient(path, bytes, this.#ports.clock.now())
    this.#settle()
  }

  /** Performing may feed the machine again; the outermost call drains for all of them. */
  #settle(): void {
    if (this.#performing || this.#closed) return
    this.#performing = true
    try {
      performEffects(this.#server.machine, this)
    } finally {
      this.#performing = false
      this.#schedule()
    }
  }

  #schedule(): void {
    const { clock } = this.#ports
    const at = this.#server.machine.pollTimeout()
    if (at === this.#timerAt || this.#closed) return
    this.#cancelTimer?.()
    this.#timerAt = at
    this.#cancelTimer =
      at === undefined
        ? undefined
        : clock.schedule(at, () => {
            this.#timerAt = undefined
            this.#server.machine.handleTimeout(clock.now())
            this.#settle()
          })
  }

  /** The machine may answer from another path than the request's (RFC 5780): its server address names the socket. */
  #listenerOf(path: ClientPath): Listener | undefined {
    if (path instanceof DatagramPath) return path.listener
    const { ip, port } = path.server
    return this.#datagramListeners.find(({ endpoint: { local } }) => local.ip === ip && local.port === port)
  }
}

const encodeFrame = (channel: number, data: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(4 + data.length)
  new DataView(frame.buffer).setUint32(0, channel * 65536 + data.length)
  frame.set(data, 4)
  return frame
}
