/** The engine coturn: an installed turnserver as a child, told what we were told, watched, and ended with us. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  after,
  addressFamily,
  type IpAddress,
  NatcheckError,
  type Network,
  type ServerCertificate,
  type TransportAddress,
} from '../../core/index.ts'
import { drainSince, isSince } from '../../coturn/version.ts'
import { checkBindable, chooseAll, plainListeners, relayAddresses, relayUrls } from '../addresses.ts'
import { certificateName, checkServerCertificate } from '../certificate.ts'
import { checkedCertificate, checkOptions, given } from '../check.ts'
import { discoveryOf, otherSockets } from '../discovery.ts'
import type { RelayOptions, ReloadableOptions } from '../options.ts'
import type { Relay, RelayCallbacks, RelayListener, RelayPorts } from '../relay.ts'
import type { RelayStats } from '../stats.ts'
import { checkName, type CoturnSettings, filesIn, renderConfig } from './config.ts'
import { writeDatabase } from './database.ts'
import { findInstallation, type Installation } from './installation.ts'
import { limitsOf } from './limits.ts'
import { CoturnLog } from './log.ts'
import { allowedRanges, reachesLoopback } from './peers.ts'
import { untilServing } from './ready.ts'
import { Supervisor } from './supervisor.ts'

/** As `StartRelay` says; UNSUPPORTED where coturn is not installed or can't do what was asked for. */
export async function startCoturnRelay(
  ports: RelayPorts,
  options: RelayOptions,
  callbacks: RelayCallbacks,
): Promise<Relay> {
  checkOptions(options, callbacks)
  checkSupported(options, callbacks)
  const certificateValidTo = checkedCertificate(ports, options)
  const installation = await findInstallation(ports)
  const { network } = ports
  const plain = await chooseAll(network, plainListeners(options))
  const tls = await chooseAll(network, options.tlsListen ?? [])
  const discovery = discoveryOf(options, plain)
  const relays = options.stunOnly ? [] : relayAddresses(options, [...plain, ...tls])
  for (const { ip } of relays) await checkBindable(network, ip)
  const udp = discovery ? [...plain, ...otherSockets(discovery)] : plain
  const listeners = [
    ...udp.map((address) => ({ protocol: 'udp', address }) as const),
    ...plain.map((address) => ({ protocol: 'tcp', address }) as const),
    ...tls.map((address) => ({ protocol: 'tls', address }) as const),
  ]
  for (const listener of listeners) await checkFree(network, listener)
  // 0700: what is in it are secrets.
  const directory = mkdtempSync(join(tmpdir(), 'natcheck-coturn-'))
  const inDatabase = installation.sqlite !== undefined
  const settings = { options, plain, tls, discovery, relays, files: filesIn(directory), inDatabase }
  const relay = new CoturnRelay(ports, installation, settings, listeners, certificateValidTo, callbacks)
  try {
    await relay.start()
    return relay
  } catch (error) {
    await relay.close()
    throw error
  }
}

class CoturnRelay implements Relay {
  readonly engine = 'coturn'
  readonly datapath = 'turnserver'
  readonly listeners: readonly RelayListener[]
  readonly limits: readonly string[]
  readonly #ports: RelayPorts
  readonly #installation: Installation
  readonly #settings: CoturnSettings
  readonly #callbacks: RelayCallbacks
  readonly #log = new CoturnLog()
  readonly #supervisor: Supervisor
  #options: RelayOptions
  #certificateValidTo: Date | undefined
  #draining = false
  #closed = false
  #idle: () => void = () => {}

