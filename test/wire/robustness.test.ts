import { expect, test } from 'vitest'
import { Cursor, readUint16, readUint32 } from '../../src/wire/cursor.ts'
import { tryPackets } from './robustness.ts'

test('3,000 arbitrary and mutated packets: decoding never throws and never reads past the message', () => {
  const { packets, decoded } = tryPackets(5389, 3000)
  expect(packets).toBe(3000)
  // Most mutants have to get past the framing, or the codecs would not be tried.
  expect(decoded).toBeGreaterThan(1500)
})

test('a cursor reads nothing outside its bounds, and says so once', () => {
  const read = new Set<string>()
  const bytes = new Proxy(new Uint8Array(16).fill(0xab), {
    get(target, property) {
      if (typeof property === 'string' && /^\d+$/.test(property)) read.add(property)
      const value: unknown = Reflect.get(target, property, target)
      return value
    },
  })
  const cursor = new Cursor(bytes, 4, 10)
  expect(cursor.uint32()).toBe(0xabababab)
  expect(cursor.uint32()).toBe(0)
  expect(cursor.failure).toBe('ends after 2 of 4 bytes')
  expect([cursor.uint8(), cursor.uint16(), cursor.uint64(), cursor.bytes(1).length]).toEqual([0, 0, 0n, 0])
  cursor.fail('later')
  expect(cursor.failure).toBe('ends after 2 of 4 bytes')
  expect([...read].map(Number)).toEqual([4, 5, 6, 7])
})

test('a cursor ends with its bytes, whatever end it was given', () => {
  const cursor = new Cursor(new Uint8Array(2), 0, 100)
  expect(cursor.remaining).toBe(2)
  expect([readUint16(new Uint8Array(0), 0), readUint32(new Uint8Array(0), 0)]).toEqual([0, 0])
})
