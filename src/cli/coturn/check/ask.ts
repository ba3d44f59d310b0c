/** What a TURN server is asked to learn whether it keeps to its configuration. Nothing is sent to any peer but our own. */
import {
  familyOf,
  type IpAddress,
  type TlsSession,
  type TransportAddress,
  type TransportProtocol,
} from '../../../core/index.ts'
import { pause } from '../../../probe/turn/pause.ts'
import { probeTurn, type TurnObservations, type TurnProbePorts } from '../../../probe/turn/index.ts'
import {
  type AllocateOptions,
  type Allocation,
  openTurnSession,
  type TurnFailure,
  type TurnSession,
} from '../../../proto/turn-client/index.ts'
import { attribute, Method, RequestedTransport, xorPeerAddress } from '../../../wire/index.ts'
import { formatServerUri, type ServerUri } from '../../../wire/uri.ts'
import type { Access, Credentials } from './access.ts'

export interface Asked {
  readonly listeners: readonly { readonly protocol: TransportProtocol; readonly to: TransportAddress }[]
  readonly access: Access
  /** Whom the certificate is for. */
  readonly tlsName: string
  /** PEM of the file's own certificate, which may be signed by itself. */
  readonly tlsCa: string | undefined
  readonly peers: readonly IpAddress[]
  /** Allocations that one user may have, and all together, where they are to be tried out. */
  readonly userQuota: number | undefined
  readonly totalQuota: number | undefined
  readonly signal: AbortSignal
}

/** A code is a refusal. */
export type PeerAnswer = 'granted' | 'silent' | number

export interface Reached {
  readonly protocol: TransportProtocol
  readonly to: TransportAddress
  readonly ok: boolean
  readonly why: string
  /** What was seen of the certificate, whether it is believed or not. */
  readonly tls: { readonly session: Pick<TlsSession, 'chain'>; readonly version: string | undefined } | undefined
}

export interface Quota {
  readonly granted: number
  /** Of the refusal; undefined: there was none. */
  readonly code: number | undefined
}

export interface Answers {
  readonly reached: readonly Reached[]
  readonly turn: TurnObservations | undefined
  /** Of its challenge; undefined: it asks for no credentials. */
  readonly realm: string | undefined
  readonly peers: ReadonlyMap<IpAddress, PeerAnswer>
  /** Ports of all relayed addresses that were given. */
  readonly relayed: readonly TransportAddress[]
  readonly wrongPassword: number | 'granted' | 'silent' | undefined
  readonly longestSeconds: number | undefined
  /** Of a TCP allocation, RFC 6062. */
  readonly tcpRelay: 'granted' | 'silent' | number | undefined
  readonly userQuota: Quota | undefined
  readonly totalQuota: Quota | undefined
}

/** Loopback and the next room answer in milliseconds; the internet gets time. */
const requestMs = 2000
const probeMs = 8000
/** coturn ends an allocation a second after it was given back. */
const releaseMs = 1200
/** What one stage takes at most, and the one before it. */
const tightQuota = 12
/** Enough to be quick, and few enough that nothing is lost. */
const atOnce = 8

export async function askServer(ports: TurnProbePorts, asked: Asked): Promise<Answers> {
  return await new Asking(ports, asked).run()
}

class Asking {
  readonly #ports: TurnProbePorts
  readonly #asked: Asked
  readonly #relayed: TransportAddress[] = []
  #realm: string | undefined

  constructor(ports: TurnProbePorts, asked: Asked) {
    this.#ports = ports
    this.#asked = asked
  }

