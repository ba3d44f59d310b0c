import { expect, test } from 'vitest'
import { after, earliest, elapsed, instant } from '../../src/core/time.ts'

test('differences between instants', () => {
  expect(after(instant(10), 5)).toBe(15)
  expect(elapsed(instant(10), instant(15))).toBe(5)
  expect(elapsed(instant(15), instant(10))).toBe(-5)
})

test('the earliest instant, where idle does not count', () => {
  expect(earliest()).toBeUndefined()
  expect(earliest(undefined, undefined)).toBeUndefined()
  expect(earliest(instant(3), undefined, instant(1), instant(2))).toBe(1)
  expect(earliest(undefined, instant(0), instant(1))).toBe(0)
})
