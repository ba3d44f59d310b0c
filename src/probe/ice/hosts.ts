/** Host candidates and their sockets: what every server is asked from, and what peers' packets arrive at. */
import {
  type DatagramEndpoint,
  familyOf,
  formatAddress,
  type IpAddress,
  scopeOf,
  type StreamListener,
  type TransportAddress,
} from '../../core/index.ts'
import { localPreferences, onlyLocalPreference, type TcpType, tcpLocalPreference } from '../../proto/ice/index.ts'
import { RttEstimator, StunClient } from '../../proto/stun/index.ts'
import { decodeMessage } from '../../wire/index.ts'
import { type HostAddress, hostAddresses } from './interfaces.ts'
import type { IceOptions, IcePorts } from './options.ts'
import type { CandidateContext, Recorder } from './recorder.ts'

/** RFC 6544 §4.5: nothing is ever sent from it; it stands for whatever port the system will pick. */
const discardPort = 9

/** RFC 6544 §4.2: thirteen bits. */
const highestTcpPreference = 8191

/** Hears what is no STUN answer. */
export type HearPayload = (bytes: Uint8Array, from: TransportAddress) => void

export class HostSocket {
  readonly host: HostAddress
  readonly localPreference: number
  readonly #ports: IcePorts
  readonly #clients = new Map<string, StunClient>()
  readonly #listeners = new Set<HearPayload>()
  #endpoint: DatagramEndpoint | undefined
  #listener: StreamListener | undefined
  #closed = false
  /** As servers see it, by the server asked. */
  readonly mapped: Map<string, TransportAddress> = new Map()

  constructor(ports: IcePorts, host: HostAddress, localPreference: number) {
    this.#ports = ports
    this.host = host
    this.localPreference = localPreference
  }

  async open(): Promise<void> {
    const { ip } = this.host
    this.#endpoint = await this.#ports.network.openDatagram(
      { family: familyOf(ip), ip },
      {
        onDatagram: (bytes, from) => this.#hear(bytes, from),
        onFailure: (failure) => {
          for (const client of this.#clients.values()) client.fail(failure)
        },
      },
    )
  }

