/** coturn in a network namespace: as RFC 5780 server on several addresses, or as TURN relay. Nothing of it persists. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TransportAddress } from '../../src/core/index.ts'
import type { Namespace } from './netns.ts'
import type { Daemon } from './process.ts'
import { UdpAgent } from './udp-agent.ts'

export interface CoturnOptions {
  /** The first of each family is the primary address, the second the alternate one. */
  readonly ips: readonly string[]
  /** Default 3478. */
  readonly port?: number
  /** Default 3479. */
  readonly alternatePort?: number
  /** Relay for this user, with long-term credentials. Default: STUN only. */
  readonly turn?: { readonly user: string; readonly password: string; readonly realm: string }
  /** Files with certificate and key, for TLS on 5349. Default: no TLS. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** More options, such as `--no-rfc5780`. */
  readonly options?: readonly string[]
}

export interface Coturn {
  readonly daemon: Daemon
  /** Also removes its files. */
  stop(): Promise<void>
}

/** Starts `turnserver` and waits until each of its sockets answers: it logs that it listens before it does. */
export async function startCoturn(namespace: Namespace, options: CoturnOptions): Promise<Coturn> {
  const directory = await mkdtemp(join(tmpdir(), 'natcheck-coturn-'))
  const port = options.port ?? 3478
  const alternatePort = options.alternatePort ?? 3479
  const { turn, tls } = options
  const daemon = namespace.start([
    'turnserver',
    '-n', // no configuration file
    '--log-file=stdout',
    '--simple-log',
    '--no-cli',
    ...(tls ? ['--tls-listening-port=5349', `--cert=${tls.cert}`, `--pkey=${tls.key}`] : ['--no-tls']),
    '--no-dtls',
    `--userdb=${join(directory, 'turndb')}`,
    `--pidfile=${join(directory, 'pid')}`,
    `--listening-port=${port}`,
    `--alt-listening-port=${alternatePort}`,
    ...options.ips.map((ip) => `--listening-ip=${ip}`),
    ...(turn ? ['--lt-cred-mech', `--realm=${turn.realm}`, `--user=${turn.user}:${turn.password}`] : ['--stun-only']),
    ...(options.options ?? []),
  ])
  const stop = async (): Promise<void> => {
    // SIGKILL: on SIGTERM coturn 4.6.1 waits for its threads for about a second, and there is nothing to save.
    await daemon.stop('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  }
  try {
    // A single listening address of a family has no alternate, and then coturn opens no alternate port.
    const ports = options.ips.length > 1 ? [port, alternatePort] : [port]
    const sockets = options.ips.flatMap((ip) => ports.map((each) => ({ ip, port: each })))
    const ended = new Promise<never>((_, reject) =>
      daemon.child.once('close', (status) => reject(new Error(`it ended with ${status}`))),
    )
    await Promise.race([answersStun(namespace, sockets), ended])
  } catch (error) {
    await stop()
    throw new Error(`coturn did not answer: ${String(error)}\n${daemon.output()}`, { cause: error })
  }
  return { daemon, stop }
}

/** Waits until each of these addresses, asked from within the namespace itself, answers a Binding request. */
export async function answersStun(namespace: Namespace, addresses: readonly TransportAddress[]): Promise<void> {
  const agent = await UdpAgent.start(namespace)
  try {
    await Promise.all(addresses.map((address) => answersBinding(agent, address)))
  } finally {
    await agent.stop()
  }
}

/** A Binding request of RFC 8489 §5 without attributes, as text. The transaction id can be any. */
const bindingRequest = '\x00\x01\x00\x00\x21\x12\xa4\x42ready?probe!'
/** How often to ask again a server that does not listen yet: it says nothing when it begins to. */
const ASK_EVERY_MS = 20

async function answersBinding(agent: UdpAgent, server: TransportAddress): Promise<void> {
  const socket = await agent.open(server.ip)
  const ask = (): void => socket.send(bindingRequest, server)
  const timer = setInterval(ask, ASK_EVERY_MS)
  try {
    ask()
    await socket.firstDatagram()
  } finally {
    clearInterval(timer)
    socket.close()
  }
}
