/** What a file makes of a running server: where it listens, whom it lets clients reach, and the copy that can be started. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToIp, ipToBytes, parseIp } from '../../src/core/index.ts'
import { Conf } from '../../src/coturn/conf.ts'
import { referenceFiles, referenceText } from '../../src/coturn/generate/reference.ts'
import { privateCopy, type StandIns } from '../../src/coturn/live/copy.ts'
import { listeningOf } from '../../src/coturn/live/listening.ts'
import { deniedSamples, embeddedForms, permits, rareForms } from '../../src/coturn/live/reach.ts'
import { parseConf } from '../../src/coturn/parse.ts'
import { bytewise, formatRange, type IpRange, isBytewise, parseCidr, parseRange } from '../../src/coturn/ranges.ts'

const conf = (text: string, version = '4.6.1'): Conf => new Conf(parseConf(text), version)

describe('ranges as coturn compares them', () => {
  /** addr_less_eq of coturn: each byte for itself. */
  const holds = (range: IpRange, ip: Uint8Array): boolean => {
    const [first = '', last = first] = formatRange(range).split('-')
    const [low, high] = [ipToBytes(first), ipToBytes(last)]
    return ip.every((byte, at) => byte >= (low[at] ?? 0) && byte <= (high[at] ?? 0))
  }
  const number = (ip: Uint8Array): bigint => ip.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  /** Few different bytes, so that ranges and addresses meet. */
  const address = fc
    .array(fc.constantFrom(0, 1, 127, 128, 255), { minLength: 16, maxLength: 16 })
    .map((bytes) => Uint8Array.from(bytes))

  test('the parts hold what the whole holds, and nothing else', () => {
    fc.assert(
      fc.property(address, address, fc.array(address, { minLength: 20, maxLength: 20 }), (a, b, others) => {
        const [first, last] = [number(a), number(b)].toSorted((x, y) => (x < y ? -1 : 1)) as [bigint, bigint]
        const parts = bytewise({ family: 6, first, last })
        for (const ip of [a, b, ...others]) {
          const value = number(ip)
          if (value === 0n) continue
          expect(parts.some((part) => holds(part, ip))).toBe(value >= first && value <= last)
        }
        for (const part of parts) expect(isBytewise(part)).toBe(true)
      }),
    )
  })

  test.each([
    ['fe80::/10', ['fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff']],
    ['::/96', ['::1-::ff', '::100-::ffff', '::1:0-::ff:ffff', '::100:0-::ffff:ffff']],
    ['10.0.0.0/8', ['10.0.0.0-10.255.255.255']],
  ])('%s', (cidr, lines) => {
    const range = parseCidr(cidr)
    expect(range && bytewise(range).map(formatRange)).toEqual(lines)
  })
})

describe('whom clients may reach', () => {
  const file = conf(
    'denied-peer-ip=10.0.0.0-10.255.255.255\nallowed-peer-ip=10.1.0.0-10.1.0.255\nexternal-ip=203.0.113.10/10.2.0.5\nno-multicast-peers\n',
  )
  test.each([
    ['10.0.0.1', false],
    ['10.1.0.7', true],
    ['10.2.0.5', true],
    ['8.8.8.8', true],
    ['127.0.0.1', false],
    ['224.0.0.1', false],
    ['::ffff:10.0.0.1', true],
  ])('%s: %s', (ip, expected) => expect(permits(file, ip)).toBe(expected))

  test('from 4.9 on a mapped address is the IPv4 address in it', () => {
    expect(permits(conf('denied-peer-ip=10.0.0.0-10.255.255.255\n', '4.9.0'), '::ffff:10.0.0.1')).toBe(false)
  })

  test('both ends of what is meant to be denied are asked for, also where coturn takes it for nothing', () => {
    expect(deniedSamples(conf('denied-peer-ip=10.0.0.0/8\n'))).toEqual(['10.0.0.0', '10.255.255.255'])
    expect(deniedSamples(conf('denied-peer-ip=10.0.0.0-10.0.0.9 # ours\n'))).toEqual(['10.0.0.0', '10.0.0.9'])
    expect(deniedSamples(conf('denied-peer-ip=0.0.0.0-0.255.255.255\n'))).toEqual(['0.255.255.255'])
    expect(deniedSamples(conf('denied-peer-ip=10.0.0.0-10.0.0.9\nallowed-peer-ip=10.0.0.9\n'))).toEqual(['10.0.0.0'])
  })

  test('every form of IPv6 that hides an IPv4 address', () => {
    expect([...embeddedForms('10.0.0.1'), ...rareForms('10.0.0.1')]).toEqual([
      '::ffff:10.0.0.1',
      '64:ff9b::a00:1',
      '64:ff9b:1::a00:1',
      '2002:a00:1::1',
      '2001:0:808:808::f5ff:fffe',
      'fe80::5efe:a00:1',
      '::a00:1',
      '::ffff:0:a00:1',
    ])
    for (const ip of embeddedForms('169.254.169.254')) expect(bytesToIp(ipToBytes(parseIp(ip) ?? ''))).toBe(ip)
  })

  test.each(referenceFiles.map((file) => [file.path, file] as const))('%s denies all that it is to deny', (_, file) => {
    const { version, profile } = file.plan
    const written = conf(referenceText(file), version)
    for (const ip of ['0.0.0.1', '169.254.169.254', '100.100.100.200', '10.0.0.1', '168.63.129.16']) {
      const isPrivate = ip.startsWith('10.') && profile !== 'public'
      if (isPrivate || (profile !== 'public' && ip.startsWith('100.'))) continue
      expect([ip, permits(written, ip)]).toEqual([ip, false])
      for (const form of [...embeddedForms(ip), ...rareForms(ip)])
        expect([form, permits(written, form)]).toEqual([form, false])
    }
    for (const { value } of written.all('denied-peer-ip')) {
      const range = parseRange(value)
      expect(range && isBytewise(range), value).toBe(true)
    }
  })
})

