import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { after } from '../../src/core/index.ts'
import { systemClock, systemRandom } from '../../src/transport/index.ts'

describe('the system clock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'], now: 1_700_000_000_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('runs a task once, at its time', () => {
    const ran: number[] = []
    const start = systemClock.now()
    systemClock.schedule(after(start, 10.4), () => ran.push(systemClock.now() - start))
    vi.advanceTimersByTime(10)
    expect(ran).toEqual([])
    vi.advanceTimersByTime(1000)
    expect(ran).toEqual([11])
  })

  test('what has passed runs soon, but never inside the call', () => {
    const task = vi.fn<() => void>()
    systemClock.schedule(after(systemClock.now(), -5), task)
    expect(task).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(task).toHaveBeenCalledTimes(1)
  })

  test('a cancelled task never runs', () => {
    const task = vi.fn<() => void>()
    const cancel = systemClock.schedule(after(systemClock.now(), 10), task)
    cancel()
    vi.advanceTimersByTime(100)
    expect(task).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('a wait longer than setTimeout can count is not cut short, and can still be cancelled', () => {
    const task = vi.fn<() => void>()
    const days = 24 * 60 * 60 * 1000
    systemClock.schedule(after(systemClock.now(), 60 * days), task)
    const cancel = systemClock.schedule(after(systemClock.now(), 60 * days), task)
    vi.advanceTimersByTime(59 * days)
    expect(task).not.toHaveBeenCalled()
    cancel()
    vi.advanceTimersByTime(days)
    expect(task).toHaveBeenCalledTimes(1)
  })

  test('wall time is the calendar', () => {
    expect(systemClock.wallTime()).toBe(1_700_000_000_000)
  })
})

describe('the system randomness', () => {
  test('bytes are fresh, plain and of their own', () => {
    const [a, b] = [systemRandom.bytes(12), systemRandom.bytes(12)]
    expect(a).toHaveLength(12)
    expect(a).not.toEqual(b)
    expect(a.constructor).toBe(Uint8Array)
    expect(a.buffer.byteLength).toBe(12)
  })

  test('integers reach both ends', () => {
    const seen = new Set(Array.from({ length: 500 }, () => systemRandom.integer(3, 5)))
    expect([...seen].toSorted((a, b) => a - b)).toEqual([3, 4, 5])
    expect(systemRandom.integer(7, 7)).toBe(7)
  })
})
