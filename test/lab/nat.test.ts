import { describe, expect, test } from 'vitest'
import { formatAddress, instant, type TransportAddress } from '../../src/core/index.ts'
import { mappingsAndFilterings, type PortAssignment } from '../../src/lab/index.ts'
import { at, bytes, LoneNat, text, udp } from './helpers.ts'

const client = at('10.0.0.10', 40000)
const neighbour = at('10.0.0.11', 40000)
const server = at('50.0.0.1', 3478)
const otherPort = at('50.0.0.1', 3479)
const otherIp = at('50.0.0.2', 3478)
const stranger = at('50.0.0.2', 3479)

describe.each(mappingsAndFilterings)('mapping %s, filtering %s', (mapping, filtering) => {
  test('mapping: how many external ports three destinations see', () => {
    const lone = new LoneNat({ mapping, filtering })
    const ports = [server, otherPort, otherIp].map((to) => lone.mapped(client, to).port)
    // The same destination keeps its port whatever was sent in between.
    expect(lone.mapped(client, server).port).toBe(ports[0])
    const [first, sameIp, other] = ports
    expect({ sameIp: sameIp === first, other: other === first }).toEqual({
      sameIp: mapping !== 'address-and-port-dependent',
      other: mapping === 'endpoint-independent',
    })
    expect(other === sameIp).toBe(mapping === 'endpoint-independent')
  })

  test('filtering: who gets in through a mapping made for one server', () => {
    const lone = new LoneNat({ mapping, filtering })
    const external = lone.mapped(client, server)
    const lets = [server, otherPort, otherIp, stranger].map((from) => lone.letsIn(from, external))
    expect(lets).toEqual([
      true,
      filtering !== 'address-and-port-dependent',
      filtering === 'endpoint-independent',
      filtering === 'endpoint-independent',
    ])
  })

  test('filtering: writing to another opens the door to it, and only through its own mapping', () => {
    const lone = new LoneNat({ mapping, filtering })
    const external = lone.mapped(client, server)
    const towardsOther = lone.mapped(client, otherIp)
    expect(lone.letsIn(otherIp, towardsOther)).toBe(true)
    expect(lone.letsIn(otherIp, external)).toBe(
      mapping === 'endpoint-independent' || filtering === 'endpoint-independent',
    )
  })

  test('what gets in reaches the inside endpoint, unchanged otherwise', () => {
    const lone = new LoneNat({ mapping, filtering })
    const external = lone.mapped(client, server)
    lone.mapped(neighbour, server)
    expect(lone.in(udp(server, external, 'hi'))).toEqual([{ side: 'inside', packet: udp(server, client, 'hi') }])
  })
})

test('nothing gets in where nothing went out', () => {
  const lone = new LoneNat({ filtering: 'endpoint-independent' })
  expect(lone.letsIn(server, at('80.0.0.1', 40000))).toBe(false)
})

test('a packet that claims a source outside is not translated', () => {
  const lone = new LoneNat()
  expect(lone.out(udp(at('192.168.0.1', 1), server))).toEqual([])
  expect(lone.nat.mappings(instant(0))).toEqual([])
})

test('a NAT without an address is refused', () => {
  expect(() => new LoneNat({}, [])).toThrow(/external address/)
})

