import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NatcheckError, parseIp } from '../../src/core/index.ts'
import { defaultPort, formatServerUri, parseServerUri, type ServerUri, uriProtocol } from '../../src/wire/uri.ts'

const stun = (host: string, port?: number): ServerUri => ({
  scheme: 'stun',
  host,
  hostKind: 'name',
  ...(port === undefined ? {} : { port }),
})

function problemOf(text: string): NatcheckError {
  try {
    parseServerUri(text)
  } catch (error) {
    if (error instanceof NatcheckError) return error
    throw error
  }
  throw new Error(`${text} was accepted`)
}

describe('RFC 7064 and RFC 7065 URIs', () => {
  // RFC 7064 appendix A and RFC 7065 appendix A.
  test.each<[string, ServerUri]>([
    ['stun:example.org', stun('example.org')],
    ['stuns:example.org', { scheme: 'stuns', host: 'example.org', hostKind: 'name' }],
    ['stun:example.org:8000', stun('example.org', 8000)],
    ['turn:example.org', { scheme: 'turn', host: 'example.org', hostKind: 'name' }],
    ['turns:example.org', { scheme: 'turns', host: 'example.org', hostKind: 'name' }],
    ['turn:example.org:8000', { scheme: 'turn', host: 'example.org', hostKind: 'name', port: 8000 }],
    ['turn:example.org?transport=udp', { scheme: 'turn', host: 'example.org', hostKind: 'name', transport: 'udp' }],
    ['turn:example.org?transport=tcp', { scheme: 'turn', host: 'example.org', hostKind: 'name', transport: 'tcp' }],
    ['turns:example.org?transport=tcp', { scheme: 'turns', host: 'example.org', hostKind: 'name', transport: 'tcp' }],
    [
      'turn:192.0.2.1:3479?transport=tcp',
      { scheme: 'turn', host: '192.0.2.1', hostKind: 'address', port: 3479, transport: 'tcp' },
    ],
    ['stun:[2001:db8::1]:3479', { scheme: 'stun', host: '2001:db8::1', hostKind: 'address', port: 3479 }],
    ['stun:[2001:0DB8:0::1]', { scheme: 'stun', host: '2001:db8::1', hostKind: 'address' }],
  ])('%s', (text, expected) => {
    expect(parseServerUri(text)).toEqual(expected)
  })

  test.each<[string, ServerUri]>([
    ['stun.example.org', stun('stun.example.org')],
    ['stun.example.org:19302', stun('stun.example.org', 19302)],
    ['localhost:3478', stun('localhost', 3478)],
    ['192.0.2.1', { scheme: 'stun', host: '192.0.2.1', hostKind: 'address' }],
    ['192.0.2.1:3478', { scheme: 'stun', host: '192.0.2.1', hostKind: 'address', port: 3478 }],
    ['[2001:db8::1]:3478', { scheme: 'stun', host: '2001:db8::1', hostKind: 'address', port: 3478 }],
    ['  STUN:Example.ORG ', stun('example.org')],
    ['stun:[fe80::1%eth0]', { scheme: 'stun', host: 'fe80::1%eth0', hostKind: 'address' }],
    ['stun:[fe80::1%25eth0]', { scheme: 'stun', host: 'fe80::1%eth0', hostKind: 'address' }],
    ['stun:example.org.', stun('example.org.')],
    ['stun:my_host-1', stun('my_host-1')],
  ])('what people type: %s', (text, expected) => {
    expect(parseServerUri(text)).toEqual(expected)
  })

  test.each([
    ['stun://example.org', 'it has no slashes after the scheme', 'write stun:example.org'],
    ['turns://example.org:443', 'it has no slashes after the scheme', 'write turns:example.org:443'],
    ['http://example.org/', 'http: is no STUN or TURN scheme', 'write stun:example.org, or stuns:, turn:, turns:'],
    ['sturn:example.org', 'sturn: is no STUN or TURN scheme', 'write stun:example.org, or stuns:, turn:, turns:'],
    ['stun:', 'the host is missing', 'write stun:host'],
    ['stun::3478', 'the host is missing', 'write stun:host'],
    ['', 'it is empty', 'write stun:host or stun:host:port'],
    ['stun:example.org:', 'the port is not a number from 1 to 65535', 'write stun:example.org:3478'],
    ['stuns:example.org:0', 'the port is not a number from 1 to 65535', 'write stuns:example.org:5349'],
    ['stun:example.org:65536', 'the port is not a number from 1 to 65535', 'write stun:example.org:3478'],
    ['example.org:http', 'the port is not a number from 1 to 65535', 'write stun:example.org:3478'],
    ['localhost:http', 'localhost: is no STUN or TURN scheme', 'write stun:http, or stuns:, turn:, turns:'],
    ['stun:example.org:1e3', 'the port is not a number from 1 to 65535', 'write stun:example.org:3478'],
    ['stun:[2001:db8::1]:x', 'the port is not a number from 1 to 65535', 'write stun:[2001:db8::1]:3478'],
    ['stun:example.org?transport=tcp', 'stun: takes no ?transport=', 'write stun:example.org, or stuns: for TLS'],
    ['turn:example.org?transport=sctp', 'there is no transport "sctp"', 'write ?transport=udp or ?transport=tcp'],
    ['turn:example.org?proto=tcp', 'only ?transport= may follow the host', 'write ?transport=udp or ?transport=tcp'],
    ['stun:2001:db8::1', 'an IPv6 address needs brackets', 'write stun:[2001:db8::1]'],
    ['2001:db8::1', 'an IPv6 address needs brackets', 'write stun:[2001:db8::1]'],
    ['stun:[192.0.2.1]', 'what stands in brackets is no IPv6 address', 'write stun:[2001:db8::1]'],
    ['stun:[2001:db8::1', 'the brackets do not match', 'write stun:[2001:db8::1]:3478'],
    ['stun:a:1:2', 'it has more than one colon after the host', 'write stun:host:port; IPv6 goes in brackets'],
    ['stun:192.0.2.256', '192.0.2.256 is no IPv4 address', 'write stun: and four numbers from 0 to 255'],
    ['stun:1.2.3', '1.2.3 is no IPv4 address', 'write stun: and four numbers from 0 to 255'],
    ['stun:example.org/path', 'it has no path', 'write stun:example.org'],
    ['stun:a.example b.example', 'a host name has no spaces', 'write one stun:host each time'],
    ['stun:-a.example', 'that is no host name', 'write stun:host or stun:host:port'],
    ['stun:a..example', 'that is no host name', 'write stun:host or stun:host:port'],
    [`stun:${'a'.repeat(64)}.example`, 'that is no host name', 'write stun:host or stun:host:port'],
    ['stun:bücher.example', 'an international name has to be in its ASCII form', 'write stun:xn--bcher-kva.example'],
  ])('refuses %s', (text, why, fix) => {
    const problem = problemOf(text)
    expect(problem.code).toBe('BAD_URI')
    expect(problem.message.endsWith(` is not a STUN or TURN server: ${why}`)).toBe(true)
    expect(problem.fix).toBe(fix)
  })

  test('a password in the URI is refused and not repeated', () => {
    const problem = problemOf('turn:alice:hunter2@example.org:3478')
    expect(problem.message).toBe(
      '"turn:…@example.org:3478" is not a STUN or TURN server: it can not hold a user name or password',
    )
    expect(problem.fix).toBe('write turn:example.org:3478 and give them separately')
  })
})

