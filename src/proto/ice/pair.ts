/** Candidate pairs and what is known of each. RFC 8445 §6.1.2 */
import type { TransportAddress } from '../../core/index.ts'
import type { Candidate, LocalCandidate } from './candidate.ts'
import { pairPriority } from './priority.ts'

export type IceRole = 'controlling' | 'controlled'

/** A peer's candidate whose address is known. */
export interface RemoteCandidate extends Candidate {
  readonly address: TransportAddress
}

/**
 * RFC 8445 §6.1.2.6, and `pruned`: not checked, because another pair is the same on the wire (§6.1.2.4). `why` names that
 * pair.
 */
export type PairState = 'frozen' | 'waiting' | 'in-progress' | 'succeeded' | 'failed' | 'pruned'

/** A pair as the matrix shows it. Times are milliseconds since the checks began. */
export interface PairReport {
  readonly id: number
  readonly local: LocalCandidate
  readonly remote: RemoteCandidate
  readonly priority: bigint
  readonly state: PairState
  /** Why it failed or was pruned: one clause; null for all others. */
  readonly why: string | null
  /** Undisturbed round trip of the check that succeeded; null also when that check had to be repeated. */
  readonly rttMs: number | null
  /** Requests sent, repetitions included. */
  readonly sent: number
  /** The peer's checks that arrived on this pair. */
  readonly received: number
  /** A check of the peer's set this one off (RFC 8445 §7.3.1.4). */
  readonly triggered: boolean
  readonly startedAtMs: number | null
  readonly endedAtMs: number | null
  /** The pair that media would use: the local candidate is the one the peer saw. RFC 8445 §7.2.5.3.2 */
  readonly valid: { readonly local: LocalCandidate; readonly remote: RemoteCandidate } | null
  readonly nominated: boolean
}

/** A pair while it is worked on. */
export interface CandidatePair {
  readonly id: number
  readonly local: LocalCandidate
  remote: RemoteCandidate
  priority: bigint
  state: PairState
  why: string | null
  rttMs: number | null
  sent: number
  received: number
  triggered: boolean
  startedAtMs: number | null
  endedAtMs: number | null
  valid: { readonly local: LocalCandidate; readonly remote: RemoteCandidate } | null
  nominated: boolean
  /** The peer asked for it before our own check had succeeded. RFC 8445 §7.3.1.5 */
  nominateOnSuccess: boolean
}

export const newPair = (id: number, local: LocalCandidate, remote: RemoteCandidate, role: IceRole): CandidatePair => ({
  id,
  local,
  remote,
  priority: priorityOf(local, remote, role),
  state: 'frozen',
  why: null,
  rttMs: null,
  sent: 0,
  received: 0,
  triggered: false,
  startedAtMs: null,
  endedAtMs: null,
  valid: null,
  nominated: false,
  nominateOnSuccess: false,
})

/** Our role decides which of the two priorities is G. RFC 8445 §6.1.2.3 */
export const priorityOf = (local: Candidate, remote: Candidate, role: IceRole): bigint =>
  role === 'controlling' ? pairPriority(local.priority, remote.priority) : pairPriority(remote.priority, local.priority)

export const pairFoundation = ({ local, remote }: CandidatePair): string => `${local.foundation}:${remote.foundation}`

/** Nothing more is going to happen to it. */
export const isFinished = ({ state }: CandidatePair): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'pruned'

export function reportPair({ nominateOnSuccess: _, ...pair }: CandidatePair): PairReport {
  return pair
}
