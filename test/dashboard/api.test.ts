/** The dashboard's API: who may ask, what is answered, and that bad input ends in one clear line. */
import { describe, expect, test } from 'vitest'
import { lint } from '../../src/coturn/lint/lint.ts'
import type { HostCheck } from '../../src/dashboard/options.ts'
import { host, testApp } from './app.ts'

const token = 'a-token-of-some-length'
const exposed = { ip: '0.0.0.0', port: 0 }
const rest = { urls: ['turn:127.0.0.1:3478'], username: '1:dashboard', credential: 'short-lived' }

describe('who may ask', () => {
  test('on loopback anybody on this machine, by its own names', async () => {
    const { app } = await testApp()
    for (const name of [host, 'localhost:8478', '[::1]:8478', 'localhost']) {
      const { statusCode } = await app.inject({ url: '/api/config', headers: { host: name } })
      expect([name, statusCode]).toEqual([name, 200])
    }
  })

  test('not by a name that somebody else has made to point here', async () => {
    const { app } = await testApp()
    for (const name of ['evil.example:8478', '192.0.2.1', 'localhost.evil.example']) {
      const { statusCode } = await app.inject({ url: '/api/config', headers: { host: name } })
      expect([name, statusCode]).toEqual([name, 403])
    }
  })

  test('no page of another origin writes', async () => {
    const { app } = await testApp()
    const post = async (origin: string | undefined): Promise<number> =>
      (await app.inject({ method: 'POST', url: '/api/rooms', headers: { host, ...(origin ? { origin } : {}) } }))
        .statusCode
    expect(await post(undefined)).toBe(201)
    expect(await post(`http://${host}`)).toBe(201)
    expect(await post('http://evil.example')).toBe(403)
    expect(await post('http://127.0.0.1:9999')).toBe(403)
    expect(await post('null')).toBe(403)
  })

  test('elsewhere only with the token, in a header or in the cookie that it buys', async () => {
    const { app } = await testApp({ listen: exposed, token })
    const ask = async (headers: Record<string, string>): Promise<number> =>
      (await app.inject({ url: '/api/ice-servers', headers: { host, ...headers } })).statusCode
    expect(await ask({})).toBe(401)
    expect(await ask({ authorization: 'Bearer wrong' })).toBe(401)
    expect(await ask({ cookie: 'natcheck=wrong' })).toBe(401)
    expect(await ask({ authorization: `Bearer ${token}` })).toBe(200)

    const refused = await app.inject({
      method: 'POST',
      url: '/api/session',
      headers: { host },
      payload: { token: 'x' },
    })
    expect([refused.statusCode, refused.headers['set-cookie']]).toEqual([401, undefined])
    const { headers, body } = await app.inject({
      method: 'POST',
      url: '/api/session',
      headers: { host },
      payload: { token },
    })
    const cookie = String(headers['set-cookie'])
    expect(cookie).toMatch(/^natcheck=[\w-]{40,}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/)
    expect(cookie + body).not.toContain(token)
    expect(await ask({ cookie: cookie.split(';')[0] ?? '' })).toBe(200)
  })

  test('guessing is slowed down', async () => {
    const { app } = await testApp({ listen: exposed, token })
    const codes = new Set<number>()
    for (let guess = 0; guess < 12; guess++) {
      const payload = { token: `guess ${guess}` }
      codes.add((await app.inject({ method: 'POST', url: '/api/session', headers: { host }, payload })).statusCode)
    }
    expect([...codes]).toEqual([401, 429])
  })

  test('an address that others reach demands a token, and a token worth the name', async () => {
    await expect(testApp({ listen: exposed })).rejects.toMatchObject({ code: 'USAGE' })
    await expect(testApp({ listen: exposed, token: 'short' })).rejects.toMatchObject({ code: 'USAGE' })
  })
})

