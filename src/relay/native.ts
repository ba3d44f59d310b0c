/** The native engine: the TURN server machine of proto/turn-server on a datapath. */
import {
  formatAddress,
  type IpAddress,
  NatcheckError,
  type ServerCertificate,
  type TransportAddress,
} from '../core/index.ts'
import { checkBindable, chooseAll, plainListeners, relayAddresses, relayUrls } from './addresses.ts'
import { certificateName, checkServerCertificate } from './certificate.ts'
import { checkedCertificate, checkOptions, given } from './check.ts'
import type { Datapath, DatapathHandlers, ListenerOptions } from './datapath/datapath.ts'
import { startDgram } from './datapath/dgram.ts'
import { discoveryOf, otherSockets } from './discovery.ts'
import type { RelayOptions, ReloadableOptions } from './options.ts'
import type { Relay, RelayCallbacks, RelayListener, RelayPorts } from './relay.ts'
import { fromRules, rulesOf, settingsOf } from './rules.ts'
import {
  createServerWith,
  policyOf,
  type ServerMessage,
  type ServerRequest,
  type ServerRules,
  type ServerSettings,
} from './server.ts'
import { addStats, type RelayStats } from './stats.ts'

/**
 * Starts the relay. Rejects, with nothing left open, with USAGE or BAD_FILE for options that make no sense, and as
 * `Network.openDatagram` does where an address can't be had.
 */
export async function startNativeRelay(
  ports: RelayPorts,
  options: RelayOptions = {},
  callbacks: RelayCallbacks = {},
): Promise<Relay> {
  checkOptions(options, callbacks)
  const certificateValidTo = checkedCertificate(ports, options)
  const { network } = ports
  const plain = await chooseAll(network, plainListeners(options))
  const tls = await chooseAll(network, options.tlsListen ?? [])
  const discovery = discoveryOf(options, plain)
  const listeners = listenersOf(plain, tls, discovery, options.certificate)
  const relays = options.stunOnly ? [] : relayAddresses(options, [...plain, ...tls])
  for (const { ip } of relays) await checkBindable(network, ip)
  const rules = rulesOf(options)
  const addresses = { relayAddresses: relays, listeners: listeners.map(({ address }) => address), discovery }
  const settings = settingsOf(ports.random, options, rules, addresses)
  const relay = new NativeRelay(
    options,
    rules,
    relays.map(({ ip }) => ip),
    callbacks,
  )
  await relay.start(ports, listeners, settings, certificateValidTo)
  return relay
}

class NativeRelay implements Relay {
  readonly engine = 'native'
  readonly limits: readonly string[] = []
  readonly relayIps: readonly IpAddress[]
  readonly #options: RelayOptions
  readonly #callbacks: RelayCallbacks
  #ports: RelayPorts | undefined
  #datapath: Datapath | undefined
  #rules: ServerRules
  #certificate: ServerCertificate | undefined
  #certificateValidTo: Date | undefined
  #draining = false
  #closed = false
  #drainedThreads = 0
  readonly #unlisted = new Set<string>()
  readonly #waiting: (() => void)[] = []

  constructor(options: RelayOptions, rules: ServerRules, relayIps: readonly IpAddress[], callbacks: RelayCallbacks) {
    this.#options = options
    this.#rules = rules
    this.relayIps = relayIps
    this.#callbacks = callbacks
    this.#certificate = options.certificate
  }

  async start(
    ports: RelayPorts,
    listeners: readonly ListenerOptions[],
    settings: ServerSettings,
    certificateValidTo: Date | undefined,
  ): Promise<void> {
    this.#ports = ports
    const { discovery } = settings
    if (discovery) for (const address of otherSockets(discovery)) this.#unlisted.add(formatAddress(address))
    this.#certificateValidTo = certificateValidTo
    const handlers: DatapathHandlers = {
      onMessage: (message) => this.#receive(message as ServerMessage),
      onFailed: (error) => this.#callbacks.onEvent?.({ kind: 'failed', error }),
    }
    this.#datapath = await startDatapath(ports, listeners, settings, this.#options, this.#callbacks, handlers)
  }

  get datapath(): string {
    return this.#running.name
  }

  get listeners(): readonly RelayListener[] {
    return this.#running.listening
  }

