/** Server-reflexive candidates: Binding requests from each host socket, and one whose fate tells why there is no answer. */
import {
  after,
  type Cancel,
  type Clock,
  formatAddress,
  type IpAddress,
  sameAddress,
  TlsError,
  type TransportAddress,
} from '../../core/index.ts'
import { openStunConnection, type RequestOutcome, RttEstimator, type StunConnection } from '../../proto/stun/index.ts'
import {
  decodeMessage,
  get,
  mappedAddress,
  Method,
  software,
  type StunMessage,
  xorMappedAddress,
} from '../../wire/index.ts'
import { causeOfBinding, causeOfError } from './causes.ts'
import { describeTls, noteConnected, noteTls, problemWords } from './connecting.ts'
import { contextOf, type HostSocket, patientTiming, socketAt, socketsFor } from './hosts.ts'
import { type IceOptions, type IcePorts, ownSignal } from './options.ts'
import { type Recorder, round } from './recorder.ts'
import { defaultPatienceMs, patienceLeft, type Target } from './targets.ts'

/** A server-reflexive candidate with what it takes to prove it. */
export interface Reflexive {
  readonly candidate: number
  readonly socket: HostSocket
  readonly server: TransportAddress
  readonly mapped: TransportAddress
}

/** After the server has answered on the way that the routing table picked, other interfaces get this long to catch up. */
const stragglerMs = 40

/** The server has answered another request from here: only one that was lost, and then repeated, takes longer than it. */
const repeatedMs = 800

/** What the server says our address is. RFC 8489 §14.2; servers before RFC 5389 know only MAPPED-ADDRESS. */
export const mappedOf = (message: StunMessage): TransportAddress | undefined =>
  get(message, xorMappedAddress) ?? get(message, mappedAddress)

/** Asks a STUN server over any transport. Resolves when the candidates it can give are told. */
export async function askBinding(
  ports: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  target: Target,
  sockets: readonly HostSocket[],
): Promise<readonly Reflexive[]> {
  const { attempt } = target
  // All at once: whoever waits for the first answer before asking from the next interface waits twice.
  const search = attempt.transport === 'udp' ? searchReflexive(ports, options, recorder, target, sockets) : undefined
  const connection = await connect(ports, options, recorder, target)
  if (connection) {
    recorder.begin(attempt, 'binding')
    const timeoutMs = patienceLeft(options, recorder, attempt)
    const outcome = await connection.client.request({ method: Method.binding, timeoutMs, signal: options.signal })
    note(recorder, target, outcome, search?.stray(), connection.foreign || search?.foreign() === true)
    connection.close()
  }
  return (await search?.collect(attempt.rttMs === null ? undefined : connection?.local.ip)) ?? []
}

async function connect(
  ports: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  { attempt, to, serverName }: Target,
): Promise<StunConnection | undefined> {
  const isUdp = attempt.transport === 'udp'
  recorder.begin(attempt, isUdp ? 'binding' : 'connect')
  try {
    const connection = await openStunConnection(ports, {
      to,
      protocol: attempt.transport,
      serverName,
      ca: options.ca,
      connectTimeoutMs: patienceLeft(options, recorder, attempt),
      timing: patientTiming,
      rtt: new RttEstimator(),
      onConnected: () => noteConnected(recorder, attempt),
    })
    attempt.local = formatAddress(connection.local)
    noteTls(recorder, attempt, connection.tls)
    return connection
  } catch (error) {
    const cause = causeOfError(error, isUdp ? 'binding' : 'connect')
    if (error instanceof TlsError) attempt.tls = describeTls(null, error.chain)
    recorder.end(attempt, false, problemWords(error), cause.stage)
    recorder.fail(attempt, cause)
    return undefined
  }
}

function note(
  recorder: Recorder,
  { attempt, to }: Target,
  outcome: RequestOutcome,
  stray: TransportAddress | undefined,
  foreign: boolean,
): void {
  const mapped = 'message' in outcome ? mappedOf(outcome.message) : undefined
  const detail = mapped
    ? `${formatAddress(to)} sees us as ${formatAddress(mapped)}`
    : `${outcome.kind} after ${Math.round(outcome.totalMs)} ms`
  recorder.end(attempt, mapped !== undefined, detail)
  if ('message' in outcome) {
    attempt.rttMs = round(('rttMs' in outcome ? outcome.rttMs : undefined) ?? outcome.totalMs)
    attempt.software = get(outcome.message, software) ?? null
  }
  if (mapped) attempt.mapped = formatAddress(mapped)
  else recorder.fail(attempt, causeOfBinding(outcome, stray, foreign))
}

export interface ReflexiveSearch {
  /** Whoever answered instead of the server that was asked. */
  stray(): TransportAddress | undefined
  /** The server's port has answered a Binding request. */
  answered(): boolean
  /** The server's port has sent what is no STUN answer. */
  foreign(): boolean
  /** Waits for the answer to the socket of `primary`, the address that the server is known to answer, and for others briefly. */
  collect(primary: IpAddress | undefined): Promise<readonly Reflexive[]>
}

/** Asks from each host socket that can; tells a candidate for each new address. */
export function searchReflexive(
  { clock }: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  { attempt, to }: Target,
  sockets: readonly HostSocket[],
): ReflexiveSearch {
  const found: Reflexive[] = []
  let over = false
  let stray: TransportAddress | undefined
  let foreign = false
  const ask = async (socket: HostSocket): Promise<void> => {
    const timeoutMs = options.patienceMs ?? defaultPatienceMs
    const stop = socket.listen((bytes, from) => (foreign ||= sameAddress(from, to) && isForeign(bytes)))
    const signal = ownSignal(options.signal)
    const outcome = await socket.client(to).request({ method: Method.binding, timeoutMs, signal })
    stop()
    stray ??= outcome.strays[0]?.from
    const mapped = outcome.kind === 'success' ? mappedOf(outcome.message) : undefined
    const { local: base, localPreference } = socket
    if (!mapped || !base || over) return
    socket.mapped.set(formatAddress(to), mapped)
    if (options.policy !== 'all') return
    const candidate = recorder.candidate(
      { type: 'srflx', address: mapped, base, serverIp: to.ip, localPreference },
      { ...contextOf(socket.host), attempt: attempt.index },
    )
    if (candidate !== undefined) found.push({ candidate, socket, server: to, mapped })
  }
  const asked = new Map(socketsFor(sockets, to).map((socket) => [socket, ask(socket)] as const))
  return {
    stray: () => stray,
    answered: () => sockets.some((socket) => socket.mapped.has(formatAddress(to))),
    foreign: () => foreign,
    async collect(primary) {
      const socket = primary === undefined ? undefined : socketAt(sockets, primary)
      const first = socket && asked.get(socket)
      if (first) await atMost(clock, repeatedMs, [first])
      await atMost(clock, stragglerMs, [...asked.values()])
      over = true
      return found
    },
  }
}

/** A server that sends our own requests back is an echo service. */
function isForeign(bytes: Uint8Array): boolean {
  const decoded = decodeMessage(bytes)
  return !decoded.ok || decoded.value.class === 'request'
}

/** Waits for all of them, but no longer than this. */
async function atMost(clock: Clock, milliseconds: number, all: readonly Promise<void>[]): Promise<void> {
  let cancel: Cancel | undefined
  const patience = new Promise<void>((resolve) => {
    cancel = clock.schedule(after(clock.now(), milliseconds), resolve)
  })
  await Promise.race([Promise.all(all), patience])
  cancel?.()
}
