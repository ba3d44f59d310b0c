/** A line between two nodes, and everything a line does to packets. */
import type { Packet } from './packet.ts'
import type { SeededRandom } from './random.ts'

export type LinkDirection = 'up' | 'down'

export interface LinkOptions {
  /** One way, in milliseconds: half the round trip. Default: 0. */
  readonly latencyMs?: number
  /** As a fraction of the latency: 0.5 spreads it evenly over 50 % to 150 %, so packets overtake each other. Default: 0. */
  readonly jitter?: number
  /** Probability that a packet is lost, the same in both directions or one for each. Default: 0. */
  readonly loss?: number | { readonly up: number; readonly down: number }
  /** Probability that a packet arrives twice. Default: 0. */
  readonly duplication?: number
  /** Probability that a packet is held back for up to one more latency, beyond what jitter does. Default: 0. */
  readonly reordering?: number
}

/** TCP's first retransmission timeouts: RFC 6298 §2 for the SYN, Linux's minimum for the rest. Both double. */
const SYN_RETRANSMISSION_MS = 1000
const DATA_RETRANSMISSION_MS = 200

export class Link {
  readonly #random: SeededRandom
  readonly #latencyMs: number
  readonly #jitter: number
  readonly #loss: { readonly up: number; readonly down: number }
  readonly #duplication: number
  readonly #reordering: number

  constructor(options: LinkOptions, random: SeededRandom) {
    const { latencyMs = 0, jitter = 0, loss = 0, duplication = 0, reordering = 0 } = options
    this.#random = random
    this.#latencyMs = latencyMs
    this.#jitter = jitter
    this.#loss = typeof loss === 'number' ? { up: loss, down: loss } : loss
    this.#duplication = duplication
    this.#reordering = reordering
  }

  /** How long each copy of the packet takes, in milliseconds; no copy: it is lost. */
  delays(packet: Packet, direction: LinkDirection): readonly number[] {
    const loss = this.#loss[direction]
    if (packet.kind === 'tcp') return [this.#delay() + this.#retransmissions(packet.segment.type === 'syn', loss)]
    if (this.#random.chance(loss)) return []
    return this.#random.chance(this.#duplication) ? [this.#delay(), this.#delay()] : [this.#delay()]
  }

  #delay(): number {
    let delay = this.#latencyMs
    if (this.#jitter > 0) delay *= 1 + this.#jitter * (2 * this.#random.float() - 1)
    if (this.#random.chance(this.#reordering)) delay += this.#latencyMs * this.#random.float()
    return delay
  }

  /** TCP gets through in the end; what loss costs it is time. */
  #retransmissions(syn: boolean, loss: number): number {
    let timeout = syn ? SYN_RETRANSMISSION_MS : DATA_RETRANSMISSION_MS
    let waited = 0
    // Ten tries are more than a minute of silence: a line with that much loss stays slow, not stuck.
    for (let i = 0; i < 10 && this.#random.chance(loss); i++) {
      waited += timeout
      timeout *= 2
    }
    return waited
  }
}
