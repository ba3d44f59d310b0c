/** The report of the check-up: the NAT and the candidates together, one verdict, and what to change. */
import { analyseFamily } from '../probe/nat/index.ts'
import { type Advice, adviceItems } from './advice.ts'
import { type AskedFor, type CheckedExpectation, checkExpectations } from './checkup-expectations.ts'
import { judge } from './checkup-verdict.ts'
import { type IceFinding, type IceReport, iceErrorReport } from './ice-report.ts'
import { errorReport, hasMeasured, type NatReport, type ReportError } from './nat-report.ts'
import { drawPath, type PathHop } from './path.ts'
import { type RelayState, relayState } from './relay-state.ts'
import type { TurnReport } from './turn-report.ts'
import { decisive, verdictsOf } from './verdict.ts'

/** Raised when a field changes its meaning or goes away; new fields may come without. */
export const checkupSchemaVersion = 1

/** Something to act on, or good to know. The most severe come first. */
export interface CheckupFinding {
  readonly severity: 'error' | 'warning' | 'hint'
  /** A stable word: a CauseCode, or what advice on the NAT calls it. */
  readonly code: string
  /** What it is about: `NAT`, `network`, `relay`, or a server. */
  readonly subject: string
  readonly message: string
  /** One imperative sentence; null where nothing is known to help. */
  readonly fix: string | null
}

export type CheckupVerdictKind =
  /** Calls connect: directly, or through a relay where direct ones don't. */
  | 'ready'
  /** Most calls connect, and something is amiss. */
  | 'degraded'
  /** Most calls won't connect. */
  | 'not-ready'
  /** Not enough was seen. */
  | 'unknown'

export interface CheckupReport {
  readonly schemaVersion: typeof checkupSchemaVersion
  readonly command: 'checkup'
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly durationMs: number
  /** `public`: nobody named any, so that none of them failing is anybody's fault here. */
  readonly serversFrom: 'configured' | 'public'
  /** `summary` is one sentence. */
  readonly verdict: { readonly kind: CheckupVerdictKind; readonly summary: string }
  /** From this machine to the servers that answered. */
  readonly path: readonly PathHop[]
  readonly findings: readonly CheckupFinding[]
  readonly nat: NatReport
  readonly ice: IceReport
  /** A look into each TURN host that gave an allocation; checks that did not fit into the time are not told. */
  readonly turn: readonly TurnReport[]
  /** What --expect and --fail-on asked for, and how it came out. */
  readonly expectations: readonly CheckedExpectation[]
  /** The words of those that failed. */
  readonly failed: readonly string[]
  readonly error: ReportError | null
  readonly redacted: boolean
}

export interface CheckupOptions extends AskedFor {
  readonly serversFrom: CheckupReport['serversFrom']
  /** Of the two together, name lookups included. */
  readonly durationMs: number
}

/** Pure: the same reports give the same check-up. */
export function buildCheckup(
  nat: NatReport,
  ice: IceReport,
  turn: readonly TurnReport[],
  options: CheckupOptions,
): CheckupReport {
  const relay = relayState(ice)
  const findings = [
    ...natFindings(nat, relay, options),
    ...iceFindings(ice, options),
    ...turn.flatMap((each) => turnFindings(each, ice)),
    ...relayFindings(relay),
  ]
  const sorted = findings.toSorted((a, b) => ranks[a.severity] - ranks[b.severity])
  const expectations = checkExpectations(nat, ice, options)
  const error = errorOf(nat, ice, options)
  const verdict = judge(nat, relay, sorted)
  const isPartial = error?.code === 'CANCELLED'
  return {
    schemaVersion: checkupSchemaVersion,
    command: 'checkup',
    startedAt: nat.startedAt < ice.startedAt ? nat.startedAt : ice.startedAt,
    durationMs: options.durationMs,
    serversFrom: options.serversFrom,
    verdict: isPartial ? { ...verdict, summary: `Interrupted; so far: ${verdict.summary}` } : verdict,
    path: drawPath(nat, ice),
    findings: sorted,
    nat,
    ice,
    turn,
    expectations,
    failed: expectations.filter(({ ok }) => !ok).map(({ word }) => word),
    error,
    redacted: nat.redacted || ice.redacted,
  }
}

/** The document of a run that never came to measure: the same fields, and the error. */
export const checkupErrorReport = (startedAt: string, error: ReportError): CheckupReport => ({
  ...buildCheckup(errorReport(startedAt, error), iceErrorReport(startedAt, error), [], {
    serversFrom: 'configured',
    durationMs: 0,
    expect: [],
    failOn: [],
  }),
  verdict: { kind: 'unknown', summary: error.message },
  error,
})

const ranks = { error: 0, warning: 1, hint: 2 } as const

/** An answer that never came may be the network's doing; everything else is an answer of its own. */
const silences: ReadonlySet<string> = new Set([
  'unknown-host',
  'dns-failed',
  'no-route',
  'no-answer',
  'connect-timeout',
  'cancelled',
])

/** Did anything at all come back from the network? */
const hasReached = (nat: NatReport, { servers }: IceReport): boolean =>
  hasMeasured(nat) ||
  servers.some(({ rttMs, causes }) => rttMs !== null || causes.some(({ code }) => !silences.has(code)))

