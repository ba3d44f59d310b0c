import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { Random, ServiceRecord } from '../../src/core/index.ts'
import { orderServices } from '../../src/transport/dns.ts'
import { nodeNetwork } from '../../src/transport/index.ts'

const network = nodeNetwork()

describe('names', () => {
  const execPath = process.execPath
  afterEach(() => {
    process.execPath = execPath
  })

  test('localhost is looked up by the system, several lookups at a time', async () => {
    const found = await Promise.all([1, 2, 3].map(() => network.resolveHost('localhost', 10_000)))
    for (const addresses of found) expect(['127.0.0.1', '::1']).toContain(addresses[0])
  })

  test('where no child process can be started, the lookup is made here', async () => {
    process.execPath = '/nonexistent/node'
    const addresses = await network.resolveHost('localhost', 10_000)
    expect(['127.0.0.1', '::1']).toContain(addresses[0])
  })

  test('an address is its own answer, in canonical form', async () => {
    expect(await network.resolveHost('2001:DB8::0:1', 1)).toEqual(['2001:db8::1'])
  })

  test.each(['', 'two words', 'line\nfeed', 'a/b', 'x'.repeat(300)])('%j is no host', async (name) => {
    await expect(network.resolveHost(name, 1)).rejects.toMatchObject({ code: 'UNKNOWN_HOST' })
  })
})

describe('order of services, RFC 2782', () => {
  const record = (host: string, priority: number, weight: number): ServiceRecord => ({
    host,
    port: 1,
    priority,
    weight,
  })

  /** A small generator with a seed: the draws are the same in each run. */
  const seeded = (seed: number): Random => {
    let state = seed
    return {
      bytes: (length) => new Uint8Array(length),
      integer: (min, max) => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        return min + Math.floor((state / 2 ** 32) * (max - min + 1))
      },
    }
  }

  test('the priorities ascend, and no record is lost or doubled', () => {
    const records = fc.array(
      fc.record({ host: fc.uuid(), port: fc.nat(65_535), priority: fc.nat(3), weight: fc.nat(3) }),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(records, fc.nat(), (given, seed) => {
        const ordered = orderServices(given, seeded(seed))
        expect(new Set(ordered)).toEqual(new Set(given))
        expect(ordered).toHaveLength(given.length)
        expect(ordered.map(({ priority }) => priority)).toEqual(
          given.map(({ priority }) => priority).toSorted((a, b) => a - b),
        )
      }),
      { seed: 2782, numRuns: 500 },
    )
  })

  test('among equals, the chance to be first follows the weight', () => {
    const random = seeded(1)
    const first: Record<string, number> = { heavy: 0, light: 0, zero: 0 }
    const given = [record('light', 0, 25), record('heavy', 0, 75), record('zero', 0, 0), record('later', 1, 65_535)]
    for (let run = 0; run < 4000; run++) {
      const host = orderServices(given, random)[0]?.host ?? ''
      first[host] = (first[host] ?? 0) + 1
    }
    // Draws of 0…100: one for zero, 25 for light, 75 for heavy.
    expect(Object.keys(first)).not.toContain('later')
    expect((first['heavy'] ?? 0) / 4000).toBeCloseTo(75 / 101, 1)
    expect((first['light'] ?? 0) / 4000).toBeCloseTo(25 / 101, 1)
    expect(first['zero']).toBeGreaterThan(10)
    expect(first['zero']).toBeLessThan(90)
  })
})
