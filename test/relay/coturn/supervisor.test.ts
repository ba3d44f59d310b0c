/** A child that dies, in virtual time. */
import { describe, expect, test } from 'vitest'
import type { ProcessEnd, RunningProcess } from '../../../src/core/index.ts'
import { VirtualClock } from '../../../src/lab/clock.ts'
import { Supervisor } from '../../../src/relay/coturn/supervisor.ts'

interface Child {
  readonly startedAt: number
  readonly signals: string[]
  readonly print: (line: string) => void
  readonly die: (why: string) => void
}

interface Scene {
  readonly clock: VirtualClock
  readonly supervisor: Supervisor
  readonly children: Child[]
  readonly warnings: string[]
  lost: number
}

/** Children obey SIGTERM and SIGKILL, unless they are stubborn: then only the latter. */
function scene(options: { answers?: () => Promise<void>; stubborn?: boolean } = {}): Scene {
  const clock = new VirtualClock()
  const children: Child[] = []
  const start = (print: (line: string) => void, onEnd: (end: ProcessEnd) => void): RunningProcess => {
    const signals: string[] = []
    const die = (why: string): void => onEnd({ code: undefined, why })
    children.push({ startedAt: clock.now(), signals, print, die })
    return {
      pid: children.length,
      signal: (name) => {
        signals.push(name)
        if (name === 'SIGKILL' || (name === 'SIGTERM' && !options.stubborn)) die(name)
      },
    }
  }
  const made: Scene = {
    clock,
    children,
    warnings: [],
    lost: 0,
    supervisor: new Supervisor({
      clock,
      name: 'turnserver',
      fix: 'mend it',
      start,
      answers: options.answers ?? (() => Promise.resolve()),
      onLine: () => {},
      onLost: () => void made.lost++,
      onWarning: (message) => void made.warnings.push(message),
    }),
  }
  return made
}

test('a child that dies again and again is started later and later, and never given up', async () => {
  const { clock, supervisor, children, warnings } = scene()
  await clock.run(supervisor.start())
  const pauses: number[] = []
  for (let deaths = 0; deaths < 9; deaths++) {
    const diedAt = clock.now()
    children.at(-1)?.die('SIGSEGV')
    await clock.advance(30_000)
    pauses.push((children.at(-1)?.startedAt ?? 0) - diedAt)
  }
  expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  expect(warnings.slice(0, 3)).toEqual([
    'turnserver has ended (SIGSEGV); it is started again in 0.5 s',
    'turnserver runs again',
    'turnserver has ended (SIGSEGV); it is started again in 1 s',
  ])
})

test('after a minute of health the next restart is quick again', async () => {
  const { clock, supervisor, children } = scene()
  await clock.run(supervisor.start())
  children[0]?.die('SIGKILL')
  await clock.advance(500)
  await clock.advance(60_000)
  const diedAt = clock.now()
  children[1]?.die('SIGKILL')
  await clock.advance(500)
  expect(children[2]?.startedAt).toBe(diedAt + 500)
})

describe('the first start', () => {
  test('fails with what the child said', async () => {
    const { clock, supervisor, children } = scene({ answers: () => new Promise(() => {}) })
    const starting = supervisor.start()
    children[0]?.print('0: : CONFIG ERROR: odd')
    children[0]?.die('exit code 255')
    await expect(clock.run(starting)).rejects.toThrow('ended at once (exit code 255): CONFIG ERROR: odd')
  })

  test('leaves nothing behind when the child does not answer', async () => {
    const { clock, supervisor, children } = scene({ answers: () => Promise.reject(new Error('no answer')) })
    await expect(clock.run(supervisor.start())).rejects.toThrow('no answer')
    expect(children[0]?.signals).toEqual(['SIGKILL'])
    await clock.advance(60_000)
    expect(children).toHaveLength(1)
  })
})

test('a restart that fails is tried again', async () => {
  let works = true
  const { clock, supervisor, children, warnings } = scene({
    answers: () => (works ? Promise.resolve() : Promise.reject(new Error('no answer'))),
  })
  await clock.run(supervisor.start())
  works = false
  children[0]?.die('SIGKILL')
  await clock.advance(600)
  works = true
  await clock.advance(1000)
  expect(warnings.slice(1)).toEqual(['no answer; it is started again in 1 s', 'turnserver runs again'])
  expect(children).toHaveLength(3)
})

test('stop ends a stubborn child, and a restart that waits; nothing is started any more', async () => {
  const stubborn = scene({ stubborn: true })
  await stubborn.clock.run(stubborn.supervisor.start())
  await stubborn.clock.run(stubborn.supervisor.stop())
  expect(stubborn.children[0]?.signals).toEqual(['SIGTERM', 'SIGKILL'])

  const waiting = scene()
  await waiting.clock.run(waiting.supervisor.start())
  waiting.children[0]?.die('SIGKILL')
  await waiting.clock.advance(100)
  await waiting.clock.run(waiting.supervisor.stop())
  await waiting.supervisor.ended
  await waiting.clock.advance(60_000)
  expect(waiting.children).toHaveLength(1)
})

test('a child that may end is not started again', async () => {
  const { clock, supervisor, children, lost } = scene()
  await clock.run(supervisor.start())
  supervisor.letEnd()
  children[0]?.die('exit code 0')
  await clock.run(supervisor.ended)
  await clock.advance(60_000)
  expect([children.length, lost]).toEqual([1, 0])
})
