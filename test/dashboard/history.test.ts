/** Past check-ups: the newest hundred, over restarts where a directory is named, and through the API. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { History } from '../../src/dashboard/history.ts'
import type { CheckedHost } from '../../src/dashboard/options.ts'
import { host, testApp } from './app.ts'

const checked = (summary: string): CheckedHost => ({
  report: { verdict: { kind: 'ready', summary }, address: '192.0.2.7' },
  redacted: { verdict: { kind: 'ready', summary }, address: '203.0.113.1' },
})
const id = (number: number): Uint8Array => new Uint8Array([0, 0, 0, number])

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'natcheck-history-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('keeps the newest hundred, newest first, and leaves no file of older ones', () => {
  const path = directory()
  const history = new History(join(path, 'checks'), () => {})
  for (let count = 0; count < 105; count++) history.add(1_000 + count, id(count), checked(`number ${count}`))
  expect(history.list()).toHaveLength(100)
  expect(history.list()[0]).toMatchObject({ at: 1104, kind: 'ready', summary: 'number 104' })
  const names = readdirSync(join(path, 'checks'))
  expect(names).toHaveLength(100)
  expect(statSync(join(path, 'checks', names[0] ?? '')).mode & 0o777).toBe(0o600)
  expect(new History(join(path, 'checks'), () => {}).list()).toEqual(history.list())
})

test('passes over what is no report, and says so', () => {
  const path = directory()
  const logged: string[] = []
  for (const text of ['', '{', '[]', '{"report":{}}', '{"report":{"verdict":null},"redacted":{}}']) {
    writeFileSync(join(path, `${String(logged.length).padStart(13, '0')}-0000000${logged.length}.json`), text)
    expect(new History(path, (message) => logged.push(message)).list()).toEqual([])
    logged.splice(0)
  }
  writeFileSync(join(path, 'notes.json'), '{')
  writeFileSync(join(path, '0000000000009-00000009.json'), JSON.stringify(checked('kept')))
  const history = new History(path, (message) => logged.push(message))
  expect(history.list().map(({ summary }) => summary)).toEqual(['kept'])
  expect(logged).toHaveLength(1)
  expect(readFileSync(join(path, 'notes.json'), 'utf8')).toBe('{')
})

test('a directory that can not be used is told at the start', () => {
  const path = directory()
  writeFileSync(join(path, 'file'), '')
  expect(() => new History(join(path, 'file'), () => {})).toThrow("can't be used")
})

test('through the API: listed, read, shared redacted, forgotten', async () => {
  const hostCheck = { run: () => Promise.resolve(checked('all is well')) }
  const { app } = await testApp({ hostCheck })
  const get = async (url: string): Promise<{ status: number; body: string; disposition: unknown }> => {
    const { statusCode, body, headers } = await app.inject({ url, headers: { host } })
    return { status: statusCode, body, disposition: headers['content-disposition'] }
  }
  await app.inject({ method: 'POST', url: '/api/host/check', headers: { host } })
  const { checks } = JSON.parse((await get('/api/history')).body) as { checks: { id: string; summary: string }[] }
  expect(checks).toMatchObject([{ summary: 'all is well' }])
  const url = `/api/history/${checks[0]?.id ?? ''}`
  expect((await get(url)).body).toContain('192.0.2.7')
  const shared = await get(`${url}/redacted`)
  expect(shared.body).not.toContain('192.0.2.7')
  expect(shared.disposition).toMatch(/^attachment; filename="natcheck-\d{13}\.json"$/)
  const forget = async (): Promise<number> =>
    (await app.inject({ method: 'DELETE', url, headers: { host } })).statusCode
  expect([await forget(), await forget(), (await get(url)).status]).toEqual([204, 404, 404])
  expect((await get('/api/history/..%2f..%2fetc%2fpasswd')).status).toBe(404)
})
