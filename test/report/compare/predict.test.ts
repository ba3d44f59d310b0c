/** The reasoning where reports are incomplete, redacted, or from one and the same network. */
import { describe, expect, test } from 'vitest'
import type { FamilyObservations } from '../../../src/probe/nat/index.ts'
import {
  type FamilyNetwork,
  type PairOptions,
  type PairVerdict,
  type PeerNetwork,
  peerNetwork,
  predictPair,
} from '../../../src/report/index.ts'
import { analysed, blocked, natObservations, noIpv6, nothing, server, silent } from '../observed.ts'

const network = (...families: readonly FamilyObservations[]): PeerNetwork => peerNetwork(analysed(...families))

const homeA = natObservations({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' })
const homeB = natObservations({
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  publicIps: ['203.0.113.3'],
})
const symmetric = natObservations({
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  publicIps: ['203.0.113.4'],
})

/** What one side is, without a measurement. */
const family = (over: Partial<FamilyNetwork> = {}): FamilyNetwork => ({
  family: 4,
  udp: 'usable',
  why: null,
  tcp: null,
  localIp: '192.168.1.10',
  publicIp: '203.0.113.1',
  mappings: ['endpoint-independent'],
  filterings: ['address-and-port-dependent'],
  arbitraryPooling: false,
  predictablePorts: false,
  hairpinning: null,
  cgnat: null,
  ...over,
})
const side = (...families: readonly FamilyNetwork[]): PeerNetwork => ({ families, redacted: false, relays: null })

const unobserved = {
  mappings: ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'],
  filterings: ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'],
} as const

const outcome = (a: PeerNetwork, b: PeerNetwork, options?: PairOptions): string => {
  const verdict = predictPair(a, b, options)
  const mirrored = predictPair(b, a, options)
  // Who is called A makes no difference.
  expect([mirrored.outcome, mirrored.connects]).toEqual([verdict.outcome, verdict.connects])
  expect(mirrored.candidates).toEqual(verdict.candidates && { a: verdict.candidates.b, b: verdict.candidates.a })
  return `${verdict.outcome}, ${verdict.connects}`
}
const why = (verdict: PairVerdict): string => verdict.reasoning.join(' ')

describe('from measured reports', () => {
  test('two home routers: hole punching from both sides', () => {
    expect(predictPair(network(homeA), network(homeB))).toMatchObject({
      outcome: 'direct',
      family: 'ipv4',
      candidates: { a: 'srflx', b: 'srflx' },
      first: 'both',
      relay: { a: 'udp', b: 'udp' },
    })
  })

  test('a symmetric NAT towards a filter by port: a relay, and without one nothing', () => {
    expect(outcome(network(homeA), network(symmetric))).toBe('relay, true')
    expect(outcome(network(homeA), network(symmetric), { relay: false })).toBe('none, false')
  })

  test('UDP blocked: a relay over TCP or TLS', () => {
    const verdict = predictPair(network(blocked(), noIpv6()), network(homeB))
    expect(verdict).toMatchObject({ outcome: 'relay', relay: { a: 'tcp', b: 'udp' } })
    expect(why(verdict)).toMatch(/A must reach it over TCP or TLS/)
  })

  test('a silent server tells nothing', () => {
    expect(outcome(network(silent()), network(homeB))).toBe('unknown, null')
    expect(outcome(network(), network(homeB))).toBe('unknown, null')
  })

  test('no network at all', () => {
    const problem = { code: 'NO_ROUTE', message: 'no route to 198.51.100.10' } as const
    const cut = network(nothing({ localIp: null, servers: [server({ address: null, asked: false, problem })] }))
    expect(outcome(cut, network(homeB))).toBe('none, false')
  })

  test('measured from inside: the address that the server saw is nobody’s on the internet', () => {
    const inside = natObservations({
      mapping: 'endpoint-independent',
      filtering: 'endpoint-independent',
      publicIps: ['10.0.0.1'],
    })
    expect(outcome(network(inside), network(homeB))).toBe('unknown, null')
    expect(why(predictPair(network(inside), network(homeB)))).toMatch(/measured from inside/)
  })
})

describe('what was not observed', () => {
  test('counts only where it makes a difference', () => {
    const known = side(family({ filterings: unobserved.filterings }))
    const direct = predictPair(known, side(family({ publicIp: '203.0.113.2' })))
    expect(direct.outcome).toBe('direct')
    expect(why(direct)).toMatch(/A's filtering was not observed, which makes no difference here/)
    const dependent = family({ mappings: ['address-and-port-dependent'], publicIp: '203.0.113.2' })
    const unclear = predictPair(known, side(dependent))
    expect(unclear).toMatchObject({ outcome: 'unknown', connects: true })
    expect(why(unclear)).toMatch(/A's filtering was not observed, and it depends on that/)
    // Behind a filter that lets everybody in, whatever the other is gets through.
    const open = side(family({ filterings: ['endpoint-independent'], publicIp: '203.0.113.3' }))
    expect(outcome(open, side(family(unobserved)))).toBe('direct, true')
  })

  test('a family that only one report speaks of', () => {
    const six = family({ family: 6, mappings: ['none'], localIp: '2001:db8::1', publicIp: '2001:db8::1' })
    const four = family({ mappings: ['address-and-port-dependent'], publicIp: '203.0.113.2' })
    const verdict = predictPair(side(family(), six), side(four))
    expect(verdict.outcome).toBe('relay')
    expect(verdict.reasoning.at(-1)).toMatch(/IPv6 was not looked at \(B: its report is of the other family only\)/)
    expect(predictPair(side(family(), six), side(four, six))).toMatchObject({
      outcome: 'direct',
      family: 'ipv6',
      candidates: { a: 'host', b: 'host' },
    })
  })

  test('arbitrary pooling leaves it to chance', () => {
    const pooled = family({ mappings: ['address-dependent'], arbitraryPooling: true, publicIp: '203.0.113.2' })
    const restricted = side(family({ filterings: ['address-dependent'] }))
    expect(outcome(restricted, side(pooled))).toBe('unknown, true')
    expect(outcome(side(family()), side(pooled))).toBe('relay, true')
  })

  test('predictable ports are no help to ICE, and are named', () => {
    const next = family({ mappings: ['address-and-port-dependent'], predictablePorts: true, publicIp: '203.0.113.2' })
    expect(why(predictPair(side(family()), side(next)))).toMatch(/B's next port could be guessed, but ICE does not/)
  })
})

describe('one public address', () => {
  test('of their own router: host candidates', () => {
    const verdict = predictPair(side(family({ cgnat: 'none' })), side(family()))
    expect(verdict).toMatchObject({ outcome: 'direct', candidates: { a: 'host', b: 'host' } })
  })

  test('of a carrier: as its NAT hairpins', () => {
    const carrier = (over: Partial<FamilyNetwork>): PeerNetwork => side(family({ cgnat: 'carrier-grade-nat', ...over }))
    const elsewhere = { localIp: '192.168.2.10' } as const
    expect(outcome(carrier({ hairpinning: 'external-source' }), carrier(elsewhere))).toBe('direct, true')
    expect(outcome(carrier({ hairpinning: 'off' }), carrier({ hairpinning: 'off', ...elsewhere }))).toBe('relay, true')
    expect(outcome(carrier({ hairpinning: 'off' }), carrier({ hairpinning: 'off' }))).toBe('unknown, true')
    expect(outcome(carrier({}), carrier(elsewhere))).toBe('unknown, true')
  })

  test('in redacted reports is a coincidence', () => {
    const verdict = predictPair({ ...side(family()), redacted: true }, side(family()))
    expect(verdict).toMatchObject({ outcome: 'direct', candidates: { a: 'srflx', b: 'srflx' } })
    expect(why(verdict)).toMatch(/redacted/)
  })
})

describe('where their TURN servers were asked, what these did decides', () => {
  const apart = (relays: PeerNetwork['relays'], over: Partial<FamilyNetwork> = {}): PeerNetwork => ({
    families: [family({ mappings: ['address-and-port-dependent'], ...over })],
    redacted: true,
    relays,
  })
  const cut = { udp: 'blocked', why: 'UDP is blocked', tcp: false } as const
  test.each<[string, PeerNetwork, PeerNetwork, string]>([
    ['both work', apart(['udp']), apart(['udp', 'tls']), 'relay, true'],
    ['one works, and the other has UDP', apart(['tls'], cut), apart(null), 'relay, true'],
    ['one works, the other failed and has UDP', apart(['udp']), apart([]), 'relay, true'],
    ['one works, the other failed and has no UDP', apart(['udp']), apart([], { ...cut, tcp: null }), 'unknown, null'],
    ['a relay over TCP, where TCP to STUN failed', apart(['tls'], cut), apart(['udp']), 'relay, true'],
    ['both failed', apart([]), apart([]), 'none, false'],
    ['one failed, the other was not asked', apart([]), apart(null), 'unknown, null'],
    ['neither was asked: one is supposed', apart(null), apart(null), 'relay, true'],
  ])('%s', (_, a, b, expected) => {
    expect(outcome(a, b)).toBe(expected)
    expect(outcome(a, b, { relay: false })).toBe('none, false')
  })

  test('and the reasons say so', () => {
    expect(why(predictPair(apart(['udp']), apart([])))).toContain("A's TURN server gave it a relay over UDP")
    expect(why(predictPair(apart([]), apart([])))).toContain('The TURN servers of A and B were asked')
  })
})
