/** The life of one router query: whatever it opens is closed when it ends, and nothing happens after that. */
import {
  type Cancel,
  type Clock,
  type ConnectedDatagramEndpoint,
  type DatagramEndpoint,
  type DatagramHandlers,
  type DatagramOptions,
  elapsed,
  type Instant,
  type Network,
  NatcheckError,
  type StreamConnection,
  type StreamHandlers,
  type TransportAddress,
} from '../../../core/index.ts'

/** A promise and what settles it. (Promise.withResolvers needs Node 22.) */
export class Deferred<T> {
  #resolve: ((value: T) => void) | undefined
  #reject: ((cause: unknown) => void) | undefined
  readonly promise: Promise<T> = new Promise<T>((resolve, reject) => {
    this.#resolve = resolve
    this.#reject = reject
  })

  resolve(value: T): void {
    this.#resolve?.(value)
  }

  reject(cause: unknown): void {
    this.#reject?.(cause)
  }
}

interface Closeable {
  close(): void
}

export class Session {
  readonly network: Network
  readonly clock: Clock
  readonly deadline: Instant
  readonly #held = new Set<Cancel>()
  readonly #closers = new Map<Closeable, Cancel>()
  #ended = false

  /** Ends by itself at `deadline`. */
  constructor(network: Network, clock: Clock, deadline: Instant) {
    this.network = network
    this.clock = clock
    this.deadline = deadline
    this.schedule(deadline, () => this.end())
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Milliseconds until the deadline, at least 1. */
  get remainingMs(): number {
    return Math.max(1, Math.floor(elapsed(this.clock.now(), this.deadline)))
  }

  /** Does `release` when the session ends (now, when it has), or earlier when the returned function is called. */
  hold(release: Cancel): Cancel {
    if (this.#ended) {
      release()
      return () => {}
    }
    this.#held.add(release)
    return () => {
      if (this.#held.delete(release)) release()
    }
  }

  schedule(at: Instant, task: () => void): Cancel {
    if (this.#ended) return () => {}
    const cancel = this.hold(
      this.clock.schedule(at, () => {
        cancel()
        task()
      }),
    )
    return cancel
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const release of this.#held) release()
    this.#held.clear()
  }

  openDatagram(options: DatagramOptions, handlers: DatagramHandlers): Promise<DatagramEndpoint> {
    return this.#adopt(this.network.openDatagram(options, this.#guard(handlers)))
  }

  connectDatagram(
    to: TransportAddress,
    options: { ip?: string },
    handlers: DatagramHandlers,
  ): Promise<ConnectedDatagramEndpoint> {
    return this.#adopt(this.network.connectDatagram(to, options, this.#guard(handlers)))
  }

  connectStream(
    to: TransportAddress,
    localIp: string | undefined,
    handlers: StreamHandlers,
  ): Promise<StreamConnection> {
    const guarded: StreamHandlers = {
      onData: (bytes) => {
        if (!this.#ended) handlers.onData(bytes)
      },
      onClose: (error) => {
        if (!this.#ended) handlers.onClose(error)
      },
    }
    return this.#adopt(this.network.connectStream({ to, localIp, timeoutMs: this.remainingMs }, guarded))
  }

  /** Closes a socket that this session opened, once. */
  close(socket: Closeable): void {
    this.#closers.get(socket)?.()
    this.#closers.delete(socket)
  }

  #guard(handlers: DatagramHandlers): DatagramHandlers {
    return {
      onDatagram: (bytes, from) => {
        if (!this.#ended) handlers.onDatagram(bytes, from)
      },
      onFailure: (failure) => {
        if (!this.#ended) handlers.onFailure(failure)
      },
    }
  }

  /** A socket that opens too late is closed at once, and its opener told so. */
  async #adopt<Socket extends Closeable>(opening: Promise<Socket>): Promise<Socket> {
    const socket = await opening
    this.#closers.set(
      socket,
      this.hold(() => socket.close()),
    )
    if (this.#ended) throw new NatcheckError('CANCELLED', 'the router query ended while a socket was being opened')
    return socket
  }
}