function errorOf(nat: NatReport, ice: IceReport, options: CheckupOptions): ReportError | null {
  if (nat.error?.code === 'CANCELLED') return nat.error
  if (ice.error?.code === 'CANCELLED') return ice.error
  if (hasReached(nat, ice)) return null
  if (nat.error) return nat.error
  // The self-test stands in for the network only where nobody asked anything particular of it.
  const isAsked = options.serversFrom === 'configured' || options.expect.length + options.failOn.length > 0
  if (nat.selfTest?.passed === true && !isAsked) return null
  const fix = 'check the network and the addresses of the servers'
  return { code: 'UNREACHABLE', message: 'could not measure: none of the servers could be reached', fix }
}

/** Servers that nobody chose say nothing about anybody's configuration. */
function iceFindings({ findings, servers }: IceReport, { serversFrom }: CheckupOptions): readonly CheckupFinding[] {
  const isAnyoneElses = servers.length > 0 && serversFrom === 'public'
  return isAnyoneElses ? [] : findings.map((finding) => ({ ...finding, severity: severityOf(finding) }))
}

/** What gathering has told already is not said twice. */
function turnFindings({ uri, checks }: TurnReport, { findings }: IceReport): readonly CheckupFinding[] {
  const told = (id: string): boolean =>
    id === 'data' || id === 'relayed-address' || findings.some(({ code }) => code.startsWith(`${id}-`))
  return checks.flatMap(({ id, title, severity, detail, fix }): CheckupFinding[] =>
    severity === null || told(id) ? [] : [{ severity, code: id, subject: uri, message: `${title}: ${detail}`, fix }],
  )
}

/** Without proof a server-reflexive address is what it is for every browser; a relay is what calls fall back on. */
const severityOf = ({ code, severity }: IceFinding): CheckupFinding['severity'] =>
  code === 'srflx-not-proven' ? 'hint' : severity

/** Advice on the NAT. Relays are for those who have none; what a router could do better is a hint once one works. */
function natFindings(nat: NatReport, relay: RelayState, options: CheckupOptions): readonly CheckupFinding[] {
  if (nat.observations.length === 0) return nat.error ? [] : [notMeasured]
  const families = nat.observations.map((observations) => ({ observations, finding: analyseFamily(observations) }))
  const verdicts = verdictsOf(families)
  const best = decisive(verdicts)
  if (!best) return []
  // Where servers were named, what they are silent for is told of each of them.
  if (!hasMeasured(nat) && options.serversFrom === 'configured') return []
  const hasRelay = relay.working.length > 0
  return adviceItems(best, verdicts).flatMap((advice): CheckupFinding[] => {
    if (hasRelay ? needless.has(advice.code) : relay.tried.length > 0 && advice.code === 'fallback') return []
    const severity = hasRelay && answered.has(advice.code) ? 'hint' : severities[advice.code]
    const isPublicServer = advice.subject !== undefined && options.serversFrom === 'public'
    return [{ ...asFinding(advice), severity: isPublicServer ? 'hint' : (severity ?? 'warning') }]
  })
}

const asFinding = ({ code, subject, message, fix }: Advice): Omit<CheckupFinding, 'severity'> => ({
  code,
  subject: subject ?? (ofNetwork.has(code) ? 'network' : 'NAT'),
  message,
  fix,
})

/** Advice to get what is there. */
const needless: ReadonlySet<string> = new Set([
  'symmetric',
  'arbitrary-pooling',
  'udp-blocked',
  'fallback',
  'ipv6-only',
])
/** What would be better still, beside a relay. */
const answered: ReadonlySet<string> = new Set([
  'inconclusive',
  'symmetric-router',
  'arbitrary-pooling-carrier',
  'udp-blocked-firewall',
])

const ofNetwork: ReadonlySet<string> = new Set([
  'udp-blocked',
  'udp-blocked-firewall',
  'fallback',
  'fragments',
  'ipv6-only',
  'dns',
  'no-route',
  'no-answer',
  'no-address',
  'not-listening',
  'not-stun',
  'other',
])

const severities: Readonly<Record<string, CheckupFinding['severity']>> = {
  symmetric: 'error',
  'symmetric-router': 'hint',
  'arbitrary-pooling': 'error',
  'arbitrary-pooling-carrier': 'hint',
  'udp-blocked': 'error',
  'udp-blocked-firewall': 'hint',
  fallback: 'hint',
  'ipv6-only': 'hint',
  cgnat: 'hint',
  'no-hairpinning': 'hint',
  dns: 'error',
  'no-route': 'error',
  'no-answer': 'error',
}

const notMeasured: CheckupFinding = {
  severity: 'hint',
  code: 'nat-not-measured',
  subject: 'NAT',
  message: 'It was not measured, because none of the servers is asked over UDP',
  fix: 'name a STUN server, too: --server stun:HOST',
}

/** Whoever sits behind a firewall that lets only web browsing out needs a relay that looks like it. */
function relayFindings({ tried, working }: RelayState): readonly CheckupFinding[] {
  if (working.length === 0 || tried.some((transport) => transport !== 'udp')) return []
  return [
    {
      severity: 'hint',
      code: 'relay-udp-only',
      subject: 'relay',
      message: 'It was checked over UDP only, and users whose network blocks UDP need another way to it',
      fix: 'offer and check TLS on port 443, too: turns:HOST:443?transport=tcp',
    },
  ]
}
