/**
 * The datapath of Linux: a worker thread that waits in epoll and moves packets in batches (recvmmsg, sendmmsg, UDP_SEGMENT,
 * UDP_GRO) by koffi, an optional dependency. The machine lives in the worker. TCP and TLS stay in the main thread.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import {
  type Clock,
  type ErrorCode,
  NatcheckError,
  type Network,
  type Random,
  type ServerCertificate,
  type StreamListener,
} from '../../../core/index.ts'
import { sourceLimitMemory } from '../../../proto/turn-server/index.ts'
import { ledgerMemory } from '../ledger.ts'
import {
  type Datapath,
  type DatapathHandlers,
  type ListenerOptions,
  type ListeningAddress,
  SPARE_DESCRIPTORS,
} from '../datapath.ts'
import { StreamClients, type StreamPath } from '../streams.ts'
import { Memory } from './memory.ts'
import { costOf, type FromWorker, type ToWorker, type WorkerSettings } from './messages.ts'
import { loadSystem, type System } from './system.ts'

export { runWorker } from './run.ts'

export interface MmsgPorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
}

export interface MmsgOptions {
  /** A module that ends in `runWorker(workerData, createServer)`. */
  readonly worker: URL
  readonly listeners: readonly ListenerOptions[]
  /** For createServer; goes through structuredClone. */
  readonly settings: unknown
  /** Each with its share of the clients, by SO_REUSEPORT. Default 1. */
  readonly threads?: number | undefined
  /** UDP_SEGMENT and UDP_GRO. Default true. */
  readonly offload?: boolean | undefined
  /** Pause under load, so that packets gather. Default 250; 0: none. */
  readonly coalesceMicroseconds?: number | undefined
}

/** What streams may have on its way to a thread before they have to wait: about ten milliseconds' work. */
const MAX_ON_THE_WAY = 2 ** 20
/** How much of what a thread has for streams is taken before it is told so. */
const TAKEN_AT_ONCE = 2 ** 16

