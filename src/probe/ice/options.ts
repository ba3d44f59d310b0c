/** What gathering takes, and what it tells while it runs. */
import type { AddressFamily, Clock, Network, Random } from '../../core/index.ts'
import type { IceServer } from './ice-servers.ts'
import type { CandidateObservation, ReachabilityObservation, StageObservation } from './observations.ts'

export interface IcePorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
}

export interface IceOptions {
  /** Empty: host candidates only. */
  readonly servers: readonly IceServer[]
  /** `relay`: neither host nor server-reflexive candidates are gathered. W3C WebRTC §4.2.5 */
  readonly policy: 'all' | 'relay'
  readonly families: readonly AddressFamily[]
  /** Bound on the whole run in milliseconds. */
  readonly timeoutMs: number
  /** How long a server that does not answer is waited for; it delays nobody else. Default 1900. */
  readonly patienceMs?: number | undefined
  /** Send through what was gathered. Default true. */
  readonly prove?: boolean | undefined
  /** Packets of each burst, and milliseconds between them. Default 10 and 20. */
  readonly burst?: { readonly packets: number; readonly spacingMs: number } | undefined
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined
  readonly onProgress?: ((event: IceProgress) => void) | undefined
  /** Ends the run: what is known by then is handed over. */
  readonly signal?: AbortSignal | undefined
}

/** A signal for one of many that listen: Node warns of a leak where more than ten listen to the same. */
export function ownSignal(signal: AbortSignal): AbortSignal
export function ownSignal(signal: AbortSignal | undefined): AbortSignal | undefined
export function ownSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  return signal && AbortSignal.any([signal])
}

export type IceProgress =
  | { readonly kind: 'candidate'; readonly candidate: CandidateObservation }
  /** `attempt` is the index that candidates name. */
  | {
      readonly kind: 'stage'
      readonly attempt: number
      readonly uri: string
      readonly transport: string
      readonly stage: StageObservation
    }
  /** End-of-candidates. RFC 8838 §8.2 */
  | { readonly kind: 'gathered'; readonly atMs: number }
  | { readonly kind: 'reachability'; readonly entry: ReachabilityObservation }
