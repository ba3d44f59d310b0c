/** Relayed candidates: an allocation on each TURN server, over each transport that its URI names. */
import { elapsed, formatAddress, parseAddress, sameAddress, type TransportAddress } from '../../core/index.ts'
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
import { type Reflexive, type ReflexiveSearch, searchReflexive } from './binding.ts'
import { causeOfRelayed, causeOfTurn } from './causes.ts'
import { describeTls, noteConnected, noteTls } from './connecting.ts'
import { contextOf, type HostSocket, patientTiming, socketAt } from './hosts.ts'
import type { StageName } from './observations.ts'
import type { IceOptions, IcePorts } from './options.ts'
import { type Recorder, round } from './recorder.ts'
import { patienceLeft, type Target } from './targets.ts'

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
  const search = attempt.transport === 'udp' ? searchReflexive(ports, options, recorder, target, sockets) : undefined
  const relay = await allocate(ports, options, recorder, target, sockets, search)
  const primary = attempt.rttMs === null || attempt.local === null ? undefined : parseAddress(attempt.local)?.ip
  return { relay, reflexive: (await search?.collect(primary)) ?? [] }
}

/** What a session tells. */
interface SessionWatch {
  onConnected?(): void
  onObservation?(observation: TurnObservation): void
  onLost?(lost: Loss): void
}

/** Opens another allocation on the same server, of which no candidate is told. */
export async function openRelay(
  ports: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  { server, attempt, to, serverName }: Target,
  onData: (data: ReceivedData) => void,
  watch: SessionWatch = {},
  wish: AllocateOptions = {},
): Promise<
  | { readonly ok: true; readonly session: TurnSession; readonly allocation: Allocation }
  | { readonly ok: false; readonly failure: TurnFailure }
> {
  const { username, credential } = server
  const opened = await openTurnSession(ports, {
    to,
    protocol: attempt.transport,
    serverName,
    ca: options.ca,
    ...(username !== undefined && credential !== undefined && { credentials: { username, password: credential } }),
    timing: patientTiming,
    connectTimeoutMs: patienceLeft(options, recorder, attempt),
    signal: options.signal,
    maxRedirects: 3,
    onData,
    ...watch,
  })
  if (!opened.ok) return opened
  const allocated = await opened.value.allocate(wish, { timeoutMs: patienceLeft(options, recorder, attempt) })
  if (allocated.ok) return { ok: true, session: opened.value, allocation: allocated.value }
  // What the server may have granted after all is given back, which nobody waits for.
  void opened.value.close()
  return allocated
}

async function allocate(
  ports: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  target: Target,
  sockets: readonly HostSocket[],
  search: ReflexiveSearch | undefined,
): Promise<Relay | undefined> {
  let relay: Relay | undefined
  const onData = (data: ReceivedData): void => relay?.onData(data)
  const held = await recordAllocation(ports, options, recorder, target, { onData, search })
  if (!held.ok) return undefined
  const { session, allocation, relayed } = held
  const candidate = tellRelayed(recorder, target, session, allocation, relayed, sockets)
  relay = { target, session, allocation, relayed, candidate, onData: () => undefined }
  return relay
}

export interface AllocationWatch {
  readonly onData: (data: ReceivedData) => void
  readonly onLost?: ((lost: Loss) => void) | undefined
  /** What Binding requests to the same port showed. */
  readonly search?: ReflexiveSearch | undefined
}

/** A plain allocation on the server, told as the stages of its attempt; where it fails, with its cause. */
export async function recordAllocation(
  ports: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  target: Target,
  { onData, onLost, search }: AllocationWatch,
): Promise<
  | {
      readonly ok: true
      readonly session: TurnSession
      readonly allocation: Allocation
      readonly relayed: TransportAddress
    }
  | { readonly ok: false; readonly failure: TurnFailure | undefined }