  async run(): Promise<Answers> {
    const { listeners, access, peers } = this.#asked
    const reached = await Promise.all(listeners.map((listener) => this.#reach(listener)))
    const main = reached.find(({ ok }) => ok)
    const nothing = {
      turn: undefined,
      realm: undefined,
      peers: new Map(),
      wrongPassword: undefined,
      longestSeconds: undefined,
    }
    if (!main) {
      const rest = { tcpRelay: undefined, userQuota: undefined, totalQuota: undefined }
      return { reached, relayed: this.#relayed, ...nothing, ...rest }
    }
    const own = access.credentials(0)
    await this.#settle()
    const turn = await this.#probe(main)
    await this.#settle()
    const answers = await this.#askPeers(main, peers)
    await this.#settle()
    const wrong = own && { ...own, password: `${own.password}!` }
    const wrongPassword = wrong && (await this.#code(main, wrong, {}))
    const longest = await this.#with(main, own, { lifetimeSeconds: 86_400 }, ({ lifetimeSeconds }) =>
      Promise.resolve(lifetimeSeconds),
    )
    await this.#settle()
    const tcp = reached.find(({ protocol, ok }) => protocol === 'tcp' && ok)
    const tcpRelay = tcp && (await this.#code(tcp, own, { transport: RequestedTransport.tcp }))
    const { userQuota, totalQuota } = await this.#quotas(main)
    return {
      reached,
      turn,
      realm: this.#realm,
      peers: answers,
      relayed: this.#relayed,
      wrongPassword,
      longestSeconds: typeof longest === 'number' ? longest : undefined,
      tcpRelay,
      userQuota,
      totalQuota,
    }
  }

  async #open(
    { protocol, to }: Pick<Reached, 'protocol' | 'to'>,
    credentials: Credentials | undefined,
    ca?: string,
  ): ReturnType<typeof openTurnSession> {
    const { signal, tlsName } = this.#asked
    return await openTurnSession(this.#ports, {
      to,
      protocol,
      serverName: tlsName,
      ca,
      ...(credentials && { credentials }),
      connectTimeoutMs: requestMs,
      signal: AbortSignal.any([signal]),
    })
  }

  /** Up to an allocation. */
  async #reach({ protocol, to }: Asked['listeners'][number]): Promise<Reached> {
    const { access, tlsCa } = this.#asked
    const first = await this.#open({ protocol, to }, access.credentials(0))
    const isUnknown = !first.ok && /^(?:self-signed|untrusted)$/.test(first.failure.tls?.problem ?? '')
    const opened =
      isUnknown && tlsCa !== undefined ? await this.#open({ protocol, to }, access.credentials(0), tlsCa) : first
    if (!opened.ok) {
      const { why, tls } = opened.failure
      const seen = tls && tls.chain.length > 0 ? { session: tls, version: undefined } : undefined
      return { protocol, to, ok: false, why, tls: seen }
    }
    const session = opened.value
    const outcome = await session.allocate({}, { timeoutMs: requestMs })
    const tls = session.tls && { session: session.tls, version: session.tls.version }
    if (outcome.ok) this.#relayed.push(...outcome.value.relayed)
    await session.close()
    return { protocol, to, ok: outcome.ok, why: outcome.ok ? '' : outcome.failure.why, tls }
  }

  async #probe({ protocol, to }: Reached): Promise<TurnObservations> {
    const hostKind = 'address' as const
    const uri: ServerUri = {
      scheme: protocol === 'tls' ? 'turns' : 'turn',
      host: to.ip,
      hostKind,
      port: to.port,
      transport: protocol === 'udp' ? 'udp' : 'tcp',
    }
    const own = this.#asked.access.credentials(1)
    return await probeTurn(this.#ports, {
      uri: formatServerUri(uri),
      candidates: [{ server: { uri, username: own?.username, credential: own?.password }, named: true }],
      families: [familyOf(to.ip)],
      timeoutMs: probeMs,
      signal: this.#asked.signal,
    })
  }

  /** An allocation for as long as `use` takes. The code or the reason where there is none. */
  async #with<T>(
    at: Reached,
    credentials: Credentials | undefined,
    wish: AllocateOptions,
    use: (allocation: Allocation, session: TurnSession) => Promise<T>,
  ): Promise<T | TurnFailure> {
    const opened = await this.#open(at, credentials)
    if (!opened.ok) return opened.failure
    const session = opened.value
    try {
      const allocated = await session.allocate(wish, { timeoutMs: requestMs })
      this.#realm ??= session.challenge?.realm
      if (!allocated.ok) return allocated.failure
      this.#relayed.push(...allocated.value.relayed)
      return await use(allocated.value, session)
    } finally {
      await session.close()
    }
  }

  /** What an Allocate comes to. */
  async #code(at: Reached, credentials: Credentials | undefined, wish: AllocateOptions): Promise<PeerAnswer> {
    const got = await this.#with(at, credentials, wish, () => Promise.resolve('granted' as const))
    return got === 'granted' ? got : (got.error?.code ?? 'silent')
  }

  /** By permissions on an allocation of the peer's family; where there is none, on the other, which must refuse them. */
  async #askPeers(at: Reached, peers: readonly IpAddress[]): Promise<Map<IpAddress, PeerAnswer>> {
    const answers = new Map<IpAddress, PeerAnswer>()
    for (const family of [4, 6] as const) {
      const own = peers.filter((ip) => familyOf(ip) === family)
      const ask = async (_: Allocation, session: TurnSession): Promise<true> => {
        for (let at = 0; at < own.length; at += atOnce) {
          const some = own.slice(at, at + atOnce)
          await Promise.all(some.map(async (ip) => answers.set(ip, await permission(session, ip))))
        }
        return true
      }
      if (own.length === 0) continue
      const credentials = this.#asked.access.credentials(2)
      const done = await this.#with(at, credentials, { families: [family] }, ask)
      if (done !== true) await this.#with(at, credentials, {}, ask)
    }
    return answers
  }

  /** Where quotas are small, what was given back a moment ago still counts. */
  async #settle(): Promise<void> {
    const { userQuota = Infinity, totalQuota = Infinity, access, signal } = this.#asked
    const isTight = totalQuota <= tightQuota || (userQuota <= tightQuota && !access.manyUsers)
    if (isTight) await pause(this.#ports.clock, releaseMs, signal)
  }

  async #quotas(at: Reached): Promise<Pick<Answers, 'userQuota' | 'totalQuota'>> {
    const { userQuota: user, totalQuota: total, access } = this.#asked
    if (user === undefined && total === undefined) return { userQuota: undefined, totalQuota: undefined }
    await pause(this.#ports.clock, releaseMs, this.#asked.signal)
    const userQuota = user === undefined ? undefined : await this.#fill(at, user + 1, () => access.credentials(3))
    if (total === undefined) return { userQuota, totalQuota: undefined }
    if (user !== undefined) await pause(this.#ports.clock, releaseMs, this.#asked.signal)
    return { userQuota, totalQuota: await this.#fill(at, total + 1, (nth) => access.credentials(4 + nth)) }
  }

  /** Allocations one after the other until one is refused, or there are as many. */
  async #fill(
    at: Reached,
    most: number,
    credentials: (nth: number) => Credentials | undefined,
  ): Promise<Quota | undefined> {
    const held: TurnSession[] = []
    try {
      for (let nth = 0; nth < most; nth++) {
        const opened = await this.#open(at, credentials(nth))
        if (!opened.ok) return undefined
        held.push(opened.value)
        const allocated = await opened.value.allocate({}, { timeoutMs: requestMs })
        if (allocated.ok) this.#relayed.push(...allocated.value.relayed)
        else return { granted: nth, code: allocated.failure.error?.code }
      }
      return { granted: most, code: undefined }
    } finally {
      await Promise.all(held.map((session) => session.close()))
    }
  }
}

/** The discard port: what ended up there would do no harm. Nothing is sent. */
const port = 9

async function permission(session: TurnSession, ip: IpAddress): Promise<PeerAnswer> {
  const outcome = await session.exchange(
    { method: Method.createPermission, attributes: [attribute(xorPeerAddress, { ip, port })], meetChallenges: true },
    { timeoutMs: requestMs },
  )
  if (!outcome.ok) return 'silent'
  return outcome.value.error?.code ?? 'granted'
}
