/** What gets an allocation from one server, keeps it and sends through it: a TurnClient on sockets of its own. */
import {
  elapsed,
  formatAddress,
  type Instant,
  type IpAddress,
  type TlsSession,
  type TransportAddress,
  type TransportProtocol,
} from '../../core/index.ts'
import type { ChannelNumber } from '../../wire/index.ts'
import { type LongTermSession, RttEstimator, type TransactionTiming } from '../stun/index.ts'
import {
  type CallOptions,
  cancelled,
  connectFailure,
  TurnConnection,
  type TurnHandlers,
  type TurnPorts,
} from './connection.ts'
import type { LinkOptions } from './link.ts'
import type {
  AllocateOptions,
  Allocation,
  ChannelBinding,
  DataVia,
  ExchangeResult,
  RawExchange,
  TurnFailure,
  TurnObservation,
  TurnOutcome,
} from './types.ts'

export interface TurnSessionOptions extends TurnHandlers {
  readonly to: TransportAddress
  readonly protocol: TransportProtocol
  /** The name that a TLS certificate has to be for. Default: the IP address. */
  readonly serverName?: string | undefined
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined
  readonly localIp?: IpAddress | undefined
  /** Absent: for servers that relay for everybody. */
  readonly credentials?: { readonly username: string; readonly password: string } | undefined
  /** Rc, Rm, Ti; and RTO, which is otherwise learned. */
  readonly timing?: Partial<TransactionTiming> | undefined
  /** Shared by whoever talks to the same server over the same transport. */
  readonly rtt?: RttEstimator | undefined
  /** Adds FINGERPRINT to every message. */
  readonly fingerprint?: boolean | undefined
  /** Milliseconds for TCP and TLS to connect. */
  readonly connectTimeoutMs: number
  /** TCP has connected; with TLS the handshake begins. Called for each connection. */
  readonly onConnected?: (() => void) | undefined
  /** Ends connecting, and every later call, with `cancelled`. */
  readonly signal?: AbortSignal | undefined
  /** How many 300s to follow, 3 at most. Default 0: a 300 is a failure whose `alternate` says where to. */
  readonly maxRedirects?: number | undefined
}

/** Observations that are kept; a flood is not evidence. */
const maxObservations = 1000
/** A redirection further than this is a server farm in knots. */
const mostRedirects = 3
/** RFC 8656 §7.4 leaves the number open; Chromium tries twice. */
const maxNewSockets = 2
/** A Refresh that says good-bye is a courtesy, and nobody waits long for it. */
const goodbyeMs = 1000

/** Connects. Throws USAGE for credentials or an address that can't be, and as `openDatagram` does where no socket can be had. */
export async function openTurnSession(
  ports: TurnPorts,
  options: TurnSessionOptions,
): Promise<TurnOutcome<TurnSession>> {
  const session = new TurnSession(ports, options)
  const failure = await session.connect({ ...options, to: options.to }, options.connectTimeoutMs, options.signal)
  return failure ? { ok: false, failure } : { ok: true, value: session }
}

export class TurnSession {
  readonly #ports: TurnPorts
  readonly #options: TurnSessionOptions
  readonly #handlers: TurnHandlers
  readonly #observations: TurnObservation[] = []
  readonly #visited = new Set<string>()
  #where: Pick<LinkOptions, 'to' | 'serverName'>
  #connection: TurnConnection | undefined
  #rtt: RttEstimator
  #closed = false
  /** An Allocate was given up: the server may have granted it all the same. */
  #doubtful = false