test('where it listens', () => {
  expect(listeningOf(conf('listening-ip=10.0.0.5\nlistening-port=3479\nno-tcp\ncert=/c\npkey=/k\n'))).toEqual([
    { protocol: 'udp', port: 3479, ip: '10.0.0.5' },
    { protocol: 'tls', port: 5349, ip: '10.0.0.5' },
  ])
  expect(listeningOf(conf('cert=/c\npkey=/k\nno-tls\n'))).toEqual([
    { protocol: 'udp', port: 3478 },
    { protocol: 'tcp', port: 3478 },
  ])
})

describe('the private copy', () => {
  const standIns: StandIns = {
    ports: { plain: 40_001, alternate: 40_002, tls: 40_003 },
    listening: ['127.0.0.1', '127.0.0.2', '::1'],
    relay: ['192.0.2.9', '::1'],
    pidfile: '/t/pid',
    database: '/t/db',
    guest: { user: 'guest:pass' },
  }
  const copyOf = (text: string, version = '4.6.1'): string[] =>
    privateCopy(conf(text, version), standIns)
      .split('\n')
      .filter((line) => line !== '')

  test('has the rules of the file to the byte, and nothing of its addresses, ports, files and databases', () => {
    const rules =
      '# ours\r\nrealm = a.org\r\ndenied-peer-ip=10.0.0.0/8\nuser-quota=3 # three\nunknown-thing=1\nfingerprint'
    const theirs = [
      'listening-ip=10.0.0.5',
      'relay-ip=10.0.0.5',
      'external-ip=203.0.113.10/10.0.0.5',
      'listening-port=3478',
      'aux-server=10.0.0.5:80',
      'alternate-server=10.0.0.6',
      'redis-statsdb=ip=10.0.0.9',
      'userdb=/var/db',
      'log-file=/var/log/turn.log',
      'daemon',
      'pidfile=/run/pid',
      'proc-user=turnserver',
      'prometheus',
      'web-admin',
      'cli-password=x',
    ].join('\n')
    const copy = privateCopy(conf(`${theirs}\n${rules}`), standIns)
    expect(copy.startsWith(rules)).toBe(true)
    expect(copy).not.toMatch(/10\.0\.0\.[569]\b|203\.0|\/var|\/run|daemon|proc-user|prometheus|web-admin|cli-password/)
    expect(
      copy
        .slice(rules.length + 1)
        .split('\n')
        .slice(0, -1),
    ).toEqual([
      'listening-ip=127.0.0.1',
      'listening-port=40001',
      'alt-listening-port=40002',
      'tls-listening-port=40003',
      'relay-ip=192.0.2.9',
      'external-ip=192.0.2.9/192.0.2.9',
      'log-file=stdout',
      'simple-log',
      'pidfile=/t/pid',
      'userdb=/t/db',
      'no-cli',
      'user=guest:pass',
    ])
  })

  test('has as many listening addresses of each family as the file', () => {
    const ips = copyOf('listening-ip=10.0.0.5\nlistening-ip=10.0.0.6\nlistening-ip=2001:db8::5\n')
    expect(ips.filter((line) => line.startsWith('listening-ip'))).toEqual([
      'listening-ip=127.0.0.1',
      'listening-ip=127.0.0.2',
      'listening-ip=::1',
    ])
  })

  test('what stands for a relay address that clients may reach may be reached, and only that', () => {
    const deny = 'denied-peer-ip=192.0.2.0-192.0.2.255\n'
    expect(copyOf(`${deny}relay-ip=198.51.100.7\n`)).toContain('allowed-peer-ip=192.0.2.9')
    expect(copyOf(`${deny}relay-ip=192.0.2.7\n`).join()).not.toContain('allowed-peer-ip')
    expect(copyOf(deny).join()).not.toContain('allowed-peer-ip')
    expect(copyOf(`${deny}external-ip=203.0.113.1\n`)).toContain('external-ip=192.0.2.9')
  })

  test('knows the console only where it is on by itself', () => {
    expect(copyOf('realm=a\n', '4.17.2').join()).not.toContain('no-cli')
  })
})
