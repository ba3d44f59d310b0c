/** The files that coturn ships as examples: every error found in them is true, and here is why. */
import { describe, expect, test } from 'vitest'
import { lint } from '../../src/coturn/lint/lint.ts'

/** What is set in them; all else is comments. */
const shipped: readonly (readonly [string, string, string, Readonly<Record<string, string>>])[] = [
  [
    'examples/etc/turnserver.conf of 4.6.1, also Debian’s /etc/turnserver.conf',
    '4.6.1',
    'syslog\nno-rfc5780\nno-stun-backward-compatibility\nresponse-origin-only-with-rfc5780\n',
    {
      'open-relay': 'all its authentication options are comments: started as it is, it relays for everybody',
      'deny-this-host': 'loopback is denied by a default only, which CVE-2020-26262 went around; 0.0.0.0/8 is not',
      'deny-metadata': '169.254.169.254 can be reached; 4.6.1 denies it by default no more than any other',
      'deny-private': 'the same for private networks',
      'deny-embedded': 'and for what hides them',
      'deny-reserved': 'and for reserved ranges',
      'multicast-peers': 'no-multicast-peers is a comment',
      'tcp-relay': 'no-tcp-relay is a comment, so RFC 6062 is on',
    },
  ],
  [
    'examples/etc/turnserver.conf of 4.17.1: all of it is comments',
    '4.17.2',
    '',
    {
      'open-relay': 'as in 4.6.1',
      'deny-this-host': 'as in 4.6.1',
      'deny-metadata': 'denied since 4.13.1 by a default that no option shows; the checklist asks for the lines',
      'deny-private': 'RFC 1918 is not denied by default',
      'deny-embedded': 'NAT64 and Teredo prefixes are compared as IPv6',
      'deny-reserved': 'not denied by default',
      'multicast-peers': 'no-multicast-peers is a comment',
      'tcp-relay': 'no-tcp-relay is a comment',
    },
  ],
  [
    'docker/coturn/turnserver.conf of 4.17.1',
    '4.17.2',
    `listening-port=3478
tls-listening-port=5349
min-port=49152
max-port=65535
fingerprint
lt-cred-mech
mysql-userdb="host=mysql dbname=coturn user=coturn password=CHANGE_ME port=3306 connect_timeout=10 read_timeout=10"
realm=example.org
cert=/etc/ssl/certs/cert.pem
pkey=/etc/ssl/private/privkey.pem
cli-ip=127.0.0.1
cli-port=5766
cli-password=CHANGE_ME
`,
    {
      'cli-password-sample': 'CHANGE_ME is for everybody to read',
      'deny-this-host': 'as above',
      'deny-metadata': 'as above',
      'deny-private': 'the MySQL server that it names stands in such a network',
      'deny-embedded': 'as above',
      'deny-reserved': 'as above',
      'multicast-peers': 'as above',
      'tcp-relay': 'as above',
    },
  ],
]

describe.each(shipped)('%s', (_, version, text, reasons) => {
  test('has exactly the errors that are reviewed here', () => {
    const errors = lint({ text, version, observed: { mode: 0o640 } }).filter(({ severity }) => severity === 'error')
    expect([...new Set(errors.map(({ rule }) => rule))].toSorted()).toEqual(Object.keys(reasons).toSorted())
    for (const reason of Object.values(reasons)) expect(reason).not.toBe('')
  })
})
