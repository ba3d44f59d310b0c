/** Reads the relay once a second for everybody who watches, and not at all while nobody does. */
import { type Cancel, type Clock, after } from '../core/index.ts'
import type { RelaySource, RelayView } from './relay-view.ts'

const everyMs = 1000
/** Two minutes for the plots of whoever comes late. */
const keptSamples = 120

export type RelaySample =
  | { readonly at: number; readonly ok: true; readonly relay: RelayView }
  | { readonly at: number; readonly ok: false; readonly message: string }

export class RelayWatch {
  readonly #source: RelaySource
  readonly #clock: Clock
  readonly #onSample: (sample: RelaySample) => void
  readonly #samples: RelaySample[] = []
  #next: Cancel | undefined
  #watched = false
  #reading = false

  constructor(source: RelaySource, clock: Clock, onSample: (sample: RelaySample) => void) {
    this.#source = source
    this.#clock = clock
    this.#onSample = onSample
  }

  /** Oldest first. */
  get samples(): readonly RelaySample[] {
    return this.#samples
  }

  watch(isWatched: boolean): void {
    this.#watched = isWatched
    if (isWatched && this.#next === undefined && !this.#reading) void this.#read()
    if (isWatched) return
    this.#next?.()
    this.#next = undefined
  }

  async #read(): Promise<void> {
    this.#next = undefined
    this.#reading = true
    const sample = await this.#sample()
    this.#reading = false
    this.#samples.push(sample)
    if (this.#samples.length > keptSamples) this.#samples.shift()
    this.#onSample(sample)
    if (this.#watched) this.#next = this.#clock.schedule(after(this.#clock.now(), everyMs), () => void this.#read())
  }

  async #sample(): Promise<RelaySample> {
    try {
      const relay = await this.#source.read()
      return { at: this.#clock.wallTime(), ok: true, relay }
    } catch (error) {
      return { at: this.#clock.wallTime(), ok: false, message: error instanceof Error ? error.message : String(error) }
    }
  }
}
