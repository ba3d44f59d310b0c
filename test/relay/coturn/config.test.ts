import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type CoturnSettings, filesIn, renderConfig, userKey } from '../../../src/relay/coturn/config.ts'
import { databaseSql } from '../../../src/relay/coturn/database.ts'
import { limitsOf } from '../../../src/relay/coturn/limits.ts'
import type { RelayOptions } from '../../../src/relay/options.ts'

const old = '4.6.1'
const users = [{ username: 'alice', password: 'wonderland' }]
const main = { ip: '203.0.113.7', port: 3478 }

const settings = (options: RelayOptions, others: Partial<CoturnSettings> = {}): CoturnSettings => ({
  options,
  plain: [main],
  tls: [],
  discovery: undefined,
  relays: [{ ip: main.ip }],
  files: filesIn('/tmp/relay'),
  inDatabase: false,
  ...others,
})
const lines = (options: RelayOptions, others: Partial<CoturnSettings> = {}, which = old): string[] =>
  renderConfig(settings(options, others), which).trimEnd().split('\n')

describe('everything that can be said', () => {
  const options: RelayOptions = {
    users,
    realm: 'example.org',
    ports: { min: 50_000, max: 50_999 },
    allowPeers: ['10.1.0.0/16', '127.0.0.1'],
    denyPeers: ['10.1.2.0/24'],
    userQuota: 5,
    totalQuota: 100,
    maxBps: 250_000,
    threads: 2,
    lifetimes: { maxAllocation: 1800, permission: 300, channel: 600, nonce: 600 },
  }
  const others: Partial<CoturnSettings> = {
    plain: [main, { ip: '2001:db8::7', port: 3478 }, { ip: '203.0.113.7', port: 443 }],
    tls: [
      { ip: '203.0.113.7', port: 5349 },
      { ip: '2001:db8::7', port: 5349 },
    ],
    discovery: { primary: main, alternate: { ip: '203.0.113.8', port: 3479 } },
    relays: [{ ip: '10.0.0.7', externalIp: '203.0.113.7' }, { ip: '2001:db8::7' }],
  }

  test.each(['4.6.1', '4.9.0', '4.17.2'])('as coturn %s has it', (number) => {
    const golden = readFileSync(new URL(`../../golden/turnserver-${number}.conf`, import.meta.url), 'utf8')
    expect(renderConfig(settings(options, others), number)).toBe(golden)
  })
})

test('no password stands in it, and the key is the one of RFC 8489 §9.2.2', () => {
  // printf alice:example.org:wonderland | md5sum
  expect(userKey('alice', 'wonderland', 'example.org')).toBe('72f86f2053703faa0f521ce71cfe6f59')
  const text = lines({ users, realm: 'example.org' }).join('\n')
  expect(text).toContain(`user=alice:0x${userKey('alice', 'wonderland', 'example.org')}`)
  expect(text).not.toContain('wonderland')
})

test('with a database neither users nor secrets nor allowed peers stand in it; what is denied does', () => {
  const secret = 'a secret of many bytes'
  const rules = { allowPeers: ['10.0.0.0/8'], denyPeers: ['8.8.8.8'] }
  for (const access of [{ users }, { authSecrets: [secret] }]) {
    const text = lines({ ...access, ...rules }, { inDatabase: true }).join('\n')
    expect(text).not.toMatch(/user=|secret=|allowed-peer-ip/)
    expect(text).toContain('denied-peer-ip=8.8.8.8')
    const sql = databaseSql({ ...access, ...rules, draining: false })
    expect(sql).toMatch('users' in access ? /into turnusers_lt .*'alice'/ : /into turn_secret .*'a secret of many/)
    expect(sql).toContain("into allowed_peer_ip values ('natcheck', '10.0.0.0-10.255.255.255')")
    expect(sql).not.toContain('wonderland')
  }
})

test('SQL holds any name: a quote ends nothing', () => {
  const sql = databaseSql({ users: [{ username: "o'hara'); drop table x; --", password: 'x' }], draining: true })
  expect(sql).toContain("'o''hara''); drop table x; --'")
  expect(sql).toContain("('natcheck', 'total-quota', '1')")
})

test('each way to let people in is said out loud: a coturn told nothing serves everybody', () => {
  const secret = 'a secret of # many bytes'
  expect(lines({ users })).toContain('lt-cred-mech')
  expect(lines({ authSecrets: [secret, `${secret} 2`] })).toEqual(
    expect.arrayContaining(['use-auth-secret', `static-auth-secret=${secret}`, `static-auth-secret=${secret} 2`]),
  )
  expect(lines({ noAuth: true })).toContain('no-auth')
  expect(lines({ stunOnly: true }, { relays: [] })).toContain('stun-only')
})

test('TLS alone opens no plain listener', () => {
  const text = lines({ users }, { plain: [], tls: [{ ip: main.ip, port: 443 }] })
  expect(text).toEqual(
    expect.arrayContaining([`listening-ip=${main.ip}`, 'tls-listening-port=443', 'no-udp', 'no-tcp']),
  )
  expect(text.join('\n')).not.toMatch(/^listening-port/m)
})

test.each<[string, RelayOptions, Partial<CoturnSettings>]>([
  ['users and secrets at once', { users, authSecrets: ['a secret of many bytes'] }, {}],
  ['TLS on an address of its own', { users }, { tls: [{ ip: '203.0.113.9', port: 5349 }] }],
  ['TLS on two ports', { users }, { tls: [443, 5349].map((port) => ({ ip: main.ip, port })) }],
  [
    'TLS on one of two addresses',
    { users },
    { plain: [main, { ...main, ip: '203.0.113.8' }], tls: [{ ...main, port: 443 }] },
  ],
  ['a line break in a secret', { authSecrets: ['a secret of many bytes\nno-auth'] }, {}],
  ['a quote before a secret', { authSecrets: ['"a secret of many bytes'] }, {}],
  ['a realm too long for a line', { users, realm: 'x'.repeat(1100) }, {}],
  ['a colon in a name', { users: [{ username: 'a:b', password: 'c' }] }, {}],
  ['a space in a name', { users: [{ username: 'a b', password: 'c' }] }, {}],
  ['a quote in a name', { users: [{ username: "a'b", password: 'c' }] }, {}],
  ['a space in the realm', { users, realm: 'example org' }, {}],
  ['a line break in a name', { users: [{ username: 'a\nno-auth', password: 'c' }] }, {}],
])('%s: refused', (_, options, others) => {
  expect(() => lines(options, others)).toThrow(expect.objectContaining({ code: 'USAGE' }))
})

test('what an old coturn, one without sqlite3 or without setpriv lacks is said', () => {
  const none = limitsOf(
    { users, externalIps: [{ external: '192.0.2.1' }] },
    { version: old, live: false, endWithUs: false },
  )
  expect(none.join('\n')).toMatch(/4\.6\.1 is older.*sqlite3.*while draining.*outlives natcheck.*SHA-1.*external/s)
  const most = limitsOf({ users }, { version: '4.17.2', live: true, endWithUs: true }).join('\n')
  expect(most).not.toMatch(/older|drain|outlives|for want of/)
})
