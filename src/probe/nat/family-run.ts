/** One family's probe on real endpoints: opens sockets, drives the machine, then runs the opt-in tests. */
import {
  type AddressFamily,
  after,
  type ConnectedDatagramEndpoint,
  type DatagramEndpoint,
  type DatagramHandlers,
  Driver,
  formatAddress,
  type IpAddress,
  NatcheckError,
  parseAddress,
  scopeOf,
  type TransportAddress,
} from '../../core/index.ts'
import { looksLikeStun } from '../../wire/index.ts'
import type { TransactionBudget } from './budget.ts'
import { estimatePath, isOuter } from './evidence.ts'
import type { Stopwatch } from './exchange.ts'
import { companionSocket, FamilyProbe, type ProbeEffect, type ProbeInput } from './family-probe.ts'
import { probeFragments } from './fragments.ts'
import { probeHairpin } from './hairpinning.ts'
import { probeLifetime } from './lifetime.ts'
import { findNat64Prefix } from './nat64.ts'
import type {
  ExchangeObservation,
  FamilyObservations,
  HairpinArrival,
  LifetimeTrial,
  ServerObservation,
  StreamObservation,
} from './observations.ts'
import type { NatProbeOptions, NatProbePorts } from './options.ts'
import { hasAnswered } from './plan.ts'
import { queryRouter, type RouterQuery } from './port-mapping/index.ts'
import { Requester } from './requester.ts'
import { decisiveServer } from './servers.ts'
import { openVirginSocket } from './sockets.ts'
import { tryStreams } from './streams.ts'

/** What the families have in common: RFC 5780's limit counts them together, and one clock dates their packets. */
export interface SharedByFamilies {
  readonly budget: TransactionBudget
  readonly stopwatch: Stopwatch
  /** Transactions that a family still needs: IPv6 leaves them to IPv4, whose NATs are the question. */
  readonly needs: Map<AddressFamily, () => number>
}

/** Taken along while the verdict is made: they never make it wait. */
const fewPorts = 3
/** With the two other sockets enough to tell parity from chance (1 in 4,000). */
const morePorts = 10

export class FamilyRun {
  localIp: IpAddress | null = null
  readonly #ports: NatProbePorts
  readonly #options: NatProbeOptions
  readonly #family: AddressFamily
  readonly #shared: SharedByFamilies
  readonly #servers: ServerObservation[]
  readonly #companions = new Map<number, ConnectedDatagramEndpoint>()
  readonly #endpoints = new Map<string, DatagramEndpoint>()
  readonly #notStun = new Set<string>()
  #machine: FamilyProbe | undefined
  #driver: Driver<ProbeInput, ProbeEffect> | undefined
  #router: RouterQuery | undefined
  #streams: readonly StreamObservation[] = []
  #requester: Requester | undefined
  #hairpin: readonly HairpinArrival[] = []
  #lifetime: readonly LifetimeTrial[] = []
  #nat64Prefix: string | null | undefined
  #endedAtMs = 0

  constructor(
    ports: NatProbePorts,
    options: NatProbeOptions,
    family: AddressFamily,
    shared: SharedByFamilies,
    servers: readonly ServerObservation[],
  ) {
    this.#ports = ports
    this.#options = options
    this.#family = family
    this.#shared = shared
    this.#servers = [...servers]
  }