/** Why the mmsg datapath can't run here; undefined when it can. */
export async function mmsgProblem(): Promise<string | undefined> {
  try {
    const system = await loadSystem()
    const epoll = system.epollCreate(0)
    if (epoll < 0) return `epoll is refused here (errno ${system.errno()})`
    system.close(epoll)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Binds the listeners and starts. Rejects as the dgram datapath does, and with UNSUPPORTED; nothing stays open then. */
export async function startMmsg(ports: MmsgPorts, options: MmsgOptions, handlers: DatapathHandlers): Promise<Datapath> {
  const system = await loadSystem()
  const udp = options.listeners.filter(({ protocol }) => protocol === 'udp')
  const count = options.threads ?? 1
  const common = {
    settings: options.settings,
    ledger: count > 1 ? ledgerMemory() : undefined,
    sourceLimit: count > 1 ? sourceLimitMemory(ports.random) : undefined,
    offload: options.offload ?? true,
    coalesceMicroseconds: options.coalesceMicroseconds,
    timeOrigin: performance.timeOrigin,
  }
  const addresses = udp.map(({ address }) => address)
  const sharing = count > 1 ? 'first' : 'none'
  const first = await startThread(system, handlers, options, { ...common, sharing, listen: addresses })
  const threads = [first]
  try {
    while (threads.length < count) {
      const joined = { ...common, sharing: 'joined', listen: first.listening } as const
      threads.push(await startThread(system, handlers, options, joined))
    }
  } catch (error) {
    await Promise.all(threads.map((thread) => thread.stop()))
    throw error
  }
  const datapath = new MmsgDatapath(ports, threads)
  try {
    let next = 0
    for (const listener of options.listeners) {
      const address = listener.protocol === 'udp' ? first.listening[next++] : undefined
      if (address) datapath.listening.push({ protocol: 'udp', address })
      else await datapath.listen(listener)
    }
  } catch (error) {
    await datapath.close()
    throw error
  }
  return datapath
}

/** Binds in the worker; resolves when it runs. */
function startThread(
  system: System,
  handlers: DatapathHandlers,
  { worker: url }: MmsgOptions,
  settings: Omit<WorkerSettings, 'port'>,
): Promise<Thread> {
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(url, { workerData: { ...settings, port: port2 }, transferList: [port2] })
  return new Promise((resolve, reject) => {
    let thread: Thread | undefined
    const failed = (error: Error): void => {
      if (thread) thread.failed(error)
      else reject(revived(error))
    }
    worker.on('error', failed)
    worker.on('exit', () => failed(new NatcheckError('UNSUPPORTED', 'the relay thread has ended')))
    port1.on('message', (message: FromWorker) => {
      if (message.kind !== 'ready') return thread?.handle(message)
      thread = new Thread(system, worker, port1, message, handlers)
      resolve(thread)
    })
  })
}

/** Errors lose their class on the way out of a worker, but not their fields. */
function revived(error: Error): Error {
  const { code, fix } = error as { code?: ErrorCode; fix?: string }
  return code === undefined ? error : new NatcheckError(code, error.message, { fix, cause: error })
}

class Thread {
  readonly listening: Extract<FromWorker, { kind: 'ready' }>['listening']
  onStream: ((key: number, bytes: Uint8Array) => void) | undefined
  readonly #system: System
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #handlers: DatapathHandlers
  readonly #wakeFd: number
  readonly #one: Memory
  readonly #wake = (): void => {
    if (!this.#ended) this.#system.write(this.#wakeFd, this.#one.base, 8)
  }
  readonly #requests = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>()
  #nextRequest = 0
  #onTheWay = 0
  #taken = 0
  readonly #waiting = new Set<StreamPath>()
  #stopping = false
  #ended = false

  constructor(
    system: System,
    worker: Worker,
    port: MessagePort,
    { listening, wakeFd }: Extract<FromWorker, { kind: 'ready' }>,
    handlers: DatapathHandlers,
  ) {
    this.listening = listening
    this.#system = system
    this.#worker = worker
    this.#port = port
    this.#wakeFd = wakeFd
    this.#handlers = handlers
    this.#one = new Memory(system, 8)
    this.#one.view.setUint32(0, 1, true)
    // process.exit waits for the worker, and the worker for packets.
    process.on('exit', this.#wake)
  }

  send(message: ToWorker): void {
    if (this.#ended) return
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a MessagePort has no origins
    this.#port.postMessage(message)
    this.#wake()
  }

  /** The same for what a stream has said; one that says more than the thread can serve is not read for a while. */
  sendFrom(path: StreamPath, message: Extract<ToWorker, { path: unknown }>): void {
    this.send(message)
    this.#onTheWay += costOf(message)
    if (this.#onTheWay < MAX_ON_THE_WAY || this.#ended) return
    path.pause()
    this.#waiting.add(path)
  }

  request(request: unknown): Promise<unknown> {
    if (this.#ended) return Promise.reject(new NatcheckError('CANCELLED', 'the relay has ended'))
    const id = this.#nextRequest++
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject })
      this.send({ kind: 'request', id, request })
    })
  }

  handle(message: Exclude<FromWorker, { kind: 'ready' }>): void {
    switch (message.kind) {
      case 'answer':
        return this.#take(message.id)?.resolve(message.answer)
      case 'refusal': {
        const { code, message: text } = message
        return this.#take(message.id)?.reject(code ? new NatcheckError(code as ErrorCode, text) : new Error(text))
      }
      case 'message':
        return this.#handlers.onMessage(message.message)
      case 'stream-send':
        this.onStream?.(message.key, message.bytes)
        this.#taken += costOf(message)
        if (this.#taken < TAKEN_AT_ONCE) return
        this.send({ kind: 'streams-taken', cost: this.#taken })
        this.#taken = 0
        return
      case 'streams-served':
        this.#onTheWay -= message.cost
        if (this.#onTheWay > MAX_ON_THE_WAY / 2) return
        for (const path of this.#waiting) path.resume()
        this.#waiting.clear()
        return
      case 'stopped':
        this.#end()
    }
  }

  failed(error: Error): void {
    this.#end()
    for (const waiting of this.#requests.values()) waiting.reject(error)
    this.#requests.clear()
    this.#port.close()
    if (!this.#stopping) this.#handlers.onFailed(error)
    this.#stopping = true
  }

  /** From here on the descriptor may be another's. */
  #end(): void {
    this.#ended = true
    process.off('exit', this.#wake)
  }

  async stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve))
    this.send({ kind: 'stop' })
    await exited
  }

  #take(id: number): { resolve(answer: unknown): void; reject(error: Error): void } | undefined {
    const waiting = this.#requests.get(id)
    this.#requests.delete(id)
    return waiting
  }
}

class MmsgDatapath implements Datapath {
  readonly name = 'mmsg'
  readonly listening: ListeningAddress[] = []
  readonly #ports: MmsgPorts
  readonly #threads: readonly Thread[]
  readonly #streams: StreamClients
  readonly #listeners: { readonly protocol: 'tcp' | 'tls'; readonly listener: StreamListener }[] = []

  constructor(ports: MmsgPorts, threads: readonly Thread[]) {
    this.#ports = ports
    this.#threads = threads
    this.#streams = new StreamClients(ports.clock, {
      onMessage: (path, bytes) => this.#send(path, { kind: 'stream-message', path: plain(path), bytes: bytes.slice() }),
      onChannelData: (path, channel, data) =>
        this.#send(path, { kind: 'stream-data', path: plain(path), channel, data: data.slice() }),
      onGone: (path) => this.#send(path, { kind: 'stream-gone', path: plain(path) }),
    })
    for (const thread of threads) thread.onStream = (key, bytes) => this.#streams.find(key)?.send(bytes)
  }

  async listen({ protocol, address, certificate }: ListenerOptions): Promise<void> {
    if (protocol === 'udp') return
    const tls = protocol === 'tls' ? certificate : undefined
    if (protocol === 'tls' && !tls) throw new NatcheckError('USAGE', 'a TLS listener needs a certificate')
    const { ip, port } = address
    const family = ip.includes(':') ? 6 : 4
    const options = { family, ip, port, tls, spareDescriptors: SPARE_DESCRIPTORS } as const
    const listener = await this.#ports.network.listenStream(options, (stream) => this.#streams.accept(protocol, stream))
    this.#listeners.push({ protocol, listener })
    this.listening.push({ protocol, address: listener.local })
  }

  async request(request: unknown): Promise<readonly unknown[]> {
    return await Promise.all(this.#threads.map((thread) => thread.request(request)))
  }

  replaceCertificate(certificate: ServerCertificate): void {
    for (const { protocol, listener } of this.#listeners)
      if (protocol === 'tls') listener.replaceCertificate(certificate)
  }

  async close(): Promise<void> {
    for (const { listener } of this.#listeners) listener.close()
    this.#streams.close()
    await Promise.all(this.#threads.map((thread) => thread.stop()))
  }

  /** A stream's thread is always the same: keys count down from -1. */
  #send(path: StreamPath, message: Extract<ToWorker, { path: unknown }>): void {
    this.#threads[-path.key % this.#threads.length]?.sendFrom(path, message)
  }
}

/** What of a stream's path crosses threads. */
const plain = ({
  key,
  protocol,
  client,
  server,
}: StreamPath): Pick<StreamPath, 'key' | 'protocol' | 'client' | 'server'> => ({
  key,
  protocol,
  client,
  server,
})
