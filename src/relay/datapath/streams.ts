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
/** As long as there is no allocation: some challenges. What strangers can make us hold, times MAX_STREAMS, has to fit. */
const MAX_UNSENT_STRANGER = 16 * 1024
/** The first message has to come in this time, or whoever connected speaks something else. */
const FIRST_MESSAGE_MS = 15_000
/** Nothing for longer than the longest lifetime: no allocation is left that the stream could serve. RFC 8656 §7.2 */
const IDLE_MS = 3_660_000
/** The same while it has no allocation: asking and authenticating takes seconds, and strangers must not hold descriptors. */
const IDLE_STRANGER_MS = 60_000
const SWEEP_MS = 5_000
/** Class and method of the answer, as they stand in the first two bytes. RFC 8489 §5 */
const ALLOCATE_SUCCESS = 0x0103
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
  /** Whether it was ever told of an allocation. */
  #hasAllocated = false

  constructor(key: number, protocol: 'tcp' | 'tls', stream: AcceptedStream, now: Instant) {
    this.key = key
    this.protocol = protocol
    this.client = stream.remote
    this.server = stream.local
    this.#stream = stream
    this.openedAt = now
  }

  send(bytes: Uint8Array): void {
    if (((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0) === ALLOCATE_SUCCESS) this.#hasAllocated = true
    const data = (bytes[0] ?? 0) >= 0x40
    const most = !this.#hasAllocated ? MAX_UNSENT_STRANGER : data ? MAX_UNSENT : MAX_UNSENT_EVER
    if (this.#stream.unsent <= most) this.#stream.send(bytes)
    else this.dropped++
  }

  /** Reads no more until `resume`, so that the client feels it. */
  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  isIdle(now: Instant): boolean {
    if (this.heardAt === undefined) return elapsed(this.openedAt, now) >= FIRST_MESSAGE_MS
    return elapsed(this.heardAt, now) >= (this.#hasAllocated ? IDLE_MS : IDLE_STRANGER_MS)
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
      for (const path of this.#paths.values()) if (path.isIdle(now)) path.close()
      if (this.#paths.size > 0) this.#sweepLater()
    })
  }
}
