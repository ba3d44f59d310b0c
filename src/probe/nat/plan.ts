/**
 * What is still worth sending, decided afresh from the observations after every event by the very functions that
 * analyse the finished report: the run ends as soon as nothing more could change the verdict.
 */
import { alternateOf, mixAddress } from './alternate.ts'
import { type ClassicState, judgeClassic } from './classic.ts'
import { answer, estimatePath, find, isOuter, portOf } from './evidence.ts'
import { type FilteringState, judgeFiltering } from './filtering.ts'
import { isStale, judgeMapping } from './mapping.ts'
import type { AddressText, Change, ExchangeObservation, TestName } from './observations.ts'
import { namedStragglerMs, type PathEstimate, silenceMs, stragglerMs } from './pacing.ts'

/** A request that should be under way now: started if it isn't, repeated when due. */
export interface Want {
  readonly test: TestName
  readonly server: number
  readonly socket: string
  readonly to: AddressText
  readonly change: Change
  /** RESPONSE-PORT, where the answer is wanted elsewhere. */
  readonly responsePort?: number
  /** Taken along when there is room for it; the verdict doesn't wait for it to start. */
  readonly optional?: boolean
}

export interface Plan {
  readonly wants: readonly Want[]
  readonly settled: boolean
  /** Has no server answered at all? */
  readonly silent: boolean
  /** The server whose filtering tests are under way. */
  readonly testing: number | undefined
}

export interface PlanInput {
  readonly servers: readonly (AddressText | null)[]
  /** Indices of the servers to ask, in order. */
  readonly asked: readonly number[]
  readonly exchanges: readonly ExchangeObservation[]
  readonly nowMs: number
  /** Every server's state is to be known, not just the verdict. */
  readonly exclusive: boolean
  /** Further virgin sockets for the port assignment; `required`: the run waits for them. */
  readonly ports: { readonly count: number; readonly required: boolean }
}

export const filteringSocket = (server: number): string => `filtering-${server}`

export function plan(input: PlanInput): Plan {
  const { exchanges, asked } = input
  const path = estimatePath(exchanges)
  const alive = asked.filter((server) => hasAnswered(exchanges, server))
  const waiting = asked.filter((server) => !alive.includes(server) && mayStillAnswer(input, server, path))
  // A mapping socket's own answer is needed even from a server that answered another socket.
  const mute = alive.filter((server) => !answer(find(exchanges, 'mapping-1', server)))
  const asking = [...waiting, ...mute.filter((server) => mayStillAnswer(input, server, path))]
  const wants: Want[] = asking.map((server) => want(input, 'mapping-1', server, 'mapping'))

  const attempt = currentAttempt(input, alive, waiting)
  if (attempt) wants.push(...attempt.wants)
  wants.push(...mappingWants(input, alive, attempt), ...portWants(input, alive))

  const silent = alive.length === 0
  const complete = attempt?.conclusive === true && judgeMapping(exchanges).kind === 'observed'
  const waitsForAnybody = waiting.length > 0 && (silent || input.exclusive || !complete)
  const needed = wants.filter((it) => !waiting.includes(it.server) && it.optional !== true)
  const testing = attempt?.undecided ? attempt.server : undefined
  return { wants, silent, testing, settled: needed.length === 0 && !waitsForAnybody && testing === undefined }
}

export const hasAnswered = (exchanges: readonly ExchangeObservation[], server: number): boolean =>
  exchanges.some((exchange) => exchange.server === server && answer(exchange) !== undefined)

/** ICMP said that nothing gets there, and nothing did. */
export const hasFailed = (exchanges: readonly ExchangeObservation[], server: number): boolean =>
  exchanges.some((exchange) => exchange.server === server && exchange.failure !== null)

function mayStillAnswer(input: PlanInput, server: number, path: PathEstimate | undefined): boolean {
  if (!hasAnswered(input.exchanges, server) && hasFailed(input.exchanges, server)) return false
  // As long as nobody has answered, the time that counts is the network's, not the server's.
  const firstSent = find(input.exchanges, 'mapping-1', server)?.sentAtMs[0]
  if (!path) return input.nowMs - (firstRequestMs(input.exchanges) ?? input.nowMs) < silenceMs
  if (firstSent === undefined) return true
  const patience = input.exclusive ? namedStragglerMs(path) : stragglerMs(path)
  return input.nowMs - firstSent < patience
}

