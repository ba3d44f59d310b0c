/** Gathers candidates from all servers at once, proves each as soon as it is there, and hands over what was seen. */
import { after, type Cancel, formatAddress } from '../../core/index.ts'
import { openStunConnection } from '../../proto/stun/index.ts'
import { Method } from '../../wire/index.ts'
import { askBinding, type Reflexive } from './binding.ts'
import { concludeBlocks } from './causes.ts'
import { type HostSocket, openHosts } from './hosts.ts'
import type { IceObservations } from './observations.ts'
import { type IceOptions, type IcePorts, ownSignal } from './options.ts'
import { proveReflexive } from './prove-reflexive.ts'
import { proveRelay } from './prove-relay.ts'
import { Recorder } from './recorder.ts'
import { askRelay, type Relay } from './relaying.ts'
import { findTargets, type Target } from './targets.ts'

/** Whoever has not answered by then may be blocked; a control connection is then answered soon, or not at all. */
const silenceMs = 600
const controlMs = 1000

/**
 * Never rejects for what the network does: failures are observations. Rejects only where this machine lets no socket be
 * opened at all. Ends by `timeoutMs`, or soon after `signal`, with what is known by then.
 */
export async function gatherIce(ports: IcePorts, options: IceOptions): Promise<IceObservations> {
  const deadline = new AbortController()
  const cancel = ports.clock.schedule(after(ports.clock.now(), options.timeoutMs), () => deadline.abort())
  const signal = options.signal ? AbortSignal.any([options.signal, deadline.signal]) : deadline.signal
  const gathering = new Gathering(ports, { ...options, signal })
  try {
    return await gathering.run(options.signal)
  } finally {
    cancel()
    gathering.close()
  }
}

class Gathering {
  readonly #ports: IcePorts
  readonly #options: IceOptions & { readonly signal: AbortSignal }
  readonly #recorder: Recorder
  readonly #relays: Relay[] = []
  readonly #proofs: Promise<void>[] = []
  /** What a control connection got through to, by the address of the attempt that was silent. */
  readonly #open = new Map<string, string>()
  readonly #answersBinding = new Set<number>()
  readonly #timers: Cancel[] = []
  #sockets: HostSocket[] = []

  constructor(ports: IcePorts, options: IceOptions & { readonly signal: AbortSignal }) {
    this.#ports = ports
    this.#options = options
    this.#recorder = new Recorder(ports, options)
  }

  async run(interruption: AbortSignal | undefined): Promise<IceObservations> {
    const { signal } = this.#options
    this.#sockets = await openHosts(this.#ports, this.#options, this.#recorder)
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve())
    })
    const work = async (): Promise<void> => {
      await Promise.all(this.#options.servers.map((server) => this.#ask(server)))
      if (signal.aborted) return
      this.#recorder.gathered()
      await Promise.all(this.#proofs)
    }
    await Promise.race([work(), aborted])
    const observed = this.#recorder.observations(interruption?.aborted === true)
    return {
      ...observed,
      attempts: concludeBlocks(observed.attempts, { open: this.#open, answersBinding: this.#answersBinding }),
    }
  }

  close(): void {
    for (const cancel of this.#timers) cancel()
    for (const { session } of this.#relays) void session.close()
    for (const socket of this.#sockets) socket.close()
  }

  async #ask(server: IceOptions['servers'][number]): Promise<void> {
    const targets = await findTargets(this.#ports, this.#options, this.#recorder, server)
    await Promise.all(targets.map((target) => this.#try(target)))
  }

  async #try(target: Target): Promise<void> {
    if (this.#recorder.over) return
    const { attempt } = target
    const control = this.#control(target)
    const options = { ...this.#options, signal: ownSignal(this.#options.signal) }
    const run = [this.#ports, options, this.#recorder, target, this.#sockets] as const
    if (attempt.scheme === 'stun' || attempt.scheme === 'stuns') {
      this.#prove(await askBinding(...run), undefined)
    } else {
      const { relay, reflexive } = await askRelay(...run)
      if (relay) this.#relays.push(relay)
      this.#prove(reflexive, relay)
    }
    if (attempt.rttMs === null && attempt.causes.some(({ code }) => code === 'no-answer')) await control.done
    else control.cancel()
    this.#recorder.settle(attempt)
  }

  /** What else the silent server does: over UDP, whether TCP gets there; over streams, whether it answers Binding. */
  #control(target: Target): { readonly done: Promise<void>; readonly cancel: Cancel } {
    const { clock } = this.#ports
    const look = async (): Promise<void> => {
      if (this.#recorder.over || target.attempt.running?.stage === 'connect') return
      // Silence or refusal: it shows nothing.
      await (target.attempt.transport === 'udp' ? this.#tryTcp(target) : this.#tryBinding(target)).catch(
        () => undefined,
      )
    }
    let cancel: Cancel = () => undefined
    const done = new Promise<void>((resolve) => {
      cancel = clock.schedule(after(clock.now(), silenceMs), () => void look().finally(resolve))
    })
    this.#timers.push(cancel)
    return { done, cancel }
  }

  async #tryTcp({ to }: Target): Promise<void> {
    const nobody = { onData: () => undefined, onClose: () => undefined }
    const connection = await this.#ports.network.connectStream({ to, timeoutMs: controlMs }, nobody)
    connection.close()
    this.#open.set(formatAddress(to), `TCP ${to.port}`)
  }

  async #tryBinding({ attempt, to, serverName }: Target): Promise<void> {
    const { ca, signal } = this.#options
    const protocol = attempt.transport
    const options = { to, protocol, serverName, ca, connectTimeoutMs: controlMs }
    const connection = await openStunConnection(this.#ports, options)
    const request = { method: Method.binding, timeoutMs: controlMs / 2, signal: ownSignal(signal) }
    const { kind } = await connection.client.request(request)
    connection.close()
    if (kind === 'success') this.#answersBinding.add(attempt.index)
  }

  #prove(reflexive: readonly Reflexive[], relay: Relay | undefined): void {
    if (this.#options.prove === false) return
    const options = { ...this.#options, signal: ownSignal(this.#options.signal) }
    for (const each of options.policy === 'all' ? reflexive : []) {
      this.#proofs.push(proveReflexive(this.#ports, options, this.#recorder, each))
    }
    if (relay) this.#proofs.push(proveRelay(this.#ports, options, this.#recorder, relay, this.#sockets))
  }
}
