import { expect, test } from 'vitest'
import { tryPackets } from './robustness.ts'

/** 6 × 25,000 = 150,000 packets a run. A failure prints the packet and its seed. */
test.each([1, 2, 3, 4, 5, 6])(
  'seed %i: 25,000 arbitrary and mutated packets never throw and never read past the message',
  (seed) => {
    const { packets, decoded } = tryPackets(seed, 25_000)
    expect(packets).toBe(25_000)
    expect(decoded).toBeGreaterThan(12_500)
  },
)
