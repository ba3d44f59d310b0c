/** Every trap that coturn is known for, by the rule that catches it. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { lint, type LintInput } from '../../src/coturn/lint/lint.ts'

const rules = (input: Partial<LintInput>): string[] =>
  lint({ text: '', version: '4.6.1', ...input }).map(({ rule, line }) =>
    line === undefined ? rule : `${line}:${rule}`,
  )

const auth = 'lt-cred-mech\nrealm=example.org\n'

describe('the parser', () => {
  test.each<[string, string, string, string?]>([
    ['no inline comments', 'realm=example.org # ours\n', '1:inline-comment'],
    ['not after a flag either: coturn ends', 'fingerprint # yes\n', '1:inline-comment'],
    ['which is no boolean', 'fingerprint # yes\n', '1:boolean'],
    ['only leading double quotes are stripped', "realm='example.org'\n", '1:quotes'],
    ['lines of 1024 bytes', `cipher-list=${'x'.repeat(1100)}\n`, '1:line-too-long'],
    ['the last scalar wins', 'realm=a\nrealm=b\n', '1:shadowed'],
    ['unknown keys are ignored', 'denied-peer-ips=10.0.0.1\n', '1:unknown-option'],
    ['CIDR is ignored', 'denied-peer-ip=10.0.0.0/8\n', '1:peer-cidr'],
    ['CIDR ends it', 'denied-peer-ip=10.0.0.0/8\n', '1:peer-cidr', '4.17.2'],
    ...['use-auth-secret', 'prometheus', 'prometheus-username-labels', 'no-auth-pings', 'no-dynamic-ip-list'].map(
      (name): [string, string, string] => ['on even with =0', `${name}=0\n`, '1:always-on'],
    ),
    ['on even with =0', 'no-dynamic-realms=0\n', '1:always-on'],
    ['on even with =0', 'rfc5780=0\n', '1:always-on', '4.17.2'],
    ['on even with =0', 'multiplex-peer=0\n', '1:always-on', '4.17.2'],
    ['the secret wins over users', 'static-auth-secret=x\nuser=a:b\n', '2:users-ignored'],
    ['no auth option and no users', 'realm=a\n', 'open-relay'],
    ['min-port above max-port', 'min-port=6000\nmax-port=5000\n', '2:ports-reversed'],
    ['no certificate: plain text only', 'tls-listening-port=5349\n', '1:tls-port-dead'],
    ['bps-capacity without max-bps', 'bps-capacity=1000\n', '1:bps-capacity-alone'],
    ['loopback peers and an empty cli-password', 'allow-loopback-peers\n', '1:loopback-needs-cli-password'],
    ['lt-cred-mech and no-auth', 'lt-cred-mech\nno-auth\n', '2:auth-contradiction'],
  ])('%s: %j', (_, text, rule, version = '4.6.1') => {
    const found = lint({ text, version })
    expect(found.map(({ rule: id, line }) => (line === undefined ? id : `${line}:${id}`))).toContain(rule)
    expect(found.find(({ rule: id }) => rule.endsWith(id))?.severity).toBe('error')
  })

  test('a missing certificate is an error where it can be looked for', () => {
    const observed = { files: { '/c.pem': { kind: 'missing' } as const } }
    expect(rules({ text: 'cert=/c.pem\npkey=/k.pem\n', observed })).toContain('1:file-unreadable')
  })

  test("an unknown option on the command line ends coturn; Debian's build has no prometheus", () => {
    expect(rules({ command: 'turnserver --relm=a' })).toContain('unknown-argument')
    expect(rules({ text: 'prometheus\n', observed: { lacks: ['prometheus'] } })).toContain('1:not-in-this-build')
  })
})

test('a bare IPv6 external-ip says nothing of IPv4, whose private peers stay denied', () => {
  const text = 'external-ip=2a00::5\nrelay-ip=10.0.0.5\nrelay-ip=2a00::5\ndenied-peer-ip=10.0.0.0-10.255.255.255\n'
  expect(rules({ text })).not.toContain('1:external-ip-hairpin')
})

describe('the checklist', () => {
  test.each<[string, string, string[], string?]>([
    ['1. the version', auth, ['version-floor']],
    ['2. one way to log in', 'lt-cred-mech\nuse-auth-secret\nrealm=a\n', ['1:mixed-auth']],
    ['2. a realm', 'use-auth-secret\n', ['1:realm-missing']],
    ['2. never no-auth', 'no-auth\n', ['1:no-auth']],
    ['3. a long secret, of your own', 'static-auth-secret=mysecret\n', ['1:secret-short', '1:secret-sample']],
    [
      '4. peers',
      auth,
      ['deny-this-host', 'deny-metadata', 'deny-private', 'deny-embedded', 'deny-reserved', 'multicast-peers'],
    ],
    ['4. the own addresses', `listening-ip=192.0.2.1\nrelay-ip=192.0.2.2\n${auth}`, ['1:own-address']],
    [
      '4. mapped addresses from 4.9 on',
      'denied-peer-ip=::ffff:0.0.0.0-::ffff:255.255.255.255\n',
      ['1:deny-all-ipv4'],
      '4.10.0',
    ],
    [
      '5. allow beats deny',
      'denied-peer-ip=10.0.0.0-10.255.255.255\nallowed-peer-ip=10.1.1.1\n',
      ['2:allow-over-deny'],
    ],
    [
      '5. dangerous options',
      'allow-loopback-peers\nserver-relay\nmobility\n',
      ['1:allow-loopback', '2:server-relay', '3:mobility'],
    ],
    ['5. no-tcp-relay', auth, ['tcp-relay']],
    ['6. limits', auth, ['quota-missing', 'bandwidth-missing', 'stale-nonce-unsaid']],
    ['7. up to 4.6', auth, ['cli', 'rfc5780', 'stun-backward-compatibility', 'software-attribute', 'old-tls']],
    [
      '7. from 4.7 on: obsolete',
      'no-cli\nno-rfc5780\nno-stun-backward-compatibility\nno-software-attribute\nno-tlsv1\nno-tlsv1_1\n',
      [
        '1:option-inert',
        '2:option-inert',
        '3:option-removed',
        '4:option-deprecated',
        '5:option-removed',
        '6:option-removed',
      ],
      '4.17.2',
    ],
    [
      '7. from 4.7 on: unwanted',
      'cli\nrfc5780\ntlsv1\ntlsv1_1\nrfc3489-compatibility\n',
      ['1:cli', '2:rfc5780', '3:old-tls', '4:old-tls', '5:rfc3489'],
      '4.17.2',
    ],
    ['7. from 4.14 on', auth, ['unauthorized-ratelimit'], '4.14.0'],
    ['8. administration', 'web-admin\n', ['1:web-admin']],
    ['8. metrics', 'prometheus\n', ['1:prometheus-exposed'], '4.17.2'],
    ['9. lifetimes', 'channel-lifetime=60\npermission-lifetime=60\n', ['1:channel-lifetime', '2:permission-lifetime']],
  ])('%s', (_, text, expected, version = '4.6.1') => {
    expect(rules({ text, version })).toEqual(expect.arrayContaining(expected))
  })

  test.each([
    ['4.5.1.2', 'CVE-2020-4067'],
    ['4.5.1.3', 'CVE-2020-26262'],
    ['4.7.0', 'CVE-2025-69217'],
    ['4.8.0', 'CVE-2026-27624'],
    ['4.9.0', 'CVE-2026-40613, CVE-2026-43994'],
    ['4.12.0', 'CVE-2026-53450'],
    ['4.13.0', 'CVE-2026-73212'],
    ['4.14.0', 'CVE-2026-62959, CVE-2026-68552'],
    ['4.15.0', 'CVE-2026-73214'],
  ])('coturn %s is open to %s first', (version, cve) => {
    const floor = lint({ text: '', version }).find(({ rule }) => rule === 'version-floor')
    expect(floor?.message).toContain(`is open to ${cve}`)
    expect(floor?.severity).toBe('warning')
  })

  test('and 4.16 to none, but is old; 4.17.2 is neither', () => {
    expect(rules({ version: '4.16.0' })).toContain('version-floor')
    expect(rules({ version: '4.17.1' })).toContain('broken-release')
    expect(rules({ version: '4.17.2' })).not.toContain('version-floor')
    expect(rules({ version: '4.18' })).not.toContain('version-floor')
  })
})

describe('commonly got wrong', () => {
  const denied = 'denied-peer-ip=10.0.0.0-10.255.255.255\n'
  test.each<[string, Partial<LintInput>, string]>([
    [
      'external-ip=PUB/PRIV allows PRIV',
      { text: 'external-ip=203.0.113.10/10.0.0.5\n' },
      '1:external-ip-allows-private',
    ],
    ['external-ip=PUB, private peers denied', { text: `external-ip=203.0.113.10\n${denied}` }, '1:external-ip-hairpin'],
    ['published ports differ', { command: 'docker run -p 5000-5100:5000-5100/udp coturn/coturn' }, 'docker-ports'],
    ['a process a port', { command: 'docker run -p 49152-65535:49152-65535/udp coturn/coturn' }, 'docker-many-ports'],
    ['the entrypoint evaluates', { command: "docker run coturn/coturn --static-auth-secret='a`b'" }, 'docker-eval'],
    ['Kubernetes', { observed: { container: { platform: 'kubernetes', hostNetwork: false } } }, 'kubernetes-network'],
    ['a key without its realm', { text: `user=a:0x${'0'.repeat(32)}\n` }, '1:user-key-realm'],
    ['port 443', { text: 'tls-listening-port=443\n' }, '1:port-needs-capability'],
    ['TLS is off', { text: auth }, 'tls-without-certificate'],
    ['renewal', { text: 'cert=/etc/letsencrypt/live/a/fullchain.pem\n' }, '1:letsencrypt-path'],
    ['an empty realm', { text: 'lt-cred-mech\nrealm=\n' }, '1:realm-missing'],
  ])('%s', (_, input, rule) => expect(rules(input)).toContain(rule))
})

test('the start of a common tutorial, file and command line', () => {
  const text = readFileSync(new URL('fixtures/tutorial.conf', import.meta.url), 'utf8')
  const alone = lint({ text, version: '4.6.1' })
  const errors = (findings: typeof alone): string[] =>
    findings.filter(({ severity }) => severity === 'error').map(({ rule, line }) => `${line ?? 0}:${rule}`)
  expect(errors(alone)).toEqual(
    expect.arrayContaining([
      '10:users-need-lt-cred-mech',
      '10:user-password-sample',
      '13:cli-password-sample',
      '14:inline-comment',
      '15:semicolon',
      '0:deny-metadata',
    ]),
  )
  expect(alone.map(({ rule, line }) => `${line}:${rule}`)).toContain('11:realm-is-address')
  const started = lint({ text, version: '4.6.1', command: 'turnserver -c /etc/turnserver.conf -a -o -v' })
  expect(errors(started)).not.toContain('10:users-need-lt-cred-mech')
  expect(started.map(({ rule }) => rule)).toContain('daemon')
})
