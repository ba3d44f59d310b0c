/** A way through the relay with an end of ours on each side, and numbered packets that travel it. */
import { type DatagramEndpoint, familyOf, type TransportAddress } from '../../core/index.ts'
import type { DataVia, TurnFailure, TurnSession } from '../../proto/turn-client/index.ts'
import { Burst, type BurstResult, defaultBurst, echoWaitMs, Payloads } from '../ice/burst.ts'
import { limitOf, ownSignal, usualRtt, type Subject } from './examination.ts'

export type Hear = (sequence: number, from: TransportAddress, bytes: Uint8Array) => void

/** Where packets of ours come out. */
export class Ear {
  readonly #payloads: Payloads
  readonly #listeners = new Set<Hear>()

  constructor(payloads: Payloads) {
    this.#payloads = payloads
  }

  hear(bytes: Uint8Array, from: TransportAddress): void {
    const sequence = this.#payloads.read(bytes)
    if (sequence === undefined) return
    for (const listener of this.#listeners) listener(sequence, from, bytes)
  }

  /** Returns what stops listening. */
  listen(listener: Hear): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

/** The client's side of an allocation. */
export interface RelayEnd {
  readonly session: TurnSession
  readonly relayed: TransportAddress
  readonly ear: Ear
}

/** Between the client's side of an allocation, and a peer of it that is ours as well. */
export interface Passage {
  readonly near: RelayEnd
  readonly far: 'own address' | 'second allocation'
  /** The far end, as the allocation calls it. */
  readonly peer: TransportAddress
  readonly ear: Ear
  /** From the far end to the relayed address. */
  back(bytes: Uint8Array, via: DataVia): void
}

/** Both directions of a burst, which cross at the same time. */
export interface Crossing {
  readonly forth: BurstResult
  readonly back: BurstResult
}

export class Traffic {
  readonly payloads: Payloads
  readonly #subject: Subject
  #sequence = 0

  constructor(subject: Subject) {
    this.#subject = subject
    this.payloads = new Payloads(subject.ports.random)
  }

  /** Numbers that no other packet of this run has. */
  take(count: number): number {
    const first = this.#sequence
    this.#sequence += count
    return first
  }

  get waitMs(): number {
    return echoWaitMs(usualRtt(this.#subject))
  }

  /** Sends a few packets, and counts those that come out at `ear`. */
  async burst(
    send: (bytes: Uint8Array) => void,
    ear: Ear,
    { packets, spacingMs }: { readonly packets: number; readonly spacingMs: number } = this.#subject.wanted.burst ??
      defaultBurst,
  ): Promise<BurstResult> {
    const { ports, options } = this.#subject
    const burst = new Burst(ports.clock, this.take(packets), {
      packets,
      spacingMs,
      waitMs: this.waitMs,
      signal: ownSignal(options.signal),
      send: (sequence) => send(this.payloads.make(sequence)),
    })
    const stop = ear.listen((sequence) => burst.echoed(sequence))
    const result = await burst.run()
    stop()
    return result
  }

  async cross(passage: Passage, via: DataVia): Promise<Crossing> {
    const { near, peer, ear } = passage
    const [forth, back] = await Promise.all([
      this.burst((bytes) => near.session.send(peer, bytes, via), ear),
      this.burst((bytes) => passage.back(bytes, via), near.ear),
    ])
    return { forth, back }
  }
}

/** A UDP socket of ours that writes to relayed addresses; undefined: none of that family can be had. */
export interface OwnSocket {
  readonly ear: Ear
  send(bytes: Uint8Array, to: TransportAddress): void
  close(): void
}

export async function openOwnSocket({ ports, session, relayed }: Subject, ear: Ear): Promise<OwnSocket | undefined> {
  const family = familyOf(relayed.ip)
  const own = session.local?.ip
  let endpoint: DatagramEndpoint
  try {
    endpoint = await ports.network.openDatagram(
      { family, ...(own !== undefined && familyOf(own) === family && { ip: own }) },
      { onDatagram: (bytes, from) => ear.hear(bytes, from), onFailure: () => undefined },
    )
  } catch {
    return undefined
  }
  return { ear, send: (bytes, to) => endpoint.send(bytes, to), close: () => endpoint.close() }
}

/**
 * Permits our own address and writes to the relayed one until it comes through, which tells how the relay sees us.
 * Undefined: it is refused, or nothing comes.
 */
export async function meetOwnAddress(
  subject: Subject,
  traffic: Traffic,
  near: RelayEnd,
  socket: OwnSocket,
): Promise<Passage | undefined> {
  const { mapped } = subject.allocation
  if (familyOf(mapped.ip) !== familyOf(near.relayed.ip)) return undefined
  const permitted = await near.session.permit([mapped], limitOf(subject))
  if (!permitted.ok) return undefined
  let peer: TransportAddress | undefined
  const stop = near.ear.listen((_, from) => (peer ??= from))
  await traffic.burst((bytes) => socket.send(bytes, near.relayed), near.ear, { packets: 3, spacingMs: 5 })
  stop()
  return peer && { near, far: 'own address', peer, ear: socket.ear, back: (bytes) => socket.send(bytes, near.relayed) }
}

/** Two allocations of the same server as each other's peers, or why not. */
export async function meetSecond(subject: Subject, near: RelayEnd, second: RelayEnd): Promise<Passage | TurnFailure> {
  const [one, other] = await Promise.all([
    near.session.permit([second.relayed], limitOf(subject)),
    second.session.permit([near.relayed], limitOf(subject)),
  ])
  if (!one.ok) return one.failure
  if (!other.ok) return other.failure
  return {
    near,
    far: 'second allocation',
    peer: second.relayed,
    ear: second.ear,
    back: (bytes, via) =>
      void (second.session.send(near.relayed, bytes, via) || second.session.send(near.relayed, bytes)),
  }
}
