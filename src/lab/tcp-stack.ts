/** A host's virtual TCP: connect in one round trip, refuse, carry bytes in order, close. TLS is one more round trip. */
import {
  familyOf,
  formatAddress,
  type IpAddress,
  NatcheckError,
  type StreamConnection,
  type StreamHandlers,
  type StreamOptions,
  type TransportAddress,
} from '../core/index.ts'
import type { IcmpError, TcpPacket, TcpSegment } from './packet.ts'
import type { SeededRandom } from './random.ts'
import { type StreamEvents, VirtualStream } from './virtual-stream.ts'

/** What streams need of their host. */
export interface TcpHost {
  sourceFor(to: IpAddress): IpAddress | undefined
  transmit(packet: TcpPacket): void
  soon(task: () => void): void
  /** Runs `task` after some milliseconds; returns what cancels it. */
  later(milliseconds: number, task: () => void): () => void
}

/** Called for every stream that connects; answers with who listens to it. */
export type AcceptVirtual = (connection: StreamConnection) => StreamHandlers

export interface VirtualListenOptions {
  /** Default: every address of the host. */
  readonly ip?: IpAddress
  /** Speak TLS with a certificate for these names. `problem` makes every handshake fail with these words. */
  readonly tls?: { readonly names: readonly string[]; readonly problem?: string }
}

interface Listener extends VirtualListenOptions {
  readonly accept: AcceptVirtual
}

export class TcpStack {
  readonly #host: TcpHost
  readonly #random: SeededRandom
  readonly #listeners = new Map<number, Listener[]>()
  readonly #streams = new Map<string, VirtualStream>()

  constructor(host: TcpHost, random: SeededRandom) {
    this.#host = host
    this.#random = random
  }

  /** Throws ADDRESS_IN_USE. Returns what stops listening; accepted streams live on. */
  listen(port: number, accept: AcceptVirtual, options: VirtualListenOptions = {}): () => void {
    const listeners = this.#listeners.get(port) ?? []
    if (listeners.some(({ ip }) => ip === undefined || options.ip === undefined || ip === options.ip)) {
      throw new NatcheckError('ADDRESS_IN_USE', `TCP port ${port} is in use`, { fix: 'Choose another port.' })
    }
    const listener = { ...options, accept }
    this.#listeners.set(port, [...listeners, listener])
    return () => {
      const rest = (this.#listeners.get(port) ?? []).filter((other) => other !== listener)
      this.#listeners.set(port, rest)
    }
  }

  /** As core's Network.connectStream. */
  connect(options: StreamOptions, handlers: StreamHandlers): Promise<StreamConnection> {
    const ip = options.localIp ?? this.#host.sourceFor(options.to.ip)
    if (ip === undefined || familyOf(ip) !== familyOf(options.to.ip)) {
      return Promise.reject(
        new NatcheckError('NO_ROUTE', `no route to ${options.to.ip}`, { fix: 'Check the network connection.' }),
      )
    }
    const local = { ip, port: this.#freePort(ip, options.to) }
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#host.later(options.timeoutMs, () => {
        stream.abort(
          new NatcheckError('TIMEOUT', `${formatAddress(options.to)} did not answer in ${options.timeoutMs} ms`, {
            fix: 'Check the address and port, and whether a firewall drops TCP to it.',
          }),
        )
      })
      const events = this.#events(local, options.to, handlers, {
        onConnected: () => options.onConnected?.(),
        onReady: () => {
          cancelTimeout()
          resolve(stream)
        },
        onFailed: (error) => {
          cancelTimeout()
          reject(error)
        },
      })
      const stream = new VirtualStream({ local, remote: options.to, serverName: options.tls?.serverName }, events)
      this.#streams.set(keyOf(local, options.to), stream)
      events.transmit({ type: 'syn' })
    })
  }

  receive({ source, destination, segment }: TcpPacket): void {
    const stream = this.#streams.get(keyOf(destination, source))
    if (stream) stream.receive(segment)
    else if (segment.type === 'syn') this.#accept(destination, source)
    else if (segment.type !== 'rst' && segment.type !== 'fin') this.#reply(destination, source, { type: 'rst' })
  }

  fail({ about, reason }: IcmpError): void {
    this.#streams.get(keyOf(about.source, about.destination))?.abort(
      new NatcheckError('UNREACHABLE', `${formatAddress(about.destination)} cannot be reached: ${reason}`, {
        fix: 'Check the address, and whether a firewall rejects it.',
      }),
    )
  }

  #accept(local: TransportAddress, remote: TransportAddress): void {
    const listener = this.#listeners.get(local.port)?.find(({ ip }) => ip === undefined || ip === local.ip)
    if (!listener) return this.#reply(local, remote, { type: 'rst' })
    let handlers: StreamHandlers | undefined
    const forward: StreamHandlers = {
      onData: (bytes) => handlers?.onData(bytes),
      onClose: (error) => handlers?.onClose(error),
    }
    const events = this.#events(local, remote, forward, {
      onConnected: () => {},
      onReady: () => {
        handlers = listener.accept(stream)
      },
      onFailed: () => {},
    })
    const stream = new VirtualStream({ local, remote, accepted: listener.tls ? { tls: listener.tls } : {} }, events)
    this.#streams.set(keyOf(local, remote), stream)
    events.transmit({ type: 'syn-ack' })
    stream.start()
  }

  #events(
    local: TransportAddress,
    remote: TransportAddress,
    handlers: StreamHandlers,
    outcome: Pick<StreamEvents, 'onConnected' | 'onReady' | 'onFailed'>,
  ): StreamEvents {
    return {
      ...outcome,
      onData: (bytes) => handlers.onData(bytes),
      onClose: (error) => handlers.onClose(error),
      onGone: () => this.#streams.delete(keyOf(local, remote)),
      transmit: (segment) => this.#reply(local, remote, segment),
      soon: (task) => this.#host.soon(task),
    }
  }

  #reply(local: TransportAddress, remote: TransportAddress, segment: TcpSegment): void {
    this.#host.transmit({ kind: 'tcp', source: local, destination: remote, segment })
  }

  /** A port that nobody listens on. */
  freePort(): number {
    for (;;) {
      const port = this.#random.integer(32768, 60999)
      if (!this.#listeners.get(port)?.length) return port
    }
  }

  #freePort(ip: IpAddress, to: TransportAddress): number {
    for (;;) {
      const port = this.#random.integer(32768, 60999)
      if (!this.#streams.has(keyOf({ ip, port }, to))) return port
    }
  }
}

const keyOf = (local: TransportAddress, remote: TransportAddress): string =>
  `${local.ip}|${local.port}|${remote.ip}|${remote.port}`
