/** The report of `natcheck ice`: candidates, servers stage by stage, and what was proven. Its JSON Schema is ice-schema.ts. */
import type { AttemptObservation, IceObservations, ReachabilityObservation } from '../probe/ice/index.ts'
import { explainCause } from './causes.ts'
import type { ReportError } from './nat-report.ts'
import { listed } from './words.ts'

/** Raised when a field changes its meaning or goes away; new fields may come without. */
export const iceSchemaVersion = 1

/** Something to act on. The most severe come first. */
export interface IceFinding {
  readonly severity: 'error' | 'warning'
  /** A CauseCode, or `relay-not-proven`, `srflx-not-proven`. */
  readonly code: string
  /** What it is about: `turn:turn.example.org (tcp)`. */
  readonly subject: string
  readonly message: string
  readonly fix: string | null
}

export interface IceServerReport extends AttemptObservation {
  /** It does all that was asked of it. */
  readonly ok: boolean
}

export type IceVerdictKind =
  /** Every server works. What could not be proven is among the findings, and so is what is denied. */
  | 'all-good'
  /** Some servers work. */
  | 'partly'
  /** None of the servers is of any use. */
  | 'nothing'
  /** No server was named: host candidates only. */
  | 'host-only'

export interface IceVerdict {
  readonly kind: IceVerdictKind
  /** One sentence. */
  readonly summary: string
}

export interface IceReport {
  readonly schemaVersion: typeof iceSchemaVersion
  readonly command: 'ice'
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly durationMs: number
  readonly policy: 'all' | 'relay'
  /** From the start to end-of-candidates; null: interrupted before. */
  readonly gatheredMs: number | null
  readonly candidates: IceObservations['candidates']
  readonly servers: readonly IceServerReport[]
  readonly reachability: readonly ReachabilityObservation[]
  readonly findings: readonly IceFinding[]
  readonly verdict: IceVerdict
  /** The expectations that were not met. */
  readonly failed: readonly string[]
  readonly error: ReportError | null
  readonly redacted: boolean
}

export interface IceReportInput {
  readonly startedAt: string
  readonly observations: IceObservations
  readonly failed?: readonly string[]
  readonly redacted?: boolean
}

/** Pure: the same observations give the same report. */
export function buildIceReport({ startedAt, observations, failed = [], redacted = false }: IceReportInput): IceReport {
  const servers = observations.attempts.map((attempt) => ({ ...attempt, ok: works(attempt) }))
  const findings = findingsOf(observations)
  return {
    schemaVersion: iceSchemaVersion,
    command: 'ice',
    startedAt,
    durationMs: observations.endedAtMs,
    policy: observations.policy,
    gatheredMs: observations.gatheredAtMs,
    candidates: observations.candidates,
    servers,
    reachability: observations.reachability,
    findings,
    verdict: verdictOf(observations, servers, findings),
    failed,
    error: observations.interrupted
      ? { code: 'CANCELLED', message: 'interrupted: this is what was known by then', fix: null }
      : null,
    redacted,
  }
}

/** The document for a run that never came to gather: the same fields, and the error. */
export const iceErrorReport = (startedAt: string, error: ReportError): IceReport => ({
  ...buildIceReport({ startedAt, observations: nothing }),
  verdict: { kind: 'nothing', summary: error.message },
  error,
})

const nothing: IceObservations = {
  policy: 'all',
  candidates: [],
  attempts: [],
  reachability: [],
  gatheredAtMs: null,
  endedAtMs: 0,
  interrupted: false,
}

const works = ({ causes }: AttemptObservation): boolean => causes.every(({ severity }) => severity !== 'error')

/** What `subject` calls an attempt: the URL, and what it doesn't say. */
export function nameAttempt({ uri, transport, family }: AttemptObservation): string {
  const literal = /^\w+:(?:\[|[\d.]+(?::|\?|$))/.test(uri)
  const details = [transport, ...(family === null || literal ? [] : [`IPv${family}`])]
  return `${uri} (${details.join(', ')})`
}

function findingsOf({ attempts, candidates, reachability }: IceObservations): readonly IceFinding[] {
  const failures = attempts.flatMap((attempt) =>
    attempt.causes
      .filter(({ code }) => code !== 'cancelled')
      .map((cause): IceFinding => {
        const { message, fix } = explainCause(cause, attempt)
        return { severity: cause.severity, code: cause.code, subject: nameAttempt(attempt), message, fix }
      }),
  )
  const unproven = reachability
    .filter(({ result }) => result === 'not-proven')
    .flatMap(({ candidate, why }): IceFinding[] => {
      const found = candidates[candidate]
      if (!found) return []
      const { type, ip, port } = found
      const subject = `${type} ${ip.includes(':') ? `[${ip}]` : ip}:${port}`
      return [{ severity: 'warning', code: `${type}-not-proven`, subject, message: why, fix: null }]
    })
  return [...failures, ...unproven].toSorted((a, b) => rank(a) - rank(b))
}

const rank = ({ severity }: IceFinding): number => (severity === 'error' ? 0 : 1)

function verdictOf(
  { candidates, policy, interrupted }: IceObservations,
  servers: readonly IceServerReport[],
  findings: readonly IceFinding[],
): IceVerdict {
  const types = ['host', 'srflx', 'relay'].filter((type) => candidates.some((candidate) => candidate.type === type))
  const found = types.length === 0 ? 'no candidate' : `${types.join(', ')} candidates`
  if (servers.length === 0) {
    return { kind: 'host-only', summary: `No server was asked: host candidates only, which serve one network.` }
  }
  const good = servers.filter(({ ok }) => ok).length
  if (interrupted) return { kind: 'partly', summary: `Interrupted: ${found} so far.` }
  if (good === 0) {
    const what = policy === 'relay' || types.includes('srflx') ? 'no relay' : 'neither a public address nor a relay'
    const none = servers.length === 1 ? 'The server does not work' : `None of the ${servers.length} servers works`
    return { kind: 'nothing', summary: `${none}: ${what} can be had.` }
  }
  const transports = [...new Set(servers.filter(({ ok, relayed }) => ok && relayed !== null).map((s) => s.transport))]
  const relay = transports.length === 0 ? '' : `, a relay over ${listed(transports.map((name) => name.toUpperCase()))}`
  if (good === servers.length && !findings.some(({ severity }) => severity === 'error')) {
    const all = good === 1 ? 'The server works' : `All ${good} servers work`
    return { kind: 'all-good', summary: `${all}: ${found}${relay}.` }
  }
  return { kind: 'partly', summary: `${good} of ${count(servers.length)} work: ${found}${relay}.` }
}

const count = (servers: number): string => (servers === 1 ? '1 server' : `${servers} servers`)
