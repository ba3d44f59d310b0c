/** Plain "ask and wait" for the opt-in tests, which run one after another once the verdict is known. */
import {
  after,
  type Clock,
  type DatagramEndpoint,
  type IpAddress,
  type Network,
  parseAddress,
  type Random,
  type TransportAddress,
} from '../../core/index.ts'
import { decodeMessage, type EncodableAttribute, encodeMessage, Method, newTransactionId } from '../../wire/index.ts'
import type { TransactionBudget } from './budget.ts'
import { type Exchange, exchangeKey, newExchange, recordReply, type Stopwatch, toObservation } from './exchange.ts'
import type { AddressText, ExchangeObservation, TestName } from './observations.ts'
import { type PathEstimate, retransmitMs } from './pacing.ts'
import { openVirginSocket } from './sockets.ts'

/** What a requester stands on. */
export interface RequesterContext {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly stopwatch: Stopwatch
  readonly budget: TransactionBudget
  readonly localIp: IpAddress
  readonly path: PathEstimate
  /** The server to ask: its index, and its address. */
  readonly server: number
  readonly serverAddress: TransportAddress
  readonly signal: AbortSignal | undefined
  /** Called with 0…1 while a long test runs. */
  readonly onProgress: (fraction: number, words: string) => void
}

/** Twelve repeats leave a chance of one in two hundred thousand that 20 % loss each way explains silence. */
const repeats = 12

export class Requester {
  readonly context: RequesterContext
  readonly exchanges: Exchange[] = []
  readonly #endpoints = new Map<string, DatagramEndpoint>()
  readonly #listeners = new Set<() => void>()
  /** Sees every datagram before it is matched. */
  onDatagram: ((socket: string, bytes: Uint8Array, from: TransportAddress) => void) | undefined

  constructor(context: RequesterContext) {
    this.context = context
  }

  async open(socket: string): Promise<TransportAddress> {
    const { network, random, localIp } = this.context
    const endpoint = await openVirginSocket(network, random, localIp, {
      onDatagram: (bytes, from) => this.#receive(socket, bytes, from),
      onFailure: () => {},
    })
    this.#endpoints.set(socket, endpoint)
    return endpoint.local
  }

  /**
   * Sends a Binding request, again and again, until an answer arrives on socket `answerOn` or `repeats` are over.
   * The exchange is recorded either way.
   */
  async ask(
    test: TestName,
    socket: string,
    options: { attributes?: readonly EncodableAttribute[]; to?: TransportAddress; answerOn?: string } = {},
  ): Promise<ExchangeObservation> {
    const { random, server, serverAddress, path } = this.context
    await this.transaction()
    const id = newTransactionId(random)
    const bytes = encodeMessage({
      class: 'request',
      method: Method.binding,
      transactionId: id,
      attributes: options.attributes ?? [],
    })
    const local = this.#endpoints.get(socket)?.local ?? { ip: this.context.localIp, port: 0 }
    const plan = { test, server, socket, local, to: options.to ?? serverAddress, change: 'none' } as const
    const exchange: Exchange = { ...newExchange(plan, { id, bytes }), key: exchangeKey(options.answerOn ?? socket, id) }
    this.exchanges.push(exchange)
    for (let i = 0; i < repeats && exchange.replies.length === 0 && !this.context.signal?.aborted; i++) {
      this.send(exchange)
      await this.wait(retransmitMs(path), () => exchange.replies.length > 0)
    }
    return exchange
  }

  /** Waits until RFC 5780's limit permits one more new transaction. */
  async transaction(): Promise<void> {
    const { budget, clock, signal } = this.context
    while (!budget.tryTake(clock.now())) {
      if (signal?.aborted) return
      await this.wait((budget.nextFree(clock.now()) ?? clock.now()) - clock.now() + 0.01)
    }
  }

  send(exchange: Exchange): void {
    exchange.sentAtMs.push(this.context.stopwatch.at(this.context.clock.now()))
    this.#endpoints.get(exchange.socket)?.send(exchange.bytes, exchange.destination)
  }

  /** Waits `ms`, or less when `until` becomes true with a datagram's arrival or the run is cancelled. */
  async wait(ms: number, until: () => boolean = () => false): Promise<void> {
    const { clock, signal } = this.context
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (until() || signal?.aborted) finish()
      }
      const cancel = clock.schedule(after(clock.now(), ms), () => finish())
      const finish = (): void => {
        cancel()
        this.#listeners.delete(check)
        signal?.removeEventListener('abort', check)
        resolve()
      }
      this.#listeners.add(check)
      signal?.addEventListener('abort', check)
      check()
    })
  }

  observations(): readonly ExchangeObservation[] {
    return this.exchanges.map(toObservation)
  }

  /** Has every wait look again at what it waits for. */
  wake(): void {
    for (const listener of this.#listeners) listener()
  }

  close(socket?: string): void {
    for (const [name, endpoint] of this.#endpoints) {
      if (socket !== undefined && name !== socket) continue
      endpoint.close()
      this.#endpoints.delete(name)
    }
  }

  #receive(socket: string, bytes: Uint8Array, from: TransportAddress): void {
    this.onDatagram?.(socket, bytes, from)
    const message = decodeMessage(bytes)
    if (message.ok && (message.value.class === 'success' || message.value.class === 'error')) {
      const key = exchangeKey(socket, message.value.transactionId)
      const exchange = this.exchanges.find((it) => it.key === key)
      const atMs = this.context.stopwatch.arrival(this.context.clock.now())
      if (exchange) recordReply(exchange, message.value, from, atMs)
    }
    this.wake()
  }
}

export const addressOf = (text: AddressText | null | undefined): TransportAddress | undefined =>
  text ? parseAddress(text) : undefined
