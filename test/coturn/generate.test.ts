/** Generated files: what they promise, and the checked-in ones. COTURN_UPDATE=1 writes these anew. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { Conf } from '../../src/coturn/conf.ts'
import { generateConf } from '../../src/coturn/generate/generate.ts'
import { userKey } from '../../src/coturn/generate/key.ts'
import type { CoturnPlan } from '../../src/coturn/generate/plan.ts'
import { referenceFiles, referenceText } from '../../src/coturn/generate/reference.ts'
import { fix, lint } from '../../src/coturn/lint/lint.ts'
import { migrate } from '../../src/coturn/migrate.ts'
import { parseConf } from '../../src/coturn/parse.ts'

const root = fileURLToPath(new URL('../../coturn', import.meta.url))

describe('the reference files under coturn/', () => {
  test.each(referenceFiles.map((file) => [file.path, file] as const))(
    '%s is as it is generated, and clean',
    (path, file) => {
      const text = referenceText(file)
      if (process.env['COTURN_UPDATE']) {
        mkdirSync(dirname(join(root, path)), { recursive: true })
        writeFileSync(join(root, path), text)
      }
      expect(readFileSync(join(root, path), 'utf8')).toBe(text)
      expect(lint({ text, version: file.plan.version, observed: { mode: 0o644 } })).toEqual([])
      expect(fix({ text, version: file.plan.version }).text).toBe(text)
    },
  )

  test('are all there is', () => {
    const found = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.conf'))
    expect(found.toSorted()).toEqual(referenceFiles.map(({ path }) => path).toSorted())
  })
})

const plans: CoturnPlan[] = ['4.5.2', '4.6.1', '4.9.0', '4.14.0', '4.17.2'].flatMap((version) =>
  (['public', 'internal', 'lab'] as const).flatMap((profile) =>
    (['none', 'files'] as const).flatMap((tls) =>
      [undefined, '10.0.0.5'].flatMap((internal) =>
        (['rest', 'users'] as const).map((auth) => ({
          version,
          profile,
          realm: 'example.org',
          auth:
            auth === 'rest'
              ? { kind: auth, secret: 'f3b1c9a07d5e4826b7a90c1d2e3f40516273849aab5c6d7e8f90a1b2c3d4e5f6' }
              : { kind: auth, users: [{ name: 'alice', key: userKey('alice', 'example.org', 'wonderland') }] },
          tls: tls === 'none' ? { kind: tls } : { kind: tls, cert: '/etc/t/cert.pem', key: '/etc/t/key.pem' },
          relayIps: internal === undefined ? [] : profile === 'lab' ? [internal, '10.0.0.6'] : [internal],
          externalIps: internal === undefined || profile !== 'public' ? [] : [{ external: '8.8.8.8', internal }],
          ports: { min: 50_000, max: 50_999 },
          redis: internal === undefined ? undefined : 'ip=127.0.0.1 dbname=0 password=kX9vq2LmPd70 port=6379',
          metrics: version === '4.17.2' ? { ip: '127.0.0.1', port: 9641 } : undefined,
          container: false,
        })),
      ),
    ),
  ),
)

describe('every plan', () => {
  test.each(
    plans.map(
      (plan, index) => [`${index} ${plan.version} ${plan.profile} ${plan.tls.kind} ${plan.auth.kind}`, plan] as const,
    ),
  )('%s is clean in its release', (_, plan) => {
    const text = generateConf(plan)
    const findings = lint({ text, version: plan.version, observed: { mode: 0o640 } })
    expect(findings.map(({ rule, message }) => `${rule}: ${message}`)).toEqual([])
  })

  test('keys are those of turnadmin -k', () => {
    // turnadmin -k -u alice -r example.org -p wonderland
    expect(userKey('alice', 'example.org', 'wonderland')).toBe('72f86f2053703faa0f521ce71cfe6f59')
  })

  test('a value that no line can hold is refused', () => {
    const [plan] = plans
    if (!plan) throw new Error('no plan')
    expect(() => generateConf({ ...plan, realm: 'two\nlines' })).toThrow(RangeError)
  })
})

describe('migrate', () => {
  const eras = ['4.5.2', '4.6.1', '4.6.3', '4.9.0', '4.10.0', '4.17.2']
  test.each(eras.flatMap((from) => eras.map((to) => [from, to] as const)))(
    '%s to %s: no line of the wrong era is left',
    (from, to) => {
      for (const plan of plans.filter(({ version }, index) => version === '4.6.1' && index % 5 === 0)) {
        const before = generateConf({ ...plan, version: from })
        const { text, changes } = migrate(before, from, to)
        const eraRules = [
          'option-too-new',
          'option-removed',
          'option-inert',
          'option-deprecated',
          'unknown-option',
          'deny-all-ipv4',
        ]
        expect(lint({ text, version: to }).filter(({ rule }) => eraRules.includes(rule))).toEqual([])
        if (from === to) expect({ text, changes }).toEqual({ text: before, changes: [] })
      }
    },
  )

  test('tells each change, and keeps the rest to the byte', () => {
    const text = '# ours\r\nrealm=a\r\nno-tlsv1\r\nno-cli\r\ncipher-list = X\r\n'
    const { text: after, changes } = migrate(text, '4.6.1', '4.17.2')
    expect(after).toBe('# ours\r\nrealm=a\r\ncipher-list = X\r\n')
    expect(changes.filter(({ kind }) => kind !== 'note').map(({ kind, line, what }) => [kind, line, what])).toEqual([
      ['removed', 3, 'no-tlsv1'],
      ['removed', 4, 'no-cli'],
    ])
    expect(changes.filter(({ kind }) => kind === 'note').map(({ what }) => what)).toEqual([
      'rfc5780',
      'software-attribute',
      'stun-backward-compatibility',
      'tlsv1_1',
      'dtls',
    ])
  })

  test('back again: what is off by default has to be said', () => {
    const { text } = migrate('realm=a\nrfc5780\ncpus=2\ndtls\n', '4.17.2', '4.6.1')
    expect(text).toBe(
      'realm=a\n# cpus=2\nno-software-attribute\nno-stun-backward-compatibility\nno-tlsv1\nno-tlsv1_1\nno-cli\n',
    )
  })

  test('behaviour stays what it was there and back', () => {
    for (const plan of plans.filter(({ version }) => version === '4.17.2')) {
      const there = migrate(generateConf(plan), '4.17.2', '4.6.1').text
      const conf = new Conf(parseConf(there), '4.6.1')
      for (const name of ['no-cli', 'no-software-attribute', 'no-tlsv1']) expect(conf.isOn(name)).toBe(true)
      expect(conf.isOn('no-rfc5780')).toBe(plan.profile !== 'lab')
    }
  })
})