describe('any text', () => {
  const likely = fc.stringMatching(
    /^(stuns?|turns?|http|)(:|:\/\/|)[a-zA-Z0-9.@[\]%:ü -]{0,20}(:[0-9]{0,6})?(\?transport=[a-z]*)?$/,
  )

  const uris: fc.Arbitrary<ServerUri> = fc
    .record({
      scheme: fc.constantFrom('stun', 'stuns', 'turn', 'turns'),
      host: fc.oneof(
        fc.stringMatching(/^[a-z_][a-z0-9_]{0,9}(-[a-z]{1,9})?(\.[a-z]{1,9}){0,3}$/),
        fc.ipV4(),
        fc.ipV6().map((ip) => parseIp(ip) ?? ''),
        fc.stringMatching(/^fe80::[1-9a-f]%[a-z0-9]{1,9}$/),
      ),
      port: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
      transport: fc.constantFrom('udp', 'tcp', undefined),
    })
    .map(({ scheme, host, port, transport }) => ({
      scheme,
      host,
      hostKind: parseIp(host) === undefined ? 'name' : 'address',
      ...(port === undefined ? {} : { port }),
      ...(transport === undefined || scheme.startsWith('stun') ? {} : { transport }),
    }))

  test('that formatServerUri writes reads back the same', () => {
    fc.assert(
      fc.property(uris, (uri) => {
        expect(parseServerUri(formatServerUri(uri))).toEqual(uri)
      }),
      { seed: 7065, numRuns: 2000 },
    )
  })

  test('is accepted, or refused as BAD_URI in one short line with a fix', () => {
    let refused = 0
    fc.assert(
      fc.property(fc.oneof(likely, fc.string({ unit: 'binary', maxLength: 60 })), (text) => {
        try {
          parseServerUri(text)
        } catch (error) {
          if (!(error instanceof NatcheckError)) throw error
          refused++
          expect(error.code).toBe('BAD_URI')
          expect(`${error.message}${error.fix}`).toMatch(/^\P{Cc}+$/u)
          expect(error.message.length).toBeLessThan(250)
          expect(error.fix).not.toBe('')
        }
      }),
      { seed: 7064, numRuns: 5000 },
    )
    expect(refused).toBeGreaterThan(1000)
  })

  test('of great length is refused at once and not echoed', () => {
    expect(problemOf(`stun:${'a'.repeat(1_000_000)}`).message.length).toBeLessThan(200)
    expect(problemOf('@'.repeat(1_000_000)).message.length).toBeLessThan(200)
  })
})

test('default ports and protocols', () => {
  expect(['stun', 'turn', 'stuns', 'turns'].map((scheme) => defaultPort(scheme as ServerUri['scheme']))).toEqual([
    3478, 3478, 5349, 5349,
  ])
  expect(
    ['stun:a', 'stuns:a', 'turn:a', 'turn:a?transport=tcp', 'turns:a', 'turns:a?transport=udp'].map((text) =>
      uriProtocol(parseServerUri(text)),
    ),
  ).toEqual(['udp', 'tls', 'udp', 'tcp', 'tls', 'dtls'])
})
