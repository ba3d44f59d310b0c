/** What the ICE agent is given, and what comes out of it. */
import type { DeliveryFailure, Random, TransportAddress } from '../../core/index.ts'
import type { TransactionTiming } from '../stun/index.ts'
import type { Candidate, LocalCandidate } from './candidate.ts'
import type { PassedOver } from './candidate-table.ts'
import type { IceCredentials } from './credentials.ts'
import type { IceRole, PairReport } from './pair.ts'

export interface IceAgentOptions {
  readonly role: IceRole
  readonly random: Random
  /** Default: fresh ones. */
  readonly credentials?: IceCredentials | undefined
  /** Ta: milliseconds between two new checks. Default 50. RFC 8445 §14.2 */
  readonly taMs?: number | undefined
  /** Default 100. RFC 8445 §6.1.2.5 */
  readonly maxPairs?: number | undefined
  /** Milliseconds from the peer's credentials on, after which unanswered checks have failed. Default 20 000. */
  readonly deadlineMs?: number | undefined
  readonly timing?: Partial<TransactionTiming> | undefined
}

export type IceInput =
  /** From the peer's description. Checks begin. */
  | { readonly kind: 'remote-credentials'; readonly credentials: IceCredentials }
  | { readonly kind: 'local-candidate'; readonly candidate: LocalCandidate }
  | { readonly kind: 'remote-candidate'; readonly candidate: Candidate }
  /** No more of them come from this side. RFC 8838 §14 */
  | { readonly kind: 'end-of-candidates'; readonly side: 'local' | 'remote' }
  /** Anything that arrived at a base of ours. */
  | {
      readonly kind: 'datagram'
      readonly bytes: Uint8Array
      readonly from: TransportAddress
      readonly base: TransportAddress
    }
  | { readonly kind: 'failure'; readonly failure: DeliveryFailure; readonly base: TransportAddress }

export type IceEffect =
  /** `base` is a host's own address or a relayed one, whose TURN client has to permit the peer first. */
  | {
      readonly kind: 'send'
      readonly bytes: Uint8Array
      readonly base: TransportAddress
      readonly to: TransportAddress
    }
  /** No STUN, so it is the application's. RFC 7983 */
  | {
      readonly kind: 'data'
      readonly bytes: Uint8Array
      readonly base: TransportAddress
      readonly from: TransportAddress
    }
  | { readonly kind: 'pair'; readonly pair: PairReport }
  /** Both agents had taken the same role, and we gave way. RFC 8445 §7.3.1.1 */
  | { readonly kind: 'role'; readonly role: IceRole }
  /** Everything is known. More may come when the peer goes on checking: then once again. */
  | { readonly kind: 'settled'; readonly report: IceReport }

/** The pair matrix. */
export interface IceReport {
  readonly role: IceRole
  /** By falling priority. */
  readonly pairs: readonly PairReport[]
  /** The pair that media would take; null: none. */
  readonly nominated: PairReport | null
  /** Candidates that got no pair at all. */
  readonly passedOver: readonly PassedOver[]
}