  /** Waits for TCP connections too, which it ends: a passive candidate needs a port that is really there. RFC 6544 §5.1 */
  async listenForTcp(): Promise<TransportAddress | undefined> {
    const { ip } = this.host
    const nobody = { onData: () => undefined, onClose: () => undefined }
    const listener = await this.#ports.network
      .listenStream({ family: familyOf(ip), ip }, (stream) => {
        stream.close()
        return nobody
      })
      .catch(() => undefined)
    this.#listener = listener
    if (this.#closed) listener?.close()
    return listener && { ip, port: listener.local.port }
  }

  /** Undefined: it could not be opened. */
  get local(): TransportAddress | undefined {
    return this.#endpoint && { ip: this.host.ip, port: this.#endpoint.local.port }
  }

  /** Asks one server from here. `single` requests are sent once each, so that what is lost shows. */
  client(to: TransportAddress, purpose: 'patient' | 'single' = 'patient'): StunClient {
    const key = `${formatAddress(to)} ${purpose}`
    const known = this.#clients.get(key)
    if (known) return known
    const { clock, random } = this.#ports
    const send = (bytes: Uint8Array): void => this.send(bytes, to)
    const timing = purpose === 'single' ? { requestCount: 1 } : patientTiming
    const client = new StunClient({ clock, random, to, send, rtt: new RttEstimator(), timing })
    this.#clients.set(key, client)
    return client
  }

  send(bytes: Uint8Array, to: TransportAddress): void {
    this.#endpoint?.send(bytes, to)
  }

  /** Returns what stops listening. */
  listen(listener: HearPayload): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): void {
    this.#closed = true
    for (const client of this.#clients.values()) client.cancel()
    this.#endpoint?.close()
    this.#listener?.close()
  }

  #hear(bytes: Uint8Array, from: TransportAddress): void {
    const decoded = decodeMessage(bytes)
    // Requests are never answers: an echo service sends our own back, transaction id and all.
    const isAnswer = decoded.ok && decoded.value.class !== 'request'
    for (const client of this.#clients.values()) if (isAnswer && client.receive(decoded.value, from)) return
    for (const listener of this.#listeners) listener(bytes, from)
  }
}

/**
 * A first guess that suits most of the internet, so that a lost request costs little: it is learned from the first answer
 * on. RFC 8489's 500 ms would leave three tries in two seconds.
 */
export const patientTiming = { rtoMs: 250 } as const

/** Opens a socket on each address and tells its candidates. An address that can't be had (a race with the system) is passed over. */
export async function openHosts(ports: IcePorts, options: IceOptions, recorder: Recorder): Promise<HostSocket[]> {
  const addresses = hostAddresses(ports.network.interfaces(), options.families)
  const preferences = preferencesOf(addresses.map(({ ip }) => ip))
  const sockets = addresses.map((host, index) => new HostSocket(ports, host, preferences[index] ?? 1))
  await Promise.all(sockets.map((socket) => socket.open().catch(() => undefined)))
  const open = sockets.filter(({ local }) => local !== undefined)
  if (options.policy === 'all') {
    for (const socket of open) tellHost(socket, recorder)
    const passive = await Promise.all(open.map((socket) => socket.listenForTcp()))
    for (const [index, socket] of open.entries()) tellTcp(socket, passive[index], index, recorder)
  }
  return open
}

/** Link-local addresses come after all others: RFC 8421's interleaving would put them before an IPv4 address that leads out. */
function preferencesOf(ips: readonly IpAddress[]): readonly number[] {
  const isLocal = (ip: IpAddress): boolean => scopeOf(ip) === 'link-local'
  const wide = ips.filter((ip) => !isLocal(ip))
  const order = [...wide, ...ips.filter(isLocal)]
  const interleaved = localPreferences(wide)
  return ips.map((ip) => interleaved[wide.indexOf(ip)] ?? onlyLocalPreference - order.indexOf(ip))
}

function tellHost({ host, local, localPreference }: HostSocket, recorder: Recorder): void {
  if (!local) return
  recorder.candidate({ type: 'host', address: withoutZone(local), localPreference }, contextOf(host))
}

/** RFC 6544 §5.1: active ones need no socket. Simultaneous-open is left out: no implementation is left that does it. */
function tellTcp({ host }: HostSocket, passive: TransportAddress | undefined, index: number, recorder: Recorder): void {
  const context = contextOf(host)
  const tell = (tcpType: TcpType, address: TransportAddress, browserOmits: string | null): void => {
    const localPreference = tcpLocalPreference('host', tcpType, highestTcpPreference - index)
    recorder.candidate(
      { type: 'host', transport: 'tcp', tcpType, address: withoutZone(address), localPreference },
      { ...context, browserOmits },
    )
  }
  tell('active', { ip: host.ip, port: discardPort }, context.browserOmits)
  if (passive) tell('passive', passive, context.browserOmits ?? 'browsers gather active TCP candidates only')
}

/** A zone means nothing to anybody else. RFC 8839 §5.1 has no room for it. */
const withoutZone = ({ ip, port }: TransportAddress): TransportAddress => ({ ip: ip.split('%')[0] ?? ip, port })

export const contextOf = (host: HostAddress): CandidateContext => ({
  interface: host.interface,
  interfaceKind: host.kind,
  temporary: host.temporary,
  attempt: null,
  relayProtocol: null,
  browserOmits: host.browserOmits,
})

/** The sockets that can ask a server at `to`: those of its family; link-local ones only within their link. */
export const socketsFor = (sockets: readonly HostSocket[], to: TransportAddress): HostSocket[] =>
  sockets.filter(
    ({ host }) =>
      familyOf(host.ip) === familyOf(to.ip) &&
      (scopeOf(host.ip) === 'link-local') === (scopeOf(to.ip) === 'link-local'),
  )

export const socketAt = (sockets: readonly HostSocket[], ip: IpAddress): HostSocket | undefined =>
  sockets.find(({ host }) => host.ip === ip)
