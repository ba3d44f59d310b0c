import { describe, expect, test, vi } from 'vitest'
import { describeError, errorLine, exitCodeOf, exitCodes } from '../../src/cli/io.ts'
import { natCommand } from '../../src/cli/nat/run.ts'
import { runCli } from '../../src/cli/program.ts'
import { nearest } from '../../src/core/suggest.ts'
import { NatcheckError } from '../../src/core/index.ts'
import { FakeIo, fakeWorld, home } from './fake.ts'

describe('errors are one line, whatever they are', () => {
  test('ours: cause and fix', () => {
    const error = new NatcheckError('BAD_URI', 'it is\nwrong.', { fix: 'mend it' })
    expect(errorLine(describeError(error))).toBe('natcheck: it is wrong — mend it\n')
    expect(exitCodeOf(error)).toBe(exitCodes.usage)
  })

  test('a defect: no stack, and how to see more', () => {
    const line = errorLine(describeError(new TypeError('x is\nundefined')))
    expect(line).toMatch(/^natcheck: internal error: x is undefined — .*NATCHECK_DEBUG=1[^\n]*\n$/)
    expect(exitCodeOf(new TypeError('x'))).toBe(exitCodes.unmeasured)
  })

  test('NATCHECK_DEBUG shows the stack of a defect, not of a usage error', async () => {
    const io = new FakeIo()
    io.env['NATCHECK_DEBUG'] = '1'
    expect(await runCli(['nat', '--family', '5'], io)).toBe(exitCodes.usage)
    expect(io.stderr.split('\n')).toHaveLength(2)
    Object.defineProperty(io, 'cwd', {
      get: () => {
        throw new TypeError('broken')
      },
    })
    io.stderr = ''
    expect(await runCli(['nat', '--json'], io)).toBe(exitCodes.unmeasured)
    expect(io.stderr).toMatch(/^natcheck: internal error: broken — [^\n]+\nTypeError: broken\n +at /)
    expect(io.json.error?.code).toBe('INTERNAL')
  })
})

test('a probe that takes too long is ended, and what it knows is printed', async () => {
  vi.useFakeTimers()
  try {
    const io = new FakeIo()
    const world = fakeWorld(
      ({ signal }) => new Promise((resolve) => signal?.addEventListener('abort', () => resolve([home]))),
    )
    const running = natCommand({ json: true, timeout: '1000' }, io, world)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await running).toBe(exitCodes.ok)
    expect(io.json.verdict.p2p).toBe('direct')
  } finally {
    vi.useRealTimers()
  }
})

test('did you mean', () => {
  expect(nearest('symetric', ['symmetric', 'blocked'])).toBe('symmetric')
  expect(nearest('Server', ['server', 'port'])).toBe('server')
  expect(nearest('nothing', ['server', 'port'])).toBeUndefined()
  expect(nearest('x', [])).toBeUndefined()
})