  /**
   * A connected socket for each server: it picks the local address (a socket bound to the wildcard could never
   * be seen to equal its mapped address), finds missing routes, and alone hears ICMP errors.
   */
  async openCompanions(): Promise<void> {
    const { localIp } = this.#options
    const usable = localIp === undefined || localIp.includes(':') === (this.#family === 6)
    if (!usable) return
    let leadsOut = false
    for (const [index, server] of this.#servers.entries()) {
      const to = server.address === null ? undefined : parseAddress(server.address)
      if (!to) continue
      try {
        const own = localIp === undefined ? {} : { ip: localIp }
        const endpoint = await this.#ports.network.connectDatagram(to, own, this.#handlers(companionSocket(index)))
        this.#companions.set(index, endpoint)
        // The address that leads out counts, where the list has servers on this side of the NAT as well.
        if (this.localIp === null || (!leadsOut && isOuter(server.address ?? ''))) this.localIp = endpoint.local.ip
        leadsOut ||= isOuter(server.address ?? '')
      } catch (error) {
        if (!(error instanceof NatcheckError) || error.code === 'BAD_ADDRESS') throw error
        this.#servers[index] = { ...server, address: null, problem: { code: error.code, message: error.message } }
      }
    }
  }

  async discover(): Promise<void> {
    const { clock, random } = this.#ports
    const { exclusive, timeoutMs, signal } = this.#options
    const { budget, stopwatch, needs } = this.#shared
    const machine = new FamilyProbe({
      servers: this.#servers.map(({ address }) => address),
      companions: new Map([...this.#companions].map(([index, { local }]) => [index, local])),
      exclusive,
      budget,
      ports: this.#options.ports ? { count: morePorts, required: true } : { count: fewPorts, required: false },
      reserve: () => (this.#family === 6 ? (needs.get(4)?.() ?? 0) : 0),
      random,
      stopwatch,
      timeoutMs,
    })
    this.#machine = machine
    needs.set(this.#family, () => machine.needs)
    this.#stage('probing', null)
    if (this.#family === 6) this.#lookForNat64()
    await new Promise<void>((resolve, reject) => {
      const driver = new Driver(machine, clock, (effect: ProbeEffect) => {
        this.#perform(effect, resolve).catch(reject)
      })
      this.#driver = driver
      const stop = (): void => resolve()
      signal?.addEventListener('abort', stop, { once: true })
      if (signal?.aborted) return resolve()
      driver.start()
    })
    this.#driver?.stop()
    this.#endedAtMs = stopwatch.started ? stopwatch.at(clock.now()) : 0
  }

  async #perform(effect: ProbeEffect, finished: () => void): Promise<void> {
    switch (effect.kind) {
      case 'send':
        this.#emit('sent', formatAddress(effect.to), effect.bytes)
        this.#send(effect.socket, effect.bytes, effect.to)
        return
      case 'open-socket': {
        const endpoint = await this.#open(effect.socket)
        this.#driver?.handle({ kind: 'socket-opened', socket: effect.socket, local: endpoint.local })
        return
      }
      case 'try-streams': {
        this.#stage('no answer over UDP, trying TCP', null)
        const asked = this.#machine?.asked ?? []
        const results: StreamObservation[] = []
        this.#streams = results
        await tryStreams(this.#ports.network, this.#servers, asked, this.localIp, (result) => results.push(result))
        return
      }
      case 'finished':
        finished()
    }
  }

  async #open(socket: string): Promise<DatagramEndpoint> {
    const { network, random } = this.#ports
    const ip = this.localIp ?? ''
    const { port } = this.#options
    const handlers = this.#handlers(socket)
    const endpoint =
      socket === 'mapping' && port !== undefined
        ? await network.openDatagram({ family: this.#family, ip, port }, handlers)
        : await openVirginSocket(network, random, ip, handlers)
    this.#endpoints.set(socket, endpoint)
    return endpoint
  }

  #send(socket: string, bytes: Uint8Array, to: TransportAddress): void {
    const endpoint = this.#endpoints.get(socket)
    if (endpoint) return endpoint.send(bytes, to)
    for (const [index, companion] of this.#companions) if (socket === companionSocket(index)) companion.send(bytes)
  }

  #handlers(socket: string): DatagramHandlers {
    return {
      onDatagram: (bytes, from) => {
        this.#emit('received', formatAddress(from), bytes)
        if (!looksLikeStun(bytes)) this.#notStun.add(formatAddress(from))
        this.#driver?.handle({ kind: 'datagram', socket, bytes, from })
        this.#askRouter()
      },
      onFailure: (failure) => this.#driver?.handle({ kind: 'failure', socket, failure }),
    }
  }

  /** Beside the tests, and only once the network is known to be there; taken as far as it got when they end. */
  #askRouter(): void {
    if (this.#router || !this.#options.router || this.#family !== 4 || this.localIp === null) return
    if (!['private', 'shared', 'link-local'].includes(scopeOf(this.localIp))) return
    const exchanges = this.#machine?.observations() ?? []
    if (!this.#servers.some((_, index) => hasAnswered(exchanges, index))) return
    const { network, clock } = this.#ports
    const deadline = after(clock.now(), this.#options.timeoutMs)
    this.#router = queryRouter(network, clock, { family: 4, localIp: this.localIp, deadline })
    this.#router.settled.catch(() => {})
  }

  /** Beside the tests, too. */
  #lookForNat64(): void {
    void findNat64Prefix(this.#ports.network).then((prefix) => {
      this.#nat64Prefix = prefix
      return prefix
    })
  }

  async optIns(): Promise<void> {
    const { hairpin, lifetime, fragments, signal } = this.#options
    const exchanges = this.#machine?.observations() ?? []
    const server = decisiveServer(this.observations())
    const path = estimatePath(exchanges.filter((exchange) => exchange.server === server))
    const serverAddress = parseAddress((server !== undefined && this.#servers[server]?.address) || '')
    if (server === undefined || !path || !serverAddress || this.localIp === null || signal?.aborted) return
    const { stopwatch, budget } = this.#shared
    const behindNat = !exchanges.some(
      ({ test, local, replies }) => test === 'mapping-1' && replies[0]?.mapped === local,
    )
    const onProgress = (fraction: number, words: string): void => this.#stage(words, fraction)
    const requester = new Requester({
      ...this.#ports,
      stopwatch,
      budget,
      localIp: this.localIp,
      path,
      server,
      serverAddress,
      signal,
      onProgress,
    })
    this.#requester = requester
    if (hairpin && behindNat) this.#hairpin = await probeHairpin(requester)
    if (fragments) await probeFragments(requester)
    if (lifetime && behindNat) this.#lifetime = await probeLifetime(requester)
  }

  observations(): FamilyObservations {
    const exchanges: ExchangeObservation[] = [...(this.#machine?.observations() ?? [])]
    if (this.#requester) exchanges.push(...this.#requester.observations())
    const asked = this.#machine?.asked ?? []
    return {
      family: this.#family,
      localIp: this.localIp,
      localInterface: this.#ports.network.interfaces().find(({ ip }) => ip === this.localIp)?.name ?? null,
      servers: this.#servers.map((server, index) => ({ ...server, asked: asked.includes(index) })),
      exchanges,
      streams: [...this.#streams],
      notStun: [...this.#notStun],
      unmatched: this.#machine?.unmatched ?? [],
      router: this.#router?.snapshot() ?? [],
      hairpinArrivals: this.#hairpin,
      lifetime: this.#lifetime,
      ...(this.#nat64Prefix === undefined ? {} : { nat64Prefix: this.#nat64Prefix }),
      endedAtMs: this.#endedAtMs,
    }
  }

  close(): void {
    this.#driver?.stop()
    this.#router?.cancel()
    this.#requester?.close()
    for (const endpoint of [...this.#endpoints.values(), ...this.#companions.values()]) endpoint.close()
  }

  #emit(kind: 'sent' | 'received', peer: string, bytes: Uint8Array): void {
    this.#options.onProgress?.({ kind, family: this.#family, peer, bytes: bytes.length })
  }

  #stage(words: string, fraction: number | null): void {
    this.#options.onProgress?.({ kind: 'stage', family: this.#family, words, fraction })
  }
}
