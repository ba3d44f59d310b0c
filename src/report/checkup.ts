/** The report of the check-up: the NAT and the candidates together, one verdict, and what to change. */
import type { ReportError } from './nat-report.ts'
import type { NatReport } from './nat-report.ts'
import { type Advice, adviceItems } from './advice.ts'
import { analyseFamily } from '../probe/nat/index.ts'
import type { IceReport } from './ice-report.ts'
import { drawPath, type PathHop } from './path.ts'
import { decisive, verdictsOf } from './verdict.ts'

/** Raised when a field changes its meaning or goes away; new fields may come without. */
export const checkupSchemaVersion = 1

/** Something to act on, or good to know. The most severe come first. */
export interface CheckupFinding {
  readonly severity: 'error' | 'warning' | 'hint'
  /** A stable word: a CauseCode, or one of the NAT's advice. */
  readonly code: string
  /** What it is about: `NAT`, `network`, or a server. */
  readonly subject: string
  readonly message: string
  readonly fix: string | null
}

export type CheckupVerdictKind =
  /** Calls connect: directly, or through a relay that was proven where direct ones don't. */
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
  readonly verdict: { readonly kind: CheckupVerdictKind; readonly summary: string }
  readonly path: readonly PathHop[]
  readonly findings: readonly CheckupFinding[]
  readonly nat: NatReport
  readonly ice: IceReport
  /** The words of --fail-on that came true, and those of --expect that did not. */
  readonly failed: readonly string[]
  readonly error: ReportError | null
  readonly redacted: boolean
}

/** What gathering showed of relays. */
export interface RelayState {
  /** Was any TURN server named? */
  readonly asked: boolean
  /** Transports over which a relay was allocated and not shown to fail: `udp`, `tcp`, `tls`. */
  readonly working: readonly string[]
}

export function relayState({ servers, candidates, reachability }: IceReport): RelayState {
  const failed = new Set(reachability.filter(({ result }) => result === 'failed').map(({ candidate }) => candidate))
  const relays = candidates.filter(({ type }, index) => type === 'relay' && !failed.has(index))
  const asked = servers.some(({ scheme }) => scheme === 'turn' || scheme === 'turns')
  return { asked, working: [...new Set(relays.flatMap(({ relayProtocol }) => relayProtocol ?? []))] }
}

/** Pure: the same two reports give the same check-up. */
export function buildCheckup(nat: NatReport, ice: IceReport): CheckupReport {
  const relay = relayState(ice)
  const findings = [...natFindings(nat, relay), ...ice.findings].toSorted((a, b) => rank(a) - rank(b))
  const interrupted = nat.error?.code === 'CANCELLED' || ice.error?.code === 'CANCELLED'
  return {
    schemaVersion: checkupSchemaVersion,
    command: 'checkup',
    startedAt: nat.startedAt < ice.startedAt ? nat.startedAt : ice.startedAt,
    durationMs: Math.max(nat.durationMs, ice.durationMs),
    verdict: judge(nat, relay, findings),
    path: drawPath(nat, ice),
    findings,
    nat,
    ice,
    failed: [],
    error: interrupted
      ? { code: 'CANCELLED', message: 'interrupted: this is what was known by then', fix: null }
      : (nat.error ?? ice.error),
    redacted: nat.redacted || ice.redacted,
  }
}

const ranks = { error: 0, warning: 1, hint: 2 } as const
const rank = ({ severity }: CheckupFinding): number => ranks[severity]

/** Relay advice is for those who have none; what a router could do better is no more than a hint once a relay works. */
function natFindings(nat: NatReport, relay: RelayState): readonly CheckupFinding[] {
  const verdicts = verdictsOf(nat.observations.map((observations) => ({ observations, finding: analyseFamily(observations) })))
  const best = decisive(verdicts)
  if (!best || nat.selfTest) return []
  const covered = relay.working.length > 0
  return adviceItems(best, verdicts).flatMap((advice): CheckupFinding[] => {
    if (covered && relayAdvice.has(advice.code)) return [coveredFinding(advice, relay)]
    const severity = severities[advice.code] ?? 'warning'
    return [{ severity: severity === 'error' && covered ? 'hint' : severity, ...withoutDot(advice), subject: 'NAT' }]
  })
}

/** What a working relay answers. */
const relayAdvice: ReadonlySet<string> = new Set(['symmetric', 'arbitrary-pooling', 'udp-blocked', 'fallback', 'ipv6-only'])

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
}

function coveredFinding({ code, message }: Advice, { working }: RelayState): CheckupFinding {
  const over = working.map((transport) => transport.toUpperCase()).join(', ')
  return { severity: 'hint', code, subject: 'NAT', message: `${message}; your relay (${over}) stands in`, fix: null }
}

const withoutDot = ({ code, message, fix }: Advice): Pick<CheckupFinding, 'code' | 'message' | 'fix'> => ({ code, message, fix })

/** One sentence for the two: who can be reached directly, and what carries the rest. */
function judge(nat: NatReport, relay: RelayState, findings: readonly CheckupFinding[]): CheckupReport['verdict'] {
  const { p2p } = nat.verdict
  const covered = relay.working.length > 0
  const over = `your relay over ${relay.working.map((transport) => transport.toUpperCase()).join(', ')}`
  const broken = relay.asked && !covered
  if (nat.selfTest && p2p === 'unknown' && !covered) return { kind: 'unknown', summary: nat.verdict.summary }
  switch (p2p) {
    case 'direct': {
      if (broken) return { kind: 'degraded', summary: 'Direct connections work with most peers, but none of your relays does.' }
      const rest = covered ? `, and ${over} carries the rest` : '; no relay was checked for the others'
      const faulty = findings.some(({ severity }) => severity === 'error')
      return { kind: faulty ? 'degraded' : 'ready', summary: `Direct connections work with most peers${rest}.` }
    }
    case 'limited':
    case 'relay-only': {
      const why = p2p === 'limited' ? 'Behind this symmetric NAT few peers can be reached directly' : 'No peer can be told how to reach you directly'
      if (covered) return { kind: withFaults('ready', findings), summary: `${why}, and ${over} carries the rest.` }
      return { kind: 'not-ready', summary: `${why}, and ${broken ? 'none of your relays works' : 'no relay was checked'}: most calls will fail.` }
    }
    case 'blocked': {
      if (covered) return { kind: withFaults('ready', findings), summary: `UDP is blocked here, and ${over} carries calls.` }
      return { kind: 'not-ready', summary: `UDP is blocked here, and ${broken ? 'none of your relays works' : 'no relay was checked'}: calls will fail.` }
    }
    case 'unknown':
      if (covered) return { kind: 'degraded', summary: `What your NAT does is not clear, but ${over} works.` }
      return { kind: broken ? 'not-ready' : 'unknown', summary: broken ? 'None of your relays works, and what your NAT does is not clear.' : nat.verdict.summary }
  }
}

const withFaults = (kind: 'ready', findings: readonly CheckupFinding[]): CheckupVerdictKind =>
  findings.some(({ severity }) => severity === 'error') ? 'degraded' : kind
