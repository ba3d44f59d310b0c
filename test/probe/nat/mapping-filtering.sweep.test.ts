/** What the probe must reach: all nine NATs, hundreds of seeds, three loss rates; and how long a verdict takes. */
import { describe, expect, it } from 'vitest'
import { SeededRandom, udpBlackHole } from '../../../src/lab/index.ts'
import { virtualProbe, type VirtualProbe } from './virtual.ts'

const kinds = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const
const nats = kinds.flatMap((mapping) => kinds.map((filtering) => ({ mapping, filtering })))
const seeds = Number(process.env.SEEDS ?? 500)

/** Latency 5–300 ms (round trip), jitter to 50 %, reordering and port assignment of every kind. */
function network(seed: number, loss: number): VirtualProbe {
  const random = new SeededRandom(`network ${seed}`)
  const assignments = ['preserve', 'sequential', 'random', 'parity'] as const
  return {
    seed,
    rttMs: random.integer(5, 300),
    jitter: random.float() * 0.5,
    reordering: random.float() * 0.05,
    loss,
    behavior: { portAssignment: assignments[seed % 4] ?? 'preserve' },
  }
}

interface Score {
  right: number
  inconclusive: number
  readonly wrong: string[]
}

async function score(nat: (typeof nats)[number], loss: number): Promise<Score> {
  const result: Score = { right: 0, inconclusive: 0, wrong: [] }
  for (let seed = 1; seed <= seeds; seed++) {
    const options = network(seed, loss)
    const { finding } = await virtualProbe({ ...options, behavior: { ...(options.behavior as object), ...nat } })
    const { mapping, filtering, rfc3489 } = finding
    const wrong =
      (mapping.kind === 'observed' && mapping.value !== nat.mapping) ||
      (filtering.kind === 'observed' && filtering.value !== nat.filtering) ||
      (rfc3489.kind === 'observed' && rfc3489.value !== classicOf(nat))
    if (wrong)
      result.wrong.push(`seed ${seed}: ${mapping.value} mapping, ${filtering.value} filtering, ${rfc3489.value}`)
    else if (mapping.kind === 'observed' && filtering.kind === 'observed' && rfc3489.kind === 'observed') result.right++
    else result.inconclusive++
  }
  return result
}

/** RFC 3489 §10.1 ends at "full cone" when test II comes in, whatever the mapping. */
function classicOf({ mapping, filtering }: (typeof nats)[number]): string {
  if (filtering === 'endpoint-independent') return 'full-cone'
  if (mapping !== 'endpoint-independent') return 'symmetric'
  return filtering === 'address-dependent' ? 'restricted-cone' : 'port-restricted-cone'
}

describe.each([0, 0.05, 0.2])(`mapping × filtering, ${seeds} seeds each, loss %f each way`, (loss) => {
  it.each(nats)('$mapping mapping, $filtering filtering', async (nat) => {
    const { right, inconclusive, wrong } = await score(nat, loss)
    expect(wrong).toEqual([])
    expect(right + inconclusive).toBe(seeds)
    expect(right / seeds).toBeGreaterThanOrEqual(loss < 0.2 ? 1 : 0.99)
  })
})

const home = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' } as const

async function verdictTimes(options: VirtualProbe): Promise<{ median: number; p95: number; max: number }> {
  const times: number[] = []
  for (let seed = 1; seed <= seeds; seed++) times.push((await virtualProbe({ ...options, seed })).tookMs)
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { median: at(0.5), p95: at(0.95), max: at(1) }
}

describe('virtual time from the first packet to the verdict behind a home router', () => {
  it('20 ms RTT: median ≤ 0.5 s, 95 % ≤ 0.8 s', async () => {
    const { median, p95 } = await verdictTimes({ behavior: home, rttMs: 20, jitter: 0.2 })
    expect(median).toBeLessThanOrEqual(500)
    expect(p95).toBeLessThanOrEqual(800)
  })
  it('20 ms RTT, 5 % loss each way: median ≤ 0.9 s', async () => {
    const { median } = await verdictTimes({ behavior: home, rttMs: 20, jitter: 0.2, loss: 0.05 })
    expect(median).toBeLessThanOrEqual(900)
  })
  it('200 ms RTT: median ≤ 2.0 s', async () => {
    const { median } = await verdictTimes({ behavior: home, rttMs: 200, jitter: 0.2 })
    expect(median).toBeLessThanOrEqual(2000)
  })
  it('a UDP black hole: never more than 2.0 s', async () => {
    const { max } = await verdictTimes({ behavior: home, rttMs: 20, rule: udpBlackHole })
    expect(max).toBeLessThanOrEqual(2000)
  })
})
