/** What a run has seen so far: candidates, attempts and proofs in the order they came, told as they come. */
import { elapsed, type Instant } from '../../core/index.ts'
import {
  type CandidateOrigin,
  Foundations,
  isRedundant,
  type LocalCandidate,
  localCandidate,
  onlyLocalPreference,
  renderCandidate,
} from '../../proto/ice/index.ts'
import type {
  AttemptObservation,
  CandidateObservation,
  Cause,
  IceObservations,
  ReachabilityObservation,
  StageName,
  StageObservation,
} from './observations.ts'
import type { IceOptions, IcePorts } from './options.ts'

/** What a candidate is besides a transport address. */
export type CandidateContext = Pick<
  CandidateObservation,
  'interface' | 'interfaceKind' | 'temporary' | 'attempt' | 'relayProtocol' | 'browserOmits'
>

/** An attempt while it runs. */
export type OpenAttempt = {
  -readonly [Key in keyof AttemptObservation]: Key extends 'stages'
    ? StageObservation[]
    : Key extends 'causes'
      ? Cause[]
      : AttemptObservation[Key]
} & {
  readonly index: number
  readonly startMs: number
  running: { readonly stage: StageName; readonly startMs: number } | undefined
  /** Its candidates are told, or it has failed. */
  settled: boolean
}

/** Once `options.signal` is aborted nothing is taken any more: what comes then shows the abort and not the network. */
export class Recorder {
  readonly attempts: OpenAttempt[] = []
  readonly #ports: IcePorts
  readonly #options: IceOptions
  readonly #startedAt: Instant
  readonly #foundations = new Foundations()
  readonly #locals: LocalCandidate[] = []
  readonly #candidates: CandidateObservation[] = []
  readonly #reachability: ReachabilityObservation[] = []
  #gatheredAtMs: number | null = null

  constructor(ports: IcePorts, options: IceOptions) {
    this.#ports = ports
    this.#options = options
    this.#startedAt = ports.clock.now()
  }

  /** Milliseconds since the run began. */
  now(): number {
    return round(elapsed(this.#startedAt, this.#ports.clock.now()))
  }

  get over(): boolean {
    return this.#options.signal?.aborted === true
  }

  /** Returns the index of a new candidate; undefined: it adds nothing to those that are there (RFC 8445 §5.1.3). */
  candidate(origin: CandidateOrigin, context: CandidateContext): number | undefined {
    if (this.over) return undefined
    const local = this.#local(origin)
    if (this.#locals.some((other) => isRedundant(local, other))) return undefined
    const { type, transport, tcpType, host, port, related, priority, foundation, component } = local
    const observed: CandidateObservation = {
      atMs: this.now(),
      type,
      protocol: transport,
      tcpType: tcpType ?? null,
      ip: host,
      port,
      related: related === undefined ? null : { ip: related.host, port: related.port },
      priority,
      foundation,
      component,
      line: renderCandidate(local),
      ...context,
    }
    this.#locals.push(local)
    this.#candidates.push(observed)
    this.#options.onProgress?.({ kind: 'candidate', candidate: observed })
    return this.#candidates.length - 1
  }

  /** RFC 8445 §5.1.2: no two have the same priority. Relays of several servers would, and then the first comes first. */
  #local(origin: CandidateOrigin): LocalCandidate {
    const isTaken = ({ priority }: LocalCandidate): boolean => this.#locals.some((other) => other.priority === priority)
    let { localPreference = onlyLocalPreference } = origin
    let local = localCandidate(origin, this.#foundations)
    while (isTaken(local) && localPreference > 0) {
      localPreference--
      local = localCandidate({ ...origin, localPreference }, this.#foundations)
    }
    return local
  }

  attempt(start: Pick<AttemptObservation, 'uri' | 'scheme' | 'transport'>, startMs: number = this.now()): OpenAttempt {
    const attempt: OpenAttempt = {
      ...start,
      index: this.attempts.length,
      startMs,
      running: undefined,
      settled: false,
      family: null,
      address: null,
      local: null,
      stages: [],
      rttMs: null,
      mapped: null,
      relayed: null,
      software: null,
      realm: null,
      tls: null,
      causes: [],
    }
    this.attempts.push(attempt)
    return attempt
  }

  /** A stage begins; it runs until `end`, or to the end of the run. */
  begin(attempt: OpenAttempt, stage: StageName, startMs: number = this.now()): void {
    if (!this.over) attempt.running = { stage, startMs }
  }

  /** `stage`: what the running one turned out to be. */
  end(attempt: OpenAttempt, ok: boolean, detail: string, stage: StageName | undefined = attempt.running?.stage): void {
    if (this.over || stage === undefined) return
    const endMs = this.now()
    const observed: StageObservation = { stage, startMs: attempt.running?.startMs ?? endMs, endMs, ok, detail }
    attempt.running = undefined
    attempt.stages.push(observed)
    const { index, uri, transport } = attempt
    this.#options.onProgress?.({ kind: 'stage', attempt: index, uri, transport, stage: observed })
  }

  fail(attempt: OpenAttempt, cause: Cause): void {
    if (!this.over) attempt.causes.push(cause)
  }

  settle(attempt: OpenAttempt): void {
    if (!this.over) attempt.settled = true
  }

  reachable(entry: ReachabilityObservation): void {
    if (this.over) return
    this.#reachability.push(entry)
    this.#options.onProgress?.({ kind: 'reachability', entry })
  }

  gathered(): void {
    if (this.over) return
    this.#gatheredAtMs = this.now()
    this.#options.onProgress?.({ kind: 'gathered', atMs: this.#gatheredAtMs })
  }

  observations(interrupted: boolean): IceObservations {
    return {
      policy: this.#options.policy,
      candidates: [...this.#candidates],
      attempts: this.attempts.map(conclude),
      reachability: this.#reachability.toSorted((a, b) => a.candidate - b.candidate),
      gatheredAtMs: this.#gatheredAtMs,
      endedAtMs: this.now(),
      interrupted,
    }
  }
}

/** What was still running when the run ended is told as that. */
function conclude({ index: _, startMs: __, running, settled, ...attempt }: OpenAttempt): AttemptObservation {
  const open = running && { ...running, endMs: null, ok: false, detail: 'the run ended before it did' }
  const stage = running?.stage ?? attempt.stages.at(-1)?.stage ?? 'dns'
  // An address that was had and not proven is there all the same.
  const severity = settled ? 'warning' : 'error'
  const cancelled: Cause[] = settled && !running ? [] : [{ code: 'cancelled', stage, severity, facts: {} }]
  return {
    ...attempt,
    stages: open ? [...attempt.stages, open] : [...attempt.stages],
    causes: [...attempt.causes, ...cancelled],
  }
}

/** Tenths of a millisecond are as fine as the clock of the other side makes sense. */
export const round = (milliseconds: number): number => Math.round(milliseconds * 10) / 10
