import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress, type TransportAddress } from '../../../src/core/index.ts'
import {
  type CandidateOrigin,
  candidatePriority,
  Foundations,
  type LocalCandidate,
  localCandidate,
  localPreferences,
  pairPriority,
  renderCandidate,
  tcpLocalPreference,
  withoutRedundant,
} from '../../../src/proto/ice/index.ts'

const at = (text: string): TransportAddress => {
  const address = parseAddress(text)
  if (!address) throw new Error(text)
  return address
}

const base = at('10.0.1.1:8998')
const server = '198.51.100.1'

function candidates(...origins: readonly CandidateOrigin[]): LocalCandidate[] {
  const foundations = new Foundations()
  return origins.map((origin) => localCandidate(origin, foundations))
}

describe('priority', () => {
  it('is that of RFC 8839 for UDP', () => {
    // RFC 8839 §5.1's host and server-reflexive examples have local preferences 65535.
    expect(candidatePriority({ type: 'host' })).toBe(2130706431)
    expect(candidatePriority({ type: 'srflx' })).toBe(1694498815)
    expect(candidatePriority({ type: 'host', component: 2 })).toBe(2130706430)
  })

  it('has the local preferences of the example in RFC 6544, appendix B', () => {
    const host = (type: 'active' | 'passive' | 'so'): number =>
      126 * 2 ** 24 + tcpLocalPreference('host', type) * 256 + 255
    expect([host('active'), host('passive'), host('so')]).toEqual([2128609279, 2124414975, 2120220671])
    const reflexive = (type: 'active' | 'passive' | 'so'): number =>
      100 * 2 ** 24 + tcpLocalPreference('srflx', type) * 256 + 255
    expect([reflexive('active'), reflexive('passive'), reflexive('so')]).toEqual([1688207359, 1684013055, 1692401663])
  })

  it('sorts kinds: direct UDP, direct TCP, relays by how their server is reached', () => {
    const order = [
      candidatePriority({ type: 'host' }),
      candidatePriority({ type: 'prflx' }),
      candidatePriority({ type: 'srflx' }),
      candidatePriority({ type: 'host', transport: 'tcp' }),
      candidatePriority({ type: 'prflx', transport: 'tcp' }),
      candidatePriority({ type: 'srflx', transport: 'tcp' }),
      candidatePriority({ type: 'relay' }),
      candidatePriority({ type: 'relay', serverTransport: 'tcp' }),
      candidatePriority({ type: 'relay', serverTransport: 'tls' }),
    ]
    expect(order).toEqual(order.toSorted((a, b) => b - a))
    expect(new Set(order).size).toBe(order.length)
  })

  it('of a pair: both agents see the same, and the smaller candidate decides first', () => {
    expect(pairPriority(2, 1)).toBe(2n ** 32n + 5n)
    expect(pairPriority(1, 2)).toBe(2n ** 32n + 4n)
    expect(pairPriority(2130706431, 2130706431)).toBe(2n ** 32n * 2130706431n + 2n * 2130706431n)
    expect(pairPriority(3, 3) > pairPriority(2, 2 ** 31 - 1)).toBe(true)
  })
})

