/** One TurnClient on one link: commands as promises. Ends with its link. */
import {
  after,
  type Clock,
  Driver,
  NatcheckError,
  type Network,
  type Random,
  TlsError,
  type TransportAddress,
} from '../../core/index.ts'
import type { IcmpError } from '../../wire/index.ts'
import { TurnClient, type TurnClientOptions } from './client.ts'
import { type Link, type LinkOptions, openLink } from './link.ts'
import type {
  Loss,
  OperationId,
  ReceivedData,
  TurnCause,
  TurnClientEffect,
  TurnClientInput,
  TurnFailure,
  TurnObservation,
  TurnOutcome,
  TurnStage,
} from './types.ts'

/** The world as this needs it. */
export interface TurnPorts {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
}

/** What comes by itself. */
export interface TurnHandlers {
  onData?(data: ReceivedData): void
  /** An ICMP error that the relay met on the way to a peer. */
  onIcmp?(peer: TransportAddress, error: IcmpError): void
  /** What was held could not be renewed. */
  onLost?(lost: Loss): void
  onObservation?(observation: TurnObservation): void
}

export interface CallOptions {
  /** Milliseconds for all of it. Default: as long as the timing takes, 39.5 s by RFC 8489. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** An effect that ends an operation. */
type Finish = Extract<TurnClientEffect, { id: OperationId }>
type ValueOf<K extends Finish['kind']> = Extract<Finish, { kind: K; value: unknown }>['value']

/** What an operation has in common: the command is completed with it. */
export interface OperationFields {
  readonly id: OperationId
  readonly deadline: ReturnType<typeof after> | undefined
}

export class TurnConnection {
  readonly client: TurnClient
  readonly link: Link
  readonly #driver: Driver<TurnClientInput, TurnClientEffect>
  readonly #clock: Clock
  readonly #pending: Map<OperationId, (finish: Finish) => void>
  #lastId = 0
  #closed = false

  private constructor(
    client: TurnClient,
    link: Link,
    driver: Driver<TurnClientInput, TurnClientEffect>,
    clock: Clock,
    pending: Map<OperationId, (finish: Finish) => void>,
  ) {
    this.client = client
    this.link = link
    this.#driver = driver
    this.#clock = clock
    this.#pending = pending
  }

  /** Rejects as `openLink` does. */
  static async open(
    { network, clock, random }: TurnPorts,
    options: LinkOptions & Omit<TurnClientOptions, 'random'>,
    timeoutMs: number,
    handlers: TurnHandlers,
  ): Promise<TurnConnection> {
    const client = new TurnClient({ ...options, random })
    const pending = new Map<OperationId, (finish: Finish) => void>()
    let link: Link | undefined
    let heard = false
    let sent = 0
    const driver = new Driver<TurnClientInput, TurnClientEffect>(client, clock, (effect) => {
      switch (effect.kind) {
        case 'send':
          link?.send(effect.bytes)
          // Silence so far: perhaps the network knows why. Routers limit their ICMP errors, so that once may not be enough.
          if (++sent >= 2 && !heard) link?.inquire()
          return
        case 'observed':
          return handlers.onObservation?.(effect.observation)
        case 'data':
          return handlers.onData?.(effect.data)
        case 'icmp':
          return handlers.onIcmp?.(effect.peer, effect.error)
        case 'lost':
          return handlers.onLost?.(effect.lost)
        case 'allocated':
        case 'permitted':
        case 'channel-bound':
        case 'refreshed':
        case 'released':
        case 'exchanged':
        case 'redirected':
        case 'failed':
          pending.get(effect.id)?.(effect)
          pending.delete(effect.id)
      }
    })
    link = await openLink({ network, random }, options, timeoutMs, {
      onBytes: (bytes, from) => {
        heard = true
        driver.handle({ kind: 'received', bytes, from })
      },
      onFailure: (failure) => driver.handle({ kind: 'failure', failure }),
      onClosed: (why) => driver.handle({ kind: 'closed', why }),
    })
    return new TurnConnection(client, link, driver, clock, pending)
  }

  /** Gives the command that `make` completes, and waits for its end: an effect of kind `K` when all is well. */
  async call<K extends Finish['kind']>(
    make: (fields: OperationFields) => TurnClientInput,
    { timeoutMs, signal }: CallOptions,
  ): Promise<TurnOutcome<ValueOf<K>>> {
    if (signal?.aborted || this.#closed) return { ok: false, failure: cancelled('connect') }
    const id = ++this.#lastId
    const deadline = timeoutMs === undefined ? undefined : after(this.#clock.now(), timeoutMs)
    const abort = (): void => this.#driver.handle({ kind: 'cancel', id })
    signal?.addEventListener('abort', abort)
    try {
      const finish = await new Promise<Finish>((resolve) => {
        this.#pending.set(id, resolve)
        this.#driver.handle(make({ id, deadline }))
      })
      if ('failure' in finish) return { ok: false, failure: finish.failure }
      // Every command has one kind of good end.
      return { ok: true, value: finish.value as ValueOf<K> }
    } finally {
      this.#pending.delete(id)
      signal?.removeEventListener('abort', abort)
    }
  }

  send(peer: TransportAddress, bytes: Uint8Array, via: 'indication' | 'channel'): void {
    this.#driver.handle({ kind: 'send', peer, bytes, via })
  }

  /** Ends every open operation with `cancelled`. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const id of this.#pending.keys()) this.#driver.handle({ kind: 'cancel', id })
    // Those that the driver could not tell, because this was called from within one of its effects.
    for (const [id, finish] of this.#pending) finish({ kind: 'failed', id, failure: cancelled('exchange') })
    this.#driver.stop()
    this.link.close()
  }
}

export const cancelled = (stage: TurnStage): TurnFailure => ({
  stage,
  cause: 'cancelled',
  why: 'the caller waits no longer',
})

/** Why no link came about. Rethrows what is no matter of the network's. */
export function connectFailure(error: unknown): TurnFailure {
  if (error instanceof TlsError) {
    const { message: why, problem, chain } = error
    return { stage: 'tls', cause: 'tls', why, tls: { problem, chain } }
  }
  const cause = error instanceof NatcheckError ? connectCauses[error.code] : undefined
  if (!(error instanceof NatcheckError) || !cause) throw error
  return { stage: 'connect', cause, why: error.message }
}

const connectCauses: Partial<Record<NatcheckError['code'], TurnCause>> = {
  CONNECTION_REFUSED: 'refused',
  CONNECTION_CLOSED: 'closed',
  UNREACHABLE: 'unreachable',
  NO_ROUTE: 'unreachable',
  TIMEOUT: 'timeout',
}