describe('what is answered', () => {
  test('the page, with a policy that lets nothing in from elsewhere', async () => {
    const { app } = await testApp()
    const { statusCode, headers, body } = await app.inject({ url: '/', headers: { host } })
    expect([statusCode, body]).toEqual([200, '<!doctype html><title>page</title>'])
    const policy = String(headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
    expect(headers).toMatchObject({ 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff' })
  })

  test('nothing outside the page', async () => {
    const { app } = await testApp()
    for (const url of ['/../server.ts', '/%2e%2e/%2e%2e/etc/passwd', '/..%2f..%2fetc/passwd', '/api/nothing']) {
      const { statusCode, body } = await app.inject({ url, headers: { host } })
      expect([url, statusCode === 200, body.includes('root:')]).toEqual([url, false, false])
    }
  })

  test('servers with their short-lived credentials, which no cache keeps', async () => {
    const { app } = await testApp({ iceServers: () => [rest] })
    const { headers, body } = await app.inject({ url: '/api/ice-servers', headers: { host } })
    expect(JSON.parse(body)).toEqual({ iceServers: [rest] })
    expect(headers['cache-control']).toBe('no-store')
  })

  test('a description of all routes', async () => {
    const { app } = await testApp()
    const { paths } = (await app.inject({ url: '/api/docs', headers: { host } })).json<{ paths: object }>()
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['/api/config', '/api/ice-servers', '/api/rooms', '/api/live']),
    )
  })

  test('a room has a code of 128 bits, and never the same', async () => {
    const { app } = await testApp()
    const make = async (): Promise<string> =>
      (await app.inject({ method: 'POST', url: '/api/rooms', headers: { host } })).json<{ room: string }>().room
    const rooms = [await make(), await make()]
    for (const room of rooms) expect(Buffer.from(room, 'base64url')).toHaveLength(16)
    expect(new Set(rooms).size).toBe(2)
  })

  test('a host that can not be checked says so', async () => {
    const { app } = await testApp()
    const { statusCode, body } = await app.inject({ method: 'POST', url: '/api/host/check', headers: { host } })
    expect([statusCode, body]).toEqual([404, expect.stringContaining('no check-up')])
  })

  test('one check-up runs, however many ask', async () => {
    let runs = 0
    const finish: (() => void)[] = []
    const hostCheck: HostCheck = {
      run: () =>
        new Promise((resolve) => {
          runs++
          finish.push(() => resolve({ report: {}, redacted: {} }))
        }),
    }
    const { app } = await testApp({ hostCheck })
    const start = async (): Promise<unknown> =>
      (await app.inject({ method: 'POST', url: '/api/host/check', headers: { host } })).json()
    expect(await start()).toEqual({ started: true })
    expect(await start()).toEqual({ started: false })
    for (const end of finish.splice(0)) end()
    await Promise.resolve()
    expect(await start()).toEqual({ started: true })
    expect(runs).toBe(2)
    for (const end of finish) end()
  })
})

describe('bad input is one line', () => {
  const post = async (url: string, payload: string, contentType = 'application/json'): Promise<[number, string]> => {
    const { app } = await testApp()
    const headers = { host, 'content-type': contentType }
    const { statusCode, body } = await app.inject({ method: 'POST', url, headers, payload })
    const { error } = JSON.parse(body) as { error: string }
    return [statusCode, error]
  }

  test.each([
    ['/api/session', '{', 400],
    ['/api/session', '[]', 400],
    ['/api/session', '{"token":7}', 400],
    ['/api/session', '{"token":"x","admin":true}', 400],
    ['/api/session', `{"token":"${'x'.repeat(2000)}"}`, 400],
    ['/api/session', JSON.stringify({ token: 'x'.repeat(1_100_000) }), 413],
    ['/api/rooms/host', '{"room":"nothing"}', 404],
    ['/api/rooms/host', '{}', 400],
  ])('%s %.30s', async (url, payload, expected) => {
    const [status, error] = await post(url, payload)
    expect(status).toBe(expected)
    expect(error).toMatch(/^[^\n]+$/)
    expect(error).not.toMatch(/internal|\bat .*:\d+/)
  })

  test('a body that is not JSON', async () => {
    expect((await post('/api/session', 'token=x', 'application/x-www-form-urlencoded'))[0]).toBe(415)
  })
})

describe('turnserver.conf', () => {
  const post = async (url: string, payload: object): Promise<{ status: number; answer: Record<string, unknown> }> => {
    const { app } = await testApp()
    const { statusCode, body } = await app.inject({ method: 'POST', url, headers: { host }, payload })
    return { status: statusCode, answer: JSON.parse(body) as Record<string, unknown> }
  }
  const plan = { profile: 'public', realm: 'turn.example.org', tls: true, minPort: 49_152, maxPort: 65_535 }

  test('is linted as the command line does', async () => {
    const { status, answer } = await post('/api/coturn/lint', { text: 'realm=x\nno-such-option=1\n', version: '4.6.1' })
    const findings = lint({ text: 'realm=x\nno-such-option=1\n', version: '4.6.1' })
    expect([status, answer['version']]).toEqual([200, '4.6.1'])
    expect(findings.length).toBeGreaterThan(0)
    expect(answer['findings']).toMatchObject(findings.map(({ rule, message }) => ({ rule, message })))
  })

  test('that is generated holds no secret, and lints without an error', async () => {
    const { status, answer } = await post('/api/coturn/generate', { ...plan, externalIp: '203.0.113.7' })
    expect(status).toBe(200)
    const text = String(answer['text'])
    expect(text).toContain('realm=turn.example.org')
    expect(text).toContain('external-ip=203.0.113.7')
    expect(text).not.toMatch(/^static-auth-secret=/m)
  })

  test.each([
    ['/api/coturn/lint', { text: '', version: '1.0' }, 'not known'],
    ['/api/coturn/generate', { ...plan, realm: 'a\nno-auth' }, 'realm'],
    ['/api/coturn/generate', { ...plan, minPort: 60_000, maxPort: 50_000 }, 'end before they begin'],
    ['/api/coturn/generate', { ...plan, externalIp: 'x\nno-auth' }, 'no IP address'],
  ])('%s refuses what makes no sense', async (url, payload, why) => {
    const { status, answer } = await post(url, payload)
    expect([status, answer['error']]).toEqual([400, expect.stringContaining(why)])
  })
})
