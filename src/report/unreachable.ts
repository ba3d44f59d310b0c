/** Servers that could not be used: why each couldn't, what to do, and the error of a run that measured nothing. */
import type { ErrorCode } from '../core/index.ts'
import type { FamilyObservations } from '../probe/nat/observations.ts'
import type { Advice } from './advice.ts'
import type { ReportError, UnreachableCause, UnreachableServer } from './nat-report.ts'
import type { AnalysedFamily } from './verdict.ts'

/** Causes as advice tells them apart: what a server's owner can do differs more than the report's words do. */
type Kind = UnreachableCause | 'not-listening' | 'not-stun'

interface Explanation {
  readonly cause: UnreachableCause
  /** The beginning of a piece of advice; `at` is the server's address. */
  words(at: string): string
  readonly fix: string
  readonly code: ErrorCode
}

const explanations: Readonly<Record<Kind, Explanation>> = {
  dns: {
    cause: 'dns',
    words: () => "The servers' names could not be resolved",
    fix: 'check the name resolution (DNS) and the spelling, or give an address with --server stun:ADDRESS',
    code: 'DNS_FAILED',
  },
  'no-route': {
    cause: 'no-route',
    words: () => 'This machine has no route to the servers',
    fix: 'connect it to a network, or choose the other --family or --local address',
    code: 'NO_ROUTE',
  },
  'udp-blocked': {
    cause: 'udp-blocked',
    words: () => 'A firewall keeps UDP from the servers',
    fix: 'let it pass UDP to the server, or use a TURN server over TLS on port 443',
    code: 'UNREACHABLE',
  },
  'no-answer': {
    cause: 'no-answer',
    words: () => 'No server answered, and nothing proves that UDP is blocked',
    fix: 'check that the server runs and that no firewall drops UDP, or try another --server',
    code: 'TIMEOUT',
  },
  'not-listening': {
    cause: 'other',
    words: (at) => `Nothing listens at ${at}`,
    fix: 'start the server, check its address and port, or try another --server',
    code: 'UNREACHABLE',
  },
  'not-stun': {
    cause: 'other',
    words: (at) => `What answers at ${at} does not speak STUN`,
    fix: 'check the port (3478 is the usual one), or try another --server',
    code: 'NOT_STUN',
  },
  other: {
    cause: 'other',
    words: () => 'No server could be used',
    fix: 'check the address and port of the server, or try another --server',
    code: 'UNREACHABLE',
  },
}

interface Diagnosis extends UnreachableServer {
  readonly kind: Kind
  readonly code: ErrorCode
  /** Where it was asked; its URI where it has no address. */
  readonly at: string
}

/** Family by family; what both families say alike is said once. */
export const unreachableServers = (families: readonly AnalysedFamily[]): UnreachableServer[] =>
  diagnose(families).map(({ uri, cause, why }) => ({ uri, cause, why }))

/** A server without an address in one family has no entry for it: that is no failure where the other family has one. */
function diagnose(families: readonly AnalysedFamily[]): Diagnosis[] {
  const all = families.flatMap(({ observations, finding }) =>
    finding.servers.flatMap(({ uri, ok, asked, address, problem }, index): Diagnosis[] => {
      if (ok || (!asked && problem === null)) return []
      const where = address === null || uri.includes(address) ? '' : ` at ${address}`
      const kind = kindOf(observations, index)
      const { cause, code } = explanations[kind]
      const why = `${problem ?? 'no answer'}${where}`
      const own = observations.servers[index]?.problem?.code
      return [{ uri, cause, why, kind, code: own ?? code, at: address ?? uri }]
    }),
  )
  return all.filter((entry, index) => {
    const first = all.findIndex(
      ({ uri, cause, why }) => uri === entry.uri && cause === entry.cause && why === entry.why,
    )
    return first === index
  })
}

function kindOf({ servers, exchanges, streams, notStun }: FamilyObservations, index: number): Kind {
  const code = servers[index]?.problem?.code
  if (code === 'UNKNOWN_HOST' || code === 'DNS_FAILED') return 'dns'
  if (code === 'NO_ROUTE') return 'no-route'
  if (code !== undefined) return 'other'
  const own = exchanges.filter(({ server }) => server === index)
  if (own.some(({ replies }) => replies.length > 0)) return 'other'
  const address = servers[index]?.address
  if (address && notStun.includes(address)) return 'not-stun'
  const reason = own.find(({ failure }) => failure !== null)?.failure?.reason
  if (reason === 'port-unreachable') return 'not-listening'
  if (reason === 'no-route' || reason === 'network-unreachable') return 'no-route'
  if (reason === 'admin-prohibited' || reason === 'local-firewall') return 'udp-blocked'
  if (reason !== undefined) return 'other'
  return streams.some(({ server, connected }) => server === index && connected) ? 'udp-blocked' : 'no-answer'
}

const noAddress = 'name another --server, or choose the other --family'

/** What to do about a silence, once for each cause. */
export function adviseOnSilence(families: readonly AnalysedFamily[]): Advice[] {
  const diagnoses = diagnose(families)
  const usable = families.some(({ finding }) => finding.servers.some(({ ok }) => ok))
  if (diagnoses.length === 0 && !usable) {
    return [{ code: 'no-address', message: 'No server has an address of the family asked for', fix: noAddress }]
  }
  const all = diagnoses.map(({ kind, at }) => {
    const explanation = explanations[kind]
    return { code: kind, message: explanation.words(at), fix: explanation.fix }
  })
  return all.filter(({ message }, index) => all.findIndex((other) => other.message === message) === index)
}

/** More servers than this make no line; the report lists them all. */
const serversNamed = 3

/** Nothing was measured: the one line that says why, and what to do. */
export function unmeasuredError(families: readonly AnalysedFamily[]): ReportError {
  const unreachable = diagnose(families)
  const [first] = unreachable
  if (!first) {
    const puzzled = families.find(({ finding }) => finding.servers.some(({ ok }) => ok))?.finding.mapping.why
    if (puzzled !== undefined) {
      return { code: 'TIMEOUT', message: `could not measure: ${puzzled}`, fix: 'try again, or name another --server' }
    }
    const asked = families.map(({ observations }) => `IPv${observations.family}`).join(' or ')
    const message = `could not measure: no server has an address that could be used over ${asked}`
    return { code: 'NO_ROUTE', message, fix: noAddress }
  }
  const named = unreachable.slice(0, serversNamed).map(({ uri, why }) => `${uri}: ${why}`)
  const rest = unreachable.length > serversNamed ? `; and ${unreachable.length - serversNamed} more` : ''
  const message = `could not measure: ${named.join('; ')}${rest}`
  return { code: first.code, message, fix: explanations[first.kind].fix }
}
