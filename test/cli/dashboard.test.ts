/** The settings of `natcheck up` and `natcheck dashboard`, and how they start and end. On loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { dashboardCommand } from '../../src/cli/dashboard/run.ts'
import { readDashboardSettings } from '../../src/cli/dashboard/settings.ts'
import { certificate } from '../transport/certificates.ts'
import { FakeIo } from './fake.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-dashboard-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

describe('settings', () => {
  const read = (flags: Record<string, unknown>): ReturnType<typeof readDashboardSettings> =>
    readDashboardSettings(flags, { env: {}, cwd: directory })

  test('loopback without a token by default', () => {
    expect(read({})).toMatchObject({ listen: { ip: '127.0.0.1', port: 8478 }, token: undefined, tokenIsNew: false })
  })

  test('any other address gets a random token, or the one of the file', () => {
    const [first, second] = [read({ listen: '192.0.2.1' }), read({ listen: '192.0.2.1' })]
    expect(first).toMatchObject({ listen: { ip: '192.0.2.1', port: 8478 }, tokenIsNew: true })
    expect(Buffer.from(first.token ?? '', 'base64url')).toHaveLength(24)
    expect(first.token).not.toBe(second.token)
    const tokenFile = file('token', 'a-token-of-some-length\n')
    expect(read({ listen: '[::]:80', tokenFile })).toMatchObject({ token: 'a-token-of-some-length', tokenIsNew: false })
  })

  test('a metrics URL may leave its path out', () => {
    expect(read({ relay: 'http://127.0.0.1:9641' }).relayUrl?.href).toBe('http://127.0.0.1:9641/metrics')
  })

  test.each([
    [{ listen: 'nowhere' }, 'no ADDR:PORT'],
    [{ relay: 'turn:example.org' }, 'no http: or https: URL'],
    [{ server: ['turn:example.org'] }, 'needs credentials'],
    [{ cert: 'x' }, 'HTTPS needs --cert and --key'],
    [{ tokenFile: 'missing' }, "can't be read"],
    [{ server: ['http://example.org'] }, 'example.org'],
  ])('%j', (flags, why) => {
    expect(() => read(flags)).toThrow(why)
  })

  test('short tokens and secrets that nobody uses', () => {
    expect(() => read({ tokenFile: file('token', 'short') })).toThrow('shorter than 16 bytes')
    expect(() => read({ authSecretFile: file('secret', 'x'.repeat(32)) })).toThrow('no --server is one')
  })
})

describe('running', () => {
  const start = async (
    flags: Record<string, unknown>,
  ): Promise<{ io: FakeIo; ended: Promise<number>; url: string }> => {
    const io = new FakeIo()
    const ended = dashboardCommand({ listen: '127.0.0.1:0', ...flags }, io)
    ended.catch(() => undefined)
    await vi.waitFor(() => expect(io.stdout).toContain('\n'))
    return { io, ended, url: io.stdout.split('\n')[0] ?? '' }
  }

  test('TURN servers are used with credentials that expire, and the secret is nowhere', async () => {
    const secret = 'b'.repeat(32)
    const { io, ended, url } = await start({
      server: ['turn:turn.example.org', 'stun:stun.example.org'],
      authSecretFile: file('secret', secret),
    })
    const text = await (await fetch(`${url}api/ice-servers`)).text()
    expect(JSON.parse(text)).toEqual({
      iceServers: [
        { urls: ['stun:stun.example.org'] },
        {
          urls: ['turn:turn.example.org'],
          username: expect.stringMatching(/^\d{10}:dashboard$/) as string,
          credential: expect.stringMatching(/^[\w+/]{27}=$/) as string,
        },
      ],
    })
    expect(text + io.stdout + io.stderr).not.toContain(secret)
    io.interrupt()
    expect(await ended).toBe(0)
    await expect(fetch(url)).rejects.toThrow('fetch failed')
  })

  test('a port in use is one line, and nothing stays open', async () => {
    const { io, ended, url } = await start({})
    await expect(dashboardCommand({ listen: new URL(url).host }, new FakeIo())).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
    })
    io.interrupt()
    await ended
  })

  test('HTTPS by flag', async () => {
    const { cert, key } = certificate({ commonName: 'localhost', names: ['localhost'] })
    const { io, ended, url } = await start({ cert: file('cert.pem', cert), key: file('key.pem', key) })
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/$/)
    io.interrupt()
    expect(await ended).toBe(0)
  })

  test('a relay that is gone is told to whoever watches', async () => {
    // Port 1 is nobody's.
    const { io, ended, url } = await start({ relay: 'http://127.0.0.1:1/metrics' })
    const response = await fetch(`${url}api/live`)
    let text = ''
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk as Uint8Array).toString('utf8')
      if (text.includes('event: relay\n')) break
    }
    expect(text).toContain('does not answer')
    io.interrupt()
    expect(await ended).toBe(0)
  })
})
