/** Server-sent events: what is published goes to everybody who reads, written once, and nobody can make it pile up. */
import type { ServerResponse } from 'node:http'

/** A reader that is so far behind has stopped reading. EventSource connects again, and is told the state of things. */
const longestBacklog = 256 * 1024
const mostReaders = 1000
/** Proxies end what is silent for a minute; a reader that vanished is noticed by what can't be delivered. */
const heartbeatMs = 15_000

export class Feed {
  readonly #readers = new Set<ServerResponse>()
  readonly #onReaders: (count: number) => void
  readonly #heartbeat: NodeJS.Timeout

  /** `onReaders` hears how many there are, each time that changes. */
  constructor(onReaders: (count: number) => void) {
    this.#onReaders = onReaders
    this.#heartbeat = setInterval(() => this.#write(':\n\n'), heartbeatMs)
    this.#heartbeat.unref()
  }

  get isFull(): boolean {
    return this.#readers.size >= mostReaders
  }

  /** Begins with `first`, the state of things. */
  add(response: ServerResponse, first: readonly FeedEvent[]): void {
    this.#readers.add(response)
    response.on('error', () => undefined)
    response.once('close', () => {
      this.#readers.delete(response)
      this.#onReaders(this.#readers.size)
    })
    response.write(`retry: 1000\n\n${first.map(textOf).join('')}`)
    this.#onReaders(this.#readers.size)
  }

  publish(event: FeedEvent): void {
    if (this.#readers.size > 0) this.#write(textOf(event))
  }

  close(): void {
    clearInterval(this.#heartbeat)
    for (const reader of this.#readers) reader.destroy()
  }

  #write(text: string): void {
    for (const reader of this.#readers) {
      if (reader.writableLength > longestBacklog) reader.destroy()
      else reader.write(text)
    }
  }
}

export interface FeedEvent {
  readonly event: string
  readonly data: unknown
}

const textOf = ({ event, data }: FeedEvent): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
