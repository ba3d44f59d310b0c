/** Asks a TURN server over every transport at once, and looks into it by the first that gives an allocation. */
import { after, formatAddress } from '../../core/index.ts'
import type { Loss, ReceivedData, TurnObservation } from '../../proto/turn-client/index.ts'
import { causeOfRelayed, causeOfTurn, concludeBlocks } from '../ice/causes.ts'
import type { IceOptions } from '../ice/options.ts'
import { Recorder } from '../ice/recorder.ts'
import { noteStages, openRelay } from '../ice/relaying.ts'
import { findTargets, type Target } from '../ice/targets.ts'
import { checkAuthentication } from './authentication.ts'
import { describeCertificate, noteCertificate } from './certificate.ts'
import { Allocations, Notes, ownSignal, type Subject } from './examination.ts'
import { checkFeatures } from './features.ts'
import type { CertificateObservation, TransportObservation, TurnObservations } from './observations.ts'
import { extraMs, type TurnCandidate, type TurnOptions, type TurnProbePorts } from './options.ts'
import { checkPath } from './path.ts'
import { pause } from './pause.ts'
import { checkRelease, noteAllocation, notePorts, noteQuota } from './relay.ts'
import { checkUnauthenticated } from './unauthenticated.ts'

/** After the end, checks that were cut short say what they know and give back what they hold. */
const handOverMs = 250

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

/** What TLS showed of itself. */
interface Shown {
  readonly named: boolean
  tlsVersion: string | null
  chain: readonly CertificateObservation[]
}

class TurnProbe {
  readonly #ports: TurnProbePorts
  readonly #wanted: TurnOptions
  readonly #options: IceOptions & { readonly signal: AbortSignal }
  readonly #recorder: Recorder
  readonly #notes = new Notes()
  readonly #allocations = new Allocations()
  readonly #shown = new Map<number, Shown>()
  #subject: Subject | undefined

  constructor(ports: TurnProbePorts, wanted: TurnOptions, signal: AbortSignal) {
    const { candidates, families, timeoutMs, patienceMs, ca } = wanted
    const servers = candidates.map(({ server }) => server)
    this.#ports = ports
    this.#wanted = wanted
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
    const perCandidate = await Promise.all(
      this.#wanted.candidates.map(async (candidate) => ({
        candidate,
        targets: await findTargets(this.#ports, this.#options, this.#recorder, candidate.server),
      })),
    )
    for (const { index } of this.#recorder.attempts) this.#show(index)
    const tried = perCandidate.flatMap(({ candidate, targets }) =>
      targets.map((target) => this.#try(candidate, target)),
    )
    const examined = this.#examineFirst(tried)
    const others = await Promise.all(tried)
    await examined
    await Promise.all(others.map(async (subject) => subject?.session.close()))
  }

  #show(index: number, named = true): Shown {
    const shown = this.#shown.get(index) ?? { named, tlsVersion: null, chain: [] }
    this.#shown.set(index, shown)
    return shown
  }

  /** One transport and family up to its allocation. */
  async #try({ named }: TurnCandidate, target: Target): Promise<Subject | undefined> {
    const { attempt, server, to } = target
    this.#shown.delete(attempt.index)
    const shown = this.#show(attempt.index, named)
    const observed: TurnObservation[] = []
    const lost: Loss[] = []
    let subject: Subject | undefined
    const onData = (data: ReceivedData): void => subject?.onData(data)
    const startMs = this.#recorder.now()
    const startedAt = this.#ports.clock.now()
    const opened = await openRelay(
      this.#ports,
      { ...this.#options, signal: ownSignal(this.#options.signal) },
      target,
      onData,
      (observation) => observed.push(observation),
      {},
      (loss) => lost.push(loss),
    )
    noteStages(this.#recorder, target, observed, startMs, startedAt)
    if (!opened.ok) {
      this.#allocations.refused(opened.failure)
      const { failure } = opened
      shown.chain = (failure.tls?.chain ?? []).map(describeCertificate)
      const connected = observed.find((each) => each.kind === 'connected')
      if (connected?.kind === 'connected' && connected.tls) this.#noteTls(shown, connected.tls)
      const cause = causeOfTurn(failure, server.username, this.#ports.clock.wallTime())
      if (attempt.stages.at(-1)?.ok !== false) this.#recorder.stage(attempt, cause.stage, startMs, false, failure.why)
      this.#recorder.fail(attempt, cause)
      return undefined
    }
    this.#allocations.granted()
    const { session, allocation } = opened
    if (session.tls) this.#noteTls(shown, session.tls)
    const [relayed] = allocation.relayed
    if (!relayed) return undefined
    attempt.mapped = formatAddress(allocation.mapped)
    attempt.relayed = formatAddress(relayed)
    const unusable = causeOfRelayed(relayed, to.ip)
    if (unusable) this.#recorder.fail(attempt, unusable)
    subject = {
      ports: this.#ports,
      wanted: this.#wanted,
      options: this.#options,
      notes: this.#notes,
      allocations: this.#allocations,
      recorder: this.#recorder,
      target,
      session,
      allocation,
      relayed,
      seen: this.#seen,
      lost,
      onData: () => undefined,
    }
    this.#seen.push(relayed)
    return subject
  }

  readonly #seen: Subject['seen'] = []

  #noteTls(shown: Shown, tls: NonNullable<Subject['session']['tls']>): void {
    shown.tlsVersion = tls.version
    shown.chain = tls.chain.map(describeCertificate)
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
      this.#offers(subject),
    ])
    await subject.session.close()
  }

  /** After the features, so that few allocations are held at once. */
  async #offers(subject: Subject): Promise<void> {
    await checkFeatures(subject)
    await checkRelease(subject)
  }

  #observations(): TurnObservations {
    const { signal } = this.#wanted
    if (this.#subject) {
      notePorts(this.#subject)
      noteQuota(this.#subject)
    }
    const { attempts, endedAtMs } = this.#recorder.observations(false)
    const transports = concludeBlocks(attempts, new Map()).map((attempt, index): TransportObservation => {
      const { named, tlsVersion, chain } = this.#show(index)
      return { ...attempt, named, tlsVersion, chain }
    })
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