describe('port assignment', () => {
  const fromPorts = (portAssignment: PortAssignment, ports: readonly number[], choices = {}): number[] => {
    const lone = new LoneNat({ portAssignment, ...choices })
    return ports.map((port) => lone.mapped(at('10.0.0.10', port), server).port)
  }
  const many = Array.from({ length: 200 }, (_, i) => 30_000 + i)

  test('preserve keeps the port', () => {
    expect(fromPorts('preserve', [1024, 40000, 65535])).toEqual([1024, 40000, 65535])
  })

  test('preserve takes the next free one on collision, and never shares', () => {
    const lone = new LoneNat()
    expect(lone.mapped(client, server).port).toBe(40000)
    expect(lone.mapped(neighbour, server).port).toBe(40001)
    expect(lone.mapped(at('10.0.0.12', 40000), server).port).toBe(40002)
    expect(lone.mapped(at('10.0.0.13', 40001), server).port).toBe(40003)
  })

  test('preserve with address-and-port-dependent mapping: only the first mapping keeps the port', () => {
    const lone = new LoneNat({ mapping: 'address-and-port-dependent' })
    expect([server, otherPort, otherIp].map((to) => lone.mapped(client, to).port)).toEqual([40000, 40001, 40002])
  })

  test('preserve wraps at the end of the range and brings low ports into it', () => {
    const externalPorts = { first: 2000, last: 2003 }
    const lone = new LoneNat({ externalPorts })
    expect(lone.mapped(at('10.0.0.10', 2003), server).port).toBe(2003)
    expect(lone.mapped(at('10.0.0.11', 2003), server).port).toBe(2000)
    expect(fromPorts('preserve', [53], { externalPorts }).every((port) => port >= 2000 && port <= 2003)).toBe(true)
  })

  test('sequential steps from one mapping to the next, whoever asks', () => {
    const lone = new LoneNat({ portAssignment: 'sequential', mapping: 'address-and-port-dependent' })
    const first = lone.mapped(client, server).port
    const next = [lone.mapped(client, otherIp), lone.mapped(neighbour, server), lone.mapped(client, otherPort)]
    expect(next.map(({ port }) => port - first)).toEqual([1, 2, 3])
  })

  test('sequential steps by more, and finds what the step misses', () => {
    const ports = fromPorts('sequential', many.slice(0, 4), {
      sequentialStep: 2,
      externalPorts: { first: 2000, last: 2003 },
    })
    expect(ports.toSorted((a, b) => a - b)).toEqual([2000, 2001, 2002, 2003])
    expect(Math.abs((ports[1] ?? 0) - (ports[0] ?? 0))).toBe(2)
  })

  test('random ports are in the range, distinct, and not a sequence', () => {
    const ports = fromPorts('random', many, { externalPorts: { first: 20_000, last: 29_999 } })
    expect(new Set(ports).size).toBe(200)
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(20_000)
    expect(Math.max(...ports)).toBeLessThanOrEqual(29_999)
    const steps = new Set(ports.slice(1).map((port, i) => port - (ports[i] ?? 0)))
    expect(steps.size).toBeGreaterThan(150)
  })

  test('parity keeps odd odd and even even, and nothing else', () => {
    const ports = fromPorts('parity', many)
    expect(ports.map((port) => port % 2)).toEqual(many.map((port) => port % 2))
    expect(ports.filter((port, i) => port === many[i]).length).toBeLessThan(5)
  })

  test('parity yields when none of it is left', () => {
    const ports = fromPorts('parity', [30_000, 30_002, 30_004], { externalPorts: { first: 2000, last: 2002 } })
    expect(ports.toSorted((a, b) => a - b)).toEqual([2000, 2001, 2002])
    expect(ports[2]).toBe(2001)
  })

  test.each(['preserve', 'sequential', 'random', 'parity'] as const)(
    '%s: a full range drops new flows, and an expired mapping makes room',
    (portAssignment) => {
      const lone = new LoneNat({ portAssignment, externalPorts: { first: 2000, last: 2002 }, mappingLifetimeMs: 1000 })
      for (let i = 0; i < 3; i++) lone.mapped(at('10.0.0.10', 5000 + i), server)
      expect(lone.out(udp(at('10.0.0.10', 6000), server))).toEqual([])
      lone.now = 1000
      expect(lone.out(udp(at('10.0.0.10', 6000), server))).toHaveLength(1)
    },
  )
})

