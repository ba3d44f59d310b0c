/** Nothing was measured: the one line that says why, and what to do. */
import type { ErrorCode } from '../core/index.ts'
import type { ReportError, UnreachableServer } from './nat-report.ts'
import { unreachableServers } from './servers.ts'
import type { AnalysedFamily } from './verdict.ts'

/** More servers than this make no line; the report lists them all. */
const serversNamed = 3

const fixes: Record<UnreachableServer['cause'], string> = {
  dns: 'check the spelling and the name resolution, or give an address',
  'no-route': 'connect this machine to a network, or choose the other --family',
  'udp-blocked': 'let the firewall pass UDP to the server, or use a TURN server over TLS',
  'no-answer': 'check that the server runs and that no firewall drops UDP, or try another --server',
  other: 'check the address and port of the server, or try another --server',
}

const codes: Record<UnreachableServer['cause'], ErrorCode> = {
  dns: 'DNS_FAILED',
  'no-route': 'NO_ROUTE',
  'udp-blocked': 'UNREACHABLE',
  'no-answer': 'TIMEOUT',
  other: 'UNREACHABLE',
}

export function unmeasuredError(families: readonly AnalysedFamily[]): ReportError {
  const unreachable = unreachableServers(families)
  const [first] = unreachable
  if (!first) {
    const asked = families.map(({ observations }) => `IPv${observations.family}`).join(' or ')
    return {
      code: 'NO_ROUTE',
      message: `no server has an ${asked} address`,
      fix: 'name another --server, or choose the other --family',
    }
  }
  const named = unreachable.slice(0, serversNamed).map(({ uri, why }) => `${uri}: ${why}`)
  const rest = unreachable.length > serversNamed ? `; and ${unreachable.length - serversNamed} more` : ''
  const problem = families.flatMap(({ observations }) => observations.servers).find((server) => server.problem)?.problem
  return {
    code: problem?.code ?? codes[first.cause],
    message: `could not measure: ${named.join('; ')}${rest}`,
    fix: fixes[first.cause],
  }
}
