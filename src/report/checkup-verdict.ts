/** The check-up's one sentence: who can be reached directly, and what carries the rest. */
import type { CheckupFinding, CheckupReport, CheckupVerdictKind } from './checkup.ts'
import type { NatReport } from './nat-report.ts'
import type { RelayState } from './relay-state.ts'
import { listed } from './words.ts'

type Verdict = CheckupReport['verdict']

export function judge(nat: NatReport, relay: RelayState, findings: readonly CheckupFinding[]): Verdict {
  const hasRelay = relay.working.length > 0
  const isFaulty = findings.some(({ severity }) => severity === 'error')
  const isDoubtful = hasRelay && relay.proven.length === 0
  const good: CheckupVerdictKind = isFaulty || isDoubtful ? 'degraded' : 'ready'
  const { p2p, summary } = nat.verdict
  switch (p2p) {
    case 'direct': {
      const rest = hasRelay ? `, and ${phrase(relay)}` : `; ${lack(relay, 'for the others')}`
      return { kind: good, summary: `Direct connections work with ${whom(nat)}${rest}.` }
    }
    case 'limited':
    case 'relay-only':
    case 'blocked': {
      const why = reasons[p2p]
      if (hasRelay) return { kind: good, summary: `${why}, and ${phrase(relay)}.` }
      return { kind: 'not-ready', summary: `${why}, and ${lack(relay, 'to carry them')}: most calls will fail.` }
    }
    case 'unknown':
      if (hasRelay)
        return { kind: good, summary: `${alone(relay)}; how your NAT treats direct connections is not known.` }
      if (relay.tried.length === 0) return { kind: 'unknown', summary }
      return { kind: 'not-ready', summary: 'None of your TURN servers works, and what your NAT does is not known.' }
  }
}

/** As long as it takes to be understood alone. */
const reasons = {
  limited: 'Your NAT is symmetric, so only open peers can be reached directly',
  'relay-only': 'Your NAT picks another public address for each peer, so none can be reached directly',
  blocked: 'UDP is blocked, so nobody can be reached directly',
} as const

/** Peers behind a symmetric NAT get through a filter that lets in other ports of an address that was written to. */
function whom({ nat, verdict }: NatReport): string {
  const filtering = verdict.family === null ? undefined : nat[verdict.family]?.filtering.value
  return filtering === 'endpoint-independent' || filtering === 'address-dependent' ? 'everyone' : 'most peers'
}

const phrase = (relay: RelayState): string =>
  relay.proven.length > 0
    ? `your relay carries the rest ${over(relay)}`
    : `a relay was granted ${over(relay)}, but not proven`

const alone = (relay: RelayState): string =>
  relay.proven.length > 0 ? `Your relay works ${over(relay)}` : `A relay was granted ${over(relay)}, but not proven`

/** `over UDP and TCP` */
const over = ({ working, proven }: RelayState): string =>
  `over ${listed((proven.length > 0 ? proven : working).map((transport) => transport.toUpperCase()))}`

const lack = ({ tried }: RelayState, purpose: string): string =>
  tried.length > 0 ? 'none of your TURN servers works' : `no relay was named ${purpose}`
