/** What the command loads to start; how fast it starts is measured by `npm run bench`. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { launcher } from './natcheck.ts'

function node(args: readonly string[], env: NodeJS.ProcessEnv = {}, expected = 0): void {
  const { status } = spawnSync(process.execPath, args, { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' })
  expect(status).toBe(expected)
}

/** Every file that V8 compiled, by way of its coverage report. */
function loadedFiles(args: readonly string[], expected = 0): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'natcheck-loaded-'))
  try {
    node(args, { NODE_V8_COVERAGE: directory }, expected)
    return readdirSync(directory).flatMap((file) => {
      const { result } = JSON.parse(readFileSync(join(directory, file), 'utf8')) as { result: { url: string }[] }
      return result.map(({ url }) => url).filter((url) => url.startsWith('file:'))
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('help loads commander and the command definitions, nothing else', () => {
  const files = loadedFiles([launcher, 'nat', '--help'])
  const packages = new Set(files.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []))
  const folders = new Set(files.flatMap((url) => /\/dist\/(\w+)\//.exec(url)?.[1] ?? []))
  expect([...packages]).toEqual(['commander'])
  expect([...folders].toSorted()).toEqual(['cli', 'core'])
})

test('a schema loads no probe, and a run no schema', () => {
  expect(loadedFiles([launcher, 'schema', 'nat']).filter((url) => /dist\/(probe|transport|wire)\//.test(url))).toEqual(
    [],
  )
  const run = loadedFiles([launcher, 'nat', '--server', 'stun:127.0.0.1:9', '--json'], 3)
  expect(run.filter((url) => url.includes('dist/probe/')).length).toBeGreaterThan(5)
  expect(run.filter((url) => url.includes('typebox'))).toEqual([])
})