  constructor(
    ports: RelayPorts,
    installation: Installation,
    settings: CoturnSettings,
    listeners: readonly RelayListener[],
    certificateValidTo: Date | undefined,
    callbacks: RelayCallbacks,
  ) {
    const { version, sqlite, processes, turnserver } = installation
    this.#ports = ports
    this.#installation = installation
    this.#settings = settings
    this.#options = settings.options
    this.#callbacks = callbacks
    this.listeners = listeners
    this.#certificateValidTo = certificateValidTo
    this.limits = limitsOf(settings.options, { version, live: sqlite !== undefined, endWithUs: processes.endWithUs })
    this.#supervisor = new Supervisor({
      clock: ports.clock,
      name: 'turnserver',
      fix: 'mend what it complains about, or use the engine native',
      start: (onLine, onEnd) =>
        processes.start({ path: turnserver, args: ['-c', settings.files.config] }, { onLine, onEnd }),
      answers: (signal) => untilServing(ports, listeners, signal),
      onLine: (line) => this.#read(line),
      onLost: () => this.#lost(),
      onWarning: (message) => callbacks.onEvent?.({ kind: 'warning', message }),
    })
  }

  async start(): Promise<void> {
    const { files, options } = this.#settings
    writePrivate(files.config, renderConfig(this.#settings, this.#installation.version))
    if (options.certificate) this.#writeCertificate(options.certificate)
    await this.#writeRules(options)
    await this.#supervisor.start()
  }

  get relayIps(): readonly IpAddress[] {
    return this.#settings.relays.map(({ ip }) => ip)
  }

  get urls(): readonly string[] {
    const { plain, tls } = this.#settings
    const own = (protocol: string): readonly TransportAddress[] => (protocol === 'tls' ? tls : plain)
    const shown = this.listeners.filter(({ protocol, address }) => own(protocol).includes(address))
    return relayUrls(shown, this.#options, this.#options.certificate && certificateName(this.#options.certificate))
  }

  get draining(): boolean {
    return this.#draining
  }

  get certificateValidTo(): Date | undefined {
    return this.#certificateValidTo
  }

  stats(): Promise<RelayStats> {
    return Promise.resolve(this.#log.stats())
  }

  async reload(changes: ReloadableOptions): Promise<void> {
    if (this.#closed) throw new NatcheckError('CANCELLED', 'the relay has ended')
    const next = { ...this.#options, ...given(changes) }
    checkOptions(next, this.#callbacks)
    const validTo = changes.certificate && checkServerCertificate(changes.certificate, this.#ports.clock.wallTime())
    if (rulesText(next) !== rulesText(this.#options)) {
      this.#checkReloadable(next)
      await this.#writeRules(next)
    }
    this.#options = next
    if (!changes.certificate || this.#settings.tls.length === 0) return
    this.#writeCertificate(changes.certificate)
    this.#supervisor.signal('SIGUSR2')
    this.#certificateValidTo = validTo
  }

  async drain(timeoutMs: number): Promise<void> {
    const { clock } = this.#ports
    this.#draining = true
    this.#supervisor.letEnd()
    const timeout = new Promise<void>((resolve) => void clock.schedule(after(clock.now(), timeoutMs), resolve))
    const none = new Promise<void>((resolve) => (this.#idle = resolve))
    // From 4.6.3 on it refuses new allocations itself, and ends with the last one.
    if (isSince(this.#installation.version, drainSince)) this.#supervisor.signal('SIGUSR1')
    else {
      await this.#writeRules(this.#options)
      if (this.#log.allocations === 0) this.#idle()
    }
    await Promise.race([none, timeout, this.#supervisor.ended])
    await this.#supervisor.stop()
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#supervisor.stop()
    rmSync(this.#settings.files.directory, { recursive: true, force: true })
  }

  #read(line: string): void {
    const read = this.#log.read(line)
    if (!read) return
    this.#callbacks.onEvent?.({ kind: 'log', ...read })
    if (this.#draining && this.#log.allocations === 0) this.#idle()
  }

  #lost(): void {
    this.#log.end(this.#draining || this.#closed ? 'drained' : 'failed')
  }

  /** What the database says instead of the configuration. */
  async #writeRules(options: RelayOptions): Promise<void> {
    const { sqlite } = this.#installation
    if (sqlite === undefined) return
    const world = { processes: this.#installation.processes, clock: this.#ports.clock }
    const path = this.#settings.files.database
    await writeDatabase(world, sqlite, path, { ...options, draining: this.#draining })
    chmodSync(path, 0o600)
  }

  #writeCertificate({ cert, key }: ServerCertificate): void {
    writePrivate(this.#settings.files.cert, cert)
    writePrivate(this.#settings.files.key, key)
  }

  /** What coturn has read from its configuration stays until it is started again. Throws UNSUPPORTED or USAGE. */
  #checkReloadable(next: RelayOptions): void {
    const { options } = this.#settings
    const refuse = (message: string, fix: string): never => {
      throw new NatcheckError('UNSUPPORTED', message, { fix })
    }
    if (this.#installation.sqlite === undefined) {
      refuse("coturn's users and peer rules can't change while it runs without sqlite3", 'apt-get install sqlite3')
    }
    const restart = 'restart the relay for it'
    for (const { username } of next.users ?? []) checkName(username)
    if (hasSecrets(next) !== hasSecrets(options) || (hasSecrets(next) && (next.users?.length ?? 0) > 0)) {
      refuse("coturn can't change from users to shared secrets, or back, while it runs", restart)
    }
    const removed = options.denyPeers?.find((range) => !next.denyPeers?.includes(range))
    if (removed !== undefined) refuse(`coturn can't give up the denied peers ${removed} while it runs`, restart)
    const wants = ({ allowPeers = [], denyPeers = [] }: RelayOptions): boolean =>
      reachesLoopback(allowedRanges(allowPeers, denyPeers))
    if (wants(next) && !wants(options)) refuse("coturn can't begin to allow loopback peers while it runs", restart)
  }
}

const hasSecrets = ({ authSecrets = [] }: RelayOptions): boolean => authSecrets.length > 0

const rulesText = ({ users = [], authSecrets = [], allowPeers = [], denyPeers = [] }: RelayOptions): string =>
  JSON.stringify([users, authSecrets, allowPeers, denyPeers])

const writePrivate = (path: string, text: string): void => writeFileSync(path, text, { mode: 0o600 })

/** Throws USAGE or UNSUPPORTED for what only our own engine has. */
function checkSupported({ datapath = 'auto' }: RelayOptions, { hooks }: RelayCallbacks): void {
  if (hooks && Object.values(hooks).some((hook) => hook !== undefined)) {
    throw new NatcheckError('UNSUPPORTED', 'the engine coturn has no hooks', { fix: 'use the engine native' })
  }
  if (datapath !== 'auto') {
    throw new NatcheckError('UNSUPPORTED', `the engine coturn has a datapath of its own, not ${datapath}`, {
      fix: 'leave the datapath out, or use the engine native',
    })
  }
}

/**
 * Rejects as `Network.openDatagram` does. coturn would share a port with whoever else sets SO_REUSEPORT, and only log
 * what it can't have.
 */
async function checkFree(network: Network, { protocol, address }: RelayListener): Promise<void> {
  const options = { family: addressFamily(address), ...address }
  const handlers = { onDatagram: () => {}, onFailure: () => {} }
  const socket =
    protocol === 'udp'
      ? await network.openDatagram(options, handlers)
      : await network.listenStream(options, (stream) => {
          stream.close()
          return { onData: () => {}, onClose: () => {} }
        })
  socket.close()
}
