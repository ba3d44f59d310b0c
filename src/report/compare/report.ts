/** The document of `natcheck compare`. */
import type { ReportError } from '../nat-report.ts'
import { adviseOnPair } from './advice.ts'
import type { PeerNetwork } from './network.ts'
import { type PairOptions, type PairVerdict, predictPair } from './predict.ts'

/** Counted apart from the version of `NatReport`. */
export const compareSchemaVersion = 1

/** One of the two reports. */
export interface ComparedReport {
  readonly file: string
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly network: PeerNetwork
}

export interface CompareReport {
  readonly schemaVersion: typeof compareSchemaVersion
  readonly command: 'compare'
  /** null: it could not be read. */
  readonly a: ComparedReport | null
  readonly b: ComparedReport | null
  readonly verdict: (PairVerdict & { readonly advice: readonly string[] }) | null
  readonly error: ReportError | null
}

export function compareReports(
  a: ComparedReport,
  b: ComparedReport,
  options: PairOptions = {},
): CompareReport & { readonly verdict: PairVerdict } {
  const verdict = predictPair(a.network, b.network, options)
  const advice = adviseOnPair(verdict, a.network, b.network, predictPair)
  const document = { schemaVersion: compareSchemaVersion, command: 'compare', a, b, error: null } as const
  return { ...document, verdict: { ...verdict, advice } }
}

export const compareError = (error: ReportError): CompareReport => ({
  schemaVersion: compareSchemaVersion,
  command: 'compare',
  a: null,
  b: null,
  verdict: null,
  error,
})
