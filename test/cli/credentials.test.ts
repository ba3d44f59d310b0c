/** `natcheck credentials`: what it mints, and what it refuses. */
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { credentialsCommand } from '../../src/cli/credentials/run.ts'
import { runCli } from '../../src/cli/program.ts'
import { NatcheckError, wallTime } from '../../src/core/index.ts'
import { FakeIo } from './fake.ts'

const now = wallTime(Date.parse('2026-11-21T00:00:00Z'))
const secret = 'a-secret-of-twenty-four!'
let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-credentials-'))
  writeFileSync(join(directory, 'secret'), `# rotated in November\n${secret}\nthe-old-secret-is-last\n`)
  writeFileSync(join(directory, 'short'), 'too short\n')
})
afterAll(() => rmSync(directory, { recursive: true }))

async function mint(flags: Record<string, unknown>, env: Record<string, string> = {}): Promise<unknown> {
  const io = new FakeIo()
  io.cwd = directory
  Object.assign(io.env, env)
  expect(await credentialsCommand(flags, io, now)).toBe(0)
  return JSON.parse(io.stdout)
}

const fails = async (flags: Record<string, unknown>): Promise<NatcheckError> => {
  const error: unknown = await mint(flags).catch((thrown: unknown) => thrown)
  if (error instanceof NatcheckError) return error
  throw new Error('it did not fail')
}

test("expiry:user and its HMAC-SHA1, with the file's first secret", async () => {
  const username = `${Date.parse('2026-11-21T12:00:00Z') / 1000}:alice`
  const credential = createHmac('sha1', secret).update(username).digest('base64')
  const urls = ['turn:relay.example.org', 'turns:relay.example.org:443?transport=tcp']
  expect(await mint({ secretFile: 'secret', user: 'alice', ttl: '12h', url: urls })).toEqual([
    { urls, username, credential },
  ])
})

test('the relay on this machine, for twelve hours, unless told otherwise; the secret may be in the environment', async () => {
  const username = `${Date.parse('2026-11-21T12:00:00Z') / 1000}:natcheck`
  expect(await mint({}, { NATCHECK_RELAY_AUTH_SECRET: secret })).toEqual([
    {
      urls: ['turn:127.0.0.1:3478?transport=udp', 'turn:127.0.0.1:3478?transport=tcp'],
      username,
      credential: createHmac('sha1', secret).update(username).digest('base64'),
    },
  ])
})

describe('refuses', () => {
  test.each([
    [{}, 'USAGE', 'the secret is missing'],
    [{ secretFile: 'nowhere' }, 'BAD_FILE', "the secret file .*/nowhere can't be read"],
    [{ secretFile: 'short' }, 'USAGE', 'line 1 of .*/short has 9 bytes; it needs 16'],
    [{ secretFile: 'secret', ttl: 'soon' }, 'USAGE', '--ttl is "soon"'],
    [{ secretFile: 'secret', ttl: '0' }, 'USAGE', '--ttl is "0"'],
    [{ secretFile: 'secret', user: '' }, 'USAGE', '--user is empty'],
    [{ secretFile: 'secret', url: ['stun:example.org'] }, 'USAGE', 'only relays ask for credentials'],
    [{ secretFile: 'secret', url: ['turn://example.org'] }, 'BAD_URI', 'no slashes'],
  ])('%j', async (flags, code, message) => {
    const error = await fails(flags)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(new RegExp(message))
    expect(error.fix).toBeTruthy()
    expect(error.message).not.toContain('too short')
  })

  test('in one line, with exit code 2', async () => {
    const io = new FakeIo()
    expect(await runCli(['credentials', '--secret-file', '/nowhere/secret'], io)).toBe(2)
    expect(io.stdout).toBe('')
    expect(io.stderr).toMatch(/^natcheck: the secret file \/nowhere\/secret can't be read — .*\n$/)
  })
})
