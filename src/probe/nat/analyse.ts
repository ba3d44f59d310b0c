/** From one family's observations to its findings. Pure: a saved report is analysed by the same function. */
import { type FamilyFinding, type Finding, inconclusive, notTested, observed } from './behaviors.ts'
import { answer, estimatePath, find, ipOf } from './evidence.ts'
import { judgeFragments } from './fragments.ts'
import { judgeHairpinning } from './hairpinning.ts'
import { judgeLifetime } from './lifetime.ts'
import { judgeMapping } from './mapping.ts'
import type { FamilyObservations } from './observations.ts'
import { type Attempt, hasAnswered, judgeAttempt } from './plan.ts'
import { analyseWan } from './port-mapping/index.ts'
import { judgePooling, judgePortAssignment } from './ports.ts'
import { decisiveServer, firstMapping, isUdpBlocked, judgeServers } from './servers.ts'

export function analyseFamily(observations: FamilyObservations): FamilyFinding {
  const { exchanges, endedAtMs } = observations
  const first = firstMapping(exchanges)
  const mapped = answer(first)?.mapped ?? null
  const local = first?.local ?? null
  const behindNat = mapped === null ? null : mapped !== local
  const udpBlocked = isUdpBlocked(observations)
  const server = decisiveServer(observations)
  const path = estimatePath(exchanges)
  const attempt = server === undefined ? undefined : judgeAttempt(exchanges, server, endedAtMs, path, udpBlocked)
  const unanswered = whyNothing(observations, udpBlocked)

  const mapping = mapped === null ? unanswered : judgeMapping(exchanges)
  const filtering = mapped === null ? unanswered : (attempt?.filtering.finding ?? tooLossy(observations, server))
  const classic = attempt?.classic.finding ?? (mapped === null ? unanswered : tooLossy(observations, server))
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
    alg: judgeAlg(observations),
    fragments: judgeFragments(observations),
    nat64: judgeNat64(observations),
    confidence: confidenceOf(mapping, filtering, attempt),
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

function tooLossy({ exchanges }: FamilyObservations, server: number | undefined): Finding<never> {
  const control = find(exchanges, 'filtering-1', server)
  if (!control) return inconclusive('no server offers RFC 5780, so it was not tested')
  const answers = Math.min(control.replies.length, control.sentAtMs.length)
  return inconclusive(
    `time ran out before loss could be told from filtering: ${answers} of ${control.sentAtMs.length} control requests were answered`,
  )
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

function judgeAlg({ exchanges }: FamilyObservations): Finding<boolean> {
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
): FamilyFinding['confidence'] {
  if (mapping.kind !== 'observed' || filtering.kind !== 'observed') return 'low'
  return attempt?.filtering.proved ? 'high' : 'medium'
}

/** RFC 3489's flowchart ends at "full cone" when test II comes in, without ever comparing mappings. */
function disagreementOf(mapping: FamilyFinding['mapping'], classic: FamilyFinding['rfc3489']): string | null {
  if (mapping.kind !== 'observed' || classic.kind !== 'observed') return null
  const dependent = mapping.value !== 'none' && mapping.value !== 'endpoint-independent'
  if (classic.value === 'full-cone' && dependent) {
    return `RFC 3489 says full cone because it never compares mappings once test II comes in; the mapping is ${mapping.value}, so for hole punching this NAT is symmetric`
  }
  if (classic.value === 'symmetric' && !dependent) {
    return `RFC 3489 says symmetric because test I' saw another mapping on the filtering socket, yet the mapping socket kept one: the mapping changed during the test`
  }
  return null
}
