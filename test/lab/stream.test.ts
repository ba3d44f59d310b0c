import { describe, expect, test } from 'vitest'
import { formatAddress, type StreamConnection } from '../../src/core/index.ts'
import {
  homeAddresses,
  homeNetwork,
  type HomeNetwork,
  type HomeNetworkOptions,
  type VirtualListenOptions,
  tcpBlackHole,
} from '../../src/lab/index.ts'
import { at, bytes, text } from './helpers.ts'

const [primary] = homeAddresses.servers
const target = at(primary, 3478)

/** A server that echoes, and what it saw. */
function echoServer(home: HomeNetwork, options: VirtualListenOptions = {}): { from: string[]; closed: string[] } {
  const from: string[] = []
  const closed: string[] = []
  home.server.acceptStreams(
    3478,
    (connection) => {
      from.push(formatAddress(connection.remote))
      return {
        onData: (data) => connection.send(data),
        onClose: (error) => closed.push(error ? error.message : 'orderly'),
      }
    },
    options,
  )
  return { from, closed }
}

interface Client {
  readonly heard: string[]
  readonly closed: (Error | undefined)[]
  connect(tls?: { serverName: string }): Promise<StreamConnection>
}

function streamClient({ client, clock }: HomeNetwork): Client {
  const heard: string[] = []
  const closed: (Error | undefined)[] = []
  const handlers = {
    onData: (data: Uint8Array) => void heard.push(text(data)),
    onClose: (error: Error | undefined) => void closed.push(error),
  }
  const connect = (tls?: { serverName: string }): Promise<StreamConnection> =>
    clock.run(client.network.connectStream({ to: target, timeoutMs: 3000, tls }, handlers))
  return { heard, closed, connect }
}

const setUp = (options: HomeNetworkOptions = {}): HomeNetwork & { stream: Client } => {
  const home = homeNetwork({ rttMs: 40, ...options })
  return { ...home, stream: streamClient(home) }
}