  /** For `openTurnSession`. */
  constructor(ports: TurnPorts, options: TurnSessionOptions) {
    this.#ports = ports
    this.#options = options
    this.#where = options
    this.#rtt = options.rtt ?? new RttEstimator()
    this.#handlers = {
      onData: (data) => options.onData?.(data),
      onIcmp: (peer, error) => options.onIcmp?.(peer, error),
      onLost: (lost) => options.onLost?.(lost),
      onObservation: (observation) => this.#observe(observation),
    }
  }

  /** The server's address; after a redirect the other server's. */
  get server(): TransportAddress {
    return this.#where.to
  }

  /** Our address on the way to the server: the base of a relayed candidate. */
  get local(): TransportAddress | undefined {
    return this.#connection?.link.local
  }

  get tls(): TlsSession | undefined {
    return this.#connection?.link.tls
  }

  /** The round-trip time to the server, as its answers have shown. */
  get rtt(): RttEstimator {
    return this.#rtt
  }

  /** All that happened so far, in order. */
  get observations(): readonly TurnObservation[] {
    return this.#observations
  }

  /** What is held now. */
  get allocation(): Allocation | undefined {
    return this.#connection?.client.allocation
  }

  /** What the server's last challenge said. */
  get challenge(): LongTermSession | undefined {
    return this.#connection?.client.session
  }

  /**
   * Gets an allocation and keeps it until `close`. Follows redirects as far as the options say; where the server thinks
   * that our address has an allocation already (437), tries from a new one. RFC 8656 §7.4
   */
  async allocate(options: AllocateOptions = {}, call: CallOptions = {}): Promise<TurnOutcome<Allocation>> {
    const { clock } = this.#ports
    const startedAt = clock.now()
    let newSockets = 0
    for (;;) {
      const rest = { ...call, timeoutMs: remaining(call.timeoutMs, startedAt, clock.now()) }
      const outcome = await this.#call<'allocated'>((fields) => ({ kind: 'allocate', options, ...fields }), rest)
      if (outcome.ok) return outcome
      const { failure } = outcome
      this.#doubtful = failure.cause === 'cancelled' || failure.cause === 'timeout'
      const where = failure.error?.code === 437 && newSockets++ < maxNewSockets ? this.#where : this.#redirect(failure)
      if (!where) return outcome
      if ('cause' in where) return { ok: false, failure: where }
      this.#connection?.close()
      const connectMs = remaining(call.timeoutMs, startedAt, clock.now()) ?? Infinity
      const limit = Math.min(this.#options.connectTimeoutMs, connectMs)
      const failed = await this.connect(where, limit, this.#signal(call))
      if (failed) return { ok: false, failure: failed }
    }
  }

  /** Takes over what was allocated from another address. RFC 8016 §3.2 */
  move(allocation: Allocation, call: CallOptions = {}): Promise<TurnOutcome<Allocation>> {
    return this.#call<'allocated'>((fields) => ({ kind: 'move', allocation, ...fields }), call)
  }

  /** Lets these peers' packets in. They are permitted by IP address, whatever the port. RFC 8656 §10 */
  permit(
    peers: readonly TransportAddress[],
    call: CallOptions = {},
  ): Promise<TurnOutcome<readonly TransportAddress[]>> {
    return this.#call<'permitted'>((fields) => ({ kind: 'permit', peers, ...fields }), call)
  }

  /** Binds a channel, by default the next one, or again the one that the peer has. RFC 8656 §12 */
  bindChannel(
    peer: TransportAddress,
    call: CallOptions & { readonly channel?: ChannelNumber | undefined } = {},
  ): Promise<TurnOutcome<ChannelBinding>> {
    const { channel } = call
    return this.#call<'channel-bound'>((fields) => ({ kind: 'bind-channel', peer, channel, ...fields }), call)
  }

  /**
   * Sends through the relay; by channel only when one is bound, which is what the answer tells. Whether a permission is
   * there is left to the server. Throws USAGE for more than 65,535 bytes.
   */
  send(peer: TransportAddress, bytes: Uint8Array, via: DataVia = 'indication'): boolean {
    const connection = this.#connection
    if (!connection || (via === 'channel' && connection.client.channelOf(peer) === undefined)) return false
    connection.send(peer, bytes, via)
    return true
  }

  /** Asks for this many seconds from now on; resolves with what was granted. RFC 8656 §8 */
  refresh(lifetimeSeconds?: number, call: CallOptions = {}): Promise<TurnOutcome<number>> {
    return this.#call<'refreshed'>((fields) => ({ kind: 'refresh', lifetimeSeconds, ...fields }), call)
  }

  /** Gives the allocation back. That it is gone already is fine. RFC 8656 §8.3 */
  release(call: CallOptions = {}): Promise<TurnOutcome<undefined>> {
    return this.#call<'released'>((fields) => ({ kind: 'release', ...fields }), call)
  }

  /** A request of the caller's own making; error responses are results here, not failures. */
  exchange(exchange: RawExchange, call: CallOptions = {}): Promise<TurnOutcome<ExchangeResult>> {
    return this.#call<'exchanged'>((fields) => ({ kind: 'exchange', exchange, ...fields }), call)
  }

  /** Gives back what is held, or may be, and closes the sockets. Safe to call twice; never rejects. */
  async close(timeoutMs: number = goodbyeMs): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const connection = this.#connection
    if (connection && (connection.client.allocation || this.#doubtful)) {
      await connection.call<'released'>((fields) => ({ kind: 'release', ...fields }), { timeoutMs })
    }
    connection?.close()
  }

  /** For `openTurnSession`. */
  async connect(
    where: Pick<LinkOptions, 'to' | 'serverName'>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<TurnFailure | undefined> {
    const { protocol, credentials } = this.#options
    const { clock } = this.#ports
    const { to, serverName } = where
    const startedAt = clock.now()
    this.#where = where
    this.#visited.add(formatAddress(to))
    if (signal?.aborted) return cancelled('connect')
    const longTerm = credentials && ({ kind: 'long-term', ...credentials } as const)
    const opening = TurnConnection.open(
      this.#ports,
      { ...this.#options, to, serverName, credentials: longTerm, rtt: this.#rtt },
      timeoutMs,
      this.#handlers,
    )
    const outcome = await orAbort(opening, signal).catch(connectFailure)
    if ('cause' in outcome) return outcome
    this.#connection = outcome
    const { local, tls } = outcome.link
    this.#observe({ kind: 'connected', startedAt, at: clock.now(), protocol, to, local, tls })
    return undefined
  }

  /** Where a 300 leads, or why it is not followed; undefined: the failure is no redirect. RFC 8489 §10 */
  #redirect(failure: TurnFailure): Pick<LinkOptions, 'to' | 'serverName'> | TurnFailure | undefined {
    const { maxRedirects = 0 } = this.#options
    const { alternate } = failure
    if (!alternate || maxRedirects === 0) return undefined
    const to = alternate.server
    if (this.#visited.has(formatAddress(to))) {
      const why = `${formatAddress(this.server)} sends us back to ${formatAddress(to)}, which was asked before`
      return { ...failure, cause: 'redirect-loop', why }
    }
    if (this.#visited.size > Math.min(maxRedirects, mostRedirects)) {
      return { ...failure, cause: 'too-many-redirects', why: `redirected ${this.#visited.size} times` }
    }
    // Without ALTERNATE-DOMAIN the certificate has to be for the name that was asked first.
    return { to, serverName: alternate.domain ?? this.#where.serverName }
  }

  #call: TurnConnection['call'] = async (make, options) => {
    const connection = this.#connection
    if (!connection || this.#closed) return { ok: false, failure: cancelled('connect') }
    return await connection.call(make, { ...options, signal: this.#signal(options) })
  }

  #signal({ signal }: CallOptions): AbortSignal | undefined {
    const own = this.#options.signal
    return signal && own ? AbortSignal.any([signal, own]) : (signal ?? own)
  }

  #observe(observation: TurnObservation): void {
    if (this.#observations.length < maxObservations) this.#observations.push(observation)
    this.#options.onObservation?.(observation)
  }
}

const remaining = (timeoutMs: number | undefined, startedAt: Instant, now: Instant): number | undefined =>
  timeoutMs === undefined ? undefined : Math.max(0, timeoutMs - elapsed(startedAt, now))

/** A connection that is still opening when nobody wants it any more is closed as soon as it is there. */
function orAbort(
  opening: Promise<TurnConnection>,
  signal: AbortSignal | undefined,
): Promise<TurnConnection | TurnFailure> {
  if (!signal) return opening
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      resolve(cancelled('connect'))
      opening.then(
        (late) => late.close(),
        () => undefined,
      )
    }
    signal.addEventListener('abort', abort, { once: true })
    opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
