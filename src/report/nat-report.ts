/** The report of `natcheck nat`: what every renderer prints and every script reads. Its JSON Schema is schema.ts. */
import type { FamilyFinding } from '../probe/nat/behaviors.ts'
import type { FamilyObservations } from '../probe/nat/observations.ts'
import { mergeServers, type ServerReport } from './servers.ts'
import { type AnalysedFamily, reachVerdict, type Verdict } from './verdict.ts'

/** Raised when a field changes its meaning or goes away; new fields may come without. */
export const schemaVersion = 1

/** One family's conclusions; servers are merged over both families. */
export type FamilyReport = Omit<FamilyFinding, 'servers' | 'udpBlocked'>

/** Why there is no verdict on the network, or no report at all. */
export interface ReportError {
  /** A stable word: an ErrorCode, or `INTERNAL` for a defect of natcheck. */
  readonly code: string
  readonly message: string
  /** What to do about it; null where nothing is known to help. */
  readonly fix: string | null
}

/** Why a server could not be used. */
export type UnreachableCause = 'dns' | 'no-route' | 'udp-blocked' | 'no-answer' | 'other'

export interface UnreachableServer {
  readonly uri: string
  readonly cause: UnreachableCause
  readonly why: string
}

/** The check against natcheck's own server on this machine: it proves the tool and says nothing of the network. */
export interface SelfTest {
  readonly passed: boolean
  /** The embedded server's addresses. */
  readonly server: string
  /** Why it could not run; null: it ran. */
  readonly problem: string | null
  readonly unreachable: readonly UnreachableServer[]
  readonly nat: FamilyReport | null
  readonly observations: readonly FamilyObservations[]
}

export interface NatReport {
  readonly schemaVersion: typeof schemaVersion
  readonly command: 'nat'
  /** ISO 8601, UTC. */
  readonly startedAt: string
  /** Milliseconds from the first packet to the verdict. */
  readonly durationMs: number
  readonly servers: readonly ServerReport[]
  /** null: this family was not asked for. */
  readonly nat: { readonly ipv4: FamilyReport | null; readonly ipv6: FamilyReport | null }
  readonly verdict: Verdict
  readonly selfTest: SelfTest | null
  /** The words of `--fail-on` that came true. */
  readonly failed: readonly string[]
  readonly error: ReportError | null
  /** Addresses and private names are placeholders: see `natcheck nat --redact`. */
  readonly redacted: boolean
  /** What was sent and what came back. `--from` analyses these again. */
  readonly observations: readonly FamilyObservations[]
}

export interface ReportInput {
  readonly startedAt: string
  readonly families: readonly AnalysedFamily[]
  readonly selfTest?: SelfTest | null
  readonly error?: ReportError | null
  readonly redacted?: boolean
}

/** Brings the families together. Pure: the same observations give the same report. */
export function buildReport(input: ReportInput): NatReport {
  const { families } = input
  const observations = families.map((family) => family.observations)
  return {
    schemaVersion,
    command: 'nat',
    startedAt: input.startedAt,
    durationMs: round(Math.max(0, ...observations.map(({ endedAtMs }) => endedAtMs))),
    servers: mergeServers(families.map(({ finding }) => finding)),
    nat: { ipv4: familyReport(families, 4), ipv6: familyReport(families, 6) },
    verdict: reachVerdict(families),
    selfTest: input.selfTest ?? null,
    failed: [],
    error: input.error ?? null,
    redacted: input.redacted ?? false,
    observations,
  }
}

/** The document for a run that never came to measure: the same fields, and the error. */
export const errorReport = (startedAt: string, error: ReportError): NatReport => ({
  ...buildReport({ startedAt, families: [], error }),
  verdict: { ...reachVerdict([]), summary: error.message, advice: error.fix === null ? [] : [error.fix] },
})

/** Did anything come out of the run: a reflexive address, or the proof that UDP is blocked? */
export const hasMeasured = ({ nat, verdict }: NatReport): boolean =>
  verdict.p2p === 'blocked' || [nat.ipv4, nat.ipv6].some((family) => family !== null && family.mapped !== null)

/** What one family's finding contributes; picked by name, so that nothing internal leaks into the document. */
export const toFamilyReport = (finding: FamilyFinding): FamilyReport => ({
  local: finding.local,
  mapped: finding.mapped,
  behindNat: finding.behindNat,
  mapping: finding.mapping,
  filtering: finding.filtering,
  rfc3489: finding.rfc3489,
  hairpinning: finding.hairpinning,
  portAssignment: finding.portAssignment,
  pooling: finding.pooling,
  lifetime: finding.lifetime,
  cgnat: finding.cgnat,
  alg: finding.alg,
  fragments: finding.fragments,
  nat64: finding.nat64,
  confidence: finding.confidence,
  disagreement: finding.disagreement,
})

function familyReport(families: readonly AnalysedFamily[], family: 4 | 6): FamilyReport | null {
  const found = families.find(({ observations }) => observations.family === family)
  return found ? toFamilyReport(found.finding) : null
}

/** Tenths of a millisecond are as fine as the clock of the other side makes sense. */
const round = (milliseconds: number): number => Math.round(milliseconds * 10) / 10
