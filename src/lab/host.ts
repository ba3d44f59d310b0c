/** A host: addresses, sockets, streams, and core's Network port over them. */
import { X509Certificate } from 'node:crypto'
import {
  type AcceptedStream,
  type AcceptStream,
  type AddressFamily,
  after,
  type Clock,
  type ConnectedDatagramEndpoint,
  type DatagramEndpoint,
  type DatagramHandlers,
  type DatagramOptions,
  type DeliveryFailureReason,
  familyOf,
  type InterfaceAddress,
  type IpAddress,
  type ListenOptions,
  NatcheckError,
  type Network,
  type ServerCertificate,
  type ServiceRecord,
  type StreamConnection,
  type StreamHandlers,
  type StreamListener,
  type StreamOptions,
  type TransportAddress,
} from '../core/index.ts'
import type { VirtualNames } from './names.ts'
import { icmpErrorAbout, type Packet, type TcpPacket, type UdpPacket } from './packet.ts'
import type { SeededRandom } from './random.ts'
import { type FirewallRule, type Node, type Surroundings, transmit, type Uplink } from './router.ts'
import { type AcceptVirtual, TcpStack, type VirtualListenOptions } from './tcp-stack.ts'
import { isWildcard, UdpStack } from './udp-stack.ts'

export interface HostOptions {
  readonly name: string
  readonly addresses: readonly IpAddress[]
  /** Absent: the host has no network beyond itself. */
  readonly uplink?: Uplink | undefined
  /** Addresses that are routed here but never answer. */
  readonly deadAddresses?: readonly IpAddress[] | undefined
  /** What a datagram for a closed port meets. Default: `icmp`, as on most hosts. */
  readonly closedPorts?: 'icmp' | 'silent' | undefined
  readonly gateway?: { readonly 4?: IpAddress; readonly 6?: IpAddress } | undefined
  /** This machine's own firewall. A refused packet that it sends fails at once with `local-firewall`. */
  readonly rule?: FirewallRule | undefined
  /** The families its kernel knows. Default: both. */
  readonly families?: readonly AddressFamily[] | undefined
}

export class Host implements Node, Network {
  readonly name: string
  readonly addresses: readonly IpAddress[]
  /** May be changed while the network runs. */
  rule: FirewallRule | undefined
  readonly #options: HostOptions
  readonly #around: Surroundings
  readonly #names: VirtualNames
  readonly #dead: ReadonlySet<IpAddress>
  readonly #udp: UdpStack
  readonly #tcp: TcpStack

  constructor(options: HostOptions, around: Surroundings, names: VirtualNames, random: SeededRandom) {
    this.name = options.name
    this.addresses = options.addresses
    this.rule = options.rule
    this.#options = options
    this.#around = around
    this.#names = names
    this.#dead = new Set(options.deadAddresses)
    const soon = (task: () => void): void => void around.clock.schedule(around.clock.now(), task)
    const sourceFor = (to: IpAddress): IpAddress | undefined => this.#sourceFor(to)
    this.#udp = new UdpStack({ sourceFor, soon, transmit: (packet) => this.#transmit(packet) }, random.fork('udp'))
    const later = (milliseconds: number, task: () => void): (() => void) =>
      around.clock.schedule(after(around.clock.now(), milliseconds), task)
    this.#tcp = new TcpStack(
      { sourceFor, soon, later, transmit: (packet) => void this.#transmit(packet) },
      random.fork('tcp'),
    )
    const { uplink, deadAddresses = [] } = options
    for (const ip of [...options.addresses, ...deadAddresses]) uplink?.parent.attach(ip, this, uplink.link)
  }

  /** The host as core's port: what probes and servers are given. */
  get network(): Network {
    return this
  }

  get clock(): Clock {
    return this.#around.clock
  }

  /** Accepts virtual TCP. Throws ADDRESS_IN_USE. Returns what stops listening. */
  acceptStreams(port: number, accept: AcceptVirtual, options: VirtualListenOptions = {}): () => void {
    return this.#tcp.listen(port, accept, options)
  }

