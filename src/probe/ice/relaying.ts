/** Relayed candidates: an allocation on each TURN server, over each transport that its URI names. */
import { formatAddress, type Instant, type TransportAddress } from '../../core/index.ts'
import {
  type AllocateOptions,
  type Allocation,
  type Loss,
  openTurnSession,
  type ReceivedData,
  type RequestObservation,
  type TurnFailure,
  type TurnObservation,
  type TurnSession,
} from '../../proto/turn-client/index.ts'
import { Method } from '../../wire/index.ts'
import { type ReflexiveSearch, type Reflexive, reflexiveFromHosts } from './binding.ts'
import { causeOfRelayed, causeOfTurn } from './causes.ts'
import { contextOf, type HostSocket, patientTiming, socketAt } from './hosts.ts'
import type { StageName } from './observations.ts'
import type { IceOptions, IcePorts } from './options.ts'
import { type Recorder, round } from './recorder.ts'
import { defaultPatienceMs, type Target } from './targets.ts'

/** An allocation that is held, and whom to tell what arrives through it. */
export interface Relay {
  readonly target: Target
  readonly session: TurnSession
  readonly allocation: Allocation
  readonly relayed: TransportAddress
  readonly candidate: number
  onData: (data: ReceivedData) => void
}

export interface RelayingResult {
  readonly relay: Relay | undefined
  readonly reflexive: readonly Reflexive[]
}

/** Resolves when the candidates of this server are told, or why there are none. */
export async function askRelay(
  ports: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  target: Target,
  sockets: readonly HostSocket[],
): Promise<RelayingResult> {
  const { attempt } = target
  // Browsers use a TURN server's UDP side as a STUN server too.
  const search = attempt.transport === 'udp' ? reflexiveFromHosts(ports, options, recorder, target, sockets) : undefined
  const relay = await allocate(ports, options, recorder, target, sockets)
  const reflexive = (await search?.collect(primaryOf(search, relay, sockets))) ?? []
  return { relay, reflexive }
}

/** A TURN server need not answer Binding: its silence there is not waited for beyond the stragglers' time. */
const primaryOf = (
  _search: ReflexiveSearch,
  relay: Relay | undefined,
  sockets: readonly HostSocket[],
): HostSocket | undefined => (relay?.session.local ? socketAt(sockets, relay.session.local.ip) : undefined)

/** Opens another allocation on the same server, of which no candidate is told. */
export async function openRelay(
  ports: IcePorts,
  options: IceOptions,
  { server, attempt, to, serverName }: Target,
  onData: (data: ReceivedData) => void,
  onObservation: (observation: TurnObservation) => void = () => undefined,
  wish: AllocateOptions = {},
  onLost?: (lost: Loss) => void,
): Promise<
  | { readonly ok: true; readonly session: TurnSession; readonly allocation: Allocation }
  | { readonly ok: false; readonly failure: TurnFailure }
> {
  const { username, credential } = server
  const timeoutMs = options.patienceMs ?? defaultPatienceMs
  const opened = await openTurnSession(ports, {
    to,
    protocol: attempt.transport,
    serverName,
    ca: options.ca,
    ...(username !== undefined && credential !== undefined && { credentials: { username, password: credential } }),
    timing: patientTiming,
    connectTimeoutMs: timeoutMs,
    signal: options.signal,
    maxRedirects: 3,
    onData,
    onObservation,
    ...(onLost && { onLost }),
  })
  if (!opened.ok) return opened
  const allocated = await opened.value.allocate(wish, { timeoutMs })
  if (allocated.ok) return { ok: true, session: opened.value, allocation: allocated.value }
  await opened.value.close()
  return allocated
}

