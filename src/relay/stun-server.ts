/** The embedded STUN server: Binding over UDP on one to four sockets. RFC 8489, RFC 5780, RFC 3489 */
import {
  type DatagramEndpoint,
  type DeliveryFailure,
  familyOf,
  type IpAddress,
  NatcheckError,
  type Network,
  type TransportAddress,
} from '../core/index.ts'
import {
  BindingResponder,
  checkResponderAddresses,
  type ResponderSocket,
  responderSockets,
} from '../proto/stun/index.ts'

export interface StunServerOptions {
  readonly primaryIp: IpAddress
  /** A second IP of this machine: with it the server answers NAT behavior discovery. RFC 5780 */
  readonly alternateIp?: IpAddress | undefined
  /** 0 or absent: a port the system picks. */
  readonly primaryPort?: number | undefined
  /** 0 or absent: a port the system picks where there is an alternate IP, no second port otherwise. */
  readonly alternatePort?: number | undefined
  /** Answers RFC 3489 messages. Default true. */
  readonly classic?: boolean | undefined
  /** Told of every datagram that arrives, after it was answered or not. */
  readonly onRequest?: ((request: ServedRequest) => void) | undefined
  /** Told when an answer could not be delivered. */
  readonly onFailure?: ((failure: DeliveryFailure) => void) | undefined
}

/** A datagram and what became of it. */
export interface ServedRequest {
  readonly from: TransportAddress
  /** The server's address it arrived at. */
  readonly at: TransportAddress
  /** Undefined when there was nothing to answer. */
  readonly answer: { readonly from: TransportAddress; readonly to: TransportAddress } | undefined
}

export interface StunServer {
  readonly primary: TransportAddress
  /** The other IP with the other port; undefined when this server has one IP only. */
  readonly alternate: TransportAddress | undefined
  close(): void
}

/**
 * A random port that is free on one IP is taken on the other about once in a thousand times; sixteen misses mean
 * something else is wrong.
 */
const portAttempts = 16

/**
 * Binds the sockets and answers until `close`. Rejects as `Network.openDatagram` does, and with USAGE for addresses
 * that make no sense together; nothing stays bound then.
 */
export async function startStunServer(network: Network, options: StunServerOptions): Promise<StunServer> {
  const { primaryIp, alternateIp, primaryPort = 0, alternatePort } = options
  checkResponderAddresses({ primary: { ip: primaryIp, port: primaryPort }, alternateIp, alternatePort })
  const sockets = new ServerSockets(network, options)
  try {
    const ips = alternateIp === undefined ? [primaryIp] : [primaryIp, alternateIp]
    const primary = { ip: primaryIp, port: await sockets.openPort(0, ips, primaryPort) }
    if (alternateIp === undefined && alternatePort === undefined) {
      sockets.answerWith(new BindingResponder({ primary, classic: options.classic }))
      return { primary, alternate: undefined, close: () => sockets.close() }
    }
    const secondPort = await sockets.openPort(1, ips, alternatePort ?? 0)
    const addresses = { primary, alternateIp, alternatePort: secondPort }
    sockets.answerWith(new BindingResponder({ ...addresses, classic: options.classic }))
    const alternate = alternateIp === undefined ? undefined : { ip: alternateIp, port: secondPort }
    return { primary, alternate, close: () => sockets.close() }
  } catch (error) {
    sockets.close()
    throw error
  }
}

/** The bound sockets under their names. */
class ServerSockets {
  readonly #network: Network
  readonly #options: StunServerOptions
  readonly #endpoints = new Map<ResponderSocket, DatagramEndpoint>()
  #responder: BindingResponder | undefined

  constructor(network: Network, options: StunServerOptions) {
    this.#network = network
    this.#options = options
  }

  /** Datagrams that came earlier went unanswered: who sent them sends again. */
  answerWith(responder: BindingResponder): void {
    this.#responder = responder
  }

  /** Binds one port on every IP, as the primary (0) or alternate (1) port, and tells which it is. */
  async openPort(portBit: 0 | 1, ips: readonly IpAddress[], port: number): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#openColumn(portBit, ips, port)
      } catch (error) {
        this.#closeColumn(portBit)
        // Only a port that the system picked can be exchanged for another.
        const taken = port === 0 && error instanceof NatcheckError && error.code === 'ADDRESS_IN_USE'
        if (!taken || attempt === portAttempts) throw error
      }
    }
  }

  close(): void {
    this.#closeColumn(0)
    this.#closeColumn(1)
  }

  async #openColumn(portBit: 0 | 1, ips: readonly IpAddress[], port: number): Promise<number> {
    let bound = port
    for (const [index, ip] of ips.entries()) {
      const name = responderSockets[index * 2 + portBit]
      if (name) bound = (await this.#open(name, ip, bound)).port
    }
    return bound
  }

  async #open(name: ResponderSocket, ip: IpAddress, port: number): Promise<TransportAddress> {
    const endpoint = await this.#network.openDatagram(
      { family: familyOf(ip), ip, port },
      {
        onDatagram: (bytes, from) => this.#serve(bytes, from, name),
        onFailure: (failure) => this.#options.onFailure?.(failure),
      },
    )
    this.#endpoints.set(name, endpoint)
    return endpoint.local
  }

  #closeColumn(portBit: 0 | 1): void {
    for (const [index, name] of responderSockets.entries()) {
      if ((index & 1) !== portBit) continue
      this.#endpoints.get(name)?.close()
      this.#endpoints.delete(name)
    }
  }

  #serve(bytes: Uint8Array, from: TransportAddress, name: ResponderSocket): void {
    const at = this.#endpoints.get(name)?.local
    if (!at) return
    const reply = this.#responder?.respond(bytes, from, name)
    const sender = reply && this.#endpoints.get(reply.from)
    if (reply) sender?.send(reply.bytes, reply.to)
    this.#options.onRequest?.({ from, at, answer: sender && { from: sender.local, to: reply.to } })
  }
}
