/** The pieces under the server: expiries, ports, keys. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Instant, instant, NatcheckError } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import { ExpiryHeap } from '../../../src/proto/turn-server/expiry.ts'
import { addressKey, ipKey } from '../../../src/proto/turn-server/index.ts'
import { PortPool } from '../../../src/proto/turn-server/ports.ts'
import { Rig } from './rig.ts'

describe('the heap of expiries', () => {
  it('always knows the first, however items come, move and go', () => {
    const operations = fc.array(
      fc.record({ item: fc.nat({ max: 15 }), at: fc.nat({ max: 50 }), remove: fc.boolean() }),
      { maxLength: 200 },
    )
    fc.assert(
      fc.property(operations, (steps) => {
        const heap = new ExpiryHeap<{ expiresAt: Instant; heapIndex: number; id: number }>()
        const items = Array.from({ length: 16 }, (_, id) => ({ expiresAt: instant(0), heapIndex: -1, id }))
        const model = new Map<number, number>()
        for (const { item, at, remove } of steps) {
          const entry = items[item]
          if (!entry) continue
          if (remove) heap.remove(entry)
          else heap.set(entry, instant(at))
          if (remove) model.delete(item)
          else model.set(item, at)
          expect(heap.size).toBe(model.size)
          expect(heap.first?.expiresAt).toBe(model.size > 0 ? Math.min(...model.values()) : undefined)
        }
        const order: number[] = []
        for (let { first } = heap; first; first = heap.first) {
          order.push(first.expiresAt)
          heap.remove(first)
        }
        expect(order).toEqual([...model.values()].toSorted((a, b) => a - b))
      }),
      { seed: 7, numRuns: 300 },
    )
  })
})

describe('the pool of ports', () => {
  it('gives each port once, the last ones too, and takes them back', () => {
    const pool = new PortPool({ min: 100, max: 199 }, new SeededRandom(1))
    const taken = Array.from({ length: 100 }, () => pool.take() ?? 0)
    expect(taken.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => 100 + index))
    expect(pool.take()).toBeUndefined()
    pool.release(150)
    pool.release(150)
    pool.release(99)
    pool.release(200)
    expect(pool.free).toBe(1)
    expect(pool.take('even')).toBe(150)
  })

  it('gives pairs while there are any', () => {
    const pool = new PortPool({ min: 101, max: 110 }, new SeededRandom(1))
    const pairs = Array.from({ length: 4 }, () => pool.takePair() ?? 0)
    expect(pairs.toSorted((a, b) => a - b)).toEqual([102, 104, 106, 108])
    expect(pool.takePair()).toBeUndefined()
    expect(new Set([pool.take(), pool.take()])).toEqual(new Set([101, 110]))
  })

  it('is hard to guess', () => {
    const pool = new PortPool({ min: 49152, max: 65535 }, new SeededRandom(1))
    const ports = Array.from({ length: 200 }, () => pool.take() ?? 0)
    expect(ports.filter((port, index) => Math.abs(port - (ports[index - 1] ?? 0)) === 1).length).toBeLessThan(3)
  })

  it.each([
    [0, 10],
    [10, 9],
    [1, 65536],
    [1.5, 3],
  ])('refuses %d-%d', (min, max) => {
    expect(() => new PortPool({ min, max }, new SeededRandom(1))).toThrow(NatcheckError)
  })
})

it('keys are equal exactly when addresses are', () => {
  const address = fc.record({
    ip: fc.oneof(fc.ipV4(), fc.constantFrom('::1', '::', '2001:db8::1')),
    port: fc.nat({ max: 65535 }),
  })
  fc.assert(
    fc.property(address, address, (a, b) => {
      expect(addressKey(a) === addressKey(b)).toBe(a.ip === b.ip && a.port === b.port)
      expect(ipKey(a.ip) === ipKey(b.ip)).toBe(a.ip === b.ip)
    }),
    { seed: 7 },
  )
  expect(addressKey({ ip: '255.255.255.255', port: 65535 })).toBe(2 ** 48 - 1)
})

describe('options that make no sense', () => {
  it.each([
    { relayAddresses: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }] },
    { relayAddresses: [{ ip: '10.0.0.1', externalIp: '2001:db8::1' }] },
    { ports: { min: 5, max: 4 } },
  ])('%o are refused', (options) => expect(() => new Rig(options)).toThrow(NatcheckError))
})
