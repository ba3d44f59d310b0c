/** What the analysis concludes: RFC 4787 behaviours, each observed, inconclusive or not tested, and why. */
import type { ClassicNatType, FilteringBehavior, MappingBehavior } from '../../core/index.ts'
import type { AddressText, Change } from './observations.ts'

/**
 * A diagnosis is never a boolean: `value` is null unless `kind` is `observed`, and `why` says in a
 * sentence what the conclusion rests on or what kept us from one.
 */
export type Finding<T> =
  | { readonly kind: 'observed'; readonly value: T; readonly why: string }
  | { readonly kind: 'inconclusive'; readonly value: null; readonly why: string }
  | { readonly kind: 'not-tested'; readonly value: null; readonly why: string }

export const observed = <T>(value: T, why: string): Finding<T> => ({ kind: 'observed', value, why })
export const inconclusive = (why: string): Finding<never> => ({ kind: 'inconclusive', value: null, why })
export const notTested = (why: string): Finding<never> => ({ kind: 'not-tested', value: null, why })

export interface ServerFinding {
  readonly uri: string
  readonly address: AddressText | null
  /** Answered a Binding request over UDP. */
  readonly ok: boolean
  readonly rttMs: number | null
  /** Offers RFC 5780 behaviour discovery and does what it offers; null: it never answered. */
  readonly rfc5780: boolean | null
  /** One sentence; null when all is well. */
  readonly problem: string | null
  readonly asked: boolean
}

/** RFC 3489 §10.1, with what each test sent and got. */
export type ClassicFinding = Finding<ClassicNatType> & { readonly trace: readonly ClassicStep[] }

export interface ClassicStep {
  readonly test: 'I' | 'II' | "I'" | 'III'
  readonly from: AddressText
  readonly to: AddressText
  readonly change: Change
  /** Milliseconds since the first packet, once for each transmission. */
  readonly sentAtMs: readonly number[]
  readonly reply: { readonly atMs: number; readonly from: AddressText; readonly mapped: AddressText | null } | null
}

/** RFC 4787 §4.2: how external ports are chosen. */
export interface PortAssignment {
  readonly kind: 'preservation' | 'parity' | 'sequential' | 'random'
  /** The usual step between consecutive new mappings; null unless sequential. */
  readonly delta: number | null
  /** Can a peer guess the next mapping's port? */
  readonly predictable: boolean
}

export interface FamilyFinding {
  /** Local address of the socket whose mapping is reported. */
  readonly local: AddressText | null
  readonly mapped: AddressText | null
  /** null until a reflexive address was seen. */
  readonly behindNat: boolean | null
  readonly mapping: Finding<MappingBehavior | 'none'>
  readonly filtering: Finding<FilteringBehavior>
  readonly rfc3489: ClassicFinding
  readonly hairpinning: Finding<'off' | 'internal-source' | 'external-source'>
  readonly portAssignment: Finding<PortAssignment>
  readonly pooling: Finding<'paired' | 'arbitrary'>
  /** Seconds a mapping survives without traffic. */
  readonly lifetime: Finding<number>
  readonly cgnat: Finding<'none' | 'carrier-grade-nat' | 'double-nat'>
  /** Something in between rewrites addresses inside packets. */
  readonly alg: Finding<boolean>
  readonly fragments: Finding<'pass' | 'blocked'>
  /** The prefix of the network's NAT64, or `none`. */
  readonly nat64: Finding<string>
  readonly confidence: 'high' | 'medium' | 'low'
  /** Where the classic and the RFC 5780 view disagree, and why; null where they agree. */
  readonly disagreement: string | null
  /** UDP is proven blocked: see RFC 3489's udp-blocked. */
  readonly udpBlocked: boolean
  readonly servers: readonly ServerFinding[]
}