  async listenStream(options: ListenOptions, accept: AcceptStream): Promise<StreamListener> {
    const ip = options.ip ?? (options.family === 6 ? '::' : '0.0.0.0')
    this.#assertBindable(options.family, ip)
    const tls = options.tls && { names: namesOf(options.tls) }
    const port = options.port || this.#tcp.freePort()
    const close = this.#tcp.listen(port, (stream) => accept(accepted(stream)), {
      ...(isWildcard(ip) ? {} : { ip }),
      ...(tls ? { tls } : {}),
    })
    return {
      local: { ip, port },
      replaceCertificate: (renewed) => {
        const names = namesOf(renewed)
        if (tls) tls.names = names
      },
      close,
    }
  }

  async openDatagram(options: DatagramOptions, handlers: DatagramHandlers): Promise<DatagramEndpoint> {
    const ip = options.ip ?? (options.family === 6 ? '::' : '0.0.0.0')
    this.#assertBindable(options.family, ip)
    return this.#udp.open(ip, options.port ?? 0, handlers)
  }

  async connectDatagram(
    to: TransportAddress,
    options: { ip?: IpAddress },
    handlers: DatagramHandlers,
  ): Promise<ConnectedDatagramEndpoint> {
    const source = this.#sourceFor(to.ip)
    if (source === undefined) throw noRoute(to.ip)
    const ip = options.ip === undefined || isWildcard(options.ip) ? source : options.ip
    this.#assertBindable(familyOf(to.ip), ip)
    const socket = this.#udp.open(ip, 0, handlers, to)
    return { local: socket.local, remote: to, send: (bytes) => socket.send(bytes, to), close: () => socket.close() }
  }

  async connectStream(options: StreamOptions, handlers: StreamHandlers): Promise<StreamConnection> {
    if (options.localIp !== undefined) this.#assertBindable(familyOf(options.to.ip), options.localIp)
    return this.#tcp.connect(options, handlers)
  }

  resolveHost(name: string, timeoutMs: number): Promise<readonly IpAddress[]> {
    return this.#names.resolveHost(name, timeoutMs)
  }

  resolveService(name: string, timeoutMs: number): Promise<readonly ServiceRecord[]> {
    return this.#names.resolveService(name, timeoutMs)
  }

  interfaces(): readonly InterfaceAddress[] {
    const loopback = { name: 'lo', internal: true }
    return [
      { ...loopback, ip: '127.0.0.1' },
      { ...loopback, ip: '::1' },
      ...this.addresses.map((ip) => ({ name: 'eth0', ip, internal: false })),
    ]
  }

  async defaultGateway(family: AddressFamily): Promise<IpAddress | undefined> {
    return this.#options.gateway?.[family]
  }

  receive(packet: Packet): void {
    const dead = packet.kind !== 'icmp-error' && this.#dead.has(packet.destination.ip)
    if (dead) return this.#around.capture.dropped(this.name, packet, 'dead-address')
    if ((this.rule?.(packet, 'inbound') ?? 'pass') !== 'pass') {
      return this.#around.capture.dropped(this.name, packet, 'firewall')
    }
    this.#around.capture.received(this.name, packet)
    if (packet.kind === 'tcp') this.#tcp.receive(packet)
    else if (packet.kind === 'icmp-error') (packet.about.protocol === 'tcp' ? this.#tcp : this.#udp).fail(packet)
    else if (!this.#udp.receive(packet)) this.#refuse(packet)
  }

  #refuse(packet: UdpPacket): void {
    this.#around.capture.dropped(this.name, packet, 'no-listener')
    if (this.#options.closedPorts === 'silent') return
    const error = icmpErrorAbout(packet, 'port-unreachable', packet.destination.ip)
    if (error) this.#route(error, error.to)
  }

  #transmit(packet: UdpPacket | TcpPacket): DeliveryFailureReason | undefined {
    if ((this.rule?.(packet, 'outbound') ?? 'pass') !== 'pass') {
      this.#around.capture.dropped(this.name, packet, 'firewall')
      return 'local-firewall'
    }
    this.#around.capture.sent(this.name, packet)
    return this.#route(packet, packet.destination.ip)
  }

  #route(packet: Packet, to: IpAddress): DeliveryFailureReason | undefined {
    const { clock } = this.#around
    if (this.#isOwn(to)) {
      clock.schedule(clock.now(), () => this.receive(packet))
      return undefined
    }
    const { uplink } = this.#options
    if (!uplink || this.#sourceFor(to) === undefined) return 'no-route'
    transmit(packet, { link: uplink.link, direction: 'up', from: this, to: uplink.parent }, this.#around, true)
    return undefined
  }

  #isOwn(ip: IpAddress): boolean {
    return isLoopback(ip) || this.addresses.includes(ip)
  }

  #sourceFor(to: IpAddress): IpAddress | undefined {
    if (isLoopback(to)) return familyOf(to) === 6 ? '::1' : '127.0.0.1'
    if (this.addresses.includes(to)) return to
    return this.#options.uplink && this.addresses.find((ip) => familyOf(ip) === familyOf(to))
  }

  #assertBindable(family: AddressFamily, ip: IpAddress): void {
    if (!(this.#options.families ?? [4, 6]).includes(family)) {
      throw new NatcheckError('UNSUPPORTED', `this host has no IPv${family}`, { fix: 'Use the other family.' })
    }
    if (familyOf(ip) === family && (isWildcard(ip) || this.#isOwn(ip))) return
    throw new NatcheckError('BAD_ADDRESS', `${ip} is not an IPv${family} address of this host`, {
      fix: 'Choose one of the addresses of its interfaces.',
    })
  }
}

const isLoopback = (ip: IpAddress): boolean => ip.startsWith('127.') || ip === '::1'

/** A virtual wire takes everything at once. */
const accepted = (stream: StreamConnection): AcceptedStream => ({
  local: stream.local,
  remote: stream.remote,
  unsent: 0,
  send: (bytes) => stream.send(bytes),
  close: () => stream.close(),
  pause: () => undefined,
  resume: () => undefined,
})

/** The names a certificate is for: virtual TLS checks nothing else. */
function namesOf({ cert }: ServerCertificate): readonly string[] {
  try {
    const { subjectAltName = '' } = new X509Certificate(cert)
    return subjectAltName.split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, ''))
  } catch (cause) {
    throw new NatcheckError('BAD_FILE', "the certificate can't be read", { fix: 'Give a PEM file.', cause })
  }
}

const noRoute = (ip: IpAddress): NatcheckError =>
  new NatcheckError('NO_ROUTE', `no route to ${ip}`, { fix: 'Check the network connection.' })
