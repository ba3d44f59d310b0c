import { describe, expect, test } from 'vitest'
import { formatAddress } from '../../src/core/index.ts'
import {
  allOf,
  type CapturedPacket,
  fragmentsDropped,
  homeAddresses,
  homeNetwork,
  type HomeNetworkOptions,
  nothingPasses,
  SeededRandom,
  udpBlackHole,
  udpProhibited,
  VirtualNetwork,
} from '../../src/lab/index.ts'
import { at, openEcho, openSocket } from './helpers.ts'

const [primary, alternate] = homeAddresses.servers
const target = at(primary, 3478)

/** What the server's echo tells a client that asks once. */
async function mappedAddress(options: HomeNetworkOptions): Promise<string | undefined> {
  const { clock, client, server } = homeNetwork(options)
  await openEcho(server, primary, 3478)
  const socket = await openSocket(client, undefined, 40000)
  socket.send('who am I', target)
  await clock.advance(1000)
  return socket.heard[0]?.split('<')[0]
}

describe('homeNetwork', () => {
  test('a datagram takes one round trip through the NAT and back', async () => {
    const { clock, client, server } = homeNetwork({ rttMs: 30 })
    await openEcho(server, primary, 3478)
    const socket = await openSocket(client, undefined, 40000)
    socket.send('hello', target)
    await clock.advance(29.9)
    expect(socket.heard).toEqual([])
    await clock.advance(0.2)
    expect(socket.heard).toEqual([`80.0.0.1:40000<${formatAddress(target)}`])
  })

  test('the server has two addresses, and answers from the one it was asked on', async () => {
    const { clock, client, server } = homeNetwork()
    await openEcho(server, alternate, 3479)
    const socket = await openSocket(client, undefined, 40000)
    socket.send('hello', at(alternate, 3479))
    await clock.advance(20)
    expect(socket.heard).toEqual([`80.0.0.1:40000<${formatAddress(at(alternate, 3479))}`])
  })

  test('each way of being connected shows the server another address', async () => {
    expect(await mappedAddress({})).toBe('80.0.0.1:40000')
    expect(await mappedAddress({ behavior: 'open' })).toBe('80.0.0.10:40000')
    expect(await mappedAddress({ behavior: { mapping: 'none' } })).toBe('80.0.0.10:40000')
    expect(await mappedAddress({ cgnat: {} })).toBe('90.0.0.1:40000')
    expect(await mappedAddress({ cgnat: {}, behavior: { mapping: 'none' } })).toBe('90.0.0.1:40000')
    expect(await mappedAddress({ externalIps: ['80.0.0.5'] })).toBe('80.0.0.5:40000')
    expect(await mappedAddress({ rule: udpBlackHole })).toBeUndefined()
  })

  test('neighbours talk without the NAT, and share its outside address', async () => {
    const { clock, client, neighbour, server, router } = homeNetwork()
    const echo = await openEcho(server, primary, 3478)
    const one = await openSocket(client, undefined, 40000)
    const two = await openSocket(neighbour, undefined, 40000)
    one.send('to a neighbour', at('192.168.1.11', 40000))
    await clock.advance(0)
    expect(two.heard).toEqual(['to a neighbour<192.168.1.10:40000'])
    expect(router.nat(4)?.mappings(clock.now())).toEqual([])
    one.send('one', target)
    two.send('two', target)
    await clock.advance(100)
    expect(echo.heard).toEqual(['one<80.0.0.1:40000', 'two<80.0.0.1:40001'])
  })

  test('the gateway is a host of its own, on the inside only', async () => {
    const { clock, client, gateway, server, network } = homeNetwork()
    const dropped: string[] = []
    network.capture(({ where, event, why }) => event === 'dropped' && dropped.push(`${where}: ${why}`))
    expect(await client.network.defaultGateway(4)).toBe('192.168.1.1')
    await openEcho(gateway, '192.168.1.1', 5351)
    const socket = await openSocket(client, undefined, 40000)
    socket.send('public address?', at('192.168.1.1', 5351))
    const outsider = await openSocket(server)
    outsider.send('public address?', at('192.168.1.1', 5351))
    await clock.advance(100)
    expect(socket.heard).toEqual(['192.168.1.10:40000<192.168.1.1:5351'])
    expect(outsider.heard).toEqual([])
    // The internet knows no private addresses.
    expect(dropped).toEqual(['internet: unroutable'])
  })

  test('IPv6 goes beside the NAT: routed when open, filtered otherwise', async () => {
    const [primary6] = homeAddresses.servers6
    for (const ipv6 of ['open', {}] as const) {
      const { clock, client, server } = homeNetwork({ ipv6 })
      const echo = await openEcho(server, primary6, 3478)
      const socket = await openSocket(client, '::', 40000)
      const outsider = await openSocket(server, primary6, 9)
      outsider.send('unasked', at('2a00:80::10', 40000))
      socket.send('hello', at(primary6, 3478))
      await clock.advance(100)
      expect(echo.heard).toEqual(['hello<[2a00:80::10]:40000'])
      const answer = `[2a00:80::10]:40000<[${primary6}]:3478`
      expect(socket.heard).toEqual(ipv6 === 'open' ? [`unasked<[${primary6}]:9`, answer] : [answer])
    }
  })
})

