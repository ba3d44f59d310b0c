/** A host's UDP sockets, with the rules Linux has for binding, connecting and ICMP errors. */
import {
  type AddressFamily,
  type DatagramHandlers,
  type DeliveryFailureReason,
  familyOf,
  type IpAddress,
  NatcheckError,
  sameAddress,
  type TransportAddress,
} from '../core/index.ts'
import type { IcmpError, UdpPacket } from './packet.ts'
import type { SeededRandom } from './random.ts'

/** What the sockets need of their host. */
export interface UdpHost {
  /** The source address the routing table picks towards `to`; undefined: no route. */
  sourceFor(to: IpAddress): IpAddress | undefined
  /** Hands a packet to the wire; returns why it could not. */
  transmit(packet: UdpPacket): DeliveryFailureReason | undefined
  /** Runs a task after the current one. */
  soon(task: () => void): void
}

export interface UdpSocket {
  readonly local: TransportAddress
  readonly remote: TransportAddress | undefined
  send(bytes: Uint8Array, to: TransportAddress): void
  close(): void
}

interface OpenSocket extends UdpSocket {
  readonly family: AddressFamily
  readonly handlers: DatagramHandlers
  open: boolean
}

/** Linux's default ip_local_port_range. */
const EPHEMERAL_FIRST = 32768
const EPHEMERAL_LAST = 60999

/** The largest UDP payload over IPv4, 65535 − 20 − 8. Over IPv6 it is 20 bytes more; nobody sends those. */
const MAX_PAYLOAD = 65507

export class UdpStack {
  readonly #host: UdpHost
  readonly #random: SeededRandom
  readonly #byPort = new Map<number, OpenSocket[]>()

  constructor(host: UdpHost, random: SeededRandom) {
    this.#host = host
    this.#random = random
  }

  /** Throws ADDRESS_IN_USE. */
  open(ip: IpAddress, port: number, handlers: DatagramHandlers, remote?: TransportAddress): UdpSocket {
    const local = { ip, port: port === 0 ? this.#ephemeralPort(ip) : port }
    if (!this.#isFree(local)) {
      throw new NatcheckError('ADDRESS_IN_USE', `UDP port ${local.port} on ${ip} is in use`, {
        fix: 'Choose another port, or let the system pick one with port 0.',
      })
    }
    const socket: OpenSocket = {
      local,
      remote,
      family: familyOf(ip),
      handlers,
      open: true,
      send: (bytes, to) => this.#send(socket, bytes, to),
      close: () => this.#close(socket),
    }
    const sockets = this.#byPort.get(local.port)
    if (sockets) sockets.push(socket)
    else this.#byPort.set(local.port, [socket])
    return socket
  }

  /** False when no socket wants it. */
  receive(packet: UdpPacket): boolean {
    const socket = this.#listener(packet)
    socket?.handlers.onDatagram(packet.payload, packet.source)
    return socket !== undefined
  }

  /** Unconnected sockets never hear of ICMP errors (they would need IP_RECVERR, which Node does not set). */
  fail(error: IcmpError): void {
    for (const socket of this.#byPort.get(error.about.source.port) ?? []) {
      if (socket.remote && sameAddress(socket.remote, error.about.destination)) {
        socket.handlers.onFailure({ to: socket.remote, reason: error.reason, detail: errnoOf(error.reason) })
        return
      }
    }
  }

  /** There is no SO_REUSEADDR here, so at most one socket matches. */
  #listener(packet: UdpPacket): OpenSocket | undefined {
    return this.#byPort.get(packet.destination.port)?.find((socket) => hears(socket, packet))
  }

  #send(socket: OpenSocket, bytes: Uint8Array, to: TransportAddress): void {
    if (!socket.open) return
    const reason = this.#transmit(socket, bytes, to)
    if (!reason) return
    this.#host.soon(() => {
      if (socket.open) socket.handlers.onFailure({ to, reason, detail: errnoOf(reason) })
    })
  }

  #transmit(socket: OpenSocket, bytes: Uint8Array, to: TransportAddress): DeliveryFailureReason | undefined {
    if (bytes.length > MAX_PAYLOAD) return 'message-too-big'
    const ip = isWildcard(socket.local.ip) ? this.#host.sourceFor(to.ip) : socket.local.ip
    if (ip === undefined || familyOf(to.ip) !== socket.family || to.port === 0) return 'no-route'
    const source = { ip, port: socket.local.port }
    // The caller may reuse its buffer as soon as send returns.
    return this.#host.transmit({ kind: 'udp', source, destination: to, payload: bytes.slice() })
  }

  #close(socket: OpenSocket): void {
    socket.open = false
    const rest = (this.#byPort.get(socket.local.port) ?? []).filter((other) => other !== socket)
    if (rest.length > 0) this.#byPort.set(socket.local.port, rest)
    else this.#byPort.delete(socket.local.port)
  }

  #isFree({ ip, port }: TransportAddress): boolean {
    const clash = (other: OpenSocket): boolean =>
      other.family === familyOf(ip) && (isWildcard(ip) || isWildcard(other.local.ip) || other.local.ip === ip)
    return !(this.#byPort.get(port) ?? []).some(clash)
  }

  #ephemeralPort(ip: IpAddress): number {
    const count = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1
    const start = this.#random.integer(0, count - 1)
    for (let i = 0; i < count; i++) {
      const port = EPHEMERAL_FIRST + ((start + i) % count)
      if (this.#isFree({ ip, port })) return port
    }
    throw new NatcheckError('ADDRESS_IN_USE', 'no UDP port is left', { fix: 'Close some sockets.' })
  }
}

export const isWildcard = (ip: IpAddress): boolean => ip === '0.0.0.0' || ip === '::'

function hears({ family, local, remote }: OpenSocket, { source, destination }: UdpPacket): boolean {
  if (family !== familyOf(destination.ip)) return false
  if (!isWildcard(local.ip) && local.ip !== destination.ip) return false
  return remote === undefined || sameAddress(remote, source)
}

const errnos: Readonly<Record<DeliveryFailureReason, string>> = {
  'port-unreachable': 'ECONNREFUSED',
  'host-unreachable': 'EHOSTUNREACH',
  'network-unreachable': 'ENETUNREACH',
  'admin-prohibited': 'EHOSTUNREACH',
  'no-route': 'ENETUNREACH',
  'local-firewall': 'EPERM',
  'message-too-big': 'EMSGSIZE',
  other: 'EPROTO',
}

/** The error Linux gives a socket for this reason. */
export const errnoOf = (reason: DeliveryFailureReason): string => errnos[reason]
