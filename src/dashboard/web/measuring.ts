/** What two peers measure over their data channels: round trips and loss with probes that are not repeated, and throughput. */

const probeEveryMs = 100
/** A probe that has no echo by then is lost. */
const patienceMs = 2000
/** Loss is that of the last ten seconds. */
const remembered = 100
const chunk = new Uint8Array(16_384)
/** Enough to fill the way, little enough to stop at once. */
const longestQueue = 1_000_000
const reportEveryMs = 200

export interface Measured {
  /** Of the last echo. */
  readonly rttMs: number | null
  /** Share, 0 to 1. */
  readonly loss: number | null
}

type ProbeMessage = { readonly probe: number } | { readonly echo: number }

/** Sends probes, and echoes those of the peer. */
export class Prober {
  readonly #channel: RTCDataChannel
  readonly #sent = new Map<number, number>()
  readonly #outcomes: boolean[] = []
  readonly #timer: ReturnType<typeof setInterval>
  #next = 0
  #rttMs: number | null = null

  constructor(channel: RTCDataChannel) {
    this.#channel = channel
    channel.addEventListener('message', ({ data }) => this.#onMessage(String(data)))
    this.#timer = setInterval(() => this.#probe(), probeEveryMs)
  }

  get measured(): Measured {
    const lost = this.#outcomes.filter((arrived) => !arrived).length
    return { rttMs: this.#rttMs, loss: this.#outcomes.length === 0 ? null : lost / this.#outcomes.length }
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #probe(): void {
    const now = performance.now()
    for (const [number, at] of this.#sent) if (now - at > patienceMs) this.#settle(number, false)
    if (this.#channel.readyState !== 'open') return
    this.#sent.set(this.#next, now)
    this.#send({ probe: this.#next++ })
  }

  #onMessage(text: string): void {
    const message = JSON.parse(text) as ProbeMessage
    if ('probe' in message) return this.#send({ echo: message.probe })
    const at = this.#sent.get(message.echo)
    if (at === undefined) return
    this.#rttMs = performance.now() - at
    this.#settle(message.echo, true)
  }

  #send(message: ProbeMessage): void {
    if (this.#channel.readyState === 'open') this.#channel.send(JSON.stringify(message))
  }

  #settle(number: number, arrived: boolean): void {
    this.#sent.delete(number)
    this.#outcomes.push(arrived)
    if (this.#outcomes.length > remembered) this.#outcomes.shift()
  }
}

/** Sends as fast as the way takes it; the other side tells what arrived. */
export class Bulk {
  readonly #channel: RTCDataChannel
  readonly #onDelivered: (bitsPerSecond: number) => void
  #received = 0
  #reported = { bytes: 0, at: 0 }
  #until = 0

  constructor(channel: RTCDataChannel, onDelivered: (bitsPerSecond: number) => void) {
    this.#channel = channel
    this.#onDelivered = onDelivered
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = longestQueue / 2
    channel.addEventListener('bufferedamountlow', () => this.#fill())
    channel.addEventListener('message', ({ data }) => this.#onMessage(data))
  }

  run(seconds: number): void {
    this.#reported = { bytes: 0, at: performance.now() }
    this.#until = performance.now() + seconds * 1000
    this.#channel.send(JSON.stringify({ begin: true }))
    this.#fill()
  }

  #fill(): void {
    while (
      performance.now() < this.#until &&
      this.#channel.readyState === 'open' &&
      this.#channel.bufferedAmount < longestQueue
    ) {
      this.#channel.send(chunk)
    }
  }

  #onMessage(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      this.#received += data.byteLength
      const now = performance.now()
      if (now - this.#reported.at < reportEveryMs) return
      this.#reported = { bytes: this.#received, at: now }
      this.#channel.send(JSON.stringify({ received: this.#received }))
      return
    }
    const message = JSON.parse(String(data)) as { readonly begin?: true; readonly received?: number }
    if (message.begin) this.#received = 0
    if (message.received === undefined) return
    const now = performance.now()
    this.#onDelivered(((message.received - this.#reported.bytes) * 8000) / (now - this.#reported.at))
    this.#reported = { bytes: message.received, at: now }
  }
}
