/** The prediction against the truth: two real ICE agents behind every pair of NATs. */
import { describe, expect, it } from 'vitest'
import { mappingsAndFilterings, type NatBehavior, SeededRandom } from '../../../src/lab/index.ts'
import { runPair } from './pairs.ts'

const seeds = Number(process.env.SEEDS ?? 5)
const assignments = ['preserve', 'sequential', 'random', 'parity'] as const

const nats = mappingsAndFilterings.map(([mapping, filtering]) => ({ mapping, filtering }))
const pairs = nats.flatMap((a) => nats.map((b) => ({ a, b })))

/** Latency 5–100 ms, some jitter and reordering, ports assigned in every way. */
function network(seed: number): { link: object; ports: Pick<NatBehavior, 'portAssignment'> } {
  const random = new SeededRandom(`pairs ${seed}`)
  const link = { latencyMs: random.integer(5, 100), jitter: random.float() * 0.3, reordering: random.float() * 0.05 }
  return { link, ports: { portAssignment: assignments[seed % 4] ?? 'preserve' } }
}

describe.each([{ relay: false }, { relay: true }])(`predicted = found, ${seeds} seeds, relay: $relay`, ({ relay }) => {
  it.each(pairs)('$a.mapping/$a.filtering × $b.mapping/$b.filtering', async ({ a, b }) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const { link, ports } = network(seed)
      const { predicted, found } = await runPair({
        seed,
        link,
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
