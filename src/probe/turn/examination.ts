/** What the checks of one server share: its session and allocation, what they note, and how they get further allocations. */
import type { TransportAddress } from '../../core/index.ts'
import type {
  AllocateOptions,
  Allocation,
  Loss,
  ReceivedData,
  TurnFailure,
  TurnSession,
} from '../../proto/turn-client/index.ts'
import type { IceOptions } from '../ice/options.ts'
import type { Recorder } from '../ice/recorder.ts'
import { median } from '../ice/burst.ts'
import { openRelay } from '../ice/relaying.ts'
import { defaultPatienceMs, type Target } from '../ice/targets.ts'
import type { CheckFacts, CheckObservation, CheckResult, TurnCheckId } from './observations.ts'
import { turnCheckIds } from './observations.ts'
import type { TurnOptions, TurnProbePorts } from './options.ts'

/** Besides the first, and those that only show that their transport works: more would meet many a quota. */
const mostAllocations = 4

/** An allocation besides the first. */
export type Opened =
  | {
      readonly ok: true
      readonly session: TurnSession
      readonly allocation: Allocation
      readonly relayed: TransportAddress
      readonly close: () => Promise<void>
    }
  | { readonly ok: false; readonly failure: TurnFailure }

/** The results so far. */
export class Notes {
  readonly #checks = new Map<TurnCheckId, CheckObservation>()
  readonly #signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** What a check that was cut short concludes counts for nothing. */
  note(id: TurnCheckId, result: CheckResult, detail: string, facts?: CheckFacts): void {
    if (!this.#signal.aborted) this.noteLate(id, result, detail, facts)
  }

  /** Of those that rest on nothing that comes after the end. */
  noteLate(id: TurnCheckId, result: CheckResult, detail: string, facts: CheckFacts = {}): void {
    this.#checks.set(id, { id, result, detail, facts })
  }

  /** Whatever was not reached is not tested, for this reason. */
  all(why: string): readonly CheckObservation[] {
    return turnCheckIds.map((id) => this.#checks.get(id) ?? { id, result: 'not-tested', detail: why, facts: {} })
  }
}

/** Counts allocations, and lets only so many be held at once. */
export class Allocations {
  made = 0
  held = 0
  /** 486 and 508 that the server answered. */
  readonly refusals: { readonly code: number; readonly held: number }[] = []
  #open = 0
  readonly #waiting: (() => void)[] = []

  /** Waits for its turn. */
  async take(): Promise<void> {
    if (this.#open >= mostAllocations) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#open++
  }

  /** The turn is the next one's. */
  give(): void {
    this.#open--
    this.#waiting.shift()?.()
  }

  granted(): void {
    this.made++
    this.held++
  }

  returned(): void {
    this.held--
  }

  refused({ error }: TurnFailure, wish: AllocateOptions = {}): void {
    const code = error?.code
    // Who wants a pair of ports, or a certain one, may get 508 where plain allocations are still to be had.
    const isFull = code === 508 && wish.evenPort === undefined && wish.reservationToken === undefined
    if (code === 486 || isFull) this.refusals.push({ code, held: this.held })
  }
}

export interface Subject {
  readonly ports: TurnProbePorts
  /** What the user asked for. */
  readonly wanted: TurnOptions
  /** What gathering is asked with; its signal ends the run. */
  readonly options: IceOptions & { readonly signal: AbortSignal }
  readonly notes: Notes
  readonly allocations: Allocations
  readonly recorder: Recorder
  readonly target: Target
  readonly session: TurnSession
  readonly allocation: Allocation
  readonly relayed: TransportAddress
  /** Every relayed address that was given. */
  readonly seen: TransportAddress[]
  /** What could not be renewed. */
  readonly lost: Loss[]
  /** Who hears what comes in through the allocation. */
  onData: (data: ReceivedData) => void
}

/** How long one request may take. */
export const limitOf = ({
  options,
}: Pick<Subject, 'options'>): { readonly timeoutMs: number; readonly signal: AbortSignal } => ({
  timeoutMs: options.patienceMs ?? defaultPatienceMs,
  signal: ownSignal(options.signal),
})

/** Node warns of a leak when more than ten listen to one signal, and here they do. */
export const ownSignal = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal])

/** The round trip to the server in milliseconds: the median, since duplicates make some of them too short. */
export const usualRtt = ({ session }: Pick<Subject, 'session'>): number =>
  median(session.observations.flatMap((each) => (each.kind === 'request' ? (each.rttMs ?? []) : []))) ??
  session.rtt.rto()

/** Another allocation over the same transport. `close` gives it back. */
export async function openAnother(
  subject: Subject,
  wish: AllocateOptions = {},
  onData: (data: ReceivedData) => void = () => undefined,
): Promise<Opened> {
  const { ports, options, recorder, target, allocations, seen } = subject
  await allocations.take()
  const opened = await openRelay(
    ports,
    { ...options, signal: ownSignal(options.signal) },
    recorder,
    target,
    onData,
    {},
    wish,
  )
  if (!opened.ok) {
    allocations.refused(opened.failure, wish)
    allocations.give()
    return opened
  }
  allocations.granted()
  const { session, allocation } = opened
  seen.push(...allocation.relayed)
  const [relayed] = allocation.relayed
  let closed = false
  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    await session.close()
    allocations.returned()
    allocations.give()
  }
  if (relayed) return { ok: true, session, allocation, relayed, close }
  await close()
  return { ok: false, failure: { stage: 'allocate', cause: 'invalid-answer', why: 'it gave no relayed address' } }
}

/** `420 Unknown Attribute`, or why there was no answer. */
export const saidBy = ({ error, why }: TurnFailure): string => (error ? `${error.code} ${error.reason}`.trim() : why)
