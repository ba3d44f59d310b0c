/** The engine `node-turn`: the npm package of that name as a relay, over core's Network. */
import { NatcheckError, type TransportAddress } from '../../core/index.ts'
import { checkBindable, chooseAll, plainListeners, relayAddresses, relayUrls } from '../addresses.ts'
import { LISTENER_BUFFER } from '../datapath/datapath.ts'
import type { RelayOptions, ReloadableOptions } from '../options.ts'
import type { Relay, RelayCallbacks, RelayListener, RelayPorts, StartRelay } from '../relay.ts'
import { checkOptions, given } from '../check.ts'
import { fromRules, rulesOf, settingsOf } from '../rules.ts'
import type { ServerRules, ServerSettings } from '../server.ts'
import type { RelayStats } from '../stats.ts'
import { nodeTurnLimits, refuseUnsupported } from './options.ts'
import { loadNodeTurn, type NodeTurn } from './package.ts'
import { NodeTurnServer } from './server.ts'
import { EndpointSocket } from './socket.ts'

/** Rejects, with nothing left open, as `startRelay` says. */
export const startNodeTurnRelay: StartRelay = async (ports, options, callbacks) => {
  checkOptions(options, callbacks)
  refuseUnsupported(options)
  const nodeTurn = await loadNodeTurn()
  const listening = await chooseAll(ports.network, plainListeners(options))
  const relays = options.stunOnly ? [] : relayAddresses(options, listening)
  for (const { ip } of relays) await checkBindable(ports.network, ip)
  const rules = rulesOf(options)
  const addresses = { relayAddresses: relays, listeners: listening, discovery: undefined }
  const settings = settingsOf(ports.random, options, rules, addresses)
  const relay = new NodeTurnRelay(nodeTurn, ports, options, rules, settings, callbacks)
  try {
    for (const address of listening) await relay.listen(address)
  } catch (error) {
    await relay.close()
    throw error
  }
  return relay
}

class NodeTurnRelay implements Relay {
  readonly engine = 'node-turn'
  readonly datapath = 'dgram'
  readonly limits: readonly string[] = nodeTurnLimits
  readonly certificateValidTo = undefined
  readonly relayIps: readonly string[]
  readonly listeners: RelayListener[] = []
  readonly #ports: RelayPorts
  readonly #options: RelayOptions
  readonly #callbacks: RelayCallbacks
  readonly #server: NodeTurnServer
  readonly #sockets: EndpointSocket[] = []
  #rules: ServerRules
  #draining = false
  #closed = false
  #undelivered = 0
  #drained: () => void = () => {}
  readonly #ended: Promise<void> = new Promise((resolve) => (this.#drained = resolve))

  constructor(
    nodeTurn: NodeTurn,
    ports: RelayPorts,
    options: RelayOptions,
    rules: ServerRules,
    settings: ServerSettings,
    callbacks: RelayCallbacks,
  ) {
    this.#ports = ports
    this.#options = options
    this.#rules = rules
    this.#callbacks = callbacks
    this.relayIps = settings.relayAddresses.map(({ ip }) => ip)
    this.#server = new NodeTurnServer(nodeTurn, ports, settings, callbacks.hooks ?? {}, {
      onEvent: (event) => callbacks.onEvent?.(event),
      onDrained: () => this.#drained(),
    })
  }

  async listen({ ip, port }: TransportAddress): Promise<void> {
    let socket: EndpointSocket | undefined
    const endpoint = await this.#ports.network.openDatagram(
      { family: 4, ip, port, receiveBuffer: LISTENER_BUFFER },
      {
        onDatagram: (bytes, from) => {
          if (socket && !this.#closed) this.#server.receive(this.#server.pathOf(from, endpoint.local), socket, bytes)
        },
        onFailure: () => this.#undelivered++,
      },
    )
    socket = new EndpointSocket(endpoint)
    this.#sockets.push(socket)
    this.listeners.push({ protocol: 'udp', address: endpoint.local })
  }

  get urls(): readonly string[] {
    return relayUrls(this.listeners, this.#options, undefined)
  }

  get draining(): boolean {
    return this.#draining
  }

  async stats(): Promise<RelayStats> {
    this.#check()
    const stats = this.#server.stats()
    return await Promise.resolve({ ...stats, undelivered: stats.undelivered + this.#undelivered })
  }

  async reload(changes: ReloadableOptions): Promise<void> {
    this.#check()
    const next = { ...this.#options, ...fromRules(this.#rules), ...given(changes) }
    checkOptions(next, this.#callbacks)
    const rules = rulesOf(next)
    this.#server.replaceRules(rules)
    this.#rules = rules
    await Promise.resolve()
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#check()
    this.#draining = true
    this.#server.drain(timeoutMs)
    await this.#ended
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#server.stop()
    for (const { endpoint } of this.#sockets) endpoint.close()
    this.#drained()
    await Promise.resolve()
  }

  #check(): void {
    if (this.#closed) throw new NatcheckError('CANCELLED', 'the relay has ended')
  }
}