describe('chained NATs', () => {
  test('filter and map at both levels', async () => {
    const home = homeNetwork({ behavior: { filtering: 'endpoint-independent' }, cgnat: { portAssignment: 'random' } })
    const echo = await openEcho(home.server, primary, 3478)
    const socket = await openSocket(home.client, undefined, 40000)
    socket.send('hello', target)
    await home.clock.advance(20)
    expect(home.router.nat(4)?.mappings(home.clock.now())[0]?.external).toEqual(at('100.64.0.7', 40000))
    const [seen = ''] = echo.heard
    expect(seen).toMatch(/^hello<90\.0\.0\.1:/)
    expect(seen).not.toContain(':40000')
    // The inner NAT lets anybody in; the outer one does not.
    const outsider = await openSocket(home.server, alternate, 3478)
    outsider.send('unasked', at('90.0.0.1', Number(seen.split(':')[1])))
    await home.clock.advance(20)
    expect(socket.heard).toHaveLength(1)
  })

  test('the outer NAT hairpins between two homes behind it', async () => {
    const home = homeNetwork({ cgnat: { hairpinning: 'external-source' } })
    await openEcho(home.server, primary, 3478)
    const [one, two] = [
      await openSocket(home.client, undefined, 40000),
      await openSocket(home.neighbour, undefined, 50000),
    ]
    one.send('hello', target)
    two.send('hello', target)
    await home.clock.advance(100)
    one.send('hairpin', at('90.0.0.1', 50000))
    two.send('hairpin', at('90.0.0.1', 40000))
    await home.clock.advance(100)
    // The first one only opened its own door; the second found it open.
    expect(one.heard.at(-1)).toBe('hairpin<90.0.0.1:50000')
    expect(two.heard).toHaveLength(1)
  })
})

