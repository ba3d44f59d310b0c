import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const vitest = resolve('node_modules/vitest/vitest.mjs')
const reporter = resolve('test/reporter.ts')

/** A run of vitest of its own over the given files. `tail` is what our reporter printed. */
function run(directory: string, files: Record<string, string>, options: { ci?: boolean; args?: string[] } = {}) {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  const { CI: _, GITHUB_ACTIONS: __, ...env } = process.env
  const { status, stdout } = spawnSync(
    process.execPath,
    [vitest, 'run', '--root', directory, '--globals', `--reporter=${reporter}`, ...(options.args ?? [])],
    { encoding: 'utf8', timeout: 15_000, env: { ...env, ...(options.ci ? { CI: 'true' } : {}) } },
  )
  return { status, lines: stdout.trimEnd().split('\n') }
}

describe('the summary at the end of a run', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'natcheck-reporter-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const mixed = {
    'a.test.ts': `
      test('one', () => {})
      test('noted', (ctx) => ctx.skip('needs root'))
      describe.skip('lab (skipped: needs root)', () => { test('two', () => {}) })
      test.skip('forgotten', () => {})
      test.todo('later')`,
    'b.test.ts': `test('three', () => {})`,
  }

  test('groups skipped tests by reason and ends in one plain line', () => {
    const { status, lines } = run(directory, mixed)
    expect(lines).toEqual([
      'skipped: 2 tests: needs root',
      '  a.test.ts > noted',
      '  a.test.ts > lab (skipped: needs root) > two',
      'skipped: 1 test: no reason given',
      '  a.test.ts > forgotten',
      'skipped: 1 test: not written yet',
      '  a.test.ts > later',
      '2 passed, 0 failed, 4 skipped',
    ])
    expect(status).toBe(0)
  })

  test('fails the run with CI=true when anything was skipped', () => {
    const { status, lines } = run(directory, mixed, { ci: true })
    expect(lines.slice(-2)).toEqual([
      'failed: tests were skipped, and with CI=true every test has to run',
      '2 passed, 0 failed, 4 skipped',
    ])
    expect(status).toBe(1)
  })

  test('names what passed only when it was run again', () => {
    const flaky = `let runs = 0; test('moody', { retry: 1 }, () => { if (++runs < 2) throw new Error('not now') })`
    const { status, lines } = run(directory, { 'a.test.ts': flaky })
    expect(lines).toEqual([
      'flaky: passed only when it was run again: a.test.ts > moody',
      '1 passed, 0 failed, 0 skipped',
    ])
    expect(status).toBe(0)
  })

  test('passes with CI=true when everything ran', () => {
    const { status, lines } = run(directory, { 'a.test.ts': `test('one', () => {})` }, { ci: true })
    expect(lines.at(-1)).toBe('1 passed, 0 failed, 0 skipped')
    expect(status).toBe(0)
  })

  test('counts files that do not load, failed hooks and unhandled rejections as failures', () => {
    const { status, lines } = run(directory, {
      'hook.test.ts': `describe('s', () => { beforeAll(() => { throw new Error('x') }); test('never', () => {}) })`,
      'load.test.ts': `throw new Error('no')`,
      'red.test.ts': `test('red', () => { expect(1).toBe(2) })`,
      'late.test.ts': `test('green', async () => { void Promise.reject(new Error('late')); await new Promise(setImmediate) })`,
    })
    expect(lines.slice(-3)).toEqual([
      'skipped: 1 test: what its suite prepares before all tests failed',
      '  hook.test.ts > s > never',
      '1 passed, 4 failed, 1 skipped',
    ])
    expect(status).toBe(1)
  })

  test('does not complain about tests left out with -t', () => {
    const { status, lines } = run(directory, mixed, { ci: true, args: ['-t', 'three'] })
    expect(lines).toEqual(['1 passed, 0 failed, 0 skipped'])
    expect(status).toBe(0)
  })
})