/** When the first request left: silence can't have begun before. */
export const firstRequestMs = (exchanges: readonly ExchangeObservation[]): number | undefined =>
  find(exchanges, 'mapping-1')?.sentAtMs[0]

function want(input: PlanInput, test: TestName, server: number, socket: string): Want {
  return { test, server, socket, to: input.servers[server] ?? '', change: 'none' }
}

/** Servers that filtering tests were sent to, in order. */
export function attempts(exchanges: readonly ExchangeObservation[]): readonly number[] {
  return exchanges.filter(({ test }) => test === 'filtering-1').map(({ server }) => server)
}

export interface Attempt {
  readonly server: number
  readonly filtering: FilteringState
  readonly classic: ClassicState
}

export function judgeAttempt(
  exchanges: readonly ExchangeObservation[],
  server: number,
  nowMs: number,
  udpBlocked = false,
): Attempt {
  const filtering = judgeFiltering(exchanges, server, nowMs)
  return { server, filtering, classic: judgeClassic(exchanges, server, filtering, udpBlocked) }
}

interface CurrentAttempt extends Attempt {
  readonly wants: readonly Want[]
  readonly undecided: boolean
  readonly conclusive: boolean
}

/** The server under test, or the next one to test when the last turned out unfit. */
function currentAttempt(
  input: PlanInput,
  alive: readonly number[],
  waiting: readonly number[],
): CurrentAttempt | undefined {
  const { exchanges, nowMs } = input
  const tried = attempts(exchanges)
  let unfit: CurrentAttempt | undefined
  for (const server of tried) {
    // A server that went silent altogether decides nothing; its silence ends with mayStillAnswer.
    if (!alive.includes(server) && !waiting.includes(server)) continue
    const attempt = judgeAttempt(exchanges, server, nowMs)
    const { finding } = attempt.filtering
    const undecided = finding === undefined || (alive.includes(server) && attempt.classic.finding === undefined)
    if (undecided) return pursue(input, attempt)
    unfit = { ...attempt, wants: [], undecided: false, conclusive: finding.kind === 'observed' }
    if (unfit.conclusive) return unfit
  }
  const next = nextServer(input, alive, waiting, tried)
  return next === undefined ? unfit : pursue(input, judgeAttempt(exchanges, next, nowMs))
}

function pursue(input: PlanInput, attempt: Attempt): CurrentAttempt {
  return { ...attempt, wants: attemptWants(input, attempt), undecided: true, conclusive: false }
}

function nextServer(
  input: PlanInput,
  alive: readonly number[],
  waiting: readonly number[],
  tried: readonly number[],
): number | undefined {
  // With a sole server there is nothing to choose: its tests leave at once, a round trip earlier.
  if (input.asked.length === 1 && tried.length === 0) return waiting.length > 0 ? input.asked[0] : alive[0]
  return preferOuter(input, alive).find((server) => {
    const alternate = alternateOf(input.exchanges, server, input.servers[server] ?? '')
    return !tried.includes(server) && alternate && alternate.problem === null
  })
}

/** Servers beyond the NAT first: one on this side of it has nothing to tell. */
const preferOuter = (input: PlanInput, servers: readonly number[]): readonly number[] => {
  const outer = servers.filter((server) => isOuter(input.servers[server] ?? ''))
  return outer.length > 0 ? outer : servers
}

function attemptWants(input: PlanInput, { server, filtering, classic }: Attempt): readonly Want[] {
  const primary = input.servers[server] ?? ''
  const alternate = alternateOf(input.exchanges, server, primary)?.address ?? ''
  const exchanges = input.exchanges
  const usual = answer(find(exchanges, 'filtering-1', server))?.mapped
  /** Where the NAT opened another port for that address, the answer has to go there. */
  const answerTo = (opener: TestName): Partial<Want> => {
    const mapped = answer(find(exchanges, opener, server))?.mapped
    return mapped && mapped !== usual ? { responsePort: portOf(mapped) } : {}
  }
  const details: Partial<Record<TestName, () => Partial<Want>>> = {
    'mapping-3': () => ({ to: alternate, socket: 'mapping' }),
    'filtering-2': () => ({ change: 'ip-and-port' }),
    'filtering-3': () => ({ change: 'port' }),
    'open-alternate': () => ({ to: alternate }),
    'open-port': () => ({ to: mixAddress(primary, alternate) }),
    'prove-alternate': () => ({ change: 'ip-and-port', ...answerTo('open-alternate') }),
    'prove-port': () => ({ change: 'port', ...answerTo('open-port') }),
  }
  const tests = [...new Set([...filtering.wanted, ...classic.wanted])]
  const wants = tests.map(
    (test): Want => ({
      ...want(input, test, server, filteringSocket(server)),
      ...details[test]?.(),
    }),
  )
  // A server that limits its rate must not always drop the same one.
  const turn = (find(input.exchanges, 'filtering-1', server)?.sentAtMs.length ?? 0) % Math.max(1, wants.length)
  return [...wants.slice(turn), ...wants.slice(0, turn)]
}