describe('virtual TCP', () => {
  test('connects in one round trip, through the NAT', async () => {
    const home = setUp({ behavior: { portAssignment: 'random' } })
    const server = echoServer(home)
    const connection = await home.stream.connect()
    expect(home.clock.now()).toBe(40)
    expect(connection.local.ip).toBe('192.168.1.10')
    const [seen = ''] = server.from
    expect(seen).toMatch(/^80\.0\.0\.1:\d+$/)
    expect(seen).not.toContain(`:${connection.local.port}`)
  })

  test('carries bytes both ways in order, though packets overtake and get lost', async () => {
    const home = setUp({ jitter: 0.5, loss: 0.2, reordering: 0.3 })
    echoServer(home)
    const connection = await home.stream.connect()
    const words = Array.from({ length: 100 }, (_, i) => `${i};`)
    for (const word of words) connection.send(bytes(word))
    await home.clock.advance(60_000)
    expect(home.stream.heard.join('')).toBe(words.join(''))
  })

  test('a greeting that overtakes the acceptance is heard after it', async () => {
    const overtaken: number[] = []
    for (let seed = 0; seed < 50; seed++) {
      const home = setUp({ seed, jitter: 0.9 })
      home.server.acceptStreams(3478, (connection) => {
        connection.send(bytes('welcome'))
        return { onData: () => {}, onClose: () => {} }
      })
      const segments: string[] = []
      home.network.capture(({ where, event, packet }) => {
        if (where === 'client' && event === 'received' && packet.kind === 'tcp') segments.push(packet.segment.type)
      })
      await home.stream.connect()
      await home.clock.advance(100)
      expect(home.stream.heard).toEqual(['welcome'])
      if (segments[0] === 'data') overtaken.push(seed)
    }
    expect(overtaken.length).toBeGreaterThan(5)
  })

  test('a connection outlives the deadline for connecting', async () => {
    const home = setUp()
    echoServer(home)
    const connection = await home.stream.connect()
    await home.clock.advance(10_000)
    connection.send(bytes('still here'))
    await home.clock.advance(40)
    expect([home.stream.heard, home.stream.closed]).toEqual([['still here'], []])
  })

  test('a server whose client gave up is told by a reset', async () => {
    const home = setUp()
    const server = echoServer(home)
    const handlers = { onData: () => {}, onClose: () => {} }
    const attempt = home.clock.run(home.client.network.connectStream({ to: target, timeoutMs: 30 }, handlers))
    await expect(attempt).rejects.toMatchObject({ code: 'TIMEOUT' })
    await home.clock.advance(100)
    expect(server.closed).toEqual([expect.stringContaining('closed the connection')])
  })

  test('closing one side ends the other in order', async () => {
    const home = setUp()
    const server = echoServer(home)
    const connection = await home.stream.connect()
    connection.send(bytes('last words'))
    connection.close()
    await home.clock.advance(20)
    expect(server.closed).toEqual(['orderly'])
    expect(home.stream.closed).toEqual([undefined])
  })

  test('a server that closes', async () => {
    const home = setUp()
    home.server.acceptStreams(3478, (connection) => {
      connection.send(bytes('bye'))
      connection.close()
      return { onData: () => {}, onClose: () => {} }
    })
    await home.stream.connect()
    await home.clock.advance(100)
    expect(home.stream.heard).toEqual(['bye'])
    expect(home.stream.closed).toEqual([undefined])
  })

  test('a closed port refuses after one round trip', async () => {
    const home = setUp()
    await expect(home.stream.connect()).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' })
    expect(home.clock.now()).toBe(40)
  })

  test('a listener that stopped refuses too, and its port is free again', async () => {
    const home = setUp()
    const accept = () => ({ onData: () => {}, onClose: () => {} })
    const stop = home.server.acceptStreams(3478, accept)
    expect(() => home.server.acceptStreams(3478, accept)).toThrow(/in use/)
    stop()
    await expect(home.stream.connect()).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' })
    home.server.acceptStreams(3478, accept)
    await home.stream.connect()
  })

  test('a firewall that drops TCP costs the whole timeout', async () => {
    const home = setUp({ rule: tcpBlackHole })
    echoServer(home)
    await expect(home.stream.connect()).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(home.clock.now()).toBe(3000)
  })

  test('a firewall that rejects TCP is told at once', async () => {
    const home = setUp({ rule: ({ kind }) => (kind === 'tcp' ? 'admin-prohibited' : 'pass') })
    await expect(home.stream.connect()).rejects.toMatchObject({ code: 'UNREACHABLE' })
    expect(home.clock.now()).toBe(0)
  })

  test('a host without a network has no route', async () => {
    const { network, clock } = homeNetwork()
    const offline = network.addHost({ name: 'offline', addresses: ['80.0.0.99'], offline: true })
    const handlers = { onData: () => {}, onClose: () => {} }
    await expect(
      clock.run(offline.network.connectStream({ to: target, timeoutMs: 1000 }, handlers)),
    ).rejects.toMatchObject({ code: 'NO_ROUTE' })
  })
})

describe('virtual TLS', () => {
  const tls = { names: ['stun.example.net'] }

  test('takes one more round trip', async () => {
    const home = setUp()
    echoServer(home, { tls })
    const connection = await home.stream.connect({ serverName: 'stun.example.net' })
    expect(home.clock.now()).toBe(80)
    connection.send(bytes('secret'))
    await home.clock.advance(40)
    expect(home.stream.heard).toEqual(['secret'])
  })

  test.each([
    ['a certificate for another name', { tls }, 'other.example.net', /certificate is for stun\.example\.net/],
    [
      'a broken certificate',
      { tls: { ...tls, problem: 'certificate has expired' } },
      'stun.example.net',
      /has expired/,
    ],
    ['a server without TLS', {}, 'stun.example.net', /does not speak TLS/],
  ])('%s fails the handshake', async (_, options, serverName, message) => {
    const home = setUp()
    const server = echoServer(home, options)
    await expect(home.stream.connect({ serverName })).rejects.toMatchObject({
      code: 'TLS_FAILED',
      message: expect.stringMatching(message),
    })
    await home.clock.advance(100)
    expect(home.stream.closed).toEqual([])
    expect(server.closed.length).toBe(server.from.length)
  })

  test('plain words to a TLS server end the connection', async () => {
    const home = setUp()
    const server = echoServer(home, { tls })
    const connection = await home.stream.connect()
    connection.send(bytes('plain'))
    await home.clock.advance(100)
    expect(home.stream.closed).toEqual([undefined])
    expect(server.from).toEqual([])
  })
})