  get urls(): readonly string[] {
    const name = this.#certificate && certificateName(this.#certificate)
    // The other sockets of RFC 5780 are named by the server itself, to clients that want to know.
    const shown = this.listeners.filter(({ address }) => !this.#unlisted.has(formatAddress(address)))
    return relayUrls(shown, this.#options, name)
  }

  get draining(): boolean {
    return this.#draining
  }

  get certificateValidTo(): Date | undefined {
    return this.#certificateValidTo
  }

  async stats(): Promise<RelayStats> {
    // Every thread answers with its own.
    return addStats((await this.#ask({ kind: 'stats' })) as readonly RelayStats[])
  }

  async reload(changes: ReloadableOptions): Promise<void> {
    const next = { ...this.#options, ...fromRules(this.#rules), ...given(changes), certificate: this.#certificate }
    checkOptions(next, this.#callbacks)
    const certificate = changes.certificate
    const validTo = certificate && checkServerCertificate(certificate, this.#wallTime())
    const rules = rulesOf(next)
    policyOf(rules) // throws before anything has changed
    if (this.#closed) throw new NatcheckError('CANCELLED', 'the relay has ended')
    // Only now is it known whether TLS takes it, such as the length of its key.
    if (certificate && this.#options.tlsListen !== undefined) {
      this.#running.replaceCertificate(certificate)
      this.#certificate = certificate
      this.#certificateValidTo = validTo
    }
    await this.#ask({ kind: 'replace-rules', rules })
    this.#rules = rules
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true
    const threads = (await this.#ask({ kind: 'drain', timeoutMs })).length
    while (this.#drainedThreads < threads && !this.#closed) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#wake()
    await this.#datapath?.close()
  }

  get #running(): Datapath {
    if (this.#datapath) return this.#datapath
    throw new NatcheckError('CANCELLED', 'the relay has not started')
  }

  #wallTime(): ReturnType<RelayPorts['clock']['wallTime']> {
    if (this.#ports) return this.#ports.clock.wallTime()
    throw new NatcheckError('CANCELLED', 'the relay has not started')
  }

  async #ask(request: ServerRequest): Promise<readonly unknown[]> {
    if (this.#closed) throw new NatcheckError('CANCELLED', 'the relay has ended')
    return await this.#running.request(request)
  }

  #receive(message: ServerMessage): void {
    if (message.kind === 'event') return this.#callbacks.onEvent?.(message.event)
    this.#drainedThreads++
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

async function startDatapath(
  ports: RelayPorts,
  listeners: readonly ListenerOptions[],
  settings: ServerSettings,
  { datapath = 'auto', threads = 1 }: RelayOptions,
  { hooks, onEvent }: RelayCallbacks,
  handlers: DatapathHandlers,
): Promise<Datapath> {
  const hooked = hooks !== undefined && Object.values(hooks).some((hook) => hook !== undefined)
  const problem = datapath === 'dgram' ? 'it was not asked for' : await mmsgProblemHere(hooked)
  if (datapath === 'mmsg' && problem !== undefined) {
    throw new NatcheckError('UNSUPPORTED', `the mmsg datapath can't run here: ${problem}`, {
      fix: 'use the dgram datapath, or auto, which picks it',
    })
  }
  if (problem === undefined) {
    try {
      const { startMmsg } = await import('./datapath/mmsg/index.ts')
      const worker = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)
      return await startMmsg(
        ports,
        { worker, listeners, settings: { ...settings, dontFragment: true }, threads },
        handlers,
      )
    } catch (error) {
      // An address that can't be had can't be had by the other datapath either.
      const isOurs = error instanceof NatcheckError && error.code !== 'UNSUPPORTED'
      if (datapath === 'mmsg' || isOurs) throw error
      const message = `the mmsg datapath failed to start, dgram is used: ${error instanceof Error ? error.message : ''}`
      onEvent?.({ kind: 'warning', message })
    }
  }
  if (threads > 1) {
    onEvent?.({
      kind: 'warning',
      message: `one thread only: ${threads} need the mmsg datapath, and ${problem ?? 'it did not start'}`,
    })
  }
  return await startDgram(ports, listeners, settings, createServerWith(hooks ?? {}), handlers)
}

/** Why the batched datapath can't be used; undefined when it can. */
async function mmsgProblemHere(hooked: boolean): Promise<string | undefined> {
  if (hooked) return 'hooks run in this thread, and it relays in another'
  const { mmsgProblem } = await import('./datapath/mmsg/index.ts')
  return await mmsgProblem()
}

function listenersOf(
  plain: readonly TransportAddress[],
  tls: readonly TransportAddress[],
  discovery: ServerSettings['discovery'],
  certificate: ServerCertificate | undefined,
): ListenerOptions[] {
  const udp = new Map(plain.map((address) => [formatAddress(address), address]))
  for (const address of discovery ? otherSockets(discovery) : []) udp.set(formatAddress(address), address)
  return [
    ...[...udp.values()].map((address) => ({ protocol: 'udp', address }) as const),
    ...plain.map((address) => ({ protocol: 'tcp', address }) as const),
    ...tls.map((address) => ({ protocol: 'tls', address, certificate }) as const),
  ]
}
