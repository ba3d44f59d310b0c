import { describe, expect, test } from 'vitest'
import type { DatagramHandlers } from '../../src/core/index.ts'
import { homeAddresses, homeNetwork, VirtualNetwork } from '../../src/lab/index.ts'
import { at, bytes, openEcho, openSocket, text } from './helpers.ts'

const [primary, alternate] = homeAddresses.servers
const deaf: DatagramHandlers = { onDatagram: () => {}, onFailure: () => {} }

describe('binding', () => {
  test('port 0 picks distinct ephemeral ports, the same ones for the same seed', async () => {
    const ports = async (seed: number): Promise<number[]> => {
      const { client } = homeNetwork({ seed })
      const sockets = await Promise.all(Array.from({ length: 50 }, () => openSocket(client)))
      return sockets.map(({ endpoint }) => endpoint.local.port)
    }
    const first = await ports(1)
    expect(new Set(first).size).toBe(50)
    expect(Math.min(...first)).toBeGreaterThanOrEqual(32768)
    expect(Math.max(...first)).toBeLessThanOrEqual(60999)
    expect(await ports(1)).toEqual(first)
    expect(await ports(2)).not.toEqual(first)
  })

  test('the wildcard address is what is bound when none is asked for', async () => {
    const { client } = homeNetwork()
    expect((await client.network.openDatagram({ family: 4, port: 5000 }, deaf)).local).toEqual(at('0.0.0.0', 5000))
    expect((await client.network.openDatagram({ family: 6, port: 5000 }, deaf)).local).toEqual(at('::', 5000))
  })

  test.each([
    ['twice the same', '50.0.0.1', '50.0.0.1', true],
    ['wildcard, then specific', undefined, '50.0.0.1', true],
    ['specific, then wildcard', '50.0.0.1', undefined, true],
    ['two addresses of one host', '50.0.0.1', '50.0.0.2', false],
    ['loopback beside an interface', '127.0.0.1', '50.0.0.1', false],
  ])('%s', async (_, first, second, clash) => {
    const { server } = homeNetwork()
    const socket = await openSocket(server, first, 3478)
    const again = openSocket(server, second, 3478)
    if (!clash) expect((await again).endpoint.local.port).toBe(3478)
    else {
      await expect(again).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
      socket.endpoint.close()
      expect((await openSocket(server, second, 3478)).endpoint.local.port).toBe(3478)
    }
  })

  test('an address of somebody else, or of the other family, is refused', async () => {
    const { client } = homeNetwork()
    await expect(openSocket(client, '50.0.0.1')).rejects.toMatchObject({ code: 'BAD_ADDRESS' })
    await expect(client.network.openDatagram({ family: 6, ip: '192.168.1.10' }, deaf)).rejects.toMatchObject({
      code: 'BAD_ADDRESS',
    })
  })

  test('a host whose kernel lacks a family', async () => {
    const network = new VirtualNetwork()
    const host = network.addHost({ name: 'old', addresses: ['80.0.0.10'], families: [4] })
    await expect(openSocket(host, '::')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })
})

describe('datagrams', () => {
  test('a wildcard socket hears every address and answers from the first', async () => {
    const { clock, client, server } = homeNetwork({ behavior: { filtering: 'endpoint-independent' } })
    const wildcard = await openSocket(server, undefined, 3478)
    const socket = await openSocket(client, undefined, 40000)
    for (const ip of [primary, alternate]) socket.send('hello', at(ip, 3478))
    await clock.advance(20)
    expect(wildcard.heard).toEqual(['hello<80.0.0.1:40000', 'hello<80.0.0.1:40000'])
    wildcard.send('answer', at('80.0.0.1', 40000))
    await clock.advance(20)
    expect(socket.heard).toEqual([`answer<${primary}:3478`])
  })

  test('a host that writes to one of its own addresses writes from it', async () => {
    const { clock, server } = homeNetwork()
    const echo = await openEcho(server, alternate, 3478)
    const socket = await openSocket(server, undefined, 40000)
    socket.send('myself', at(alternate, 3478))
    await clock.advance(0)
    expect(echo.heard).toEqual([`myself<${alternate}:40000`])
  })

  test('the handler is never called from inside send, even on loopback', async () => {
    const { clock, client } = homeNetwork()
    const echo = await openEcho(client, '127.0.0.1', 3478)
    const socket = await openSocket(client, '127.0.0.2', 40000)
    socket.send('hello', at('127.0.0.1', 3478))
    expect(echo.heard).toEqual([])
    await clock.advance(0)
    expect(echo.heard).toEqual(['hello<127.0.0.2:40000'])
    expect(socket.heard).toEqual(['127.0.0.2:40000<127.0.0.1:3478'])
  })

  test('nor over a line without delay', async () => {
    const { clock, client, neighbour } = homeNetwork()
    const echo = await openEcho(neighbour, '192.168.1.11', 3478)
    const socket = await openSocket(client)
    socket.send('hello', at('192.168.1.11', 3478))
    expect(echo.heard).toEqual([])
    await clock.advance(0)
    expect(socket.heard).toHaveLength(1)
  })

  test('the sender may reuse its buffer', async () => {
    const { clock, client, server } = homeNetwork()
    const echo = await openSocket(server, primary, 9)
    const socket = await openSocket(client)
    const buffer = bytes('first')
    socket.endpoint.send(buffer, at(primary, 9))
    buffer.fill(0)
    await clock.advance(100)
    expect(echo.heard[0]).toMatch(/^first</)
  })

  test('a closed socket neither sends nor hears', async () => {
    const { clock, client, server } = homeNetwork()
    const echo = await openEcho(server, primary, 3478)
    const socket = await openSocket(client)
    socket.send('before', at(primary, 3478))
    socket.endpoint.close()
    socket.send('after', at(primary, 3478))
    await clock.advance(100)
    expect(echo.heard).toHaveLength(1)
    expect(socket.heard).toEqual([])
  })

  test('what this machine itself refuses is a failure of any socket, after send has returned', async () => {
    const { clock, client, network } = homeNetwork()
    const socket = await openSocket(client)
    client.rule = (packet) => (packet.kind === 'udp' && packet.destination.port === 1 ? 'drop' : 'pass')
    socket.send('x', at('2a00:50::1', 9))
    socket.send('x', at(primary, 1))
    socket.endpoint.send(new Uint8Array(65508), at(primary, 9))
    expect(socket.failures).toEqual([])
    const offline = await openSocket(
      network.addHost({ name: 'offline', addresses: ['80.0.0.99'], offline: true }),
      undefined,
    )
    offline.send('x', at(primary, 9))
    await clock.advance(0)
    const told = [...socket.failures, ...offline.failures].map(({ reason, detail }) => `${reason} ${detail}`)
    expect(told).toEqual([
      'no-route ENETUNREACH',
      'local-firewall EPERM',
      'message-too-big EMSGSIZE',
      'no-route ENETUNREACH',
    ])
  })
})

describe('connected datagrams', () => {
  test('learn the local address that the routing table picks, and hear only their peer', async () => {
    const { clock, client, server } = homeNetwork({ behavior: { filtering: 'endpoint-independent' } })
    const heard: string[] = []
    const handlers = { ...deaf, onDatagram: (payload: Uint8Array) => void heard.push(text(payload)) }
    const endpoint = await client.network.connectDatagram(at(primary, 3478), {}, handlers)
    expect(endpoint.local.ip).toBe('192.168.1.10')
    expect(endpoint.remote).toEqual(at(primary, 3478))
    await openEcho(server, primary, 3478)
    const outsider = await openSocket(server, alternate, 3478)
    endpoint.send(bytes('hello'))
    await clock.advance(100)
    outsider.send('unasked', at('80.0.0.1', endpoint.local.port))
    await clock.advance(100)
    expect(heard).toEqual([`80.0.0.1:${endpoint.local.port}`])
  })

  test('ICMP errors reach the connected socket that caused them and no other', async () => {
    const { clock, client } = homeNetwork()
    const told: string[] = []
    const connect = (name: string, ip: string) =>
      client.network.connectDatagram(
        at(ip, 9),
        {},
        { ...deaf, onFailure: ({ reason }) => told.push(`${name} ${reason}`) },
      )
    const [one] = await Promise.all([connect('one', primary), connect('two', alternate)])
    const unconnected = await openSocket(client)
    one?.send(bytes('x'))
    unconnected.send('x', at(primary, 9))
    await clock.advance(100)
    expect(told).toEqual(['one port-unreachable'])
    expect(unconnected.failures).toEqual([])
  })

  test('a host that hides its closed ports is silent', async () => {
    const network = new VirtualNetwork()
    const client = network.addHost({ name: 'client', addresses: ['80.0.0.10'] })
    network.addHost({ name: 'server', addresses: [primary], closedPorts: 'silent' })
    const told: string[] = []
    const endpoint = await client.network.connectDatagram(
      at(primary, 9),
      {},
      { ...deaf, onFailure: ({ reason }) => told.push(reason) },
    )
    endpoint.send(bytes('x'))
    await network.clock.advance(10)
    expect(told).toEqual([])
  })

  test('no route is told when connecting', async () => {
    const { client } = homeNetwork()
    await expect(client.network.connectDatagram(at('2a00:50::1', 9), {}, deaf)).rejects.toMatchObject({
      code: 'NO_ROUTE',
    })
  })
})

test('interfaces are listed with loopback', () => {
  const { server } = homeNetwork({ ipv6: 'open' })
  expect(server.network.interfaces().map(({ ip, internal }) => `${ip}${internal ? ' internal' : ''}`)).toEqual([
    '127.0.0.1 internal',
    '::1 internal',
    '50.0.0.1',
    '50.0.0.2',
    '2a00:50::1',
    '2a00:50::2',
  ])
})