describe('IP pooling', () => {
  const pool = ['80.0.0.1', '80.0.0.2', '80.0.0.3']
  const ipsOf = (pooling: 'paired' | 'arbitrary', host: string, lone = new LoneNat({ pooling }, pool)): Set<string> =>
    new Set(Array.from({ length: 40 }, (_, i) => lone.mapped(at(host, 1024 + i), server).ip))

  test('paired: one internal address, one external address; other hosts may get others', () => {
    const lone = new LoneNat({ pooling: 'paired' }, pool)
    const chosen = Array.from({ length: 20 }, (_, i) => ipsOf('paired', `10.0.0.${i}`, lone))
    expect(chosen.map((ips) => ips.size)).toEqual(Array.from({ length: 20 }, () => 1))
    expect(new Set(chosen.flatMap((ips) => [...ips]))).toEqual(new Set(pool))
  })

  test('arbitrary: mappings of one host spread over the pool', () => {
    expect(ipsOf('arbitrary', '10.0.0.10')).toEqual(new Set(pool))
  })

  test('an address of the other family is never chosen', () => {
    const lone = new LoneNat({ pooling: 'arbitrary' }, ['2a00:80::1', '80.0.0.1'])
    expect(ipsOf('arbitrary', '10.0.0.10', lone)).toEqual(new Set(['80.0.0.1']))
  })
})

describe('hairpinning', () => {
  const send = (lone: LoneNat, to: TransportAddress): string[] =>
    lone.out(udp(neighbour, to)).map(({ side, packet }) => {
      if (packet.kind !== 'udp') throw new Error('not a datagram')
      return `${side} ${formatAddress(packet.source)}>${formatAddress(packet.destination)}`
    })

  test.each([
    ['off', []],
    ['internal-source', ['inside 10.0.0.11:40000>10.0.0.10:40000']],
    ['external-source', ['inside 80.0.0.1:40001>10.0.0.10:40000']],
  ] as const)('%s', (hairpinning, expected) => {
    const lone = new LoneNat({ hairpinning, filtering: 'endpoint-independent' })
    expect(send(lone, lone.mapped(client, server))).toEqual(expected)
  })

  test('the filter judges the mapped source, whichever source is shown', () => {
    for (const hairpinning of ['internal-source', 'external-source'] as const) {
      const lone = new LoneNat({ hairpinning, filtering: 'address-and-port-dependent' })
      const mapped = lone.mapped(client, server)
      expect(send(lone, mapped)).toEqual([])
      lone.out(udp(client, lone.mapped(neighbour, server)))
      expect(send(lone, mapped)).toHaveLength(1)
    }
  })

  test('a socket reaches itself through any filter when the mapping is endpoint-independent', () => {
    const lone = new LoneNat({ hairpinning: 'external-source' })
    const mapped = lone.mapped(client, server)
    expect(lone.out(udp(client, mapped))).toEqual([{ side: 'inside', packet: udp(mapped, client) }])
  })

  test('an address of the NAT that is not mapped leads nowhere', () => {
    const lone = new LoneNat({ hairpinning: 'external-source', filtering: 'endpoint-independent' })
    expect(send(lone, at('80.0.0.1', 9))).toEqual([])
  })
})