/**
 * Tests II and III of the mapping, where what is known doesn't decide it already. They wait for filtering test II: a
 * firewall that filters by internal host would let its answer in once another socket has written to that address.
 */
function mappingWants(
  input: PlanInput,
  alive: readonly number[],
  attempt: CurrentAttempt | undefined,
): readonly Want[] {
  if (judgeMapping(input.exchanges).kind === 'observed') return []
  if (attempt?.undecided && attempt.filtering.test2 === 'pending') return []
  for (const server of preferOuter(input, alive)) {
    const primary = input.servers[server] ?? ''
    const alternate = alternateOf(input.exchanges, server, primary)
    if (!alternate || alternate.problem || !answer(find(input.exchanges, 'mapping-1', server))) continue
    const second = want(input, 'mapping-2', server, 'mapping')
    const third = want(input, 'mapping-3', server, 'mapping')
    const first = find(input.exchanges, 'mapping-1', server)
    const mapped = answer(find(input.exchanges, 'mapping-3', server))?.mapped
    const both = [{ ...third, to: alternate.address }]
    // One mapping for another address and another port decides already; else test II tells which of them matters.
    if (mapped && mapped !== answer(first)?.mapped) {
      both.push({ ...second, to: mixAddress(alternate.address, primary) })
    }
    const open = both.filter((it) => !isOver(input, it))
    const newest = answer(find(input.exchanges, 'mapping-2', server) ?? find(input.exchanges, 'mapping-3', server))
    if (newest && input.nowMs - newest.atMs < askAgainMs) {
      const again = [want(input, 'mapping-1', server, 'mapping'), ...both].filter((it) => isOld(input, it))
      open.push(...again.filter((it) => !open.includes(it)))
    }
    if (open.length > 0) return open
  }
  return []
}

/** How long older answers are asked for again, in milliseconds, so that they can be compared with the newest. */
const askAgainMs = 1500

/** Its answer is too old to be compared with the newer ones. */
function isOld(input: PlanInput, { test, server }: Want): boolean {
  const exchange = find(input.exchanges, test, server)
  return exchange !== undefined && isStale(exchange, input.exchanges)
}

/** Answered, or given as much time as a server of the user's own gets. */
function isOver(input: PlanInput, { test, server }: Want): boolean {
  const exchange = find(input.exchanges, test, server)
  const firstSent = exchange?.sentAtMs[0]
  if (firstSent === undefined) return false
  const path = estimatePath(input.exchanges.filter((it) => it.server === server))
  return answer(exchange) !== undefined || !path || input.nowMs - firstSent > namedStragglerMs(path)
}

/** Behind a NAT: which ports do fresh sockets get? Each is asked at most three times. */
function portWants(input: PlanInput, alive: readonly number[]): readonly Want[] {
  const { count, required } = input.ports
  const begun = input.exchanges.find(({ test }) => test === 'port-assignment')?.server
  const server = begun ?? preferOuter(input, alive).find((it) => answer(find(input.exchanges, 'mapping-1', it)))
  if (server === undefined) return []
  const first = find(input.exchanges, 'mapping-1', server)
  if (answer(first)?.mapped === first?.local) return []
  const wants: Want[] = []
  for (let i = 1; i <= count; i++) {
    const socket = `port-${i}`
    const exchange = input.exchanges.find((it) => it.test === 'port-assignment' && it.socket === socket)
    if (exchange && (answer(exchange) || exchange.sentAtMs.length >= 3)) continue
    wants.push({ ...want(input, 'port-assignment', server, socket), optional: !exchange && !required })
  }
  return wants
}
