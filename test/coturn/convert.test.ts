/** The same relay for other servers. */
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { parseSettings } from '../../src/cli/relay/file.ts'
import { Conf } from '../../src/coturn/conf.ts'
import { convert, type ConvertTarget } from '../../src/coturn/convert.ts'
import { referenceFiles, referenceText } from '../../src/coturn/generate/reference.ts'
import { explainConf, explainOption } from '../../src/coturn/explain.ts'
import { optionTable } from '../../src/coturn/options/table.ts'
import { parseConf } from '../../src/coturn/parse.ts'

const converted = (text: string, target: ConvertTarget, version = '4.6.1'): ReturnType<typeof convert> =>
  convert(new Conf(parseConf(text), version), target)

describe('to natcheck', () => {
  test.each(referenceFiles.map((file) => [file.path, file] as const))('%s is a natcheck.yaml', (_, file) => {
    const { text } = converted(referenceText(file), 'natcheck', file.plan.version)
    const settings = parseSettings(text, 'natcheck.yaml')
    expect(settings).toMatchObject({ realm: 'turn.example.org', userQuota: 12, maxBps: 1_000_000 })
  })

  test('with users, addresses and ranges', () => {
    const { text, lost } = converted(
      `listening-ip=192.0.2.1
listening-ip=2001:db8::1
external-ip=203.0.113.10/192.0.2.1
lt-cred-mech
user=alice:won:der
user=bob:0x72f86f2053703faa0f521ce71cfe6f59
realm=example.org
denied-peer-ip=10.0.0.0-10.0.2.255
min-port=5000
max-port=5100
mobility
`,
      'natcheck',
    )
    expect(parseSettings(text, 'natcheck.yaml')).toMatchObject({
      listen: ['192.0.2.1:3478', '[2001:db8::1]:3478'],
      externalIp: ['203.0.113.10/192.0.2.1'],
      user: ['alice:won:der'],
      ports: '5000-5100',
      denyPeer: ['10.0.0.0/23', '10.0.2.0/24'],
    })
    expect(lost).toEqual(['mobility: no counterpart', expect.stringMatching(/^user bob: /)])
    for (const each of lost) expect(text).toContain(each)
  })
})

test('to eturnal', () => {
  const { text, lost } = converted(
    'static-auth-secret=s1\nstatic-auth-secret=s2\nrealm=example.org\ncert=/c\npkey=/k\nexternal-ip=203.0.113.10/10.0.0.5\ndenied-peer-ip=10.0.0.1\n',
    'eturnal',
  )
  const { eturnal } = parse(text) as { eturnal: Record<string, unknown> }
  expect(eturnal).toMatchObject({
    secret: 's1',
    realm: 'example.org',
    relay_ipv4_addr: '203.0.113.10',
    tls_crt_file: '/c',
    blacklist_peers: ['10.0.0.1/32'],
  })
  expect(eturnal['listen']).toEqual([
    { ip: '::', port: 3478, transport: 'udp' },
    { ip: '::', port: 3478, transport: 'tcp' },
    { ip: '::', port: 5349, transport: 'tls' },
  ])
  expect(lost).toEqual(['static-auth-secret: eturnal knows one secret, the first is kept'])
})

describe('explain', () => {
  test.each(optionTable.map(({ name }) => name))('%s', (name) => {
    const text = explainOption(name) ?? ''
    expect(text).toContain(`--${name}`)
    expect(text).not.toMatch(/undefined|NaN/)
  })

  test('by letter and with dashes; no option is undefined', () => {
    expect(explainOption('-r')).toMatch(/^realm /)
    expect(explainOption('--db')).toMatch(/^userdb /)
    expect(explainOption('nope')).toBeUndefined()
  })

  test('a file, line by line, without its secrets', () => {
    const text = '# ours\nuser=alice:wonderland\nstalenonce=600\nno-tlsv1\nrealm=example.org\n'
    const rows = explainConf(text, '4.17.2', 'turnserver -v --static-auth-secret=wonderland')
    expect(JSON.stringify(rows)).not.toContain('wonderland')
    expect(rows.map(({ line, setting }) => [line, setting])).toEqual([
      [2, 'user=…'],
      [3, 'stalenonce=…'],
      [4, 'no-tlsv1'],
      [5, 'realm=example.org'],
      [undefined, '-v'],
      [undefined, '--static-auth-secret=…'],
    ])
    expect(rows[1]?.meaning).toContain('Did you mean stale-nonce?')
    expect(rows[2]?.meaning).toContain('removed in 4.7.0')
  })
})
