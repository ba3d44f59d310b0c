/** The small HTTP server: what it answers, and what it refuses. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { formatAddress } from '../../src/core/index.ts'
import { type HttpListener, listenHttp } from '../../src/transport/index.ts'

let server: HttpListener
let url = ''
beforeAll(async () => {
  server = await listenHttp({ ip: '127.0.0.1', port: 0 }, async (path) => {
    if (path === '/fails') throw new Error('a secret of ours')
    return path === '/here' ? { status: 200, contentType: 'text/plain', body: 'here\n' } : undefined
  })
  url = `http://${formatAddress(server.local)}`
})
afterAll(() => server.close())

test.each([
  ['GET', '/here', 200, 'here\n'],
  ['GET', '/here?and=more', 200, 'here\n'],
  ['HEAD', '/here', 200, ''],
  ['GET', '/', 404, 'not found\n'],
  ['GET', '/fails', 500, 'failed\n'],
  ['POST', '/here', 405, 'only GET\n'],
])('%s %s: %i', async (method, path, status, body) => {
  const response = await fetch(url + path, { method })
  expect(response.status).toBe(status)
  expect(await response.text()).toBe(body)
})

test('a port that is taken', async () => {
  await expect(listenHttp(server.local, async () => undefined)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
})
