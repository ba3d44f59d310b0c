/** What a look into one TURN server takes. */
import type { AddressFamily } from '../../core/index.ts'
import type { IceServer } from '../ice/ice-servers.ts'
import type { IcePorts } from '../ice/options.ts'

export type TurnProbePorts = IcePorts

/** One way to ask the server. */
export interface TurnCandidate {
  readonly server: IceServer
  /** The URI itself says so; false: added to see whether it is offered as well. */
  readonly named: boolean
}

export interface TurnOptions {
  /** As it was given. */
  readonly uri: string
  /** In order of preference: the checks use the first that gives an allocation. */
  readonly candidates: readonly TurnCandidate[]
  readonly families: readonly AddressFamily[]
  /** Bound on the whole run in milliseconds, without what `throughput` and `holdMs` add. */
  readonly timeoutMs: number
  /** How long a server that does not answer is waited for. Default 1900. */
  readonly patienceMs?: number | undefined
  /** Packets of each burst, and milliseconds between them. Default 10 and 20. */
  readonly burst?: { readonly packets: number; readonly spacingMs: number } | undefined
  /** Megabits a second to send through the relay for `throughputMs`. Default: not at all. */
  readonly rateMbit?: number | undefined
  /** Keep allocation, permission and channel this long, with data flowing. Default: not at all. */
  readonly holdMs?: number | undefined
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined
  readonly onProgress?: ((event: TurnProgress) => void) | undefined
  /** Ends the run: what is known by then is handed over. */
  readonly signal?: AbortSignal | undefined
}

export type TurnProgress =
  /** Seconds that a test which takes its time still needs. */
  { readonly kind: 'waiting'; readonly why: 'throughput' | 'hold'; readonly seconds: number }

/** How long the throughput test sends. */
export const throughputMs = 2000

/** How much longer than `timeoutMs` the run may take. */
export const extraMs = ({ rateMbit, holdMs }: Pick<TurnOptions, 'rateMbit' | 'holdMs'>): number =>
  (rateMbit === undefined ? 0 : throughputMs + 1000) + (holdMs === undefined ? 0 : holdMs + 2000)