describe('where packets end', () => {
  const failuresOf = async (options: HomeNetworkOptions, to = target): Promise<string[]> => {
    const { clock, client } = homeNetwork(options)
    const failures: string[] = []
    const endpoint = await client.network.connectDatagram(
      to,
      {},
      {
        onDatagram: () => {},
        onFailure: ({ reason, to: about, detail }) => failures.push(`${reason} ${about?.ip} ${detail} @${clock.now()}`),
      },
    )
    endpoint.send(new Uint8Array(4))
    await clock.advance(1000)
    return failures
  }

  test('a closed port answers a connected socket with ICMP, back through both NATs', async () => {
    const expected = [`port-unreachable ${primary} ECONNREFUSED @20`]
    expect(await failuresOf({})).toEqual(expected)
    expect(await failuresOf({ cgnat: { portAssignment: 'random' } })).toEqual(expected)
    expect(await failuresOf({ behavior: 'open' })).toEqual(expected)
  })

  test('a black hole is silent, a prohibition is told at once', async () => {
    expect(await failuresOf({ rule: udpBlackHole })).toEqual([])
    expect(await failuresOf({ rule: udpProhibited })).toEqual([`admin-prohibited ${primary} EHOSTUNREACH @0`])
  })

  test('a dead alternate address is silent, and so is an address nobody has', async () => {
    expect(await failuresOf({ deadAlternate: true }, at(alternate, 3478))).toEqual([])
    expect(await failuresOf({}, at('50.0.0.9', 3478))).toEqual([])
  })

  test('an internet that says what it cannot route', async () => {
    const network = new VirtualNetwork({ unroutable: 'host-unreachable' })
    const host = network.addHost({ name: 'host', addresses: ['80.0.0.10'] })
    const failures: string[] = []
    const endpoint = await host.network.connectDatagram(
      target,
      {},
      { onDatagram: () => {}, onFailure: ({ reason }) => failures.push(reason) },
    )
    endpoint.send(new Uint8Array(1))
    await network.clock.advance(1)
    expect(failures).toEqual(['host-unreachable'])
  })

  test('a rule refused on the way in is told to the sender outside, about the address it used', async () => {
    const { clock, client, server, router } = homeNetwork({ behavior: { filtering: 'endpoint-independent' } })
    const socket = await openSocket(client, undefined, 40000)
    socket.send('opens a mapping', target)
    await clock.advance(100)
    router.rule = (packet, direction) =>
      direction === 'inbound' && packet.kind === 'udp' ? 'admin-prohibited' : 'pass'
    const failures: string[] = []
    const probe = await server.network.connectDatagram(
      at('80.0.0.1', 40000),
      {},
      { onDatagram: () => {}, onFailure: ({ reason, to }) => failures.push(`${reason} ${to?.ip}`) },
    )
    probe.send(new Uint8Array(1))
    await clock.advance(100)
    expect([failures, socket.heard]).toEqual([['admin-prohibited 80.0.0.1'], []])
  })

  test('fragments are dropped by size, and rules combine', async () => {
    const { clock, client, server } = homeNetwork({ rule: allOf(() => 'pass', fragmentsDropped) })
    const sizes: number[] = []
    await server.network.openDatagram(
      { family: 4, port: 9 },
      { onDatagram: (payload) => sizes.push(payload.length), onFailure: () => {} },
    )
    const socket = await openSocket(client)
    for (const size of [1472, 1473]) socket.endpoint.send(new Uint8Array(size), at(primary, 9))
    await clock.advance(100)
    expect(sizes).toEqual([1472])
  })

  test('a rule switched on while the network runs', async () => {
    const { clock, client, server, router } = homeNetwork()
    await openEcho(server, primary, 3478)
    const socket = await openSocket(client)
    socket.send('passes', target)
    await clock.advance(100)
    router.rule = nothingPasses
    socket.send('does not', target)
    await clock.advance(100)
    expect(socket.heard).toHaveLength(1)
  })
})

describe('lines', () => {
  /** Sends `count` numbered datagrams, one per millisecond, from a client to a server. */
  const stream = async (options: HomeNetworkOptions, count: number): Promise<{ order: number[]; delays: number[] }> => {
    const { clock, client, server } = homeNetwork({ behavior: 'open', ...options })
    const order: number[] = []
    const delays: number[] = []
    await server.network.openDatagram(
      { family: 4, port: 9 },
      {
        onDatagram: (payload) => {
          const number = new DataView(payload.buffer).getUint32(0)
          order.push(number)
          delays.push(clock.now() - number)
        },
        onFailure: () => {},
      },
    )
    const socket = await openSocket(client)
    for (let i = 0; i < count; i++) {
      const payload = new Uint8Array(4)
      new DataView(payload.buffer).setUint32(0, i)
      socket.endpoint.send(payload, at(primary, 9))
      await clock.advance(1)
    }
    await clock.advance(1000)
    return { order, delays }
  }

  test('a perfect line keeps order and time', async () => {
    const { order, delays } = await stream({ rttMs: 20 }, 100)
    expect(order).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(new Set(delays)).toEqual(new Set([10]))
  })

  test.each([0.05, 0.2])('loses %f of the packets in each direction', async (loss) => {
    const { order } = await stream({ loss }, 5000)
    const deviation = Math.sqrt(5000 * loss * (1 - loss))
    expect(Math.abs(5000 - order.length - 5000 * loss)).toBeLessThan(4 * deviation)
  })

  test('loss can differ by direction', async () => {
    const { order } = await stream({ loss: { up: 0, down: 1 } }, 50)
    expect(order).toHaveLength(50)
    expect((await stream({ loss: { up: 1, down: 0 } }, 50)).order).toEqual([])
  })

  test('jitter spreads the latency evenly about its mean, and packets overtake', async () => {
    const { order, delays } = await stream({ rttMs: 100, jitter: 0.5 }, 2000)
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(25)
    expect(Math.min(...delays)).toBeLessThan(27)
    expect(Math.max(...delays)).toBeLessThanOrEqual(75)
    expect(Math.max(...delays)).toBeGreaterThan(73)
    expect(delays.reduce((sum, delay) => sum + delay, 0) / delays.length).toBeCloseTo(50, -1)
    expect(order).not.toEqual(order.toSorted((a, b) => a - b))
    expect(order).toHaveLength(2000)
  })

  test('reordering holds some packets back, and only some', async () => {
    const { order, delays } = await stream({ rttMs: 40, reordering: 0.1 }, 2000)
    const late = delays.filter((delay) => delay > 20).length
    expect(Math.abs(late - 200)).toBeLessThan(60)
    expect(Math.max(...delays)).toBeLessThan(40)
    expect(order).not.toEqual(order.toSorted((a, b) => a - b))
  })

  test('duplication delivers twice, each with bytes of its own', async () => {
    const { clock, client, server } = homeNetwork({ duplication: 1 })
    const heard: Uint8Array[] = []
    await server.network.openDatagram(
      { family: 4, port: 9 },
      { onDatagram: (payload) => heard.push(payload), onFailure: () => {} },
    )
    const socket = await openSocket(client)
    socket.send('x', at(primary, 9))
    await clock.advance(100)
    expect(heard).toHaveLength(2)
    heard[0]?.fill(0)
    expect(heard[1]).toEqual(Uint8Array.of(120))
  })
})

