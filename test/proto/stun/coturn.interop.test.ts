/** coturn 4 on loopback: its server against our credentials, its clients against our Binding responder. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { TransportAddress, TransportProtocol } from '../../../src/core/index.ts'
import {
  openStunConnection,
  type RequestOutcome,
  StunClient,
  type StunConnection,
} from '../../../src/proto/stun/index.ts'
import { startStunServer, type StunServer } from '../../../src/relay/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../../src/transport/index.ts'
import { attribute, get, lifetime, Method, requestedTransport, xorRelayedAddress } from '../../../src/wire/index.ts'
import { type Daemon, run, startDaemon } from '../../support/process.ts'
import { describeIf } from '../../support/requirements.ts'

const ip = '127.0.0.1'
const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }

async function freePort(): Promise<number> {
  const endpoint = await nodeNetwork().openDatagram({ family: 4, ip }, { onDatagram: () => {}, onFailure: () => {} })
  endpoint.close()
  return endpoint.local.port
}

const connect = (to: TransportAddress, protocol: TransportProtocol, password: string): Promise<StunConnection> =>
  openStunConnection(ports, {
    to,
    protocol,
    credentials: { kind: 'long-term', username: 'alice', password },
    connectTimeoutMs: 5000,
  })

const allocate = ({ client }: StunConnection): Promise<RequestOutcome> =>
  client.request({
    method: Method.allocate,
    attributes: [attribute(requestedTransport, 17), attribute(lifetime, 600)],
    timeoutMs: 10_000,
  })

const release = ({ client }: StunConnection): Promise<RequestOutcome> =>
  client.request({ method: Method.refresh, attributes: [attribute(lifetime, 0)], timeoutMs: 10_000 })

describeIf(['turnserver'], 'coturn with long-term credentials', () => {
  let directory: string
  let daemon: Daemon
  let to: TransportAddress

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'natcheck-coturn-'))
    to = { ip, port: await freePort() }
    daemon = startDaemon([
      'turnserver',
      '-n',
      '--log-file=stdout',
      '--no-cli',
      '--no-tls',
      '--no-dtls',
      `--userdb=${join(directory, 'turndb')}`,
      `--pidfile=${join(directory, 'pid')}`,
      `--listening-ip=${ip}`,
      `--listening-port=${to.port}`,
      `--relay-ip=${ip}`,
      '--lt-cred-mech',
      '--realm=example.org',
      '--user=alice:secret',
      '--stale-nonce=600',
    ])
    await untilItAnswers()
  })

  afterAll(async () => {
    await daemon?.stop('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  })

  /** An unconnected socket hears no "port unreachable", so one request goes on until coturn's socket is open. */
  async function untilItAnswers(): Promise<void> {
    const endpoint = await nodeNetwork().openDatagram(
      { family: 4, ip },
      { onDatagram: (bytes, from) => void client.receiveDatagram(bytes, from), onFailure: () => {} },
    )
    const send = (bytes: Uint8Array): void => endpoint.send(bytes, to)
    const client = new StunClient({ ...ports, to, send, timing: { rtoMs: 50, requestCount: 9 } })
    const { kind } = await client.request({ method: Method.binding, timeoutMs: 20_000 })
    endpoint.close()
    if (kind !== 'success') throw new Error(`coturn did not answer (${kind}):\n${daemon.output()}`)
  }

  it.each(['udp', 'tcp'] as const)(
    'meets its challenge over %s, and needs none for the next request',
    async (protocol) => {
      const connection = await connect(to, protocol, 'secret')
      const allocated = await allocate(connection)
      if (allocated.kind !== 'success') throw new Error(JSON.stringify(allocated))
      expect(allocated).toMatchObject({ transactions: 2, authenticated: true, discarded: [] })
      expect(get(allocated.message, xorRelayedAddress)?.ip).toBe(ip)
      expect(connection.client.session?.realm).toBe('example.org')
      expect(await release(connection)).toMatchObject({ kind: 'success', transactions: 1, authenticated: true })
      connection.close()
    },
  )

  it('says that the password is wrong', async () => {
    const connection = await connect(to, 'udp', 'wrong')
    expect(await allocate(connection)).toMatchObject({
      kind: 'error-response',
      error: { code: 401 },
      transactions: 2,
      refusal: 'the server does not accept this username and password',
    })
    connection.close()
  })

  it('believes an error response that coturn signed', async () => {
    const connection = await connect(to, 'udp', 'secret')
    // Nothing is allocated yet.
    expect(await release(connection)).toMatchObject({
      kind: 'error-response',
      error: { code: 437 },
      authenticated: true,
    })
    connection.close()
  })
})

describeIf(['turnutils'], "coturn's clients", () => {
  let server: StunServer

  beforeAll(async () => {
    server = await startStunServer(nodeNetwork(), { primaryIp: ip, alternateIp: '127.0.0.2' })
  })
  afterAll(() => server?.close())

  it('find no NAT on loopback with turnutils_natdiscovery -m -f', async () => {
    const { stdout, stderr } = await run(
      ['turnutils_natdiscovery', '-m', '-f', '-p', `${server.primary.port}`, '-L', ip, ip],
      { timeoutMs: 30_000 },
    )
    const output = stdout + stderr
    expect(output).toContain('No ALG: Mapped == XOR-Mapped')
    expect(output).toContain('No NAT! (Endpoint Independent Mapping)')
    expect(output).toContain(`Other addr: : ${server.alternate?.ip}:${server.alternate?.port}`)
    // It says so of an open host too.
    expect(output).toContain('NAT with Endpoint Independent Filtering!')
  })

  it('read our answers with turnutils_stunclient', async () => {
    const { stdout, stderr } = await run(['turnutils_stunclient', '-p', `${server.primary.port}`, '-L', ip, ip])
    const output = stdout + stderr
    expect(output).toContain('RFC 5780 response 1')
    expect(output).toContain('RFC 5780 response 2')
  })
})
