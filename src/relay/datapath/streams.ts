/** Clients that come by TCP or TLS: their streams cut into messages, and bounded in what they may cost. RFC 8656 §3.1 */
import {
  type AcceptedStream,
  after,
  type Cancel,
  type Clock,
  elapsed,
  type Instant,
  type StreamHandlers,
  type TransportAddress,
} from '../../core/index.ts'
import type { ClientPath } from '../../proto/turn-server/index.ts'
import { StreamDecoder, type StreamFrame } from '../../wire/index.ts'

/**
 * What is sent to a client that does not read is kept up to here, about a second of video; then data is dropped, as a
 * full queue on the way would do, while TURN's own answers still get through.
 */
const MAX_UNSENT = 256 * 1024
/** Even answers: somebody who asks and never listens. */
const MAX_UNSENT_EVER = 2 * MAX_UNSENT
/** The first message has to come in this time, or whoever connected speaks something else. */
const FIRST_MESSAGE_MS = 15_000
/** Nothing for longer than the longest lifetime: no allocation is left that the stream could serve. RFC 8656 §7.2 */
const IDLE_MS = 3_660_000
const SWEEP_MS = 5_000
/** Streams at a time. Each takes a descriptor, and those are needed for relayed addresses. */
const MAX_STREAMS = 10_000

export interface StreamSink {
  /** A message of the client, or ChannelData; `bytes` is the whole of it. */
  onMessage(path: StreamPath, bytes: Uint8Array): void
  onChannelData(path: StreamPath, channel: number, data: Uint8Array): void
  /** Called once for every stream that has said something. */
  onGone(path: StreamPath): void
}

/** A stream's 5-tuple. Its key is negative, so that it is never a UDP client's. */
export class StreamPath implements ClientPath {
  readonly key: number
  readonly protocol: 'tcp' | 'tls'
  readonly client: TransportAddress
  readonly server: TransportAddress
  readonly #stream: AcceptedStream
  /** Data that was dropped because the client does not read. */
  dropped = 0
  /** When it said something last; undefined: never. */
  heardAt: Instant | undefined
  readonly openedAt: Instant

  constructor(key: number, protocol: 'tcp' | 'tls', stream: AcceptedStream, now: Instant) {
    this.key = key
    this.protocol = protocol
    this.client = stream.remote
    this.server = stream.local
    this.#stream = stream
    this.openedAt = now
  }

  send(bytes: Uint8Array): void {
    const data = (bytes[0] ?? 0) >= 0x40
    if (this.#stream.unsent <= MAX_UNSENT || (!data && this.#stream.unsent <= MAX_UNSENT_EVER)) this.#stream.send(bytes)
    else this.dropped++
  }

  close(): void {
    this.#stream.close()
  }
}

/** All streams of one datapath. */
export class StreamClients {
  readonly #clock: Clock
  readonly #sink: StreamSink
  readonly #paths = new Map<number, StreamPath>()
  #nextKey = -1
  #cancelSweep: Cancel | undefined

  constructor(clock: Clock, sink: StreamSink) {
    this.#clock = clock
    this.#sink = sink
  }

  get size(): number {
    return this.#paths.size
  }

  find(key: number): StreamPath | undefined {
    return this.#paths.get(key)
  }

  accept(protocol: 'tcp' | 'tls', stream: AcceptedStream): StreamHandlers {
    if (this.#paths.size >= MAX_STREAMS) {
      stream.close()
      return { onData: () => undefined, onClose: () => undefined }
    }
    const path = new StreamPath(this.#nextKey--, protocol, stream, this.#clock.now())
    this.#paths.set(path.key, path)
    this.#sweepLater()
    const decoder = new StreamDecoder({ legacyChannels: true })
    return {
      onData: (bytes) => {
        for (const frame of decoder.push(bytes)) this.#handle(path, frame)
      },
      onClose: () => this.#forget(path),
    }
  }

  close(): void {
    this.#cancelSweep?.()
    for (const path of this.#paths.values()) path.close()
  }

  #handle(path: StreamPath, frame: StreamFrame): void {
    if (frame.kind === 'broken') return path.close()
    if (frame.kind === 'malformed') return
    path.heardAt = this.#clock.now()
    if (frame.kind === 'message') this.#sink.onMessage(path, frame.message.bytes)
    else this.#sink.onChannelData(path, frame.channelData.channel, frame.channelData.data)
  }

  #forget(path: StreamPath): void {
    if (!this.#paths.delete(path.key)) return
    if (path.heardAt !== undefined) this.#sink.onGone(path)
    if (this.#paths.size > 0) return
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
  }

  #sweepLater(): void {
    this.#cancelSweep ??= this.#clock.schedule(after(this.#clock.now(), SWEEP_MS), () => {
      this.#cancelSweep = undefined
      const now = this.#clock.now()
      for (const path of this.#paths.values()) if (isIdle(path, now)) path.close()
      if (this.#paths.size > 0) this.#sweepLater()
    })
  }
}

const isIdle = ({ openedAt, heardAt }: StreamPath, now: Instant): boolean =>
  heardAt === undefined ? elapsed(openedAt, now) >= FIRST_MESSAGE_MS : elapsed(heardAt, now) >= IDLE_MS