describe('determinism', () => {
  const trace = async (seed: number): Promise<string[]> => {
    const lines: string[] = []
    const behavior = { mapping: 'address-and-port-dependent', portAssignment: 'random' } as const
    const home = homeNetwork({ seed, behavior, loss: 0.2, jitter: 0.5, duplication: 0.1, reordering: 0.1 })
    home.network.capture(({ at: when, where, event, why, packet }: CapturedPacket) => {
      const addresses =
        packet.kind === 'icmp-error'
          ? packet.to
          : `${formatAddress(packet.source)}>${formatAddress(packet.destination)}`
      lines.push(`${when} ${where} ${event} ${why ?? ''} ${packet.kind} ${addresses}`)
    })
    for (const ip of [primary, alternate]) await openEcho(home.server, ip, 3478)
    const socket = await openSocket(home.client)
    for (let i = 0; i < 50; i++) {
      socket.send(`${i}`, at(i % 2 ? primary : alternate, i % 5 ? 3478 : 9))
      await home.clock.advance(3)
    }
    await home.clock.advance(1000)
    return lines
  }

  test('the same seed gives the same trace, another seed another', async () => {
    const first = await trace(1)
    expect(first.length).toBeGreaterThan(150)
    expect(await trace(1)).toEqual(first)
    expect(await trace(2)).not.toEqual(first)
  })
})

describe('capture', () => {
  test('sees packets sent, received and dropped, with the reason, until it is ended', async () => {
    const home = homeNetwork({ deadAlternate: true })
    const seen: string[] = []
    const stop = home.network.capture(({ where, event, why, packet }) => {
      seen.push(`${where} ${event}${why ? ` (${why})` : ''} ${packet.kind}`)
    })
    await openEcho(home.server, primary, 3478)
    const socket = await openSocket(home.client, undefined, 40000)
    socket.send('answered', target)
    await home.clock.advance(20)
    expect(seen.splice(0)).toEqual(['client sent udp', 'server received udp', 'server sent udp', 'client received udp'])
    socket.send('dead', at(alternate, 3478))
    socket.send('nobody', at('50.0.0.9', 3478))
    await home.clock.advance(20)
    expect(seen.splice(0).slice(2)).toEqual(['server dropped (dead-address) udp', 'internet dropped (unroutable) udp'])
    const outsider = await openSocket(home.server)
    outsider.send('unasked', at('80.0.0.1', 40000))
    await home.clock.advance(20)
    expect(seen.splice(0).at(-1)).toBe('home-router dropped (nat) udp')
    stop()
    socket.send('unseen', target)
    await home.clock.advance(20)
    expect(seen).toEqual([])
  })
})

test('servers at different distances', async () => {
  const network = new VirtualNetwork({ random: new SeededRandom(1) })
  const client = network.addHost({ name: 'client', addresses: ['80.0.0.10'], link: { latencyMs: 5 } })
  const distances = { '50.0.0.1': 5, '51.0.0.1': 45 }
  for (const [ip, latencyMs] of Object.entries(distances)) {
    await openEcho(network.addHost({ name: ip, addresses: [ip], link: { latencyMs } }), ip, 3478)
  }
  const socket = await openSocket(client)
  for (const ip of Object.keys(distances).toReversed()) socket.send('ping', at(ip, 3478))
  await network.clock.advance(20)
  expect(socket.heard).toHaveLength(1)
  expect(socket.heard[0]).toContain('<50.0.0.1:3478')
  await network.clock.advance(80)
  expect(socket.heard[1]).toContain('<51.0.0.1:3478')
})