> {
  const { server, attempt, to } = target
  const story = new AllocationStory(recorder, target, onLost)
  const opened = await openRelay(ports, options, recorder, target, onData, story)
  story.told = true
  if (!opened.ok) {
    const { failure } = opened
    if (failure.tls) attempt.tls = describeTls(null, failure.tls.chain)
    const cause = causeOfTurn(failure, {
      server,
      now: ports.clock.wallTime(),
      stray: story.stray ?? search?.stray(),
      foreign: search?.foreign() === true,
      answersBinding: search?.answered() === true,
      challenged: attempt.realm !== null,
      redirectedTo: story.redirectedTo,
    })
    const facts = attempt.realm === null ? cause.facts : { realm: attempt.realm, ...cause.facts }
    const why = failure.tls ? `TLS failed: ${failure.tls.problem}` : failure.why
    if (attempt.running) recorder.end(attempt, false, why, cause.stage)
    recorder.fail(attempt, { ...cause, facts })
    return opened
  }
  const { session, allocation } = opened
  const [relayed] = allocation.relayed
  // The client takes no success without a relayed address.
  if (!relayed) return { ok: false, failure: undefined }
  attempt.mapped = formatAddress(allocation.mapped)
  attempt.relayed = formatAddress(relayed)
  const unusable = causeOfRelayed(relayed, to.ip)
  if (unusable) recorder.fail(attempt, unusable)
  return { ok: true, session, allocation, relayed }
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

/** What a session did, as the stages of its attempt, and what explains why it failed. */
class AllocationStory implements SessionWatch {
  /** Whoever answered instead of the server. */
  stray: TransportAddress | undefined
  /** What comes after the allocation is no stage of the attempt. */
  told = false
  /** Where the last 300 led. */
  redirectedTo: string | undefined
  readonly #recorder: Recorder
  readonly #target: Target
  readonly #onLost: ((lost: Loss) => void) | undefined

  constructor(recorder: Recorder, target: Target, onLost: ((lost: Loss) => void) | undefined) {
    this.#recorder = recorder
    this.#target = target
    this.#onLost = onLost
    recorder.begin(target.attempt, target.attempt.transport === 'udp' ? 'challenge' : 'connect')
  }

  onLost = (lost: Loss): void => this.#onLost?.(lost)

  onConnected = (): void => noteConnected(this.#recorder, this.#target.attempt)

  onObservation = (observation: TurnObservation): void => {
    if (this.told) return
    const { attempt, to } = this.#target
    switch (observation.kind) {
      case 'connected':
        attempt.local = formatAddress(observation.local)
        if (!sameAddress(observation.to, to)) this.redirectedTo = formatAddress(observation.to)
        noteTls(this.#recorder, attempt, observation.tls)
        return this.#recorder.begin(attempt, 'challenge')
      case 'stray':
        this.stray ??= observation.from
        return
      case 'discarded':
        return
      case 'request':
        if (observation.method === Method.allocate) this.#note(observation)
    }
  }

  #note(observation: RequestObservation): void {
    const { attempt } = this.#target
    const { rttMs, software, realm, sentAt, endedAt, result, error } = observation
    if (result === 'success' || error) attempt.rttMs ??= round(rttMs ?? elapsed(sentAt, endedAt))
    attempt.software ??= software ?? null
    attempt.realm ??= realm ?? null
    if (error?.code === 300) this.redirectedTo = 'nowhere'
    const [stage, ok] = judge(observation)
    this.#recorder.end(attempt, ok, wordsOf(observation), stage)
    if (ok && stage === 'challenge') this.#recorder.begin(attempt, 'allocate')
  }
}

function judge({ result, error, signed }: RequestObservation): readonly [StageName, boolean] {
  if (result === 'success') return ['allocate', true]
  if (error?.code === 401) return ['challenge', !signed]
  if (error?.code === 438) return ['challenge', true]
  return [signed || error ? 'allocate' : 'challenge', false]
}

function wordsOf({ result, error, transmissions }: RequestObservation): string {
  const sent = transmissions > 1 ? `, sent ${transmissions} times` : ''
  return error ? `answered ${`${error.code} ${error.reason}`.trim()}${sent}` : `${result}${sent}`
}
