/** How each server behaved, in words for the report: what one can't be used for is a finding too. */
import { alternateOf } from './alternate.ts'
import type { ServerFinding } from './behaviors.ts'
import { answer, estimatePath, find } from './evidence.ts'
import { dishonesty } from './filtering.ts'
import type { ExchangeObservation, FailureObservation, FamilyObservations, ServerObservation } from './observations.ts'
import { type Attempt, attempts, firstRequestMs, hasAnswered, judgeAttempt } from './plan.ts'

export function judgeServers(observations: FamilyObservations): readonly ServerFinding[] {
  return observations.servers.map((server, index) => {
    const exchanges = observations.exchanges.filter((exchange) => exchange.server === index)
    const ok = hasAnswered(exchanges, index)
    const { uri, address, asked } = server
    const rttMs = ok ? (estimatePath(exchanges)?.minRttMs ?? null) : null
    const attempt = judged(observations, index)
    const rfc5780 = ok ? offersRfc5780(server, exchanges, index, attempt) : null
    const problem = ok ? unfitness(server, exchanges, index, attempt) : silence(observations, server, index)
    return { uri, address, ok, asked, rttMs, rfc5780, problem }
  })
}

function judged(observations: FamilyObservations, server: number): Attempt | undefined {
  if (!attempts(observations.exchanges).includes(server)) return undefined
  return judgeAttempt(observations.exchanges, server, observations.endedAtMs)
}

function offersRfc5780(
  server: ServerObservation,
  exchanges: readonly ExchangeObservation[],
  index: number,
  attempt: Attempt | undefined,
): boolean {
  const alternate = alternateOf(exchanges, index, server.address ?? '')
  if (!alternate) return false
  return !attempt || (!(attempt.filtering.test2 in dishonesty) && !(attempt.filtering.test3 in dishonesty))
}

function unfitness(
  server: ServerObservation,
  exchanges: readonly ExchangeObservation[],
  index: number,
  attempt: Attempt | undefined,
): string | null {
  const alternate = alternateOf(exchanges, index, server.address ?? '')
  if (!alternate) return null
  if (alternate.problem) return alternate.problem
  if (attempt) {
    const { unfit } = attempt.filtering
    if (unfit !== null) return unfit
  }
  const silentAlternates = exchanges.filter(({ test }) => test === 'mapping-2' || test === 'mapping-3')
  if (silentAlternates.length > 0 && silentAlternates.every((exchange) => !answer(exchange))) {
    return `its alternate address ${alternate.address} does not answer`
  }
  return null
}

function silence(observations: FamilyObservations, server: ServerObservation, index: number): string | null {
  if (server.problem) return server.problem.message
  if (!server.asked) return null
  const exchanges = observations.exchanges.filter((exchange) => exchange.server === index)
  for (const { replies, to } of exchanges) {
    const error = replies.find(({ errorCode }) => errorCode !== null)
    if (error) return `it answers Binding requests with error ${error.errorCode}`
    if (replies.some(({ from, mapped }) => from === to && mapped === null)) {
      return 'it answers without saying what address it sees'
    }
    const elsewhere = replies.find(({ from }) => from !== to)
    if (elsewhere) return `it answers from ${elsewhere.from} instead of ${to}, so its answers can't be trusted`
  }
  if (server.address !== null && observations.notStun.includes(server.address)) {
    return 'what answers there does not speak STUN'
  }
  if (server.address !== null && observations.unmatched.includes(server.address)) {
    return 'it answers with other transaction ids than it is asked with'
  }
  const failure = exchanges.find((exchange) => exchange.failure)?.failure
  return failure ? failureInWords(failure) : 'no answer over UDP'
}

function failureInWords({ reason, detail }: FailureObservation): string {
  switch (reason) {
    case 'port-unreachable':
      return 'nothing listens on that UDP port (ICMP port unreachable)'
    case 'host-unreachable':
      return 'the host is unreachable (ICMP)'
    case 'network-unreachable':
      return 'the network is unreachable (ICMP)'
    case 'admin-prohibited':
      return 'a firewall on the way forbids it (ICMP administratively prohibited)'
    case 'no-route':
      return 'this machine has no route to it'
    case 'local-firewall':
      return "this machine's own firewall forbids sending to it"
    case 'message-too-big':
    case 'other':
      return `sending failed (${detail})`
  }
}

/** The server whose filtering tests count: the first that gave a result, else the first tried, else any that answered. */
export function decisiveServer(observations: FamilyObservations): number | undefined {
  const tried = attempts(observations.exchanges)
  const fit = tried.find((server) => judged(observations, server)?.filtering.finding?.kind === 'observed')
  if (fit !== undefined) return fit
  const alive = observations.servers.findIndex((_, index) => hasAnswered(observations.exchanges, index))
  const answered = tried.find((server) => hasAnswered(observations.exchanges, server))
  if (answered !== undefined) return answered
  const asked = observations.servers.findIndex((server) => server.asked)
  return alive >= 0 ? alive : (tried[0] ?? (asked >= 0 ? asked : undefined))
}

/** No server answers UDP, yet TCP gets through, or a firewall said so by ICMP. */
export function isUdpBlocked(observations: FamilyObservations): boolean {
  // Whatever comes back over UDP, an error or nonsense, shows that UDP is not blocked.
  const { exchanges, notStun, unmatched } = observations
  if (exchanges.some(({ replies }) => replies.length > 0) || notStun.length + unmatched.length > 0) return false
  if (firstRequestMs(exchanges) === undefined) return false
  const prohibited = observations.exchanges.some(({ failure }) => failure?.reason === 'admin-prohibited')
  return prohibited || observations.streams.some(({ connected }) => connected)
}

/** The mapping socket's exchange whose answer stands for "our mapped address". */
export const firstMapping = (exchanges: readonly ExchangeObservation[]): ExchangeObservation | undefined =>
  exchanges.find((exchange) => exchange.test === 'mapping-1' && answer(exchange)) ?? find(exchanges, 'mapping-1')
