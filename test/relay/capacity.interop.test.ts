/** Ten thousand allocations at a time, and nothing left of them when they have ended. */
import { afterEach, expect, test } from 'vitest'
import { describeIf } from '../support/requirements.ts'
import { type BenchOptions, RelayBench } from '../support/relay-bench.ts'

describeIf(['linux', 'koffi', 'descriptors'], 'the capacity of a relay', () => {
  const running: RelayBench[] = []
  afterEach(async () => await Promise.all(running.splice(0).map((bench) => bench.stop())))

  const start = async (options: BenchOptions): Promise<RelayBench> => {
    const bench = await RelayBench.start(options)
    running.push(bench)
    return bench
  }

  test.each(['dgram', 'mmsg'] as const)(
    '10,000 allocations on %s, each with a packet to its peer and back',
    async (datapath) => {
      const bench = await start({ datapath })
      const before = bench.descriptors
      await bench.load({ do: 'sessions', count: 10_000 })
      expect(await bench.counts()).toMatchObject({ allocations: 10_000, channels: 10_000 })
      expect(bench.descriptors).toBe(before + 10_000)
      await bench.load({ do: 'echo' })
    },
  )

  test.each(['dgram', 'mmsg'] as const)(
    'three times 5,000 that expire leave no descriptor and no memory on %s',
    async (datapath) => {
      const count = 5000
      const bench = await start({ datapath, lifetimes: { allocation: 5 } })
      const before = bench.descriptors
      const ends: { held: number; resident: number }[] = []
      for (let cycle = 1; cycle <= 3; cycle++) {
        await bench.load({ do: 'allocate', count, lifetime: 5 })
        await bench.load({ do: 'forget', count })
        await expect
          .poll(async () => (await bench.stats()).allocationsEnded.expired, { timeout: 20_000, interval: 200 })
          .toBe(cycle * count)
        expect(bench.descriptors).toBe(before)
        ends.push({ held: await bench.heldBytes(), resident: bench.residentBytes })
      }
      const [first, second, third] = ends
      if (!first || !second || !third) throw new Error('three cycles')
      // A hundred bytes left of each allocation would be half a megabyte in each cycle. Code that got hot is no leak.
      for (const { held } of [second, third]) expect(held - first.held).toBeLessThan(400_000)
      // What the collector gives back leaves holes: pages come and go, but 5,000 allocations take some 30 MB.
      expect(third.resident - second.resident).toBeLessThan(6_000_000)
    },
  )
})
