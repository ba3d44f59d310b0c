/** coturn on loopback, for tests that reach it with this process's own sockets. Nothing of it persists. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerCertificate, TransportAddress } from '../../src/core/index.ts'
import { StunClient } from '../../src/proto/stun/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../src/transport/index.ts'
import { Method } from '../../src/wire/index.ts'
import { type Daemon, startDaemon } from './process.ts'

const ip = '127.0.0.1'

export interface LocalCoturn {
  readonly daemon: Daemon
  /** UDP and TCP. */
  readonly to: TransportAddress
  /** Where a certificate was given. */
  readonly tlsTo: TransportAddress
  stop(): Promise<void>
}

/** User alice, password secret, realm example.org; long-term credentials. */
export async function startLocalCoturn(
  options: readonly string[] = [],
  certificate?: ServerCertificate,
): Promise<LocalCoturn> {
  const directory = await mkdtemp(join(tmpdir(), 'natcheck-coturn-'))
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(directory, name), text)
    return join(directory, name)
  }
  const [to, tlsTo] = [await freeAddress(), await freeAddress()]
  const tls = certificate
    ? [
        `--tls-listening-port=${tlsTo.port}`,
        `--cert=${await write('cert.pem', certificate.cert)}`,
        `--pkey=${await write('key.pem', certificate.key)}`,
      ]
    : ['--no-tls']
  const daemon = startDaemon([
    'turnserver',
    '-n',
    '--log-file=stdout',
    '--no-cli',
    '--no-dtls',
    `--userdb=${join(directory, 'turndb')}`,
    `--pidfile=${join(directory, 'pid')}`,
    `--listening-ip=${ip}`,
    `--listening-port=${to.port}`,
    `--relay-ip=${ip}`,
    '--lt-cred-mech',
    '--realm=example.org',
    '--user=alice:secret',
    ...tls,
    ...options,
  ])
  const stop = async (): Promise<void> => {
    await daemon.stop('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await untilItAnswers(to)
    return { daemon, to, tlsTo, stop }
  } catch (error) {
    await stop()
    throw new Error(`coturn did not answer:\n${daemon.output()}`, { cause: error })
  }
}

async function freeAddress(): Promise<TransportAddress> {
  const endpoint = await nodeNetwork().openDatagram({ family: 4, ip }, { onDatagram: () => {}, onFailure: () => {} })
  endpoint.close()
  return endpoint.local
}

/** An unconnected socket hears no "port unreachable", so one request goes on until coturn's socket is open. */
async function untilItAnswers(to: TransportAddress): Promise<void> {
  const endpoint = await nodeNetwork().openDatagram(
    { family: 4, ip },
    { onDatagram: (bytes, from) => void client.receiveDatagram(bytes, from), onFailure: () => {} },
  )
  const client = new StunClient({
    clock: systemClock,
    random: systemRandom,
    to,
    send: (bytes) => endpoint.send(bytes, to),
    timing: { rtoMs: 50, requestCount: 9 },
  })
  const { kind } = await client.request({ method: Method.binding, timeoutMs: 20_000 })
  endpoint.close()
  if (kind !== 'success') throw new Error(kind)
}
