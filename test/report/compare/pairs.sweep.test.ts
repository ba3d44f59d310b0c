/** The prediction against the truth: two real ICE agents behind every pair of NATs. */
import { describe, expect, it } from 'vitest'
import {
  mappingsAndFilterings,
  type NatBehavior,
  SeededRandom,
  udpBlackHole,
  udpProhibited,
} from '../../../src/lab/index.ts'
import { isHeardAlone, type PairOptions, runPair, turnServer, turnServer6 } from './pairs.ts'
import type { PairVerdict } from '../../../src/report/index.ts'

const seeds = Number(process.env.SEEDS ?? 5)
const assignments = ['preserve', 'sequential', 'random', 'parity'] as const

const nats = mappingsAndFilterings.map(([mapping, filtering]) => ({ mapping, filtering }))
const pairs = nats.flatMap((a) => nats.map((b) => ({ a, b })))

/** Latency 5–100 ms, some jitter and reordering, ports assigned in every way. */
function network(seed: number): { line: Pick<PairOptions, 'link'>; ports: Pick<NatBehavior, 'portAssignment'> } {
  const random = new SeededRandom(`pairs ${seed}`)
  const link = {
    latencyMs: random.integer(5, 100),
    jitter: random.float() * 0.3,
    reordering: random.float() * 0.05,
    loss: seed % 3 === 0 ? 0.02 : 0,
  }
  return { line: { link }, ports: { portAssignment: assignments[seed % 4] ?? 'preserve' } }
}

describe.each([{ relay: false }, { relay: true }])(`predicted = found, ${seeds} seeds, relay: $relay`, ({ relay }) => {
  it.each(pairs)('$a.mapping/$a.filtering × $b.mapping/$b.filtering', async ({ a, b }) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const { line, ports } = network(seed)
      const { predicted, found } = await runPair({
        seed,
        ...line,
        relay,
        a: { ipv4: { ...a, ...ports } },
        b: { ipv4: { ...b, ...ports } },
      })
      expect({ seed, ...found }).toEqual({
        seed,
        outcome: predicted.outcome,
        candidates: predicted.candidates,
        family: predicted.family,
      })
    }
  })
})

describe('who has to send first is who is not heard before', () => {
  it.each(pairs)('$a.mapping/$a.filtering × $b.mapping/$b.filtering', async ({ a, b }) => {
    const options = { a: { ipv4: a }, b: { ipv4: b } }
    const { predicted } = await runPair(options)
    if (predicted.outcome !== 'direct') return
    const heard = { a: await isHeardAlone(options, 'a'), b: await isHeardAlone(options, 'b') }
    const expected = {
      either: { a: true, b: true },
      // The one that must send first is heard by itself only where the other filters nothing.
      a: { a: b.filtering === 'endpoint-independent', b: false },
      b: { a: false, b: a.filtering === 'endpoint-independent' },
      both: { a: false, b: false },
    }
    expect({ first: predicted.first, ...heard }).toEqual({
      first: predicted.first,
      ...expected[predicted.first ?? 'both'],
    })
  })
})

const cone = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' } as const
const symmetric = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' } as const
const firewall = { mapping: 'none', filtering: 'address-and-port-dependent' } as const
const inside = { ipv4: { ...cone, hairpinning: 'internal-source' } } as const
const outside = { ipv4: { ...cone, hairpinning: 'external-source' } } as const
const overTcp = { turn: { to: turnServer, protocol: 'tcp' } } as const

type Case = readonly [name: string, expected: PairVerdict['outcome'] | `${string}–${string}`, options: PairOptions]

const cases: readonly Case[] = [
  ['open × symmetric', 'host–prflx', { a: { ipv4: 'open' }, b: { ipv4: symmetric } }],
  ['open × open', 'host–host', { a: { ipv4: 'open' }, b: { ipv4: 'open' } }],
  ['firewall × firewall', 'host–host', { a: { ipv4: firewall }, b: { ipv4: firewall } }],
  ['firewall × home router', 'host–srflx', { a: { ipv4: firewall }, b: { ipv4: cone } }],
  ['firewall × symmetric', 'none', { a: { ipv4: firewall }, b: { ipv4: symmetric } }],
  ['firewall × symmetric, relay', 'relay', { a: { ipv4: firewall }, b: { ipv4: symmetric }, relay: true }],
  ['symmetric over IPv4, firewalls over IPv6', 'host–host', both({ ipv4: symmetric, ipv6: {} })],
  ['IPv6 of one only', 'none', { a: { ipv4: symmetric, ipv6: 'open' }, b: { ipv4: symmetric }, families: [4, 6] }],
  [
    'no family in common, relay',
    'relay',
    {
      a: { ipv4: 'none', ipv6: {} },
      b: { ipv4: cone },
      families: [4, 6],
      relay: true,
      peers: { a: { turn: { to: turnServer6, protocol: 'udp' } } },
    },
  ],
  ['UDP blocked', 'none', { a: { rule: udpBlackHole }, b: { ipv4: 'open' } }],
  ['UDP blocked, relay', 'relay', { a: { rule: udpBlackHole }, b: { ipv4: cone }, relay: true, peers: { a: overTcp } }],
  ['UDP prohibited', 'relay', { a: { rule: udpProhibited }, b: { ipv4: 'open' }, relay: true, peers: { a: overTcp } }],
  [
    'UDP blocked on both sides, relay',
    'relay',
    { a: { rule: udpBlackHole }, b: { rule: udpBlackHole }, relay: true, peers: { a: overTcp, b: overTcp } },
  ],
  [
    'two homes behind one carrier NAT that hairpins',
    'srflx–srflx',
    { carrier: { ...cone, hairpinning: 'external-source' }, hairpin: true },
  ],
  ['no network on one side, relay', 'none', { a: { ipv4: 'none' }, b: { ipv4: 'open' }, relay: true }],
]

function both(home: PairOptions['a'] & object): PairOptions {
  return { a: home, b: home, families: [4, 6] }
}

describe('networks that are no pair of NATs: predicted = found', () => {
  it.each(cases)('%s', async (_, expected, options) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const { predicted, found } = await runPair({ seed, ...network(seed).line, ...options })
      expect({ seed, ...found }).toEqual({
        seed,
        outcome: predicted.outcome,
        candidates: predicted.candidates,
        family: predicted.family,
      })
      const { outcome, candidates } = found
      expect(candidates ? `${candidates.a}–${candidates.b}` : outcome).toBe(expected)
    }
  })
})

// Whether two hosts with one public address share a local network is in no report: what they find may be better, never worse.
describe('one public address: the verdict leaves open what it must', () => {
  it.each<readonly [string, string, PairOptions]>([
    ['a carrier NAT that does not hairpin', 'none', { carrier: cone, hairpin: true }],
    ['one home', 'direct', { b: 'same' }],
    ['one home, hairpinning shows the inside', 'direct', { a: inside, b: 'same', hairpin: true }],
  ])('%s', async (_, expected, options) => {
    const { predicted, found } = await runPair(options)
    expect(predicted).toMatchObject({ outcome: 'unknown', connects: null })
    expect(found.outcome).toBe(expected)
  })

  it('one home that hairpins: direct, whichever way', async () => {
    const { predicted, found } = await runPair({ a: outside, b: 'same', hairpin: true })
    expect([predicted.outcome, predicted.candidates, found.outcome]).toEqual(['direct', null, 'direct'])
  })
})
