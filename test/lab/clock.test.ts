import { describe, expect, test } from 'vitest'
import { after, instant } from '../../src/core/index.ts'
import { SeededRandom, VirtualClock } from '../../src/lab/index.ts'

describe('VirtualClock', () => {
  test('runs tasks by instant, and equal instants in the order they were scheduled', async () => {
    const clock = new VirtualClock()
    const ran: string[] = []
    for (const [name, ms] of Object.entries({ c: 30, a1: 10, b: 20, a2: 10, a3: 10 })) {
      clock.schedule(instant(ms), () => ran.push(`${name}@${clock.now()}`))
    }
    await clock.advance(25)
    expect(ran).toEqual(['a1@10', 'a2@10', 'a3@10', 'b@20'])
    expect(clock.now()).toBe(25)
  })

  test('sorts ten thousand random instants', async () => {
    const clock = new VirtualClock()
    const random = new SeededRandom(7)
    const ran: number[] = []
    const wanted = Array.from({ length: 10_000 }, () => random.integer(0, 2000))
    for (const ms of wanted) clock.schedule(instant(ms), () => ran.push(ms))
    await clock.advance(2000)
    expect(ran).toEqual(wanted.toSorted((a, b) => a - b))
  })

  test('a cancelled task never runs and never moves time', async () => {
    const clock = new VirtualClock()
    const ran: string[] = []
    clock.schedule(instant(5000), () => ran.push('cancelled'))()
    const work = clock.sleep(10)
    await clock.run(work)
    expect(clock.now()).toBe(10)
    await expect(clock.run(new Promise(() => {}))).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(ran).toEqual([])
    expect(clock.now()).toBe(10)
  })

  test('a task for the past runs now', async () => {
    const clock = new VirtualClock()
    await clock.advance(100)
    const seen: number[] = []
    clock.schedule(instant(10), () => seen.push(clock.now()))
    await clock.advance(1)
    expect(seen).toEqual([100])
  })

  test('lets long chains of awaits finish before the next event', async () => {
    const clock = new VirtualClock()
    const seen: number[] = []
    const deep = async (depth: number): Promise<void> => {
      if (depth > 0) await deep(depth - 1)
    }
    clock.schedule(instant(2), () => seen.push(-1))
    const work = (async () => {
      await clock.sleep(1)
      for (let i = 0; i < 50; i++) await deep(20)
      seen.push(clock.now())
      // Asked for at 1 ms, so due at 2 ms, behind the task that was there before.
      await clock.sleep(1)
      seen.push(clock.now())
    })()
    await clock.run(work)
    expect(seen).toEqual([1, -1, 2])
  })

  test('returns what the work returns, throws what it throws, and stops there', async () => {
    const clock = new VirtualClock()
    clock.schedule(instant(1000), () => {
      throw new Error('not reached')
    })
    expect(await clock.run(clock.sleep(5).then(() => 'done'))).toBe('done')
    const failing = clock.sleep(5).then(() => Promise.reject(new Error('as planned')))
    await expect(clock.run(failing)).rejects.toThrow('as planned')
    expect(clock.now()).toBe(10)
  })

  test('a task that throws fails the run', async () => {
    const clock = new VirtualClock()
    clock.schedule(instant(1), () => {
      throw new Error('broken handler')
    })
    await expect(clock.run(clock.sleep(5))).rejects.toThrow('broken handler')
  })

  test('tells a deadlock from an overrun', async () => {
    const clock = new VirtualClock()
    await expect(clock.run(new Promise(() => {}))).rejects.toThrow(/deadlock at 0 ms/)
    const forEver = (): void => {
      clock.schedule(after(clock.now(), 10), forEver)
    }
    forEver()
    await expect(clock.run(new Promise(() => {}), 500)).rejects.toThrow(/more than 500 ms/)
    expect(clock.now()).toBe(500)
  })

  test('notices a timer that re-arms itself for now', async () => {
    const clock = new VirtualClock()
    const stuck = (): void => {
      clock.schedule(clock.now(), stuck)
    }
    stuck()
    await expect(clock.run(clock.sleep(1))).rejects.toThrow(/stands still/)
  })

  test('is not a deadlock: work that takes a turn of the real event loop', async () => {
    const clock = new VirtualClock()
    const work = new Promise((resolve) => {
      setImmediate(() => resolve('late'))
    })
    expect(await clock.run(work)).toBe('late')
  })

  test('two runs at a time are refused, and the first goes on', async () => {
    const clock = new VirtualClock()
    const first = clock.run(clock.sleep(5).then(() => 'first'))
    await expect(clock.run(clock.sleep(1))).rejects.toMatchObject({ code: 'USAGE' })
    expect(await first).toBe('first')
  })

  test('the calendar moves with the clock', async () => {
    const clock = new VirtualClock({ epoch: 1000 })
    await clock.advance(234)
    expect(clock.wallTime()).toBe(1234)
  })
})