describe('mapping lifetime', () => {
  const lifetime = { mappingLifetimeMs: 30_000 }

  test('ends on time', () => {
    const lone = new LoneNat(lifetime)
    const external = lone.mapped(client, server)
    lone.now = 29_999
    expect(lone.letsIn(server, external)).toBe(true)
    lone.now = 30_000
    expect(lone.letsIn(server, external)).toBe(false)
    expect(lone.nat.mappings(instant(30_000))).toEqual([])
  })

  test.each([
    { outbound: true, inbound: false },
    { outbound: false, inbound: true },
    { outbound: true, inbound: true },
    { outbound: false, inbound: false },
  ])('refreshed by outbound: $outbound, inbound: $inbound', (refresh) => {
    for (const direction of ['outbound', 'inbound'] as const) {
      const lone = new LoneNat({ ...lifetime, refresh })
      const external = lone.mapped(client, server)
      lone.now = 20_000
      if (direction === 'outbound') lone.mapped(client, server)
      else lone.letsIn(server, external)
      lone.now = 40_000
      expect({ direction, alive: lone.letsIn(server, external) }).toEqual({ direction, alive: refresh[direction] })
    }
  })

  test('what the filter turns away refreshes nothing', () => {
    const lone = new LoneNat({ ...lifetime, refresh: { outbound: true, inbound: true } })
    const external = lone.mapped(client, server)
    lone.now = 20_000
    expect(lone.letsIn(stranger, external)).toBe(false)
    lone.now = 30_000
    expect(lone.letsIn(server, external)).toBe(false)
  })

  test('each permission ages by itself while the mapping is kept alive', () => {
    const lone = new LoneNat(lifetime)
    const external = lone.mapped(client, server)
    lone.mapped(client, otherIp)
    lone.now = 20_000
    lone.mapped(client, server)
    lone.now = 35_000
    expect([lone.letsIn(server, external), lone.letsIn(otherIp, external)]).toEqual([true, false])
  })

  test('where outbound packets refresh nothing, they refresh no permission either', () => {
    const lone = new LoneNat({ ...lifetime, refresh: { outbound: false, inbound: true } })
    const external = lone.mapped(client, server)
    lone.mapped(client, otherIp)
    lone.now = 20_000
    lone.mapped(client, otherIp)
    expect(lone.letsIn(server, external)).toBe(true)
    lone.now = 35_000
    expect([lone.letsIn(server, external), lone.letsIn(otherIp, external)]).toEqual([true, false])
  })

  test('after the end a new mapping is made: random ports change', () => {
    const lone = new LoneNat({ ...lifetime, portAssignment: 'random' })
    const before = lone.mapped(client, server)
    lone.now = 30_000
    expect(lone.mapped(client, server)).not.toEqual(before)
    expect(lone.nat.mappings(instant(30_000))).toHaveLength(1)
  })

  test('TCP state lives two hours and four minutes (RFC 5382 REQ-5)', () => {
    const lone = new LoneNat(lifetime)
    const segment = { type: 'syn' } as const
    lone.out({ kind: 'tcp', source: client, destination: server, segment })
    lone.now = 7_439_999
    const back = { kind: 'tcp', source: server, destination: at('80.0.0.1', 40000), segment } as const
    expect(lone.in(back)).toHaveLength(1)
    lone.now = 7_440_000
    expect(lone.in(back)).toEqual([])
  })
})

