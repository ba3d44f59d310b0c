/**
 * Shows that a relayed address carries data both ways, by Send/Data and by ChannelData. Our own mapped address is the peer;
 * where the server refuses it, or our UDP gets nowhere, a second allocation is.
 */
import { familyOf, formatAddress, type IpAddress, type TransportAddress } from '../../core/index.ts'
import type { DataVia, TurnFailure } from '../../proto/turn-client/index.ts'
import { Burst, type BurstResult, defaultBurst, echoWaitMs, Payloads, summarize } from './burst.ts'
import { cause, causeOfTurn } from './causes.ts'
import { type HostSocket, socketsFor } from './hosts.ts'
import type { BurstObservation, Cause, CauseCode, EchoPeer } from './observations.ts'
import type { IceOptions, IcePorts } from './options.ts'
import type { Recorder } from './recorder.ts'
import { openRelay, type Relay } from './relaying.ts'
import { defaultPatienceMs } from './targets.ts'

/** The two ways between client and relay, as the report calls them. */
const ways = [
  ['send-data', 'indication'],
  ['channel-data', 'channel'],
] as const satisfies readonly (readonly [BurstObservation['via'], DataVia])[]

/** How a peer fared: what came of each burst, or why there was none. */
interface Echoes {
  readonly peer: EchoPeer
  readonly bursts: readonly BurstObservation[]
  readonly refusal: string | undefined
}

export async function proveRelay(
  ports: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  relay: Relay,
  sockets: readonly HostSocket[],
): Promise<void> {
  if (relay.candidate < 0) return
  const proof = new RelayProof(ports, options, recorder, relay)
  const socket = peerSocket(relay, sockets)
  const own = socket ? await proof.withOwnAddress(socket) : undefined
  // The second allocation is on the same machine: it shows nothing of the firewall in front of it, so it is second best.
  const isSilent = own !== undefined && own.bursts.length > 0 && own.bursts.every(({ received }) => received === 0)
  const decided = isSilent ? proof.hasBadAddress : Boolean(own?.bursts.length)
  if (options.signal?.aborted || decided) return proof.tell(own)
  const second = await proof.withSecondAllocation()
  if (!isSilent) return proof.tell(second, own)
  // Silence both ways may be our own network's, which lets UDP out to few ports: then the relay works for others.
  if (!carries(second)) return proof.tell(own)
  proof.tell(second, own)
  proof.noteUnreached()
}

const carries = ({ bursts }: Echoes): boolean =>
  ways.every(([via]) => bursts.some((burst) => burst.via === via && burst.received > 0))

/** One of the relayed address's family; best the one that the session itself goes out from. */
function peerSocket({ session, relayed }: Relay, sockets: readonly HostSocket[]): HostSocket | undefined {
  const fitting = socketsFor(sockets, relayed)
  return fitting.find(({ host }) => host.ip === session.local?.ip) ?? fitting[0]
}

class RelayProof {
  readonly #ports: IcePorts
  readonly #options: IceOptions
  readonly #recorder: Recorder
  readonly #relay: Relay
  readonly #payloads: Payloads
  #sequence = 0

  constructor(ports: IcePorts, options: IceOptions, recorder: Recorder, relay: Relay) {
    this.#ports = ports
    this.#options = options
    this.#recorder = recorder
    this.#relay = relay
    this.#payloads = new Payloads(ports.random)
  }

