/** The report of `natcheck turn`: one server's transports and checks. Its JSON Schema is turn-schema.ts. */
import type { TransportProtocol } from '../core/index.ts'
import type { TransportObservation, TurnObservations } from '../probe/turn/index.ts'
import { explainCause } from './causes.ts'
import { type IceFinding, nameAttempt } from './ice-report.ts'
import type { ReportError } from './nat-report.ts'
import { judgeCheck, type TurnCheck } from './turn-checks.ts'

/** Raised when a field changes its meaning or goes away; new fields may come without. */
export const turnSchemaVersion = 1

/** Something to act on. The most severe come first; `code` is a check's id, a CauseCode, or `no-udp`, `no-tcp`, `no-tls`. */
export type TurnFinding = IceFinding

export interface TurnTransportReport extends TransportObservation {
  /** It gave an allocation. */
  readonly ok: boolean
}

export interface TurnVerdict {
  readonly kind: /** Nothing to act on. */
    | 'good'
    /** It works, and there is something to act on. */
    | 'flawed'
    /** No allocation can be had, or none that is of use. */
    | 'unusable'
  /** One sentence. */
  readonly summary: string
}

export interface TurnReport {
  readonly schemaVersion: typeof turnSchemaVersion
  readonly command: 'turn'
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly durationMs: number
  readonly uri: string
  readonly transports: readonly TurnTransportReport[]
  /** Index in `transports` of the one that the checks used; null: none gave an allocation. */
  readonly subject: number | null
  readonly checks: readonly TurnCheck[]
  /** Allocations that the run has made, and given back. */
  readonly allocations: number
  readonly findings: readonly TurnFinding[]
  readonly verdict: TurnVerdict
  readonly error: ReportError | null
  readonly redacted: boolean
}

export interface TurnReportInput {
  readonly startedAt: string
  readonly observations: TurnObservations
  readonly redacted?: boolean
}

/** Pure: the same observations give the same report. */
export function buildTurnReport({ startedAt, observations, redacted = false }: TurnReportInput): TurnReport {
  const { uri, subject, allocations, endedAtMs } = observations
  const transports = observations.transports.map((each) => ({ ...each, ok: each.relayed !== null }))
  const checks = observations.checks.map(judgeCheck)
  const findings = findingsOf(observations, transports, checks)
  return {
    schemaVersion: turnSchemaVersion,
    command: 'turn',
    startedAt,
    durationMs: endedAtMs,
    uri,
    transports,
    subject,
    checks,
    allocations,
    findings,
    verdict: verdictOf(observations, transports, checks, findings),
    error: errorOf(observations),
    redacted,
  }
}

/** The document for a run that never came to measure: the same fields, and the error. */
export const turnErrorReport = (startedAt: string, error: ReportError): TurnReport => ({
  ...buildTurnReport({
    startedAt,
    observations: {
      uri: '',
      transports: [],
      subject: null,
      checks: [],
      allocations: 0,
      endedAtMs: 0,
      ended: 'complete',
    },
  }),
  verdict: { kind: 'unusable', summary: error.message },
  error,
})

function errorOf({ ended, transports }: TurnObservations): ReportError | null {
  if (ended === 'interrupted') {
    return { code: 'CANCELLED', message: 'interrupted: this is what was known by then', fix: null }
  }
  const isOffline =
    transports.length > 0 && transports.every(({ causes }) => causes.some(({ code }) => code === 'no-route'))
  if (!isOffline) return null
  return { code: 'NO_ROUTE', message: 'this machine has no network that leads to the server', fix: 'check the network' }
}

/** Each is told by a check as well, in the place where people look for it. */
const toldByChecks = /^(?:relay-address|certificate)-/

function findingsOf(
  { uri }: TurnObservations,
  transports: readonly TurnTransportReport[],
  checks: readonly TurnCheck[],
): readonly TurnFinding[] {
  const failures = transports
    .filter(({ named, ok }) => named && !ok)
    .flatMap((attempt) =>
      attempt.causes
        .filter(({ code }) => code !== 'cancelled' && !toldByChecks.test(code))
        .map((cause): TurnFinding => {
          const { message, fix } = explainCause(cause, attempt)
          return { severity: cause.severity, code: cause.code, subject: nameAttempt(attempt), message, fix }
        }),
    )
  const missing = protocols.flatMap((protocol) => missingTransport(uri, protocol, transports))
  const flaws = checks.flatMap(({ id, title, severity, detail, fix }): TurnFinding[] =>
    severity === null ? [] : [{ severity, code: id, subject: title, message: detail, fix }],
  )
  return [...failures, ...flaws, ...missing].toSorted((a, b) => rank(a) - rank(b))
}

const rank = ({ severity }: TurnFinding): number => (severity === 'error' ? 0 : 1)

const protocols: readonly TransportProtocol[] = ['udp', 'tcp', 'tls']

const whoIsShutOut: Readonly<Record<TransportProtocol, string>> = {
  udp: 'calls run over TCP, which stalls when packets are lost',
  tcp: 'clients in networks that block UDP find no way',
  tls: 'clients behind firewalls that let only TLS on 443 through find no way',
}

/** Of those that the URI did not name and that were tried beside it. */
function missingTransport(
  uri: string,
  protocol: TransportProtocol,
  transports: readonly TurnTransportReport[],
): readonly TurnFinding[] {
  const tried = transports.filter(({ transport }) => transport === protocol)
  if (tried.length === 0 || tried.some(({ ok, named }) => ok || named)) return []
  // Nobody can tell what is missing where nothing works.
  if (!transports.some(({ ok }) => ok)) return []
  const [first] = tried
  const [cause] = first?.causes ?? []
  const why = first && cause ? explainCause(cause, first).message : 'it gives no allocation'
  const message = `${why}; ${whoIsShutOut[protocol]}`
  const fix = `offer it over ${protocol.toUpperCase()} too, or name the transports to check: ?transport=`
  return [
    { severity: 'warning', code: `no-${protocol}`, subject: `${uri} over ${protocol.toUpperCase()}`, message, fix },
  ]
}

function verdictOf(
  { uri, ended }: TurnObservations,
  transports: readonly TurnTransportReport[],
  checks: readonly TurnCheck[],
  findings: readonly TurnFinding[],
): TurnVerdict {
  const working = protocols.filter((protocol) => transports.some(({ transport, ok }) => ok && transport === protocol))
  const over = listed(working.map((each) => each.toUpperCase()))
  if (ended === 'interrupted') {
    const kind = working.length > 0 ? 'flawed' : 'unusable'
    return { kind, summary: `Interrupted: ${working.length > 0 ? `it works over ${over}` : 'nothing is known yet'}.` }
  }
  if (working.length === 0) return { kind: 'unusable', summary: `${uri} is of no use: it gives no allocation.` }
  const broken = checks.find(({ id, result }) => (id === 'data' || id === 'relayed-address') && result === 'no')
  if (broken) {
    return { kind: 'unusable', summary: `${uri} gives allocations over ${over}, and nothing gets through them.` }
  }
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const warnings = findings.length - errors
  if (findings.length === 0) return { kind: 'good', summary: `${uri} works over ${over}, and does all that it should.` }
  const counts = [plural(errors, 'error'), plural(warnings, 'warning')].filter((each) => each !== '')
  return { kind: 'flawed', summary: `${uri} works over ${over}, with ${counts.join(' and ')}.` }
}

const plural = (count: number, word: string): string =>
  count === 0 ? '' : count === 1 ? `1 ${word}` : `${count} ${word}s`

const listed = (words: readonly string[]): string =>
  words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`
