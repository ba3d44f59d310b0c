/** `natcheck relay` as an operator has it: start, metrics, reload, drain, end. On loopback, with the dgram datapath. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { RelayDocument } from '../../src/cli/relay/announce.ts'
import { relayCommand } from '../../src/cli/relay/run.ts'
import { runCli } from '../../src/cli/program.ts'
import type { TransportAddress } from '../../src/core/index.ts'
import { parseAddress } from '../../src/core/index.ts'
import { openStunConnection, type RequestOutcome, type StunConnection } from '../../src/proto/stun/index.ts'
import { timeLimitedCredentials } from '../../src/relay/credentials.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../src/transport/index.ts'
import { attribute, lifetime, Method, requestedTransport } from '../../src/wire/index.ts'
import { certificate } from '../transport/certificates.ts'
import { FakeIo } from './fake.ts'

let directory = ''
let running: Running | undefined
const connections: StunConnection[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-relay-'))
})
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.close()
  running?.io.signal('SIGTERM')
  running?.io.signal('SIGTERM')
  await running?.ended
  running = undefined
  rmSync(directory, { recursive: true })
})

interface Running {
  readonly io: FakeIo
  readonly ended: Promise<number>
  readonly document: RelayDocument
  readonly address: TransportAddress
  readonly logged: (message: string) => Record<string, unknown> | undefined
}

const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text)
  return name
}

async function start(flags: Record<string, unknown>): Promise<Running> {
  const io = new FakeIo()
  io.cwd = directory
  const all = { listen: ['127.0.0.1:0'], datapath: 'dgram', json: true, ...flags }
  const ended = relayCommand(all, io)
  await Promise.race([vi.waitFor(() => expect(io.stdout).toMatch(/^\}$/m), { interval: 5 }), ended])
  const document = JSON.parse(io.stdout) as RelayDocument
  const address = parseAddress(document.listeners?.[0]?.address ?? '')
  if (!address) throw new Error(io.stdout)
  const logged = (message: string): Record<string, unknown> | undefined =>
    io.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find(({ msg }) => String(msg).includes(message))
  running = { io, ended, document, address, logged }
  return running
}

async function client(to: TransportAddress, username: string, password: string): Promise<StunConnection> {
  const connection = await openStunConnection(
    { network: nodeNetwork(), clock: systemClock, random: systemRandom },
    { to, protocol: 'udp', credentials: { kind: 'long-term', username, password }, connectTimeoutMs: 2000 },
  )
  connections.push(connection)
  return connection
}

const request = ({ client }: StunConnection, method: number, seconds: number): Promise<RequestOutcome> =>
  client.request({
    method,
    attributes: [
      ...(method === Method.allocate ? [attribute(requestedTransport, 17)] : []),
      attribute(lifetime, seconds),
    ],
    timeoutMs: 5000,
  })
const allocate = (connection: StunConnection): Promise<RequestOutcome> => request(connection, Method.allocate, 600)
const refresh = (connection: StunConnection, seconds: number): Promise<RequestOutcome> =>
  request(connection, Method.refresh, seconds)
const code = (outcome: RequestOutcome): number | string =>
  outcome.kind === 'error-response' ? outcome.error.code : outcome.kind

const logged = async ({ logged }: Running, message: string): Promise<Record<string, unknown>> =>
  await vi.waitFor(
    () => {
      const found = logged(message)
      if (!found) throw new Error(`not logged: ${message}`)
      return found
    },
    { interval: 5 },
  )

describe('without users', () => {
  test('it prints the URLs, the iceServers to paste and the check; the credentials work', async () => {
    const { document, address, io } = await start({})
    const where = `127.0.0.1:${address.port}`
    const urls = [`turn:${where}?transport=udp`, `turn:${where}?transport=tcp`]
    expect(document).toMatchObject({ schemaVersion: 1, kind: 'relay', engine: 'native', urls, error: null })
    const [server] = document.iceServers ?? []
    expect(document.check).toBe(
      `TURN_PASSWORD=${server?.credential} npx natcheck ice --server turn:${where} --username ${server?.username} --credential-env TURN_PASSWORD`,
    )
    expect(server).toEqual({ urls, username: expect.any(String), credential: expect.any(String) })
    const outcome = await allocate(await client(address, server?.username ?? '', server?.credential ?? ''))
    expect(code(outcome)).toBe('success')
    expect(io.stderr).not.toContain(server?.credential)
  })

  test('in words', async () => {
    const io = new FakeIo()
    const ended = relayCommand({ listen: ['127.0.0.1:0'], datapath: 'dgram', logLevel: 'silent' }, io)
    await vi.waitFor(() => expect(io.stdout).toContain('Check it'), { interval: 5 })
    io.signal('SIGTERM')
    expect(await ended).toBe(0)
    expect(io.stdout).toMatch(/^✓ STUN\/TURN relay is up \(engine native, datapath dgram\)\.\n {4}turn:127\.0\.0\.1:/)
    expect(io.stdout).toMatch(/\[\{"urls":\["turn:.*"credential":"[\w-]{20}"\}\]/)
    expect(io.stderr).toBe('')
  })
})

test.each([
  [
    'a user of their own',
    { user: ['alice:wonderland'] },
    /^TURN_PASSWORD=\.\.\. npx natcheck ice --server turn:[\d.:]+ --username alice --credential-env TURN_PASSWORD$/,
  ],
  [
    'nobody in particular',
    { auth: false },
    /^TURN_PASSWORD=any npx natcheck ice --server turn:[\d.:]+ --username anybody/,
  ],
  ['STUN only', { stunOnly: true }, /^npx natcheck nat --server stun:[\d.:]+ --no-router$/],
])('the check for %s', async (_, flags, line) => {
  const { document } = await start(flags)
  expect(document.check).toMatch(line)
})

test('client addresses are logged at debug only, secrets never', async () => {
  const flags = { usersFile: file('users', 'alice:wonderland\n') }
  for (const [level, shows] of [
    ['info', false],
    ['debug', true],
  ] as const) {
    const relay = await start({ ...flags, logLevel: level })
    await allocate(await client(relay.address, 'alice', 'wonderland'))
    await allocate(await client(relay.address, 'alice', 'not-hers'))
    const created = await logged(relay, 'allocation created')
    expect(created).toMatchObject({ level: 'info', username: 'alice', protocol: 'udp' })
    expect('client' in created).toBe(shows)
    expect(relay.io.stderr).not.toMatch(/wonderland|not-hers/)
    relay.io.signal('SIGTERM')
    relay.io.signal('SIGTERM')
    await relay.ended
  }
})

test('/metrics and /healthz are live', async () => {
  const relay = await start({ metrics: '127.0.0.1:0', usersFile: file('users', 'alice:a\n') })
  const get = async (path: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${relay.document.metrics}${path}`)
    return { status: response.status, text: await response.text() }
  }
  expect(await get('/healthz')).toEqual({ status: 200, text: 'ok\n' })
  const connection = await client(relay.address, 'alice', 'a')
  await allocate(connection)
  await allocate(await client(relay.address, 'mallory', 'm'))
  const { text } = await get('/metrics')
  expect(text).toContain('natcheck_relay_allocations 1\n')
  expect(text).toContain('natcheck_relay_info{engine="native",datapath="dgram"} 1\n')
  expect(text).toContain('natcheck_relay_auth_failures_total{reason="unknown-user"} 1\n')
  expect(text).toContain('natcheck_relay_responses_total{method="Allocate",code="0"} 1\n')
  await refresh(connection, 0)
  expect((await get('/metrics')).text).toContain('natcheck_relay_allocations 0\n')
})

describe('SIGTERM', () => {
  test('drains: no new allocations, and the end with the last one', async () => {
    const relay = await start({ metrics: '127.0.0.1:0', usersFile: file('users', 'alice:a\n') })
    const first = await client(relay.address, 'alice', 'a')
    expect(code(await allocate(first))).toBe('success')
    relay.io.signal('SIGTERM')
    expect(await logged(relay, 'draining')).toMatchObject({ allocations: 1 })
    expect(code(await allocate(await client(relay.address, 'alice', 'a')))).toBe(508)
    expect((await fetch(`${relay.document.metrics}/healthz`)).status).toBe(503)
    expect(code(await refresh(first, 600))).toBe('success')
    await refresh(first, 0)
    expect(await relay.ended).toBe(0)
    expect(relay.logged('relay stopped')).toBeDefined()
  })

  test('ends what is left after --drain-timeout', async () => {
    const relay = await start({ drainTimeout: '1s', usersFile: file('users', 'alice:a\n') })
    await allocate(await client(relay.address, 'alice', 'a'))
    relay.io.signal('SIGTERM')
    expect(await relay.ended).toBe(0)
    expect(relay.logged('allocation ended')).toMatchObject({ why: 'drained' })
  })

  test('a second one ends at once', async () => {
    const relay = await start({ usersFile: file('users', 'alice:a\n') })
    await allocate(await client(relay.address, 'alice', 'a'))
    relay.io.signal('SIGTERM')
    relay.io.signal('SIGTERM')
    expect(await relay.ended).toBe(130)
  })
})

describe('SIGHUP', () => {
  test('takes new users and secrets, and drops no allocation', async () => {
    const relay = await start({ usersFile: file('users', 'alice:a\n') })
    const alice = await client(relay.address, 'alice', 'a')
    expect(code(await allocate(alice))).toBe('success')
    file('users', 'bob:b\n')
    relay.io.signal('SIGHUP')
    expect(await logged(relay, 'configuration reloaded')).toMatchObject({ users: 1 })
    expect(code(await allocate(await client(relay.address, 'bob', 'b')))).toBe('success')
    expect(code(await allocate(await client(relay.address, 'alice', 'a')))).toBe(401)
    expect(code(await refresh(alice, 600))).toBe('success')
  })

  test.each([
    ['users that are none', { users: 'alice\n' }, 'line 1 of the users file'],
    ['no users at all', { users: '# gone\n' }, 'neither users nor secrets are left'],
    ['a setting that is none', { 'natcheck.yaml': 'usrFile: x\n' }, 'did you mean \\"usersFile\\"?'],
    ['a peer rule that is none', { 'natcheck.yaml': 'denyPeer: 10.0.0.0/99\n' }, 'no number from 0 to 32'],
  ])('%s: the old configuration stays', async (_, files, problem) => {
    const relay = await start({ usersFile: file('users', 'alice:a\n') })
    for (const [name, text] of Object.entries(files)) file(name, text)
    relay.io.signal('SIGHUP')
    await logged(relay, 'the new configuration is refused, the old one stays')
    expect(relay.io.stderr).toContain(problem)
    expect(code(await allocate(await client(relay.address, 'alice', 'a')))).toBe('success')
  })

  test('what can not change while it runs is named', async () => {
    const relay = await start({ config: file('c.yaml', 'realm: one.example\nuser: alice:a\n') })
    file('c.yaml', 'realm: two.example\nuser: alice:a\nuserQuota: 3\n')
    relay.io.signal('SIGHUP')
    expect(await logged(relay, 'need a restart')).toMatchObject({ msg: 'changes of realm, userQuota need a restart' })
  })
})

test('time-limited credentials: good ones, expired ones, those of another secret', async () => {
  const secret = 'sixteen bytes or more'
  const relay = await start({ authSecretFile: file('secret', `${secret}\n`) })
  const mint = (from: string, ttlSeconds: number): { username: string; credential: string } =>
    timeLimitedCredentials({ secret: from, user: 'alice', ttlSeconds, now: systemClock.wallTime() })
  const outcome = async ({
    username,
    credential,
  }: {
    username: string
    credential: string
  }): Promise<number | string> => code(await allocate(await client(relay.address, username, credential)))
  expect(await outcome(mint(secret, 60))).toBe('success')
  expect(await outcome(mint(secret, -60))).toBe(401)
  expect(await outcome(mint('some other secret, as long', 60))).toBe(401)
})

describe('bad input: one line, exit code 2', () => {
  const fails = async (args: readonly string[]): Promise<{ status: number; stderr: string; stdout: string }> => {
    const io = new FakeIo()
    io.cwd = directory
    const status = await runCli(['relay', '--datapath', 'dgram', ...args], io)
    return { status, stderr: io.stderr, stdout: io.stdout }
  }
  const good = certificate({ commonName: 'a' })
  const expired = certificate({ commonName: 'a', notAfter: new Date('2020-02-01') })

  test.each([
    ['no such address', ['--listen', '198.51.100.99:3478', '--no-auth'], 'is not an address of this machine'],
    ['no such relay address', ['--listen', '127.0.0.1:0', '--relay-ip', '198.51.100.99'], 'is not an address of this'],
    [
      'no such metrics address',
      ['--listen', '127.0.0.1:0', '--metrics', '198.51.100.99:1'],
      'is not an address of this',
    ],
    [
      'another external address',
      ['--listen', '127.0.0.1:0', '--external-ip', '192.0.2.1/10.0.0.1'],
      'which is not used',
    ],
    ['an alternate address alone', ['--listen', '127.0.0.1:0', '--alt-ip', '::1'], 'needs another listening address'],
    ['open to everybody', ['--listen', '0.0.0.0:3478'], 'would serve everybody'],
    ['an unknown flag', ['--lisen', '127.0.0.1:1'], "unknown option '--lisen'"],
    ['an engine that is not there', ['--engine', 'kamailio'], 'there is no "kamailio"'],
  ])('%s', async (_, args, message) => {
    const { status, stderr } = await fails(args)
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(message) })
    expect(stderr).toMatch(/^natcheck: [^\n]+ — [^\n]+\n$/)
  })

  test.each([
    ['expired', expired.cert, expired.key, 'the certificate expired on 2020-02-01'],
    ["another's key", good.cert, expired.key, 'the key is not the one of the certificate'],
    ['no PEM', 'x', good.key, "the certificate can't be read"],
  ])('a certificate: %s', async (_, cert, key, message) => {
    const args = ['--tls-listen', '127.0.0.1:0', '--cert', file('c.pem', cert), '--key', file('k.pem', key)]
    expect(await fails(args)).toMatchObject({ status: 2, stderr: expect.stringContaining(message) })
  })

  test('a port in use; and with --json a document all the same', async () => {
    const { address } = await start({})
    const { status, stderr, stdout } = await fails([
      '--listen',
      `127.0.0.1:${address.port}`,
      '--datapath',
      'dgram',
      '--json',
    ])
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('is already in use') })
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'relay', urls: null, error: { code: 'ADDRESS_IN_USE' } })
  })
})
