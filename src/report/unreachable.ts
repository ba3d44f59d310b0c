/** Servers that could not be used: why each couldn't, what to do, and the error of a run that measured nothing. */
import type { ErrorCode } from '../core/index.ts'
import type { FamilyObservations } from '../probe/nat/observations.ts'
import type { ReportError, UnreachableCause, UnreachableServer } from './nat-report.ts'
import type { AnalysedFamily } from './verdict.ts'

interface Explanation {
  readonly cause: string
  readonly fix: string
  readonly code: ErrorCode
}

export const explanations: Readonly<Record<UnreachableCause, Explanation>> = {
  dns: {
    cause: "The servers' names could not be resolved",
    fix: 'check the name resolution (DNS) and the spelling, or give an address with --server stun:ADDRESS',
    code: 'DNS_FAILED',
  },
  'no-route': {
    cause: 'This machine has no route to the servers',
    fix: 'connect it to a network, or choose the other --family',
    code: 'NO_ROUTE',
  },
  'udp-blocked': {
    cause: 'A firewall keeps UDP from the servers',
    fix: 'let it pass UDP to the server, or use a TURN server over TLS on port 443',
    code: 'UNREACHABLE',
  },
  'no-answer': {
    cause: 'No server answered, and nothing proves that UDP is blocked',
    fix: 'check that the server runs and that no firewall drops UDP, or try another --server',
    code: 'TIMEOUT',
  },
  other: {
    cause: 'No server could be used',
    fix: 'check the address and port of the server, or try another --server',
    code: 'UNREACHABLE',
  },
}

/** Family by family; what both families say alike is said once. */
export function unreachableServers(families: readonly AnalysedFamily[]): UnreachableServer[] {
  const all = families.flatMap(({ observations, finding }) =>
    finding.servers.flatMap(({ uri, ok, asked, address, problem }, index) => {
      if (ok || (!asked && problem === null)) return []
      const where = address === null || uri.includes(address) ? '' : ` at ${address}`
      return [{ uri, cause: causeOf(observations, index), why: `${problem ?? 'no answer'}${where}` }]
    }),
  )
  return all.filter((entry, index) => {
    const first = all.findIndex(
      ({ uri, cause, why }) => uri === entry.uri && cause === entry.cause && why === entry.why,
    )
    return first === index
  })
}

function causeOf({ servers, exchanges, streams }: FamilyObservations, index: number): UnreachableCause {
  const code = servers[index]?.problem?.code
  if (code === 'UNKNOWN_HOST' || code === 'DNS_FAILED') return 'dns'
  if (code === 'NO_ROUTE') return 'no-route'
  if (code !== undefined) return 'other'
  const own = exchanges.filter(({ server }) => server === index)
  const reason = own.find(({ failure }) => failure !== null)?.failure?.reason
  if (reason === 'no-route' || reason === 'network-unreachable') return 'no-route'
  if (reason === 'admin-prohibited' || reason === 'local-firewall') return 'udp-blocked'
  if (reason !== undefined || own.some(({ replies }) => replies.length > 0)) return 'other'
  return streams.some(({ server, connected }) => server === index && connected) ? 'udp-blocked' : 'no-answer'
}

/** More servers than this make no line; the report lists them all. */
const serversNamed = 3

/** Nothing was measured: the one line that says why, and what to do. */
export function unmeasuredError(families: readonly AnalysedFamily[]): ReportError {
  const unreachable = unreachableServers(families)
  const [first] = unreachable
  if (!first) {
    const puzzled = families.find(({ finding }) => finding.servers.some(({ ok }) => ok))?.finding.mapping.why
    if (puzzled !== undefined) {
      return { code: 'TIMEOUT', message: `could not measure: ${puzzled}`, fix: 'try again, or name another --server' }
    }
    const asked = families.map(({ observations }) => `IPv${observations.family}`).join(' or ')
    const message = `could not measure: no server has an address that could be used over ${asked}`
    return { code: 'NO_ROUTE', message, fix: 'name another --server, or choose the other --family' }
  }
  const named = unreachable.slice(0, serversNamed).map(({ uri, why }) => `${uri}: ${why}`)
  const rest = unreachable.length > serversNamed ? `; and ${unreachable.length - serversNamed} more` : ''
  const { code, fix } = explanations[first.cause]
  const problem = families.flatMap(({ observations }) => observations.servers).find((server) => server.problem)?.problem
  return { code: problem?.code ?? code, message: `could not measure: ${named.join('; ')}${rest}`, fix }
}
