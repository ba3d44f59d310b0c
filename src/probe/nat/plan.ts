/**
 * What is still worth sending, decided afresh from the observations after every event by the very functions that
 * analyse the finished report: the run ends as soon as nothing more could change the verdict.
 */
import { alternateOf, mixAddress } from './alternate.ts'
import { type ClassicState, judgeClassic } from './classic.ts'
import { answer, estimatePath, find, isSilent } from './evidence.ts'
import { type FilteringState, judgeFiltering } from './filtering.ts'
import { judgeMapping } from './mapping.ts'
import type { AddressText, Change, ExchangeObservation, TestName } from './observations.ts'
import { type PathEstimate, silenceMs, stragglerMs } from './pacing.ts'

/** A request that should be under way now: started if it isn't, repeated when due. */
export interface Want {
  readonly test: TestName
  readonly server: number
  readonly socket: string
  readonly to: AddressText
  readonly change: Change
}

export interface Plan {
  readonly wants: readonly Want[]
  readonly settled: boolean
  readonly path: PathEstimate | undefined
  /** Has no server answered at all? */
  readonly silent: boolean
}

export interface PlanInput {
  readonly servers: readonly (AddressText | null)[]
  /** Indices of the servers to ask, in order. */
  readonly asked: readonly number[]
  readonly exchanges: readonly ExchangeObservation[]
  readonly nowMs: number
  /** Every server's state is to be known, not just the verdict. */
  readonly exclusive: boolean
}

/** Further virgin sockets for the port assignment: with the other three, enough to tell parity from chance (1 in 2,000). */
const portSockets = 8

export const filteringSocket = (server: number): string => `filtering-${server}`

export function plan(input: PlanInput): Plan {
  const { exchanges, asked } = input
  const path = estimatePath(exchanges)
  const alive = asked.filter((server) => hasAnswered(exchanges, server))
  const waiting = asked.filter((server) => !alive.includes(server) && mayStillAnswer(input, server, path))
  const wants: Want[] = waiting.map((server) => want(input, 'mapping-1', server, 'mapping'))

  const attempt = currentAttempt(input, alive, waiting, path)
  if (attempt !== undefined) wants.push(...attempt.wants)
  // A mapping socket's own answer is needed even from a server that answered another socket.
  for (const server of alive) {
    const first = find(exchanges, 'mapping-1', server)
    if (!answer(first) && mayStillAnswer(input, server, path)) wants.push(want(input, 'mapping-1', server, 'mapping'))
  }
  wants.push(...mappingWants(input, alive, path), ...portWants(input, alive, path))

  const silent = alive.length === 0
  const undecided = attempt?.undecided ?? false
  const complete = attempt?.conclusive === true && judgeMapping(exchanges).kind === 'observed'
  const waitsForAnybody = waiting.length > 0 && (silent || input.exclusive || !complete)
  const needed = wants.filter((it) => !waiting.includes(it.server))
  return { wants, path, silent, settled: needed.length === 0 && !waitsForAnybody && !undecided }
}

export const hasAnswered = (exchanges: readonly ExchangeObservation[], server: number): boolean =>
  exchanges.some((exchange) => exchange.server === server && answer(exchange) !== undefined)

/** ICMP said that nothing gets there, and nothing did. */
export const hasFailed = (exchanges: readonly ExchangeObservation[], server: number): boolean =>
  exchanges.some((exchange) => exchange.server === server && exchange.failure !== null)

function mayStillAnswer(input: PlanInput, server: number, path: PathEstimate | undefined): boolean {
  if (!hasAnswered(input.exchanges, server) && hasFailed(input.exchanges, server)) return false
  const firstSent = find(input.exchanges, 'mapping-1', server)?.sentAtMs[0]
  if (firstSent === undefined) return true
  return input.nowMs - firstSent < (path ? patience(input, path) : silenceMs)
}

/** A sole server is worth as much patience as the network itself. */
const patience = (input: PlanInput, path: PathEstimate): number =>
  input.asked.length > 1 ? stragglerMs(path) : Math.max(silenceMs, stragglerMs(path))

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
  path: PathEstimate | undefined,
  udpBlocked = false,
): Attempt {
  const filtering = judgeFiltering(exchanges, server, nowMs, path)
  return { server, filtering, classic: judgeClassic(exchanges, server, filtering, udpBlocked) }
}

