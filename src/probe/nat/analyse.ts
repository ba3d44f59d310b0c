/** From one family's observations to its findings. Pure: a saved report is analysed by the same function. */
import { type ClassicNatType, scopeOf } from '../../core/index.ts'
import { type FamilyFinding, type Finding, inconclusive, notTested, observed } from './behaviors.ts'
import { answer, find, ipOf, isOuter, outward } from './evidence.ts'
import { judgeFragments } from './fragments.ts'
import { judgeHairpinning } from './hairpinning.ts'
import { judgeLifetime } from './lifetime.ts'
import { judgeMapping } from './mapping.ts'
import type { AddressText, ExchangeObservation, FamilyObservations } from './observations.ts'
import { type Attempt, hasAnswered, judgeAttempt } from './plan.ts'
import { analyseWan } from './port-mapping/index.ts'
import { judgePooling, judgePortAssignment } from './ports.ts'
import { decisiveServer, firstMapping, isUdpBlocked, judgeServers } from './servers.ts'

export function analyseFamily(observations: FamilyObservations): FamilyFinding {
  const { endedAtMs } = observations
  const exchanges = outward(observations.exchanges)
  const first = firstMapping(exchanges)
  const seen = answer(first)?.mapped ?? null
  const forged = seen !== null && seen === first?.local && isForged(seen, first.to)
  const mapped = forged ? null : seen
  const local = first?.local ?? null
  const behindNat = mapped === null ? null : mapped !== local
  const udpBlocked = isUdpBlocked(observations)
  const server = decisiveServer({ ...observations, exchanges })
  const attempt = server === undefined ? undefined : judgeAttempt(exchanges, server, endedAtMs, udpBlocked)
  const unanswered = forged ? inconclusive(forgery) : whyNothing(observations, udpBlocked)

  const mapping = mapped === null ? unanswered : judgeMapping(exchanges)
  const filtering = mapped === null ? unanswered : (attempt?.filtering.finding ?? cutShort(server))
  const classic = forged ? unanswered : classicOf(attempt, mapping, mapped === null ? unanswered : cutShort(server))
  const rfc3489 = { ...classic, trace: attempt?.classic.trace ?? [] }
  return {
    local,
    mapped,
    behindNat,
    mapping,
    filtering,
    rfc3489,
    hairpinning: judgeHairpinning(observations, mapping, behindNat),
    portAssignment: mapped === null ? unanswered : judgePortAssignment(exchanges, behindNat),
    pooling: mapped === null ? unanswered : judgePooling(exchanges, behindNat),
    lifetime: judgeLifetime(observations, behindNat),
    cgnat: judgeCgnat(observations, mapped),
    alg: judgeAlg(observations, forged),
    fragments: judgeFragments(observations),
    nat64: judgeNat64(observations),
    confidence: confidenceOf(mapping, filtering, attempt, exchanges),
    disagreement: disagreementOf(mapping, rfc3489),
    udpBlocked,
    servers: judgeServers(observations),
  }
}

function whyNothing(observations: FamilyObservations, udpBlocked: boolean): Finding<never> {
  const { family, localIp, servers, exchanges } = observations
  if (localIp === null && servers.every(({ address }) => address === null)) {
    const problem = servers.find((server) => server.problem)?.problem
    return notTested(problem ? problem.message : `no server has an IPv${family} address`)
  }
  if (localIp === null) return notTested(`this host has no way to the internet over IPv${family}`)
  if (udpBlocked) return inconclusive('UDP is blocked')
  const some = servers.some((_, index) => hasAnswered(exchanges, index))
  return inconclusive(some ? 'a server answered one socket, and the others not' : 'no server answered')
}

function cutShort(server: number | undefined): Finding<never> {
  if (server === undefined) return inconclusive('no server offers RFC 5780, so it was not tested')
  return inconclusive('time ran out before it could be told')
}

