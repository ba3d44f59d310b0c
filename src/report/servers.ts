/** Servers as the report lists them: one entry per URI, both families merged. */
import type { FamilyFinding, ServerFinding } from '../probe/nat/behaviors.ts'

export interface ServerReport {
  readonly uri: string
  /** Answered over UDP in at least one family. */
  readonly ok: boolean
  /** The faster family's round trip. */
  readonly rttMs: number | null
  /** null: it never answered. */
  readonly rfc5780: boolean | null
  readonly problem: string | null
}

/** Servers that were asked or could not be; public ones that nobody needed are left out. */
export function mergeServers(findings: readonly FamilyFinding[]): ServerReport[] {
  const byUri = new Map<string, ServerFinding[]>()
  for (const server of findings.flatMap(({ servers }) => servers)) {
    byUri.set(server.uri, [...(byUri.get(server.uri) ?? []), server])
  }
  return [...byUri]
    .filter(([, entries]) => entries.some(wasConcerned) || entries.every(({ address }) => address === null))
    .map(([uri, entries]) => mergeServer(uri, entries.some(wasConcerned) ? entries.filter(wasConcerned) : entries))
}

const wasConcerned = ({ asked, problem }: ServerFinding): boolean => asked || problem !== null

function mergeServer(uri: string, entries: readonly ServerFinding[]): ServerReport {
  const alive = entries.filter(({ ok }) => ok)
  const rtts = alive.flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs]))
  // A server without an address of the other family has no problem worth a person's time.
  const speakers = alive.length > 0 ? alive : entries
  const problems = new Set(speakers.flatMap(({ problem }) => (problem === null ? [] : [problem])))
  return {
    uri,
    ok: alive.length > 0,
    rttMs: rtts.length > 0 ? Math.round(Math.min(...rtts) * 10) / 10 : null,
    rfc5780: alive.some((entry) => entry.rfc5780 === true) ? true : (alive[0]?.rfc5780 ?? null),
    problem:
      problems.size > 0 ? [...problems].join('; ') : alive.length > 0 ? null : 'no address of the family asked for',
  }
}
