import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../../src/lab/index.ts'

const draws = (random: SeededRandom, count: number): number[] => Array.from({ length: count }, () => random.uint32())

describe('SeededRandom', () => {
  test('the same seed repeats, close seeds differ', () => {
    expect(draws(new SeededRandom(1), 100)).toEqual(draws(new SeededRandom(1), 100))
    const firsts = new Set(Array.from({ length: 10_000 }, (_, seed) => new SeededRandom(seed).uint32()))
    expect(firsts.size).toBeGreaterThan(9_990)
  })

  test('keeps its sequence: seeds in test failures stay valid', () => {
    expect(draws(new SeededRandom(42), 4)).toMatchInlineSnapshot(`
      [
        1823088323,
        724644285,
        2272721625,
        2234542121,
      ]
    `)
  })

  test('integer covers its range evenly, both ends included', () => {
    const random = new SeededRandom(3)
    const counts = new Map<number, number>()
    for (let i = 0; i < 60_000; i++) {
      const value = random.integer(-2, 3)
      counts.set(value, (counts.get(value) ?? 0) + 1)
    }
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2, 3])
    // 10,000 each with a standard deviation of 91.
    for (const count of counts.values()) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })

  test('integer refuses what it cannot draw from', () => {
    const random = new SeededRandom(1)
    expect(() => random.integer(2, 1)).toThrow(RangeError)
    expect(() => random.integer(0, 2 ** 33)).toThrow(RangeError)
    expect(random.integer(5, 5)).toBe(5)
  })

  test('chance is right on average, and certain at the ends', () => {
    const random = new SeededRandom(4)
    let hits = 0
    for (let i = 0; i < 100_000; i++) if (random.chance(0.05)) hits++
    // 5,000 with a standard deviation of 69.
    expect(Math.abs(hits - 5000)).toBeLessThan(350)
    expect([random.chance(0), random.chance(1)]).toEqual([false, true])
  })

  test('bytes have the length asked for and use every value', () => {
    const random = new SeededRandom(5)
    expect([0, 1, 3, 4, 5, 12].map((n) => random.bytes(n).length)).toEqual([0, 1, 3, 4, 5, 12])
    expect(new Set(random.bytes(10_000)).size).toBe(256)
  })

  test('forks do not disturb each other', () => {
    const fork = (drawsBetween: number): number[] => {
      const root = new SeededRandom(6)
      const a = root.fork('a')
      const b = root.fork('b')
      draws(a, drawsBetween)
      return draws(b, 10)
    }
    expect(fork(0)).toEqual(fork(1000))
  })
})