describe('firewall without translation', () => {
  test.each(['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const)(
    'filters %s and keeps the address',
    (filtering) => {
      const lone = new LoneNat({ mapping: 'none', filtering }, [])
      expect(lone.letsIn(server, client)).toBe(false)
      expect(lone.mapped(client, server)).toEqual(client)
      expect([server, otherPort, otherIp].map((from) => lone.letsIn(from, client))).toEqual([
        true,
        filtering !== 'address-and-port-dependent',
        filtering === 'endpoint-independent',
      ])
      expect(lone.letsIn(server, neighbour)).toBe(false)
    },
  )
})

describe('ICMP errors', () => {
  const about = (source: TransportAddress, destination: TransportAddress, from: string, to: string) =>
    ({ kind: 'icmp-error', reason: 'port-unreachable', from, to, about: { source, destination } }) as const

  test('from outside are translated to the inside endpoint', () => {
    const lone = new LoneNat({ portAssignment: 'random' })
    const external = lone.mapped(client, server)
    expect(lone.in(about(external, server, server.ip, external.ip))).toEqual([
      { side: 'inside', packet: about(client, server, server.ip, client.ip) },
    ])
  })

  test('about packets nobody sent are dropped', () => {
    const lone = new LoneNat()
    const external = lone.mapped(client, server)
    expect(lone.in(about(external, stranger, stranger.ip, external.ip))).toEqual([])
    expect(lone.in(about(at('80.0.0.1', 9), server, server.ip, '80.0.0.1'))).toEqual([])
  })

  test('refresh nothing', () => {
    const lone = new LoneNat({ mappingLifetimeMs: 1000, refresh: { outbound: true, inbound: true } })
    const external = lone.mapped(client, server)
    lone.now = 900
    expect(lone.in(about(external, server, server.ip, external.ip))).toHaveLength(1)
    lone.now = 1000
    expect(lone.letsIn(server, external)).toBe(false)
  })

  test.each(['endpoint-independent', 'address-and-port-dependent'] as const)(
    'from inside leave with the mapped address, mapping %s',
    (mapping) => {
      const lone = new LoneNat({ mapping, filtering: 'endpoint-independent' })
      const external = lone.mapped(client, server)
      // The stranger came in through the mapping made for the server; the error must still find its way.
      for (const remote of [server, stranger]) {
        expect(lone.out(about(remote, client, client.ip, remote.ip))).toEqual([
          { side: 'outside', packet: about(remote, external, external.ip, remote.ip) },
        ])
      }
    },
  )

  test('about hairpinned packets go back inside', () => {
    const lone = new LoneNat({ hairpinning: 'external-source', filtering: 'endpoint-independent' })
    const external = lone.mapped(client, server)
    const [hairpinned] = lone.out(udp(neighbour, external))
    if (hairpinned?.packet.kind !== 'udp') throw new Error('no hairpin')
    const shown = hairpinned.packet.source
    expect(lone.out(about(shown, client, client.ip, shown.ip))).toEqual([
      { side: 'inside', packet: about(neighbour, external, external.ip, neighbour.ip) },
    ])
  })
})

describe('ALG', () => {
  const external = '80.0.0.1'
  const payloadOf = (routed: readonly { packet: { kind: string } }[]): Uint8Array => {
    const packet = routed[0]?.packet as { payload?: Uint8Array } | undefined
    if (!packet?.payload) throw new Error('nothing came through')
    return packet.payload
  }
  const ipBytes = [10, 0, 0, 10]
  const externalBytes = [80, 0, 0, 1]
  const xored = (ip: readonly number[]): number[] => ip.map((byte, i) => byte ^ ([0x21, 0x12, 0xa4, 0x42][i] ?? 0))
  const outOf = (lone: LoneNat, payload: readonly number[]): number[] => [
    ...payloadOf(lone.out({ ...udp(client, server), payload: Uint8Array.from(payload) })),
  ]
  const into = (lone: LoneNat, payload: readonly number[]): number[] => [
    ...payloadOf(lone.in({ ...udp(server, at(external, 40000)), payload: Uint8Array.from(payload) })),
  ]

  test('binary: every plain appearance is rewritten both ways, and only it', () => {
    const lone = new LoneNat({ alg: ['binary'] })
    const rest = [1, 2, ...xored(ipBytes), 3]
    expect(outOf(lone, [...ipBytes, ...rest, ...ipBytes])).toEqual([...externalBytes, ...rest, ...externalBytes])
    expect(into(lone, [9, ...externalBytes, ...xored(externalBytes)])).toEqual([9, ...ipBytes, ...xored(externalBytes)])
  })

  test('stun-xored: the XORed appearance', () => {
    const lone = new LoneNat({ alg: ['stun-xored'] })
    outOf(lone, [0])
    expect(into(lone, [...externalBytes, ...xored(externalBytes)])).toEqual([...externalBytes, ...xored(ipBytes)])
  })

  test('text: as printed, though the length changes', () => {
    const lone = new LoneNat({ alg: ['text'] })
    const sent = payloadOf(lone.out(udp(client, server, 'c=IN IP4 10.0.0.10\r\n')))
    expect(text(sent)).toBe('c=IN IP4 80.0.0.1\r\n')
    expect(text(payloadOf(lone.in(udp(server, at(external, 40000), 'Via 80.0.0.1'))))).toBe('Via 10.0.0.10')
  })

  test('without one payloads are left alone', () => {
    const lone = new LoneNat()
    expect(outOf(lone, ipBytes)).toEqual(ipBytes)
    expect(into(lone, [...bytes('80.0.0.1'), ...externalBytes])).toEqual([...bytes('80.0.0.1'), ...externalBytes])
  })
})
