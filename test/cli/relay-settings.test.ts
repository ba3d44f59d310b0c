/** The settings of `natcheck relay`: where they come from, and what is refused in one line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exitCodeOf } from '../../src/cli/io.ts'
import { parseSettings } from '../../src/cli/relay/file.ts'
import { type RelaySettings, readRelaySettings } from '../../src/cli/relay/settings.ts'
import { NatcheckError } from '../../src/core/index.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-relay-settings-'))
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text)
  write('users.txt', '# staff\nalice:wonder:land\n\nbob:builder\n')
  write('twice.txt', 'alice:a\nalice:b\n')
  write('broken.txt', 'alice:a\nbob\n')
  write('secret.txt', 'sixteen bytes ok\n')
  write('short.txt', 'fifteen bytes..\n')
  write('none.txt', '# nothing\n')
  write('cert.pem', 'CERT')
  write('key.pem', 'KEY')
  write(
    'full.yaml',
    'listen: ["192.0.2.1:3478", "[2001:db8::1]:3478"]\nuser-quota: 7\nrealm: file.example\nusersFile: users.txt\n',
  )
})
afterAll(() => rmSync(directory, { recursive: true }))

const settings = (flags: Record<string, unknown>, env: Record<string, string> = {}, cwd = directory): RelaySettings =>
  readRelaySettings(flags, { env, cwd })

function refusal(flags: Record<string, unknown>, env: Record<string, string> = {}): NatcheckError {
  try {
    settings(flags, env)
  } catch (error) {
    if (error instanceof NatcheckError) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('without arguments', () => {
  test('loopback, with a user made up for this run', () => {
    const first = settings({})
    expect(first.options).toMatchObject({ listen: [{ ip: '127.0.0.1', port: 3478 }], tlsListen: [], noAuth: false })
    expect(first.options.users).toEqual([first.generated])
    expect(first.generated?.password).toMatch(/^[\w-]{20}$/)
    expect(settings({}).generated?.password).not.toBe(first.generated?.password)
    expect(first.warnings).toEqual([])
  })

  test.each([[['127.0.0.1:0', '[::1]:3478']], [['127.8.9.10']]])('%j is loopback too', (listen) => {
    expect(settings({ listen }).generated).toBeDefined()
  })

  test.each(['0.0.0.0:3478', '[::]:3478', '192.168.1.1:3478', '198.51.100.1'])('%s needs users', (listen) => {
    const error = refusal({ listen: ['127.0.0.1:3478', listen] })
    expect(error.message).toMatch(/without users would serve everybody who reaches it/)
    expect(error.fix).toContain('--no-auth')
    expect(settings({ listen: [listen], auth: false })).toMatchObject({
      options: { noAuth: true },
      generated: undefined,
    })
    expect(settings({ listen: [listen], stunOnly: true }).generated).toBeUndefined()
  })
})

describe('order', () => {
  const config = 'full.yaml'
  test('flag, then environment, then file, then default', () => {
    const env = { NATCHECK_RELAY_REALM: 'env.example', NATCHECK_RELAY_USER_QUOTA: '8' }
    expect(settings({ config }).options).toMatchObject({ realm: 'file.example', userQuota: 7 })
    expect(settings({ config }, env).options).toMatchObject({ realm: 'env.example', userQuota: 8 })
    expect(settings({ config, userQuota: '9' }, env).options).toMatchObject({ realm: 'env.example', userQuota: 9 })
    expect(settings({}).options).toMatchObject({ realm: undefined, userQuota: undefined })
  })

  test('natcheck.yaml is read where it is; files that a file names are relative to it', () => {
    const nested = mkdtempSync(join(directory, 'nested-'))
    writeFileSync(join(nested, 'natcheck.yaml'), 'usersFile: ../users.txt\n')
    const users = [
      { username: 'alice', password: 'wonder:land' },
      { username: 'bob', password: 'builder' },
    ]
    expect(settings({}, {}, nested).options.users).toEqual(users)
    expect(settings({ config: join(nested, 'natcheck.yaml') }, {}, '/').options.users).toEqual(users)
  })

  test('users that are named beat those of the file', () => {
    const { options, warnings } = settings({ usersFile: 'users.txt', user: ['alice:new', 'carol:c'] })
    expect(options.users).toEqual([
      { username: 'alice', password: 'new' },
      { username: 'bob', password: 'builder' },
      { username: 'carol', password: 'c' },
    ])
    expect(warnings).toEqual([expect.stringContaining('use --users-file')])
    expect(settings({}, { NATCHECK_RELAY_USER: 'a:1 b:2' })).toMatchObject({
      options: { users: [{ username: 'a' }, { username: 'b' }] },
      warnings: [],
    })
  })

  test('a password may hold spaces and commas, but in the environment', () => {
    const password = 'a, b:c d'
    for (const user of [`alice:${password}`, [`alice:${password}`]]) {
      const config = join(directory, 'user.yaml')
      writeFileSync(config, `user: ${JSON.stringify(user)}\n`)
      expect(settings({ config }).options.users).toEqual([{ username: 'alice', password }])
    }
  })

  test('secrets from the environment and from a file', () => {
    const env = { NATCHECK_RELAY_AUTH_SECRET: 'another 16 bytes' }
    expect(settings({ authSecretFile: 'secret.txt' }, env).options.authSecrets).toEqual([
      'another 16 bytes',
      'sixteen bytes ok',
    ])
  })
})

test('every value in its own type', () => {
  const { options, ...rest } = settings({
    listen: ['0.0.0.0'],
    tlsListen: ['192.0.2.1'],
    cert: 'cert.pem',
    key: 'key.pem',
    relayIp: ['192.0.2.1', '2001:DB8::1'],
    externalIp: ['198.51.100.1/192.0.2.1', '2001:db8:1::1'],
    ports: '50000-50999',
    totalQuota: '1000',
    allowPeer: ['10.0.0.0/8,192.168.1.7'],
    denyPeer: ['2001:DB8:0::/32'],
    usersFile: 'users.txt',
    metrics: '127.0.0.1',
    drainTimeout: '90s',
    logLevel: 'debug',
    datapath: 'dgram',
    threads: '2',
    maxBps: '125000',
  })
  expect(options).toMatchObject({
    listen: [{ ip: '0.0.0.0', port: 3478 }],
    tlsListen: [{ ip: '192.0.2.1', port: 5349 }],
    certificate: { cert: 'CERT', key: 'KEY' },
    relayIps: ['192.0.2.1', '2001:db8::1'],
    externalIps: [
      { external: '198.51.100.1', internal: '192.0.2.1' },
      { external: '2001:db8:1::1', internal: undefined },
    ],
    ports: { min: 50_000, max: 50_999 },
    totalQuota: 1000,
    allowPeers: ['10.0.0.0/8', '192.168.1.7/32'],
    denyPeers: ['2001:db8::/32'],
    datapath: 'dgram',
    threads: 2,
    maxBps: 125_000,
    engine: 'native',
  })
  expect(rest).toMatchObject({
    metrics: { ip: '127.0.0.1', port: 9641 },
    drainTimeoutSeconds: 90,
    logLevel: 'debug',
  })
})

describe('refuses, with exit code 2 and the way out', () => {
  test.each([
    [{ ports: '6-5' }, 'ends before it begins', 'write 5-6'],
    [{ ports: '1-70000' }, '--ports is "1-70000"', 'MIN-MAX'],
    [{ ports: '50000-50009', totalQuota: '11' }, 'holds 10 ports, too few for --total-quota 11', 'widen'],
    [{ listen: ['localhost:3478'] }, 'no ADDR:PORT', '0.0.0.0:3478'],
    [{ listen: ['127.0.0.1:70000'] }, 'no ADDR:PORT', 'from 0 to 65535'],
    [{ listen: [''] }, '--listen is empty', 'leave it out'],
    [{ tlsListen: ['127.0.0.1'] }, 'needs --cert and --key', 'give both'],
    [{ cert: 'cert.pem' }, 'are for TLS', '--tls-listen'],
    [{ tlsListen: ['127.0.0.1'], cert: 'no.pem', key: 'key.pem' }, "certificate .*no.pem can't be read", 'check'],
    [{ externalIp: ['example.org'] }, '--external-ip is "example.org"', 'PUBLIC/PRIVATE'],
    [{ externalIp: ['192.0.2.1/10.0.0.1/10.0.0.2'] }, '--external-ip', 'PUBLIC/PRIVATE'],
    [{ externalIp: ['192.0.2.1/fd00::1'] }, 'an IPv4 and an IPv6 address', 'one family'],
    [{ relayIp: ['192.0.2.1', '192.0.2.2'] }, 'two addresses of one family', 'one IPv4'],
    [{ relayIp: ['eth0'] }, '"eth0", which is no IP', 'this machine'],
    [{ allowPeer: ['10.0.0.0/33'] }, 'no number from 0 to 32', '10.0.0.0/32'],
    [{ denyPeer: ['private'] }, 'no CIDR', '10.0.0.0/8'],
    [{ user: ['alice'] }, '--user is not NAME:PASSWORD', 'alice:'],
    [{ user: [':x'] }, '--user is not NAME:PASSWORD', 'alice:'],
    [{ user: ['a:b'], auth: false }, '--no-auth contradicts', 'leave one'],
    [{ usersFile: 'twice.txt' }, 'line 2 of the users file .* names alice again', 'keep one'],
    [{ usersFile: 'broken.txt' }, 'line 2 of the users file .* is not NAME:PASSWORD', 'alice:'],
    [{ authSecretFile: 'short.txt' }, 'has 15 bytes; it needs 16', 'openssl rand'],
    [{ authSecretFile: 'none.txt' }, 'holds no secret', 'openssl rand'],
    [{ nonceKeyFile: 'short.txt' }, 'has 15 bytes; it needs 16', 'openssl rand'],
    [{ engine: 'nativ' }, 'there is no "nativ"', 'did you mean native\\?'],
    [{ datapath: 'xdp' }, 'there is no "xdp"', 'auto, dgram, mmsg'],
    [{ threads: '0' }, '--threads is "0"', 'from 1 to 256'],
    [{ maxBps: '2M' }, '--max-bps is "2M"', 'whole number'],
    [{ drainTimeout: 'never' }, '--drain-timeout is "never"', '90s'],
    [{ realm: 'a"b' }, 'no realm', 'your domain'],
    [{ config: 'no.yaml' }, "no.yaml can't be read", '--config'],
  ])('%j', (flags, message, fix) => {
    const error = refusal(flags)
    expect(error.message).toMatch(new RegExp(message))
    expect(error.fix).toMatch(new RegExp(fix))
    expect(exitCodeOf(error)).toBe(2)
    expect(`${error.message}${error.fix}`).not.toMatch(/\n|fifteen bytes/)
  })
})

describe('the settings file', () => {
  const yaml = (text: string): NatcheckError => {
    try {
      parseSettings(text, 'natcheck.yaml')
    } catch (error) {
      if (error instanceof NatcheckError) return error
    }
    throw new Error('it was accepted')
  }

  test('camel case or as the flag, comments, lists, durations', () => {
    expect(
      parseSettings('# ours\nlisten:\n  - 0.0.0.0:3478\nmax-bps: 1000\nlifetimes: {allocation: 20s, nonce: 60}\n', 'f'),
    ).toEqual({ listen: ['0.0.0.0:3478'], maxBps: 1000, lifetimes: { allocation: '20s', nonce: 60 } })
    expect(parseSettings('', 'f')).toEqual({})
  })

  test.each([
    ['realm: a\nusrQuota: 3\n', 'natcheck.yaml:2 has an unknown setting "usrQuota"', 'did you mean "userQuota"?'],
    ['users-fil: x\n', 'natcheck.yaml:1 has an unknown setting "users-fil"', 'did you mean "usersFile"?'],
    ['lifetimes:\n  allocatoin: 3\n', 'unknown setting "lifetimes.allocatoin"', 'did you mean "lifetimes.allocation"?'],
    ['zzz: 1\n', 'unknown setting "zzz"', 'it takes engine, listen,'],
    ['constructor: 1\n', 'unknown setting "constructor"', 'it takes'],
    ['userQuota: many\n', 'natcheck.yaml:1: "userQuota" is "many"', 'whole number'],
    ['noAuth: perhaps\n', '"noAuth" is "perhaps"', 'true or false'],
    ['user:\n  alice: secret-word\n', '"user" is not what it takes', 'list of texts'],
    ['engine: turbo\n', '"engine" is "turbo"', 'native, node-turn or coturn'],
    ['realm: a\nrealm: b\n', 'natcheck.yaml:2 is not YAML', 'mend'],
    ['user-quota: 1\nuserQuota: 2\n', 'natcheck.yaml:2 sets "userQuota" again', 'leave one'],
    ['listen: [\n', 'is not YAML', 'mend'],
    ['- listen\n', 'is no list of settings', 'one a line'],
  ])('%j', (text, message, fix) => {
    const error = yaml(text)
    expect(error.message).toContain(message)
    expect(error.fix).toContain(fix)
    expect(error.code).toBe('BAD_FILE')
    expect(error.message).not.toContain('secret-word')
  })

  test("README's example is one", () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
    const [, example = ''] = /```yaml\n(.*?)```/s.exec(readme) ?? []
    expect(parseSettings(example, 'README.md')).toMatchObject({ listen: ['0.0.0.0:3478', '[::]:3478'], userQuota: 10 })
  })

  test('lifetimes become seconds, and have bounds', () => {
    writeFileSync(join(directory, 'lives.yaml'), 'lifetimes: { allocation: 20s, permission: 5m }\n')
    expect(settings({ config: 'lives.yaml' }).options.lifetimes).toEqual({ allocation: 20, permission: 300 })
    writeFileSync(join(directory, 'never.yaml'), 'lifetimes: { channel: 0 }\n')
    expect(refusal({ config: 'never.yaml' }).message).toContain('lifetimes')
  })
})