  /** Our packets reach the relayed address, arrive at our session, and come back from it to the socket that sent them. */
  async withOwnAddress(socket: HostSocket): Promise<Echoes> {
    const { session, relayed } = this.#relay
    const seen = this.#seen(socket)
    if (!seen) {
      const refusal = `no server has told our IPv${familyOf(relayed.ip)} address`
      return { peer: 'mapped-address', bursts: [], refusal }
    }
    const { refusal, failure } = await this.#permit([seen])
    if (failure) this.#noteRefusal(failure, seen.ip)
    if (refusal) return { peer: 'mapped-address', bursts: [], refusal }
    const bursts: BurstObservation[] = []
    let peer: TransportAddress | undefined
    let arrived = 0
    let via: DataVia = 'indication'
    this.#relay.onData = (data) => {
      if (this.#payloads.read(data.bytes) === undefined) return
      peer ??= data.peer
      arrived++
      session.send(data.peer, data.bytes, via)
    }
    for (const [name, next] of ways) {
      via = next
      if (via === 'channel' && !(peer && (await this.#bind(peer)))) break
      arrived = 0
      const send = (bytes: Uint8Array): void => socket.send(bytes, relayed)
      const result = await this.#echo(name, 'our own address', send, socket.listen.bind(socket))
      bursts.push(result)
      if (result.received === 0) {
        bursts.push({ via: name, direction: 'from-peer', sent: result.sent, received: arrived, rttsMs: [] })
        if (arrived === 0) bursts.push(await this.#towardsPeer(socket, peer ?? seen))
        break
      }
    }
    const silent = bursts.every(({ received }) => received === 0)
    // Then it is our own UDP that gets nowhere, and the relay may be fine.
    if (silent && socket.mapped.size === 0) {
      return { peer: 'mapped-address', bursts: [], refusal: 'our own UDP gets nowhere' }
    }
    return { peer: 'mapped-address', bursts, refusal: undefined }
  }

  /** As this server sees the socket; where it answers no Binding, a NAT that keeps ports is hoped for. */
  #seen(socket: HostSocket): TransportAddress | undefined {
    const { allocation, relayed, target } = this.#relay
    const told = socket.mapped.get(formatAddress(target.to))
    if (told) return told
    const { ip, port } = allocation.mapped
    if (familyOf(ip) === familyOf(relayed.ip)) return { ip, port: socket.local?.port ?? port }
    // A server that was asked over IPv6 and relays over IPv4 has not seen the socket; another may have.
    return socket.mapped.values().next().value
  }

  /** Nothing came in through the relay: does anything get out through it? */
  async #towardsPeer(socket: HostSocket, peer: TransportAddress): Promise<BurstObservation> {
    const { session } = this.#relay
    const result = await this.#burst((bytes) => session.send(peer, bytes), socket.listen.bind(socket))
    return { via: 'send-data', direction: 'to-peer', ...result, rttsMs: [] }
  }

  async withSecondAllocation(): Promise<Echoes> {
    const { session, relayed, target } = this.#relay
    let echo: (from: TransportAddress, bytes: Uint8Array) => void = () => undefined
    const opened = await openRelay(this.#ports, this.#options, this.#recorder, target, (data) =>
      echo(data.peer, data.bytes),
    )
    if (!opened.ok) return this.#refused(opened.failure)
    const second = opened.session
    try {
      const [other] = opened.allocation.relayed
      if (!other) return { peer: 'second-allocation', bursts: [], refusal: 'it has no relayed address' }
      // Relays that don't relay to themselves are careful, not broken: that is no cause.
      const refusal =
        (await this.#permit([other])).refusal ?? (await this.#refusalOf(second.permit([relayed], this.#limits)))
      if (refusal) return { peer: 'second-allocation', bursts: [], refusal }
      const bursts: BurstObservation[] = []
      for (const [name, via] of ways) {
        if (via === 'channel') {
          const bound = (await this.#bind(other)) && (await second.bindChannel(relayed, this.#limits)).ok
          if (!bound) break
        }
        echo = (from, bytes) => second.send(from, bytes, via)
        const hear: HostSocket['listen'] = (listener) => {
          this.#relay.onData = (data) => listener(data.bytes, data.peer)
          return () => undefined
        }
        const send = (bytes: Uint8Array): boolean => session.send(other, bytes, via)
        bursts.push(await this.#echo(name, 'a second allocation', send, hear))
      }
      return { peer: 'second-allocation', bursts, refusal: undefined }
    } finally {
      void second.close()
    }
  }

  /** Nobody can reach such a relayed address, and that has been told. */
  get hasBadAddress(): boolean {
    return this.#relay.target.attempt.causes.some(({ code }) => code.startsWith('relay-address-'))
  }

  /** The relay carries data, and none between it and us. */
  noteUnreached(): void {
    this.#recorder.fail(this.#relay.target.attempt, cause('no-data', 'data', { between: 'allocations' }, 'warning'))
  }

  /** The entry of the candidate. `own`: why our own address was no peer, where a second allocation had to stand in. */
  tell(echoes: Echoes | undefined, own?: Echoes): void {
    const { candidate } = this.#relay
    const { bursts = [], peer = null } = echoes ?? {}
    const result = !echoes || bursts.length === 0 ? 'not-proven' : carries(echoes) ? 'proven' : 'failed'
    const summary = summarize(bursts.filter(({ direction }) => direction === 'round-trip'))
    const why = this.#why(result, echoes, own)
    this.#recorder.reachable({ candidate, result, peer, ...summary, bursts, why })
    if (result === 'failed') this.#fail(bursts)
  }

  #fail(bursts: readonly BurstObservation[]): void {
    const count = (direction: BurstObservation['direction']): number =>
      bursts.filter((burst) => burst.direction === direction).reduce((sum, { received }) => sum + received, 0)
    const fail = (code: CauseCode, facts?: Cause['facts']): void =>
      this.#recorder.fail(this.#relay.target.attempt, cause(code, 'data', facts))
    if (this.hasBadAddress) return
    // Send/Data works, then; a channel that could not be bound has told its own cause.
    if (count('round-trip') > 0) {
      if (bursts.some(({ via }) => via === 'channel-data')) fail('no-data', { via: 'ChannelData' })
    } else if (count('to-peer') > 0) fail('one-way-to-peer')
    else if (count('from-peer') > 0) fail('one-way-from-peer')
    else fail('no-data')
  }

  #why(result: 'proven' | 'failed' | 'not-proven', echoes: Echoes | undefined, own: Echoes | undefined): string {
    const reasons = [...new Set([own?.refusal, echoes?.refusal])].filter((each) => each !== undefined)
    if (result === 'not-proven') {
      return reasons.length > 0 ? `no peer to echo: ${reasons.join('; ')}` : 'no address of ours to echo from'
    }
    const by = echoes?.peer === 'mapped-address' ? 'our own mapped address' : 'a second allocation on the same server'
    return result === 'proven' ? `echoed both ways by ${by}` : `nothing, or only one way, was echoed by ${by}`
  }

  get #limits(): { readonly timeoutMs: number } {
    return { timeoutMs: this.#options.patienceMs ?? defaultPatienceMs }
  }

  /** Why there is no permission; nothing: there is one. */
  async #permit(
    peers: readonly TransportAddress[],
  ): Promise<{ readonly refusal?: string; readonly failure?: TurnFailure }> {
    const { session, target } = this.#relay
    this.#recorder.begin(target.attempt, 'permission')
    const outcome = await session.permit(peers, this.#limits)
    const words = peers.map(({ ip }) => ip).join(', ')
    this.#recorder.end(target.attempt, outcome.ok, outcome.ok ? `for ${words}` : `for ${words}: ${outcome.failure.why}`)
    return outcome.ok ? {} : { refusal: outcome.failure.why, failure: outcome.failure }
  }

  /** Peers that are refused leave the relay usable for others: once is enough to say so. */
  #noteRefusal(failure: TurnFailure, peer: IpAddress | undefined): void {
    const { target } = this.#relay
    const failed = causeOfTurn(failure, {
      server: target.server,
      now: this.#ports.clock.wallTime(),
      challenged: true,
    })
    if (failed.code === 'peer-denied' && target.attempt.causes.some(({ code }) => code === 'peer-denied')) return
    this.#recorder.fail(target.attempt, { ...failed, facts: { peer: peer ?? '', ...failed.facts } })
  }

  async #bind(peer: TransportAddress): Promise<boolean> {
    const { session, target } = this.#relay
    this.#recorder.begin(target.attempt, 'channel')
    const outcome = await session.bindChannel(peer, this.#limits)
    const detail = outcome.ok ? `to ${formatAddress(peer)}` : outcome.failure.why
    this.#recorder.end(target.attempt, outcome.ok, detail)
    if (!outcome.ok) this.#noteRefusal(outcome.failure, peer.ip)
    return outcome.ok
  }

  async #refusalOf(outcome: ReturnType<Relay['session']['permit']>): Promise<string | undefined> {
    const settled = await outcome
    return settled.ok ? undefined : settled.failure.why
  }

  #refused = ({ why }: TurnFailure): Echoes => ({ peer: 'second-allocation', bursts: [], refusal: why })

  async #echo(
    via: BurstObservation['via'],
    by: string,
    send: (bytes: Uint8Array) => void,
    hear: HostSocket['listen'],
  ): Promise<BurstObservation> {
    const { attempt } = this.#relay.target
    this.#recorder.begin(attempt, 'data')
    const result = await this.#burst(send, hear)
    const detail = `${result.received} of ${result.sent} packets echoed by ${by}, ${via}`
    this.#recorder.end(attempt, result.received > 0, detail)
    return { via, direction: 'round-trip', ...result }
  }

  async #burst(send: (bytes: Uint8Array) => void, hear: HostSocket['listen']): Promise<BurstResult> {
    const { packets, spacingMs } = this.#options.burst ?? defaultBurst
    const first = this.#sequence
    this.#sequence += packets
    const burst = new Burst(this.#ports.clock, first, {
      packets,
      spacingMs,
      // Through the relay and back is twice the way to the server.
      waitMs: echoWaitMs(this.#relay.session.rtt.rto()),
      signal: this.#options.signal,
      send: (sequence) => send(this.#payloads.make(sequence)),
    })
    const stop = hear((bytes) => {
      const sequence = this.#payloads.read(bytes)
      if (sequence !== undefined) burst.echoed(sequence)
    })
    const result = await burst.run()
    stop()
    return result
  }
}
