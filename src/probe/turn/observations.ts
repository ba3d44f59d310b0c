/**
 * What a look into one TURN server found, as plain JSON: how far each transport got, and what each check showed. Times
 * are milliseconds since the run began. Addresses are canonical text (`formatAddress`).
 */
import type { AttemptObservation } from '../ice/observations.ts'

export interface TransportObservation extends AttemptObservation {
  /** The URI itself says so, and nothing was added to try it. */
  readonly named: boolean
}

/** In the order in which they are told. */
export const turnCheckIds = [
  'certificate',
  'authentication',
  'password-algorithms',
  'sha-256',
  'userhash',
  'stale-nonce',
  'nonce-lifetime',
  'idempotence',
  'unknown-attribute',
  'amplification',
  'software',
  'permissions',
  'forbidden-peers',
  'forbidden-peers-ipv6',
  'relayed-address',
  'relay-ports',
  'lifetime',
  'release',
  'quota',
  'dual-family',
  'even-port',
  'reservation',
  'dont-fragment',
  'mobility',
  'behavior-discovery',
  'data',
  'hairpin',
  'relay-latency',
  'mtu',
  'throughput',
  'hold',
] as const

export type TurnCheckId = (typeof turnCheckIds)[number]

/**
 * `yes`: as it should be, or offered. `no`: not so. `warning`: it works, and somebody will be sorry. `not-tested`: nobody
 * asked for it, or what it takes was not there. `inconclusive`: asked, and the answer tells neither.
 */
export type CheckResult = 'yes' | 'no' | 'warning' | 'not-tested' | 'inconclusive'

export type CheckFacts = Readonly<Record<string, string | number | boolean | null | readonly string[]>>

export interface CheckObservation {
  readonly id: TurnCheckId
  readonly result: CheckResult
  /** One sentence, or less: what was seen. */
  readonly detail: string
  /** What the sentence rests on: counts, codes, addresses. */
  readonly facts: CheckFacts
}

export interface TurnObservations {
  readonly uri: string
  readonly transports: readonly TransportObservation[]
  /** Index in `transports` of the one that the checks used; null: none gave an allocation. */
  readonly subject: number | null
  readonly checks: readonly CheckObservation[]
  /** Allocations that were asked for, and given back, in all. */
  readonly allocations: number
  readonly endedAtMs: number
  /** Why it ended early. */
  readonly ended: 'complete' | 'interrupted' | 'timeout'
}
