import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToIp, familyOf, scopeOf } from '../../src/core/index.ts'
import { Redactor } from '../../src/report/index.ts'
import { blocked, natObservations, noIpv6, reportOf, silent } from './observed.ts'

const behaviours = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const
const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(bytesToIp)
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytesToIp)

test('the same address is the same placeholder, another another', () => {
  const redactor = new Redactor()
  expect(redactor.text('8.8.8.8:53 and [2606:4700::1]:3478')).toBe('203.0.113.1:53 and [2001:db8::1]:3478')
  expect(redactor.text('9.9.9.9 is not 8.8.8.8')).toBe('203.0.113.2 is not 203.0.113.1')
})

test('private, carrier and link-local addresses keep their kind, loopback keeps its address', () => {
  const redactor = new Redactor()
  expect(redactor.text('192.168.1.20 172.16.0.9 100.70.1.1 169.254.3.4 127.0.0.2 0.0.0.0')).toBe(
    '10.0.0.1 10.0.0.2 100.64.0.1 169.254.0.1 127.0.0.2 0.0.0.0',
  )
  expect(redactor.text('fe80::1%eth0, fd12::9, ::1')).toBe('fe80::1, fd00::1, ::1')
})

test('names of servers are hidden once announced; public ones, times and versions stay', () => {
  const redactor = new Redactor(['stun.l.google.com'])
  for (const host of ['stun.corp.example', 'corp.example', 'stun.l.google.com']) redactor.hide(host)
  expect(redactor.text('stun:stun.corp.example:3478 at corp.example, stun:stun.l.google.com:19302')).toBe(
    'stun:server-1.example:3478 at server-2.example, stun:stun.l.google.com:19302',
  )
  expect(redactor.text('2026-11-02T09:30:00.000Z 1.2.3 12:34:56')).toBe('2026-11-02T09:30:00.000Z 1.2.3 12:34:56')
})

test('no address of anybody survives, and every placeholder is an address of the same kind', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(ipv4, ipv6), { minLength: 1, maxLength: 20 }), (addresses) => {
      const redactor = new Redactor()
      const seen = new Map<string, string>()
      for (const ip of addresses) {
        const masked = redactor.address(ip)
        expect(familyOf(masked)).toBe(familyOf(ip))
        const scope = scopeOf(ip)
        if (['loopback', 'unspecified', 'multicast'].includes(scope)) expect(masked).toBe(ip)
        else expect(['reserved', 'private', 'shared', 'link-local']).toContain(scopeOf(masked))
        if (scope !== 'global') expect(scopeOf(masked)).toBe(scope)
        expect(redactor.address(ip)).toBe(masked)
        seen.set(ip, masked)
      }
      expect(new Set(seen.values()).size).toBe(seen.size)
    }),
    { numRuns: 500 },
  )
})

describe('a redacted run comes to the same verdict', () => {
  const runs = [
    ...(['none', ...behaviours] as const).flatMap((mapping) =>
      behaviours.map((filtering) => ({
        name: `${mapping}, ${filtering}`,
        run: natObservations({ mapping, filtering }),
      })),
    ),
    { name: 'blocked', run: blocked() },
    { name: 'silent', run: silent() },
    ...['100.70.1.2', '192.168.0.9', '203.0.113.2', '8.8.4.4'].map((externalIp) => ({
      name: `router at ${externalIp}`,
      run: {
        ...natObservations({ mapping: 'endpoint-independent', filtering: 'endpoint-independent' }),
        router: [{ protocol: 'upnp' as const, outcome: 'answered' as const, externalIp }],
      },
    })),
  ]
  // The laboratory's addresses are documentation ones; real ones are global.
  const toGlobal = <T>(value: T): T =>
    JSON.parse(JSON.stringify(value).replaceAll('198.51.100.', '9.9.9.').replaceAll('203.0.113.', '8.8.8.')) as T

  test.each(runs)('$name', ({ run }) => {
    for (const observations of [run, toGlobal(run)]) {
      const original = reportOf(observations, noIpv6())
      const redacted = reportOf(...new Redactor().value([observations, noIpv6()]))
      expect(JSON.stringify(redacted).match(/192\.168\.77|8\.8\.8\.|9\.9\.9\./)).toBeNull()
      expect(redacted.verdict.p2p).toBe(original.verdict.p2p)
      expect(kinds(redacted)).toEqual(kinds(original))
      expect(redacted.servers.map(({ ok, rfc5780, rttMs }) => ({ ok, rfc5780, rttMs }))).toEqual(
        original.servers.map(({ ok, rfc5780, rttMs }) => ({ ok, rfc5780, rttMs })),
      )
    }
  })

  const kinds = ({ nat }: ReturnType<typeof reportOf>) =>
    Object.entries(nat.ipv4 ?? {}).map(([name, finding]) =>
      typeof finding === 'object' && finding !== null && 'kind' in finding
        ? [name, finding.kind, finding.value]
        : [name, typeof finding],
    )
})
