import { describe, expect, it } from 'vitest'
import type { StreamConnection } from '../../../src/core/index.ts'
import { homeAddresses, type HomeNetwork, homeNetwork, SeededRandom } from '../../../src/lab/index.ts'
import { openStunConnection, type StunConnectionOptions } from '../../../src/proto/stun/index.ts'
import { startStunServer } from '../../../src/relay/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../../src/transport/index.ts'
import { decodeMessage, get, Method, xorMappedAddress } from '../../../src/wire/index.ts'
import { expectOk, success } from './messages.ts'

const binding = { method: Method.binding }
const [primaryIp, alternateIp] = homeAddresses.servers
const to = { ip: primaryIp, port: 3478 }

/** Opens a connection from the home's client and sends one request; the home's clock runs it all. */
async function ask(home: HomeNetwork, options: Partial<StunConnectionOptions>) {
  const ports = { network: home.client.network, clock: home.clock, random: new SeededRandom('client') }
  const connection = await openStunConnection(ports, { to, protocol: 'udp', connectTimeoutMs: 5000, ...options })
  const outcome = await connection.client.request({ ...binding, timeoutMs: 5000 })
  connection.close()
  return { outcome, connection }
}

const binder = (bytes: Uint8Array): Uint8Array =>
  success({ transactionId: expectOk(decodeMessage(bytes)).transactionId }).bytes

describe('over UDP', () => {
  it('asks the embedded server through a NAT', async () => {
    const home = homeNetwork({ behavior: {}, rttMs: 20 })
    const work = async () => {
      await startStunServer(home.server.network, { primaryIp, alternateIp, primaryPort: 3478, alternatePort: 3479 })
      return ask(home, {})
    }
    const { outcome, connection } = await home.clock.run(work())
    if (outcome.kind !== 'success') throw new Error(outcome.kind)
    expect(outcome).toMatchObject({ rttMs: 20, from: to })
    expect(get(outcome.message, xorMappedAddress)?.ip).toBe(homeAddresses.external)
    expect(connection).toMatchObject({ remote: to, local: { ip: '192.168.1.10' } })
  })

  it('learns of a closed port by ICMP, in one round trip', async () => {
    const home = homeNetwork({ behavior: 'open', rttMs: 20 })
    const { outcome } = await home.clock.run(ask(home, {}))
    expect(outcome).toMatchObject({ kind: 'unreachable', failure: { reason: 'port-unreachable' }, elapsedMs: 20 })
  })

  it('cancels what is open when it is closed', async () => {
    const home = homeNetwork({ behavior: 'open', rttMs: 20 })
    const ports = { network: home.client.network, clock: home.clock, random: new SeededRandom('client') }
    const work = async () => {
      const connection = await openStunConnection(ports, { to, protocol: 'udp', connectTimeoutMs: 5000 })
      const running = connection.client.request(binding)
      connection.close()
      return running
    }
    expect(await home.clock.run(work())).toMatchObject({ kind: 'cancelled', totalMs: 0 })
  })
})

describe('over TCP and TLS', () => {
  /** A stream server that answers each chunk with `answer`. */
  function serve(
    answer: (bytes: Uint8Array, stream: StreamConnection) => void,
    tls?: { names: string[] },
  ): HomeNetwork {
    const home = homeNetwork({ behavior: 'open', rttMs: 20 })
    home.server.acceptStreams(
      3478,
      (stream) => ({ onData: (bytes) => answer(bytes, stream), onClose: () => {} }),
      tls ? { tls } : {},
    )
    return home
  }

  it('asks over TCP, and an answer may come byte by byte', async () => {
    const home = serve((bytes, stream) => {
      for (const byte of binder(bytes)) stream.send(Uint8Array.of(byte))
    })
    const { outcome } = await home.clock.run(ask(home, { protocol: 'tcp' }))
    expect(outcome).toMatchObject({ kind: 'success', transmissions: 1 })
  })

  it("asks over TLS by the server's name", async () => {
    const home = serve((bytes, stream) => stream.send(binder(bytes)), { names: ['stun.example.org'] })
    const { outcome } = await home.clock.run(ask(home, { protocol: 'tls', serverName: 'stun.example.org' }))
    expect(outcome.kind).toBe('success')
    await expect(home.clock.run(ask(home, { protocol: 'tls', serverName: 'other.example.org' }))).rejects.toMatchObject(
      {
        code: 'TLS_FAILED',
      },
    )
  })

  it('says what else the server speaks', async () => {
    const home = serve((_, stream) => stream.send(new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n')))
    const { outcome } = await home.clock.run(ask(home, { protocol: 'tcp' }))
    expect(outcome).toMatchObject({ kind: 'closed', why: expect.stringContaining('does not speak STUN: "HTTP') })
  })

  it('ends when the server hangs up', async () => {
    const home = serve((_, stream) => stream.close())
    const { outcome } = await home.clock.run(ask(home, { protocol: 'tcp' }))
    expect(outcome).toMatchObject({ kind: 'closed', why: '50.0.0.1:3478 closed the connection' })
  })

  it('rejects when nobody listens', async () => {
    const home = homeNetwork({ behavior: 'open' })
    await expect(home.clock.run(ask(home, { protocol: 'tcp' }))).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' })
  })
})

describe('on loopback', () => {
  it('asks the embedded server over real sockets, and hears a closed port at once', async () => {
    const server = await startStunServer(nodeNetwork(), { primaryIp: '127.0.0.1' })
    const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
    const connection = await openStunConnection(ports, { to: server.primary, protocol: 'udp', connectTimeoutMs: 1000 })
    const outcome = await connection.client.request(binding)
    if (outcome.kind !== 'success') throw new Error(outcome.kind)
    expect(get(outcome.message, xorMappedAddress)).toEqual(connection.local)
    server.close()
    const refused = await connection.client.request({ ...binding, timeoutMs: 5000 })
    expect(refused).toMatchObject({ kind: 'unreachable', failure: { reason: 'port-unreachable' } })
    connection.close()
  })
})