async function allocate(
  ports: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  target: Target,
  sockets: readonly HostSocket[],
): Promise<Relay | undefined> {
  const { server, attempt, to } = target
  const startedAt = ports.clock.now()
  const startMs = recorder.now()
  let relay: Relay | undefined
  const observations: TurnObservation[] = []
  const opened = await openRelay(
    ports,
    options,
    target,
    (data) => relay?.onData(data),
    (observation) => observations.push(observation),
  )
  noteStages(recorder, target, observations, startMs, startedAt)
  if (!opened.ok) {
    const cause = causeOfTurn(opened.failure, server.username, ports.clock.wallTime())
    const facts = attempt.realm === null ? cause.facts : { realm: attempt.realm, ...cause.facts }
    if (attempt.stages.at(-1)?.ok !== false) recorder.stage(attempt, cause.stage, startMs, false, opened.failure.why)
    recorder.fail(attempt, { ...cause, facts })
    return undefined
  }
  const { session, allocation } = opened
  const [relayed] = allocation.relayed
  if (!relayed) return undefined
  attempt.mapped = formatAddress(allocation.mapped)
  attempt.relayed = formatAddress(relayed)
  const unusable = causeOfRelayed(relayed, to.ip)
  if (unusable) recorder.fail(attempt, unusable)
  const candidate = tellRelayed(recorder, target, session, allocation, relayed, sockets)
  relay = { target, session, allocation, relayed, candidate, onData: () => undefined }
  return relay
}

function tellRelayed(
  recorder: Recorder,
  { attempt, to }: Target,
  session: TurnSession,
  { mapped }: Allocation,
  relayed: TransportAddress,
  sockets: readonly HostSocket[],
): number {
  const socket = session.local && socketAt(sockets, session.local.ip)
  const context = socket ? contextOf(socket.host) : unknownInterface
  const index = recorder.candidate(
    {
      type: 'relay',
      address: relayed,
      related: mapped,
      serverIp: to.ip,
      serverTransport: attempt.transport,
      ...(socket && { localPreference: socket.localPreference }),
    },
    { ...context, attempt: attempt.index, relayProtocol: attempt.transport, browserOmits: null },
  )
  // A server that gives the same relayed address twice is the same allocation seen twice: -1 is no candidate's index.
  return index ?? -1
}

const unknownInterface = { interface: null, interfaceKind: 'unknown', temporary: null } as const

/** What the session did, as stages: connecting, being asked who we are, the allocation. It began at `startMs`, which was `startedAt`. */
export function noteStages(
  recorder: Recorder,
  target: Target,
  observations: readonly TurnObservation[],
  startMs: number,
  startedAt: Instant,
): void {
  const at = (moment: number): number => round(startMs + (moment - startedAt))
  for (const observation of observations) noteStage(recorder, target, observation, at)
}

function noteStage(
  recorder: Recorder,
  { attempt }: Target,
  observation: TurnObservation,
  at: (moment: number) => number,
): void {
  if (observation.kind === 'connected') {
    attempt.local = formatAddress(observation.local)
    if (attempt.transport === 'udp') return
    const stage = attempt.transport === 'tls' ? 'tls' : 'connect'
    const detail = observation.tls ? `connected, ${observation.tls.version}` : 'connected'
    recorder.stage(attempt, stage, at(observation.startedAt), true, detail, at(observation.at))
    return
  }
  if (observation.kind !== 'request' || observation.method !== Method.allocate) return
  const { rttMs, software, realm, sentAt, endedAt } = observation
  attempt.rttMs ??= rttMs === undefined ? null : round(rttMs)
  attempt.software ??= software ?? null
  attempt.realm ??= realm ?? null
  const [stage, ok] = judge(observation)
  recorder.stage(attempt, stage, at(sentAt), ok, wordsOf(observation), at(endedAt))
}

function judge({ result, error, signed }: RequestObservation): readonly [StageName, boolean] {
  if (result === 'success') return ['allocate', true]
  if (error?.code === 401 && !signed) return ['challenge', true]
  if (error?.code === 438) return ['challenge', true]
  return [signed && error?.code !== 401 ? 'allocate' : 'challenge', false]
}

function wordsOf({ result, error, transmissions }: RequestObservation): string {
  const sent = transmissions > 1 ? `, sent ${transmissions} times` : ''
  return error ? `answered ${error.code} ${error.reason}${sent}` : `${result}${sent}`
}