/** The server under test, or the next one to test when the last turned out unfit. */
function currentAttempt(
  input: PlanInput,
  alive: readonly number[],
  waiting: readonly number[],
  path: PathEstimate | undefined,
): { wants: readonly Want[]; undecided: boolean; conclusive: boolean } | undefined {
  const { exchanges, nowMs } = input
  const tried = attempts(exchanges)
  for (const server of tried) {
    const attempt = judgeAttempt(exchanges, server, nowMs, path)
    // A server that went silent altogether decides nothing; its silence ends with mayStillAnswer.
    if (!alive.includes(server) && !waiting.includes(server)) continue
    if (attempt.filtering.finding === undefined || (alive.includes(server) && attempt.classic.finding === undefined)) {
      return { wants: attemptWants(input, attempt), undecided: true, conclusive: false }
    }
    if (attempt.filtering.finding.kind === 'observed') return { wants: [], undecided: false, conclusive: true }
  }
  const next = nextServer(input, alive, waiting, tried)
  if (next === undefined) return undefined
  const wants = attemptWants(input, judgeAttempt(exchanges, next, nowMs, path))
  return { wants, undecided: true, conclusive: false }
}

function nextServer(
  input: PlanInput,
  alive: readonly number[],
  waiting: readonly number[],
  tried: readonly number[],
): number | undefined {
  // With a sole server there is nothing to choose: its tests leave at once, a round trip earlier.
  if (input.asked.length === 1 && tried.length === 0) return waiting.length > 0 ? input.asked[0] : alive[0]
  const fit = alive.find((server) => {
    const alternate = alternateOf(input.exchanges, server, input.servers[server] ?? '')
    return !tried.includes(server) && alternate && alternate.problem === null
  })
  return fit
}

function attemptWants(input: PlanInput, { server, filtering, classic }: Attempt): readonly Want[] {
  const primary = input.servers[server] ?? ''
  const alternate = alternateOf(input.exchanges, server, primary)?.address ?? ''
  const wants: Want[] = []
  const tests = new Set([...filtering.wanted, ...classic.wanted])
  for (const test of tests) {
    const base = want(input, test, server, filteringSocket(server))
    if (test === 'filtering-2') wants.push({ ...base, change: 'ip-and-port' })
    else if (test === 'filtering-3') wants.push({ ...base, change: 'port' })
    else if (test === 'open-alternate') wants.push({ ...base, to: alternate })
    else if (test === 'open-port') wants.push({ ...base, to: mixAddress(primary, alternate) })
    else wants.push(base)
  }
  return wants
}

/** Tests II and III of the mapping, where what is known doesn't decide it already. */
function mappingWants(input: PlanInput, alive: readonly number[], path: PathEstimate | undefined): readonly Want[] {
  if (judgeMapping(input.exchanges).kind === 'observed' || !path) return []
  for (const server of alive) {
    const primary = input.servers[server] ?? ''
    const alternate = alternateOf(input.exchanges, server, primary)
    if (!alternate || alternate.problem || !answer(find(input.exchanges, 'mapping-1', server))) continue
    const second = want(input, 'mapping-2', server, 'mapping')
    const third = want(input, 'mapping-3', server, 'mapping')
    const both = [
      { ...second, to: mixAddress(alternate.address, primary) },
      { ...third, to: alternate.address },
    ]
    const open = both.filter((it) => !isOver(input, it, path))
    if (open.length > 0) return open
  }
  return []
}

/** Answered, or silent although the way loses too little to explain it. */
function isOver(input: PlanInput, { test, server }: Want, path: PathEstimate): boolean {
  const exchange = find(input.exchanges, test, server)
  if (!exchange) return false
  if (answer(exchange)) return true
  const control = find(input.exchanges, 'filtering-1', server)
  if (control) return isSilent(exchange, control, input.nowMs, path)
  return input.nowMs - (exchange.sentAtMs[0] ?? input.nowMs) > 2 * stragglerMs(path)
}

/** Behind a NAT: which ports do fresh sockets get? Each is asked at most three times; it never holds up the verdict for long. */
function portWants(input: PlanInput, alive: readonly number[], path: PathEstimate | undefined): readonly Want[] {
  const server = alive.find((it) => answer(find(input.exchanges, 'mapping-1', it)))
  if (server === undefined || !path) return []
  const first = find(input.exchanges, 'mapping-1', server)
  if (answer(first)?.mapped === first?.local) return []
  const wants: Want[] = []
  for (let i = 1; i <= portSockets; i++) {
    const socket = `port-${i}`
    const exchange = input.exchanges.find((it) => it.test === 'port-assignment' && it.socket === socket)
    if (exchange && (answer(exchange) || exchange.sentAtMs.length >= 3)) continue
    wants.push(want(input, 'port-assignment', server, socket))
  }
  return wants
}
