/** Gathers candidates from all servers at once, proves each as soon as it is there, and hands over what was seen. */
import { setMaxListeners } from 'node:events'
import { after, type Cancel, formatAddress } from '../../core/index.ts'
import { askBinding, type Reflexive } from './binding.ts'
import { concludeBlocks, isSilence } from './causes.ts'
import { type HostSocket, openHosts } from './hosts.ts'
import type { IceObservations } from './observations.ts'
import type { IceOptions, IcePorts } from './options.ts'
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
  // Each request listens to it, and there are many at once.
  setMaxListeners(0, signal)
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
    return { ...observed, attempts: concludeBlocks(observed.attempts, this.#open) }
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
    const run = [this.#ports, this.#options, this.#recorder, target, this.#sockets] as const
    if (attempt.scheme === 'stun' || attempt.scheme === 'stuns') {
      this.#prove(await askBinding(...run), undefined)
    } else {
      const { relay, reflexive } = await askRelay(...run)
      if (relay) this.#relays.push(relay)
      this.#prove(reflexive, relay)
    }
    if (attempt.causes.some((cause) => isSilence(attempt, cause))) await control.done
    else control.cancel()
    this.#recorder.settle(attempt)
  }

  /** A TCP connection to a server that is silent over UDP: where it opens, UDP is what is blocked. */
  #control({ attempt, to }: Target): { readonly done: Promise<void>; readonly cancel: Cancel } {
    const { clock, network } = this.#ports
    if (attempt.transport !== 'udp') return { done: Promise.resolve(), cancel: () => undefined }
    const connect = async (): Promise<void> => {
      if (this.#recorder.over) return
      try {
        const nobody = { onData: () => undefined, onClose: () => undefined }
        const connection = await network.connectStream({ to, timeoutMs: controlMs }, nobody)
        connection.close()
        this.#open.set(formatAddress(to), `TCP ${to.port}`)
      } catch {
        // Silence or refusal: it shows nothing about UDP.
      }
    }
    let cancel: Cancel = () => undefined
    const done = new Promise<void>((resolve) => {
      cancel = clock.schedule(after(clock.now(), silenceMs), () => void connect().then(resolve))
    })
    this.#timers.push(cancel)
    return { done, cancel }
  }

  #prove(reflexive: readonly Reflexive[], relay: Relay | undefined): void {
    if (this.#options.prove === false) return
    const { policy } = this.#options
    for (const each of policy === 'all' ? reflexive : []) {
      this.#proofs.push(proveReflexive(this.#ports, this.#options, this.#recorder, each))
    }
    if (relay) this.#proofs.push(proveRelay(this.#ports, this.#options, this.#recorder, relay, this.#sockets))
  }
}
