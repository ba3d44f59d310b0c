/** Round-trip time to one server, learned from its answers. RFC 6298, as RFC 8489 §6.2.1 asks */

export interface RttEstimatorOptions {
  /** RTO before the first sample, in milliseconds. RFC 8489 §6.2.1: at least 500. */
  readonly initialRtoMs?: number | undefined
  /** RTO never falls below this. */
  readonly minimumRtoMs?: number | undefined
  /** RTO never rises above this. */
  readonly maximumRtoMs?: number | undefined
}

/** RFC 8489 §6.2.1: lower than this could congest a slow access link. */
export const defaultRtoMs = 500

/**
 * RFC 6298's floor of 1 s is what RFC 8489 §6.2.1 excepts. 50 ms is longer than a busy event loop's pauses, which are
 * not loss.
 */
const defaultMinimumRtoMs = 50

/** RFC 6298 §2.5 allows a ceiling of no less than 60 s. */
const defaultMaximumRtoMs = 60_000

/** The granularity G of RFC 6298 §2: what a JavaScript timer resolves. */
const granularityMs = 1

/**
 * Smoothed RTT, its variation, and the retransmission timeout that follows.
 * Karn's rule has two halves. Only answers to requests that were sent once are samples: `sample`. And a request that had
 * to be repeated keeps the RTO backed off until the next sample (`backOff`), or an RTO below the real RTT would make
 * every later answer ambiguous and never be corrected.
 */
export class RttEstimator {
  readonly #initialRtoMs: number
  readonly #minimumRtoMs: number
  readonly #maximumRtoMs: number
  #srtt: number | undefined
  #rttvar: number | undefined
  #backOffFactor = 1

  constructor(options: RttEstimatorOptions = {}) {
    this.#initialRtoMs = options.initialRtoMs ?? defaultRtoMs
    this.#minimumRtoMs = options.minimumRtoMs ?? defaultMinimumRtoMs
    this.#maximumRtoMs = options.maximumRtoMs ?? defaultMaximumRtoMs
  }

  /** Smoothed round-trip time in milliseconds; undefined before the first sample. */
  get srtt(): number | undefined {
    return this.#srtt
  }

  /** Round-trip time variation in milliseconds; undefined before the first sample. */
  get rttvar(): number | undefined {
    return this.#rttvar
  }

  /** Milliseconds to wait before a request is sent again. RFC 6298 §2 */
  rto(): number {
    const estimate =
      this.#srtt === undefined || this.#rttvar === undefined
        ? this.#initialRtoMs
        : Math.max(this.#minimumRtoMs, this.#srtt + Math.max(granularityMs, 4 * this.#rttvar))
    return Math.min(this.#maximumRtoMs, estimate * this.#backOffFactor)
  }

  /**
   * Takes the measured RTT of a request that was sent exactly once, in milliseconds. Values that are no time are
   * ignored.
   */
  sample(rttMs: number): void {
    if (!(rttMs >= 0 && rttMs < Infinity)) return
    if (this.#srtt === undefined || this.#rttvar === undefined) {
      this.#srtt = rttMs
      this.#rttvar = rttMs / 2
    } else {
      // RFC 6298 §2.3: the variation first, because it is measured against the old mean.
      this.#rttvar += (Math.abs(this.#srtt - rttMs) - this.#rttvar) / 4
      this.#srtt += (rttMs - this.#srtt) / 8
    }
    this.#backOffFactor = 1
  }

  /** A request had to be sent more than once: doubles RTO until the next sample. RFC 6298 §5.5 */
  backOff(): void {
    if (this.rto() < this.#maximumRtoMs) this.#backOffFactor *= 2
  }
}
