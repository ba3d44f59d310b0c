/** Two real ICE agents on the virtual network: gathering, signalling and checks, until both know all pairs. */
import {
  after,
  type Clock,
  type DatagramEndpoint,
  Driver,
  familyOf,
  formatAddress,
  type TransportAddress,
} from '../../src/core/index.ts'
import type { Host, SeededRandom } from '../../src/lab/index.ts'
import {
  type CandidateOrigin,
  Foundations,
  IceAgent,
  type IceAgentOptions,
  type IceEffect,
  type IceInput,
  type IceReport,
  type LocalCandidate,
  localCandidate,
  parseCandidate,
  renderCandidate,
} from '../../src/proto/ice/index.ts'
import { StunClient } from '../../src/proto/stun/index.ts'
import { get, Method, xorMappedAddress } from '../../src/wire/index.ts'
import { openTurnLine, type TurnLine, type TurnServerAddress } from './turn-line.ts'

export interface IcePeerOptions extends Omit<IceAgentOptions, 'random'> {
  readonly host: Host
  readonly random: SeededRandom
  readonly stun?: readonly TransportAddress[] | undefined
  readonly turn?: TurnServerAddress | undefined
  /** Like a browser's `iceTransportPolicy`. */
  readonly policy?: 'all' | 'relay' | undefined
  /** A candidate that goes to the other side. Default: all do. */
  readonly offers?: ((candidate: LocalCandidate) => boolean) | undefined
}

export class IcePeer {
  readonly agent: IceAgent
  readonly candidates: LocalCandidate[] = []
  /** Every state a pair went through. */
  readonly effects: IceEffect[] = []
  readonly settled: Promise<IceReport>
  readonly driver: Driver<IceInput, IceEffect>
  onCandidate: (line: string | undefined) => void = () => {}
  readonly #options: IcePeerOptions
  readonly #foundations = new Foundations()
  readonly #sockets = new Map<string, DatagramEndpoint>()
  readonly #lines = new Map<string, TurnLine>()
  #settle: (report: IceReport) => void = () => {}

  constructor(options: IcePeerOptions) {
    this.#options = options
    this.agent = new IceAgent(options)
    this.settled = new Promise((resolve) => {
      this.#settle = resolve
    })
    this.driver = new Driver(this.agent, options.host.clock, (effect) => this.#perform(effect))
    this.driver.start()
  }

  get clock(): Clock {
    return this.#options.host.clock
  }

  async gather(): Promise<void> {
    const { host, turn, stun = [], policy = 'all' } = this.#options
    const bases = host.addresses.map((ip) => (policy === 'relay' ? undefined : this.#gatherHost(ip, stun)))
    await Promise.all([...bases, turn && this.#gatherRelay(turn)])
    this.driver.handle({ kind: 'end-of-candidates', side: 'local' })
    this.onCandidate(undefined)
  }

  async #gatherHost(ip: string, servers: readonly TransportAddress[]): Promise<void> {
    const { host, random } = this.#options
    const clients: StunClient[] = []
    const socket = await host.openDatagram(
      { family: familyOf(ip), ip },
      {
        onDatagram: (bytes, from) => {
          if (clients.some((client) => client.receiveDatagram(bytes, from))) return
          this.driver.handle({ kind: 'datagram', bytes, from, base: socket.local })
        },
        onFailure: (failure) => this.driver.handle({ kind: 'failure', failure, base: socket.local }),
      },
    )
    this.#sockets.set(formatAddress(socket.local), socket)
    this.#offer({ type: 'host', address: socket.local })
    await Promise.all(
      servers.map(async (to) => {
        if (familyOf(to.ip) !== familyOf(ip)) return
        const client = new StunClient({ clock: host.clock, random, to, send: (bytes) => socket.send(bytes, to) })
        clients.push(client)
        const outcome = await client.request({ method: Method.binding, timeoutMs: 2000 })
        const mapped = outcome.kind === 'success' ? get(outcome.message, xorMappedAddress) : undefined
        if (mapped) this.#offer({ type: 'srflx', address: mapped, base: socket.local, serverIp: to.ip })
      }),
    )
  }

  async #gatherRelay(turn: TurnServerAddress): Promise<void> {
    const { host, random } = this.#options
    const line = await openTurnLine(host, random, turn, (bytes, from) => {
      if (line) this.driver.handle({ kind: 'datagram', bytes, from, base: line.relayed })
    })
    if (!line) return
    this.#lines.set(formatAddress(line.relayed), line)
    const { relayed: address, mapped: related } = line
    this.#offer({ type: 'relay', address, related, serverIp: turn.to.ip, serverTransport: turn.protocol })
  }

  #offer(origin: CandidateOrigin): void {
    const candidate = localCandidate(origin, this.#foundations)
    this.candidates.push(candidate)
    this.driver.handle({ kind: 'local-candidate', candidate })
    if (this.#options.offers?.(candidate) !== false) this.onCandidate(renderCandidate(candidate))
  }

  #perform(effect: IceEffect): void {
    if (effect.kind === 'send') {
      const key = formatAddress(effect.base)
      this.#sockets.get(key)?.send(effect.bytes, effect.to)
      this.#lines.get(key)?.send(effect.bytes, effect.to)
      return
    }
    this.effects.push(effect)
    if (effect.kind === 'settled') this.#settle(effect.report)
  }
}

/** Connects the signalling of two peers, gathers on both, and waits until both know all. Run it on the virtual clock. */
export async function runIce(
  a: IcePeer,
  b: IcePeer,
  signallingMs: number = 0,
): Promise<readonly [IceReport, IceReport]> {
  signal(a, b, signallingMs)
  signal(b, a, signallingMs)
  await Promise.all([a.gather(), b.gather()])
  await Promise.all([a.settled, b.settled])
  return [a.agent.report(), b.agent.report()]
}

/** Candidates of `from` reach `to`, and unless told otherwise its credentials, without which `to` only answers. */
export function signal(from: IcePeer, to: IcePeer, afterMs: number = 0, credentials: boolean = true): void {
  const later = (input: IceInput): void =>
    void from.clock.schedule(after(from.clock.now(), afterMs), () => to.driver.handle(input))
  from.onCandidate = (line) => later(inputOf(line))
  if (credentials) later({ kind: 'remote-credentials', credentials: from.agent.credentials })
}

/** Through its line, as it would go through a signalling server. */
function inputOf(line: string | undefined): IceInput {
  if (line === undefined) return { kind: 'end-of-candidates', side: 'remote' }
  const parsed = parseCandidate(line)
  if (!parsed.ok) throw new Error(`${line}: ${parsed.where} ${parsed.why}`)
  return { kind: 'remote-candidate', candidate: parsed.value }
}