const forgery =
  'the server’s answer names our own private address, which can’t be what it sees: something in between rewrites it'

/** A private address never reaches a public server untranslated; an answer that names it was rewritten on the way. */
const isForged = (mapped: AddressText, server: AddressText): boolean =>
  scopeOf(ipOf(server)) === 'global' && !isOuter(mapped)

/** "Symmetric" where the mapping was seen to be one and the same means that something expired or moved in between. */
function classicOf(
  attempt: Attempt | undefined,
  mapping: FamilyFinding['mapping'],
  otherwise: Finding<never>,
): Finding<ClassicNatType> {
  const finding = attempt?.classic.finding ?? otherwise
  const steady = mapping.value === 'endpoint-independent' || mapping.value === 'none'
  if (finding.value !== 'symmetric' || !steady) return finding
  return inconclusive(`${finding.why}, yet other servers saw one mapping throughout: it changed during the test`)
}

function judgeCgnat(
  { family, router, localIp, localInterface }: FamilyObservations,
  mapped: string | null,
): FamilyFinding['cgnat'] {
  if (family === 6) return notTested('carrier NATs are an IPv4 matter')
  const reflexiveIp = mapped === null ? null : ipOf(mapped)
  if (router.length === 0 && reflexiveIp === null) return notTested('the router was not asked')
  return analyseWan(router, { reflexiveIp, localIp, localInterface: localInterface ?? undefined })
}

function judgeAlg({ exchanges }: FamilyObservations, forged: boolean): Finding<boolean> {
  if (forged) return observed(true, forgery)
  for (const exchange of exchanges) {
    const reply = answer(exchange)
    if (!reply || reply.mappedPlain === null) continue
    if (reply.mappedPlain === reply.mapped) return observed(false, 'MAPPED-ADDRESS arrived as XOR-MAPPED-ADDRESS says')
    return observed(true, `MAPPED-ADDRESS arrived as ${reply.mappedPlain}, XOR-MAPPED-ADDRESS as ${reply.mapped}`)
  }
  return inconclusive('no server sent MAPPED-ADDRESS beside XOR-MAPPED-ADDRESS')
}

function judgeNat64({ family, nat64Prefix }: FamilyObservations): FamilyFinding['nat64'] {
  if (family === 4) return notTested('NAT64 is an IPv6 matter')
  if (nat64Prefix === undefined) return notTested('ipv4only.arpa was not answered in time (RFC 7050)')
  if (nat64Prefix === null) return observed('none', 'ipv4only.arpa has no AAAA record here (RFC 7050)')
  return observed(nat64Prefix, `ipv4only.arpa has AAAA records within ${nat64Prefix} (RFC 7050)`)
}

function confidenceOf(
  mapping: FamilyFinding['mapping'],
  filtering: FamilyFinding['filtering'],
  attempt: Attempt | undefined,
  exchanges: readonly ExchangeObservation[],
): FamilyFinding['confidence'] {
  if (mapping.kind !== 'observed' || filtering.kind !== 'observed') return 'low'
  const control = attempt && find(exchanges, 'filtering-1', attempt.server)
  const answered = (control?.replies.length ?? 0) / Math.max(1, control?.sentAtMs.length ?? 0)
  return answered >= 2 / 3 ? 'high' : 'medium'
}

/** RFC 3489's flowchart ends at "full cone" when test II comes in, without ever comparing mappings. */
function disagreementOf(mapping: FamilyFinding['mapping'], classic: FamilyFinding['rfc3489']): string | null {
  if (mapping.kind !== 'observed' || classic.kind !== 'observed') return null
  const dependent = mapping.value !== 'none' && mapping.value !== 'endpoint-independent'
  if (classic.value === 'full-cone' && dependent) {
    return `RFC 3489 says full cone because it never compares mappings once test II comes in; the mapping is ${mapping.value}, so for hole punching this NAT is symmetric`
  }
  return null
}
