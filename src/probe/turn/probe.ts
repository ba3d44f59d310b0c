/** Asks a TURN server over every transport at once, and looks into it by the first that gives an allocation. */
import { after, type TransportAddress } from '../../core/index.ts'
import type { Loss } from '../../proto/turn-client/index.ts'
import { formatServerUri } from '../../wire/uri.ts'
import { concludeBlocks } from '../ice/causes.ts'
import type { IceOptions } from '../ice/options.ts'
import { Recorder } from '../ice/recorder.ts'
import { recordAllocation } from '../ice/relaying.ts'
import { findTargets, type Target } from '../ice/targets.ts'
import { checkAuthentication } from './authentication.ts'
import { noteCertificate } from './certificate.ts'
import { Allocations, Notes, ownSignal, type Subject } from './examination.ts'
import { checkFeatures } from './features.ts'
import type { TransportObservation, TurnObservations } from './observations.ts'
import { extraMs, type TurnCandidate, type TurnOptions, type TurnProbePorts } from './options.ts'
import { checkPath } from './path.ts'
import { pause } from './pause.ts'
import { checkRelease, noteAllocation, notePorts, noteQuota } from './relay.ts'
import { checkUnauthenticated } from './unauthenticated.ts'

/** After the end, checks that were cut short say what they know and give back what they hold. */
const handOverMs = 250

/** The transports are each other's: where one answers, the others that don't are blocked. */
const noControls = { open: new Map<string, string>(), answersBinding: new Set<number>() }

/**
 * Never rejects for what the network does: failures are observations. Ends by `timeoutMs` (and what the opt-in tests
 * add), or soon after `signal`, with what is known by then; allocations are given back.
 */
export async function probeTurn(ports: TurnProbePorts, options: TurnOptions): Promise<TurnObservations> {
  const deadline = new AbortController()
  const limitMs = options.timeoutMs + extraMs(options)
  const cancel = ports.clock.schedule(after(ports.clock.now(), limitMs), () => deadline.abort())
  const signal = options.signal ? AbortSignal.any([options.signal, deadline.signal]) : deadline.signal
  try {
    return await new TurnProbe(ports, options, signal).run()
  } finally {
    cancel()
  }
}

class TurnProbe {
  readonly #ports: TurnProbePorts
  readonly #wanted: TurnOptions
  readonly #options: IceOptions & { readonly signal: AbortSignal }
  readonly #recorder: Recorder
  readonly #notes: Notes
  readonly #allocations = new Allocations()
  readonly #seen: TransportAddress[] = []
  /** Attempts of the URI itself. */
  readonly #named = new Set<number>()
  #subject: Subject | undefined

  constructor(ports: TurnProbePorts, wanted: TurnOptions, signal: AbortSignal) {
    const { candidates, families, timeoutMs, patienceMs, ca } = wanted
    const servers = candidates.map(({ server }) => server)
    this.#ports = ports
    this.#wanted = wanted
    this.#notes = new Notes(signal)
    this.#options = { servers, policy: 'relay', families, timeoutMs, patienceMs, ca, signal }
    this.#recorder = new Recorder(ports, this.#options)
  }

  async run(): Promise<TurnObservations> {
    const { signal } = this.#options
    const { clock } = this.#ports
    const work = this.#work()
    const aborted = new Promise<'aborted'>((resolve) => {
      if (signal.aborted) resolve('aborted')
      signal.addEventListener('abort', () => resolve('aborted'))
    })
    const end = await Promise.race([work, aborted])
    if (end === 'aborted') await Promise.race([work, pause(clock, handOverMs)])
    return this.#observations()
  }

  async #work(): Promise<void> {
    const found = await Promise.all(this.#wanted.candidates.map((candidate) => this.#find(candidate)))
    const tried = found.flat().map((target) => this.#try(target))
    await Promise.all([this.#examineFirst(tried), ...tried])
  }

  async #find({ server, named }: TurnCandidate): Promise<readonly Target[]> {
    const { attempts } = this.#recorder
    const targets = await findTargets(this.#ports, this.#options, this.#recorder, server)
    if (named) for (const { index, uri } of attempts) if (uri === formatServerUri(server.uri)) this.#named.add(index)
    return targets
  }

  /** One transport and family up to its allocation. */
  async #try(target: Target): Promise<Subject | undefined> {
    const { attempt } = target
    const lost: Loss[] = []
    let subject: Subject | undefined
    const held = await recordAllocation(
      this.#ports,
      { ...this.#options, signal: ownSignal(this.#options.signal) },
      this.#recorder,
      target,
      { onData: (data) => subject?.onData(data), onLost: (loss) => lost.push(loss) },
    )
    this.#recorder.settle(attempt)
    if (!held.ok) {
      if (held.failure) this.#allocations.refused(held.failure)
      return undefined
    }
    this.#allocations.granted()
    this.#seen.push(held.relayed)
    subject = {
      ...held,
      ports: this.#ports,
      wanted: this.#wanted,
      options: this.#options,
      notes: this.#notes,
      allocations: this.#allocations,
      recorder: this.#recorder,
      target,
      seen: this.#seen,
      lost,
      onData: () => undefined,
    }
    return subject
  }

  /** All that come after the first to succeed are given back as soon as they are there. */
  async #examineFirst(tried: readonly Promise<Subject | undefined>[]): Promise<void> {
    for (const [index, attempt] of tried.entries()) {
      const subject = await attempt
      if (!subject) continue
      this.#subject = subject
      for (const other of tried.slice(index + 1)) void other.then((late) => late && this.#giveBack(late))
      await this.#examine(subject)
      return
    }
  }

  async #giveBack({ session }: Subject): Promise<void> {
    await session.close()
    this.#allocations.returned()
  }

  async #examine(subject: Subject): Promise<void> {
    noteAllocation(subject)
    await Promise.all([
      checkAuthentication(subject),
      checkUnauthenticated(subject),
      checkPath(subject),
      checkFeatures(subject),
      checkRelease(subject),
    ])
    await subject.session.close()
  }

  #observations(): TurnObservations {
    const { signal } = this.#wanted
    if (this.#subject) {
      notePorts(this.#subject)
      noteQuota(this.#subject)
    }
    const { attempts, endedAtMs } = this.#recorder.observations(false)
    const transports = concludeBlocks(attempts, noControls).map(
      (attempt, index): TransportObservation => ({ ...attempt, named: this.#named.has(index) }),
    )
    noteCertificate(this.#notes, transports, this.#ports.clock.wallTime())
    const ended = signal?.aborted ? 'interrupted' : this.#options.signal.aborted ? 'timeout' : 'complete'
    const why =
      ended === 'complete' ? (this.#subject ? 'what it takes was not there' : 'no allocation') : 'the run ended first'
    return {
      uri: this.#wanted.uri,
      transports,
      subject: this.#subject?.target.attempt.index ?? null,
      checks: this.#notes.all(why),
      allocations: this.#allocations.made,
      endedAtMs,
      ended,
    }
  }
}