describe('local preferences over families (RFC 8421)', () => {
  it('interleaves by how many there are', () => {
    const order = (ips: readonly string[]): string[] => {
      const preferences = localPreferences(ips)
      return ips.toSorted((a, b) => (preferences[ips.indexOf(b)] ?? 0) - (preferences[ips.indexOf(a)] ?? 0))
    }
    expect(order(['192.0.2.1', '2001:db8::1'])).toEqual(['2001:db8::1', '192.0.2.1'])
    expect(order(['192.0.2.1', '2001:db8::1', '2001:db8::2', '192.0.2.2'])).toEqual([
      '2001:db8::1',
      '192.0.2.1',
      '2001:db8::2',
      '192.0.2.2',
    ])
    // One IPv4 address among many waits for the last place but is never behind it.
    expect(order(['192.0.2.1', '2001:db8::1', '2001:db8::2', '2001:db8::3']).at(-1)).toBe('192.0.2.1')
    // One IPv6 address among many IPv4 ones is first.
    expect(order(['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::1'])[0]).toBe('2001:db8::1')
  })

  it('gives each address one of its own, from 65535 down', () => {
    const family = fc.constantFrom('192.0.2.1', '2001:db8::1')
    fc.assert(
      fc.property(fc.array(family, { maxLength: 20 }), (ips) => {
        const preferences = localPreferences(ips)
        expect(preferences.toSorted((a, b) => b - a)).toEqual(ips.map((_, index) => 65535 - index))
        // Within a family the given order holds.
        for (const one of ['192.0.2.1', '2001:db8::1']) {
          const own = preferences.filter((_, index) => ips[index] === one)
          expect(own).toEqual(own.toSorted((a, b) => b - a))
        }
      }),
    )
  })
})

describe('foundation', () => {
  const foundationsOf = (...origins: readonly CandidateOrigin[]): string[] =>
    candidates(...origins).map(({ foundation }) => foundation)
  const reflexive = { type: 'srflx', address: at('203.0.113.1:1'), base, serverIp: server } as const

  it('is the same for another port of the same base, and from another port of the same server', () => {
    expect(foundationsOf({ type: 'host', address: base }, { type: 'host', address: at('10.0.1.1:9') })).toEqual([
      '1',
      '1',
    ])
    expect(foundationsOf(reflexive, { ...reflexive, address: at('203.0.113.1:2') })).toEqual(['1', '1'])
  })

  it.each([
    ['type', { type: 'host', address: base }],
    ['base', { ...reflexive, base: at('10.0.1.2:8998') }],
    ['server', { ...reflexive, serverIp: '198.51.100.2' }],
    ['transport', { ...reflexive, transport: 'tcp', tcpType: 'active' }],
  ] satisfies [string, CandidateOrigin][])('differs by %s', (_, other) => {
    expect(foundationsOf(reflexive, other)).toEqual(['1', '2'])
  })

  it('tells relays of one server by the way to it', () => {
    const relay = {
      type: 'relay',
      address: at('198.51.100.1:50000'),
      related: at('203.0.113.1:1'),
      serverIp: server,
    } as const
    expect(
      foundationsOf(relay, { ...relay, serverTransport: 'tls' }, { ...relay, address: at('198.51.100.1:50002') }),
    ).toEqual(['1', '2', '1'])
  })
})

describe('a local candidate', () => {
  it('has the base as its related address when it is reflexive, and the mapped one when relayed', () => {
    const [host, reflexive, relay] = candidates(
      { type: 'host', address: base },
      { type: 'srflx', address: at('203.0.113.1:1'), base, serverIp: server },
      { type: 'relay', address: at('198.51.100.1:50000'), related: at('203.0.113.1:1'), serverIp: server },
    )
    expect([host, reflexive, relay].map((candidate) => candidate && renderCandidate(candidate))).toEqual([
      'candidate:1 1 udp 2130706431 10.0.1.1 8998 typ host',
      'candidate:2 1 udp 1694498815 203.0.113.1 1 typ srflx raddr 10.0.1.1 rport 8998',
      'candidate:3 1 udp 50331647 198.51.100.1 50000 typ relay raddr 203.0.113.1 rport 1',
    ])
    expect(relay?.base).toEqual(relay?.address)
  })

  it('is redundant when a better one has its address and base', () => {
    const gathered = candidates(
      { type: 'srflx', address: base, base, serverIp: server },
      { type: 'host', address: base },
      { type: 'srflx', address: at('203.0.113.1:1'), base, serverIp: server },
      { type: 'srflx', address: at('203.0.113.1:1'), base: at('10.0.1.2:8998'), serverIp: server },
    )
    expect(withoutRedundant(gathered)).toEqual(gathered.slice(1))
  })
})
