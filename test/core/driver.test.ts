import { beforeEach, describe, expect, test } from 'vitest'
import { Driver, type StateMachine } from '../../src/core/driver.ts'
import type { Clock } from '../../src/core/ports.ts'
import { type Instant, instant, wallTime } from '../../src/core/time.ts'

/** Time stands still until `advance`. `scheduled` counts how often a timer was set. */
class FakeClock implements Clock {
  scheduled = 0
  #now = 0
  #timers: { at: number; task: () => void }[] = []

  now = (): Instant => instant(this.#now)
  wallTime = (): ReturnType<Clock['wallTime']> => wallTime(0)

  schedule(at: Instant, task: () => void): () => void {
    const timer = { at, task }
    this.scheduled++
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  get pending(): number[] {
    return this.#timers.map(({ at }) => at)
  }

  /** Runs what falls due up to `to`, each at its time. */
  advance(to: number): void {
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= to).toSorted((a, b) => a.at - b.at)
      if (!next) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.#now = Math.max(this.#now, next.at)
      next.task()
    }
    this.#now = to
  }

  /** A timer that fires too early, as timers of real systems may. */
  fireEarly(): void {
    const [timer] = this.#timers.splice(0, 1)
    timer?.task()
  }
}

/** Says what it was called with; inputs are scripts of what it does next. */
class Scripted implements StateMachine<{ effects?: string[]; wakeAt?: number | undefined }, string> {
  readonly calls: string[] = []
  readonly effects: string[] = []
  wakeAt: number | undefined

  handleInput(input: { effects?: string[]; wakeAt?: number | undefined }, now: Instant): void {
    this.calls.push(`input@${now}`)
    this.effects.push(...(input.effects ?? []))
    if ('wakeAt' in input) this.wakeAt = input.wakeAt
  }

  handleTimeout(now: Instant): void {
    this.calls.push(`timeout@${now}`)
    if (this.wakeAt === undefined || now < this.wakeAt) return
    this.effects.push(`due@${this.wakeAt}`)
    this.wakeAt = undefined
  }

  pollEffect(): string | undefined {
    return this.effects.shift()
  }

  pollTimeout(): Instant | undefined {
    return this.wakeAt === undefined ? undefined : instant(this.wakeAt)
  }
}

describe('Driver', () => {
  let clock = new FakeClock()
  let machine = new Scripted()
  let performed: string[] = []
  let driver = new Driver(machine, clock, (effect: string) => void performed.push(effect))

  /** A driver that performs effects with `perform`. */
  function drive(perform: (effect: string) => void): void {
    driver = new Driver(machine, clock, perform)
  }

  beforeEach(() => {
    clock = new FakeClock()
    machine = new Scripted()
    performed = []
    drive((effect) => void performed.push(effect))
  })

  test('start gives the machine its first chance to act', () => {
    machine.wakeAt = 0
    driver.start()
    expect(machine.calls).toEqual(['timeout@0'])
    expect(performed).toEqual(['due@0'])
    expect(clock.pending).toEqual([])
  })

  test('performs effects in order and wakes the machine when it asked for it', () => {
    clock.advance(5)
    driver.handle({ effects: ['a', 'b'], wakeAt: 20 })
    expect(performed).toEqual(['a', 'b'])
    expect(clock.pending).toEqual([20])
    clock.advance(19)
    expect(machine.calls).toEqual(['input@5'])
    clock.advance(20)
    expect(machine.calls).toEqual(['input@5', 'timeout@20'])
    expect(performed).toEqual(['a', 'b', 'due@20'])
    expect(clock.pending).toEqual([])
  })

  test('keeps one timer: the same instant is not set twice, another replaces it, idle removes it', () => {
    driver.handle({ wakeAt: 20 })
    driver.handle({ wakeAt: 20 })
    expect([clock.pending, clock.scheduled]).toEqual([[20], 1])
    driver.handle({ wakeAt: 10 })
    expect([clock.pending, clock.scheduled]).toEqual([[10], 2])
    driver.handle({ wakeAt: 30 })
    expect([clock.pending, clock.scheduled]).toEqual([[30], 3])
    driver.handle({ wakeAt: undefined })
    expect([clock.pending, clock.scheduled]).toEqual([[], 3])
  })

  test('sets the timer again after it fired early', () => {
    driver.handle({ wakeAt: 20 })
    clock.advance(19)
    clock.fireEarly()
    expect(machine.calls).toEqual(['input@0', 'timeout@19'])
    expect(clock.pending).toEqual([20])
    clock.advance(20)
    expect(performed).toEqual(['due@20'])
  })

  test('an effect that feeds the machine again comes before what that causes, and nothing is lost', () => {
    drive((effect) => {
      performed.push(effect)
      if (effect === 'a') driver.handle({ effects: ['c'], wakeAt: 7 })
    })
    driver.handle({ effects: ['a', 'b'], wakeAt: 9 })
    expect(performed).toEqual(['a', 'b', 'c'])
    expect(clock.pending).toEqual([7])
  })

  test('stop: no input, no timer, no further effect', () => {
    driver.handle({ wakeAt: 20 })
    driver.stop()
    driver.stop()
    expect(clock.pending).toEqual([])
    driver.handle({ effects: ['late'] })
    driver.start()
    clock.advance(100)
    expect(machine.calls).toEqual(['input@0'])
    expect(performed).toEqual([])
  })

  test('stop from within an effect drops the effects behind it and sets no timer', () => {
    drive((effect) => {
      performed.push(effect)
      driver.stop()
    })
    driver.handle({ effects: ['a', 'b'], wakeAt: 20 })
    expect(performed).toEqual(['a'])
    expect(clock.pending).toEqual([])
  })

  test('an effect that throws reaches the caller, and the machine still wakes to perform the rest', () => {
    drive((effect) => {
      if (effect === 'bad') throw new Error('no')
      performed.push(effect)
    })
    expect(() => driver.handle({ effects: ['bad', 'b'], wakeAt: 20 })).toThrow('no')
    expect(clock.pending).toEqual([20])
    clock.advance(20)
    expect(performed).toEqual(['b', 'due@20'])
  })
})
