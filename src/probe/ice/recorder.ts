/** What a run has seen so far: candidates, attempts and proofs in the order they came, told as they come. */
import { elapsed, type Instant, type TransportProtocol } from '../../core/index.ts'
import {
  type CandidateOrigin,
  Foundations,
  isRedundant,
  type LocalCandidate,
  localCandidate,
  renderCandidate,
} from '../../proto/ice/index.ts'
import type {
  AttemptObservation,
  CandidateObservation,
  Cause,
  IceObservations,
  InterfaceKind,
  ReachabilityObservation,
  StageName,
  StageObservation,
} from './observations.ts'
import type { IceOptions, IcePorts } from './options.ts'

/** What a candidate is besides a transport address. */
export interface CandidateContext {
  readonly interface: string | null
  readonly interfaceKind: InterfaceKind
  readonly temporary: boolean | null
  readonly attempt: number | null
  readonly relayProtocol: TransportProtocol | null
  readonly browserOmits: string | null
}

/** An attempt while it runs. */
export type OpenAttempt = {
  -readonly [Key in keyof AttemptObservation]: Key extends 'stages'
    ? StageObservation[]
    : Key extends 'causes'
      ? Cause[]
      : AttemptObservation[Key]
} & { readonly index: number }

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

  /** Returns the index of a new candidate; undefined: it adds nothing to those that are there (RFC 8445 §5.1.3). */
  candidate(origin: CandidateOrigin, context: CandidateContext): number | undefined {
    const local = localCandidate(origin, this.#foundations)
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

  attempt(start: Pick<AttemptObservation, 'uri' | 'scheme' | 'transport' | 'family' | 'address'>): OpenAttempt {
    const attempt: OpenAttempt = {
      ...start,
      index: this.attempts.length,
      local: null,
      stages: [],
      rttMs: null,
      mapped: null,
      relayed: null,
      software: null,
      realm: null,
      causes: [],
    }
    this.attempts.push(attempt)
    return attempt
  }

  stage(
    attempt: OpenAttempt,
    stage: StageName,
    startMs: number,
    ok: boolean,
    detail: string,
    endMs: number = this.now(),
  ): void {
    const observed: StageObservation = { stage, startMs, endMs, ok, detail }
    attempt.stages.push(observed)
    const { index, uri, transport } = attempt
    this.#options.onProgress?.({ kind: 'stage', attempt: index, uri, transport, stage: observed })
  }

  fail(attempt: OpenAttempt, cause: Cause): void {
    attempt.causes.push(cause)
  }

  reachable(entry: ReachabilityObservation): void {
    this.#reachability.push(entry)
    this.#options.onProgress?.({ kind: 'reachability', entry })
  }

  gathered(): void {
    this.#gatheredAtMs = this.now()
    this.#options.onProgress?.({ kind: 'gathered', atMs: this.#gatheredAtMs })
  }

  observations(interrupted: boolean): IceObservations {
    return {
      policy: this.#options.policy,
      candidates: [...this.#candidates],
      attempts: this.attempts.map(({ index: _, ...attempt }) => ({ ...attempt })),
      reachability: this.#reachability.toSorted((a, b) => a.candidate - b.candidate),
      gatheredAtMs: this.#gatheredAtMs,
      endedAtMs: this.now(),
      interrupted,
    }
  }
}

/** Tenths of a millisecond are as fine as the clock of the other side makes sense. */
export const round = (milliseconds: number): number => Math.round(milliseconds * 10) / 10
