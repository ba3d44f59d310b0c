/** coturn 4 on loopback: its server against our credentials, its clients against our Binding responder. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { TransportAddress, TransportProtocol } from '../../../src/core/index.ts'
import { openStunConnection, type RequestOutcome, type StunConnection } from '../../../src/proto/stun/index.ts'
import { startStunServer, type StunServer } from '../../../src/relay/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../../src/transport/index.ts'
import { attribute, get, lifetime, Method, requestedTransport, xorRelayedAddress } from '../../../src/wire/index.ts'
import { type LocalCoturn, startLocalCoturn } from '../../support/local-coturn.ts'
import { run } from '../../support/process.ts'
import { describeIf } from '../../support/requirements.ts'

const ip = '127.0.0.1'
const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }

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
  let coturn: LocalCoturn
  let to: TransportAddress

  beforeAll(async () => {
    coturn = await startLocalCoturn(['--stale-nonce=600'])
    to = coturn.to
  })
  afterAll(() => coturn?.stop())

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
