/** A few numbered packets and their echoes. */
import { after, type Clock, elapsed, type Instant, type Random } from '../../core/index.ts'
import type { BurstObservation, ReachabilityObservation } from './observations.ts'
import { round } from './recorder.ts'

/** The first byte of what is neither STUN (0–3) nor ChannelData (64–79). RFC 7983 §7 */
const payloadMark = 0x80
const tokenBytes = 12
const payloadBytes = 1 + tokenBytes + 4

/** Packets of one proof, which nobody else can have sent. */
export class Payloads {
  readonly #token: Uint8Array

  constructor(random: Random) {
    this.#token = random.bytes(tokenBytes)
  }

  /** `length` counts all bytes; what a number needs is the least. */
  make(sequence: number, length: number = payloadBytes): Uint8Array {
    const bytes = new Uint8Array(Math.max(length, payloadBytes))
    bytes[0] = payloadMark
    bytes.set(this.#token, 1)
    new DataView(bytes.buffer).setUint32(1 + tokenBytes, sequence)
    return bytes
  }

  /** The number of a packet of ours; undefined: it is somebody else's. */
  read(bytes: Uint8Array): number | undefined {
    if (bytes.length < payloadBytes || bytes[0] !== payloadMark) return undefined
    if (!this.#token.every((byte, index) => bytes[1 + index] === byte)) return undefined
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1 + tokenBytes)
  }
}

export interface BurstOptions {
  readonly packets: number
  readonly spacingMs: number
  /** How long to wait for the echo of the last packet. */
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
  send(sequence: number): void
}

export type BurstResult = Pick<BurstObservation, 'sent' | 'received' | 'rttsMs'>

export class Burst {
  readonly #clock: Clock
  readonly #options: BurstOptions
  readonly #sentAt = new Map<number, Instant>()
  readonly #rtts = new Map<number, number>()
  #first: number
  #finish: () => void = () => undefined

  /** `first` is the first sequence number: a later burst takes no earlier one's echo for its own. */
  constructor(clock: Clock, first: number, options: BurstOptions) {
    this.#clock = clock
    this.#first = first
    this.#options = options
  }

  /** An echo has come back; a second one of the same packet counts for nothing. */
  echoed(sequence: number): void {
    const sentAt = this.#sentAt.get(sequence)
    if (sentAt === undefined || this.#rtts.has(sequence)) return
    this.#rtts.set(sequence, round(elapsed(sentAt, this.#clock.now())))
    if (this.#rtts.size === this.#options.packets) this.#finish()
  }

  /** Sends all packets, and waits until all have come back or the time is up. */
  async run(): Promise<BurstResult> {
    const { packets, spacingMs, waitMs, signal } = this.#options
    const done = new Promise<void>((resolve) => (this.#finish = resolve))
    const startedAt = this.#clock.now()
    const cancels = Array.from({ length: packets }, (_, index) =>
      this.#clock.schedule(after(startedAt, index * spacingMs), () => this.#send(this.#first + index)),
    )
    cancels.push(this.#clock.schedule(after(startedAt, (packets - 1) * spacingMs + waitMs), () => this.#finish()))
    const abort = (): void => this.#finish()
    signal?.addEventListener('abort', abort)
    if (signal?.aborted) abort()
    await done
    signal?.removeEventListener('abort', abort)
    for (const cancel of cancels) cancel()
    return { sent: this.#sentAt.size, received: this.#rtts.size, rttsMs: [...this.#rtts.values()] }
  }

  #send(sequence: number): void {
    this.#sentAt.set(sequence, this.#clock.now())
    this.#options.send(sequence)
  }
}

/** Enough for the slowest of some echoes, without waiting long for one that was lost. */
export const echoWaitMs = (rttMs: number): number => Math.min(1000, Math.max(250, 4 * rttMs))

export const defaultBurst = { packets: 10, spacingMs: 20 } as const

/** What the entry of a candidate says of its bursts. */
export function summarize(
  bursts: readonly BurstObservation[],
): Pick<ReachabilityObservation, 'bursts' | 'sent' | 'received' | 'rttMs' | 'jitterMs' | 'loss'> {
  const sent = bursts.reduce((sum, burst) => sum + burst.sent, 0)
  const received = bursts.reduce((sum, burst) => sum + burst.received, 0)
  const rtts = bursts.flatMap(({ rttsMs }) => rttsMs)
  return {
    bursts,
    sent,
    received,
    rttMs: median(rtts),
    jitterMs: meanDifference(bursts),
    loss: sent === 0 ? null : Math.round((1 - received / sent) * 1000) / 1000,
  }
}

/** null: there are none. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? null
}

function meanDifference(bursts: readonly BurstObservation[]): number | null {
  const differences = bursts.flatMap(({ rttsMs }) =>
    rttsMs.slice(1).map((rtt, index) => Math.abs(rtt - (rttsMs[index] ?? rtt))),
  )
  if (differences.length === 0) return null
  return round(differences.reduce((sum, each) => sum + each, 0) / differences.length)
}
