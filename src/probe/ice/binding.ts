/** Server-reflexive candidates: Binding requests from each host socket, and one whose fate tells why there is no answer. */
import { after, formatAddress, type TransportAddress } from '../../core/index.ts'
import { openStunConnection, type RequestOutcome, RttEstimator } from '../../proto/stun/index.ts'
import { get, mappedAddress, Method, software, type StunMessage, xorMappedAddress } from '../../wire/index.ts'
import { causeOfBinding, causeOfError } from './causes.ts'
import { contextOf, type HostSocket, patientTiming, socketAt, socketsFor } from './hosts.ts'
import type { IceOptions, IcePorts } from './options.ts'
import { type Recorder, round } from './recorder.ts'
import { defaultPatienceMs, type Target } from './targets.ts'

/** A server-reflexive candidate with what it takes to prove it. */
export interface Reflexive {
  readonly candidate: number
  readonly socket: HostSocket
  readonly server: TransportAddress
  readonly mapped: TransportAddress
}

/** After the server has answered on the way that the routing table picked, other interfaces get this long to catch up. */
const stragglerMs = 40

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
  const { attempt, to, serverName } = target
  const timeoutMs = options.patienceMs ?? defaultPatienceMs
  const isUdp = attempt.transport === 'udp'
  // All at once: whoever waits for the first answer before asking from the next interface waits twice.
  const others = isUdp ? reflexiveFromHosts(ports, options, recorder, target, sockets) : undefined
  const startMs = recorder.now()
  const opening = openStunConnection(ports, {
    to,
    protocol: attempt.transport,
    serverName,
    ca: options.ca,
    connectTimeoutMs: timeoutMs,
    timing: patientTiming,
    rtt: new RttEstimator(),
  })
  const connection = await opening.catch((error: unknown) => {
    const cause = causeOfError(error, attempt.transport === 'tls' ? 'tls' : 'connect')
    recorder.stage(attempt, cause.stage, startMs, false, error instanceof Error ? error.message : String(error))
    recorder.fail(attempt, cause)
  })
  if (!connection) return []
  attempt.local = formatAddress(connection.local)
  if (!isUdp) recorder.stage(attempt, attempt.transport === 'tls' ? 'tls' : 'connect', startMs, true, 'connected')
  const askedMs = recorder.now()
  const outcome = await connection.client.request({ method: Method.binding, timeoutMs, signal: options.signal })
  connection.close()
  const mapped = 'message' in outcome ? mappedOf(outcome.message) : undefined
  note(recorder, target, outcome, mapped, others?.stray(), askedMs)
  if (!others) return []
  const primary = socketAt(sockets, connection.local.ip)
  return await others.collect(mapped === undefined ? undefined : primary)
}

function note(
  recorder: Recorder,
  { attempt, to }: Target,
  outcome: RequestOutcome,
  mapped: TransportAddress | undefined,
  stray: TransportAddress | undefined,
  askedMs: number,
): void {
  const detail = mapped
    ? `${formatAddress(to)} sees us as ${formatAddress(mapped)}`
    : `${outcome.kind} after ${Math.round(outcome.totalMs)} ms`
  recorder.stage(attempt, 'binding', askedMs, mapped !== undefined, detail)
  if (!mapped) return recorder.fail(attempt, causeOfBinding(outcome, stray))
  attempt.mapped = formatAddress(mapped)
  attempt.rttMs = round('rttMs' in outcome ? (outcome.rttMs ?? outcome.totalMs) : outcome.totalMs)
  attempt.software = ('message' in outcome ? get(outcome.message, software) : undefined) ?? null
}

export interface ReflexiveSearch {
  /** Whoever answered instead of the server that was asked. */
  stray(): TransportAddress | undefined
  /** `primary` is waited for as long as the patience goes, since a server that answers will answer there too; others briefly. */
  collect(primary: HostSocket | undefined): Promise<readonly Reflexive[]>
}

/** Asks from each host socket that can; tells a candidate for each new address. */
export function reflexiveFromHosts(
  { clock }: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  { attempt, to }: Target,
  sockets: readonly HostSocket[],
): ReflexiveSearch {
  const found: Reflexive[] = []
  let over = false
  let stray: TransportAddress | undefined
  const ask = async (socket: HostSocket): Promise<void> => {
    const timeoutMs = options.patienceMs ?? defaultPatienceMs
    const outcome = await socket.client(to).request({ method: Method.binding, timeoutMs, signal: options.signal })
    stray ??= outcome.strays[0]?.from
    const mapped = outcome.kind === 'success' ? mappedOf(outcome.message) : undefined
    const { local: base, localPreference } = socket
    if (!mapped || !base || over || options.policy !== 'all') return
    const candidate = recorder.candidate(
      { type: 'srflx', address: mapped, base, serverIp: to.ip, localPreference },
      { ...contextOf(socket.host), attempt: attempt.index },
    )
    if (candidate !== undefined) found.push({ candidate, socket, server: to, mapped })
  }
  const asked = new Map(socketsFor(sockets, to).map((socket) => [socket, ask(socket)] as const))
  return {
    stray: () => stray,
    async collect(primary) {
      await (primary && asked.get(primary))
      const everybody = Promise.all(asked.values())
      const patience = new Promise<void>((resolve) => {
        const cancel = clock.schedule(after(clock.now(), stragglerMs), resolve)
        void everybody.then(cancel)
      })
      await Promise.race([everybody, patience])
      over = true
      return found
    },
  }
}
