import { describe, expect, test } from 'vitest'
import { buildReport, errorReport, failedExpectations, hasMeasured } from '../../src/report/index.ts'
import {
  analysed,
  blocked,
  exchange,
  natObservations,
  noIpv6,
  nothing,
  reportOf,
  server,
  silent,
  startedAt,
} from './observed.ts'

const filterings = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const

describe('one family', () => {
  test.each([
    ['none', 'direct'],
    ['endpoint-independent', 'direct'],
    ['address-dependent', 'limited'],
    ['address-and-port-dependent', 'limited'],
  ] as const)('mapping %s is %s, whatever the filtering', (mapping, p2p) => {
    for (const filtering of filterings) {
      const report = reportOf(natObservations({ mapping, filtering }))
      expect(report.nat.ipv4).toMatchObject({ mapping: { value: mapping }, filtering: { value: filtering } })
      expect(report.verdict).toMatchObject({ p2p, family: 'ipv4' })
    }
  })

  test('who can be reached directly follows from mapping and filtering', () => {
    const directWith = (
      mapping: 'endpoint-independent' | 'address-and-port-dependent',
      filtering: (typeof filterings)[number],
    ) => reportOf(natObservations({ mapping, filtering })).verdict.directWith
    expect(directWith('endpoint-independent', 'endpoint-independent')).toMatch(/symmetric NAT included/)
    expect(directWith('endpoint-independent', 'address-dependent')).toMatch(/symmetric NAT included/)
    expect(directWith('endpoint-independent', 'address-and-port-dependent')).toMatch(
      /except peers behind a symmetric NAT/,
    )
    expect(directWith('address-and-port-dependent', 'address-and-port-dependent')).toMatch(
      /^open hosts, and peers whose NAT/,
    )
  })

  test('a mapping that depends on the destination is glossed as symmetric, even where the classic view says full cone', () => {
    const report = reportOf(natObservations({ mapping: 'address-dependent', filtering: 'endpoint-independent' }))
    expect(report.nat.ipv4?.rfc3489.value).toBe('full-cone')
    expect(report.verdict.summary).toContain('[symmetric NAT]')
  })

  test('a mapping that does not depend on the destination is never glossed as symmetric, whatever the classic view says', () => {
    for (const mapping of ['endpoint-independent', 'none'] as const) {
      const [family] = analysed(natObservations({ mapping, filtering: 'address-and-port-dependent' }))
      if (!family) throw new Error('no family')
      const finding = {
        ...family.finding,
        rfc3489: { kind: 'observed', value: 'symmetric', why: '', trace: [] } as const,
      }
      const report = buildReport({ startedAt, families: [{ ...family, finding }] })
      expect(report.verdict.p2p).toBe('direct')
      expect(report.verdict.summary).not.toContain('symmetric')
      expect(failedExpectations(report, ['symmetric'])).toEqual([])
    }
  })

  test('relay-only takes both: another address for each socket and another mapping for each destination', () => {
    const publicIps = ['203.0.113.2', '203.0.113.3']
    const both = reportOf(
      natObservations({ mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent', publicIps }),
    )
    expect(both.nat.ipv4?.pooling.value).toBe('arbitrary')
    expect(both.verdict.p2p).toBe('relay-only')
    const oneMapping = reportOf(
      natObservations({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent', publicIps }),
    )
    expect(oneMapping.nat.ipv4?.pooling.value).toBe('arbitrary')
    expect(oneMapping.verdict.p2p).toBe('direct')
  })

  test('ordinary servers that see different mappings are enough to know it is limited', () => {
    const local = '192.168.77.2'
    const servers = [server(), server({ uri: 'stun:192.0.2.20', address: '192.0.2.20:3478' })]
    const see = (index: number, to: string, mapped: string) => ({
      ...exchange('mapping-1', local, { to, socket: 'mapping', from: to, mapped, otherAddress: null }),
      server: index,
    })
    const different = nothing({
      servers,
      exchanges: [see(0, '198.51.100.10:3478', '203.0.113.2:1111'), see(1, '192.0.2.20:3478', '203.0.113.2:2222')],
    })
    const report = reportOf(different)
    expect(report.nat.ipv4?.mapping).toMatchObject({ kind: 'inconclusive', value: null })
    expect(report.verdict.p2p).toBe('limited')
    const one = nothing({ exchanges: [see(0, '198.51.100.10:3478', '203.0.113.2:1111')] })
    expect(reportOf(one).verdict.p2p).toBe('unknown')
    expect(reportOf(one).verdict.advice.join()).toMatch(/add a second server/)
  })

  test('blocked needs proof, silence alone is unknown', () => {
    expect(reportOf(blocked()).verdict).toMatchObject({ p2p: 'blocked', directWith: 'nobody' })
    expect(reportOf(blocked()).verdict.advice[0]).toMatch(/TLS on TCP port 443/)
    expect(reportOf(silent()).verdict).toMatchObject({ p2p: 'unknown', family: null })
    expect(hasMeasured(reportOf(blocked()))).toBe(true)
    expect(hasMeasured(reportOf(silent()))).toBe(false)
  })
})

describe('two families', () => {
  const symmetric = natObservations({ mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' })
  const open6 = natObservations({ mapping: 'none', filtering: 'endpoint-independent' }, { family: 6 })

  test('the better one decides, and is named', () => {
    const { verdict } = reportOf(symmetric, open6)
    expect(verdict).toMatchObject({ p2p: 'direct', family: 'ipv6' })
    expect(verdict.summary).toMatch(/over IPv6 .*; over IPv4 only with open peers/)
    expect(verdict.advice.join()).toMatch(/peers without IPv6 need a TURN server/)
  })

  test('a family that is not there takes nothing away', () => {
    const alone = reportOf(symmetric)
    const { verdict, nat } = reportOf(symmetric, noIpv6())
    expect(verdict).toEqual(alone.verdict)
    expect(nat.ipv6).toMatchObject({ behindNat: null, mapped: null, mapping: { kind: 'not-tested', value: null } })
    expect(alone.nat.ipv6).toBeNull()
  })

  test('a silent family may hide what a blocked one can not', () => {
    expect(reportOf(silent(), { ...blocked(), family: 6 }).verdict.p2p).toBe('unknown')
    expect(reportOf(blocked(), noIpv6()).verdict.p2p).toBe('blocked')
  })
})

describe('advice names cause and fix', () => {
  const home = natObservations({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' })
  const adviceOn = (over: Partial<typeof home>): string => reportOf({ ...home, ...over }).verdict.advice.join('\n')

  test('carrier NAT and double NAT', () => {
    expect(adviceOn({ router: [{ protocol: 'upnp', outcome: 'answered', externalIp: '100.70.1.2' }] })).toMatch(
      /ask the provider for a public IPv4 address/,
    )
    expect(adviceOn({ router: [{ protocol: 'upnp', outcome: 'answered', externalIp: '192.168.0.9' }] })).toMatch(
      /bridge/,
    )
  })

  test('an ALG', () => {
    const exchanges = home.exchanges.map((it) => ({
      ...it,
      replies: it.replies.map((reply) => ({ ...reply, mappedPlain: '192.168.77.2:40000' })),
    }))
    expect(adviceOn({ exchanges })).toMatch(/turn off "SIP ALG"/)
  })

  test('a server that can not do what it offers', () => {
    const exchanges = home.exchanges.map((it) => ({
      ...it,
      replies: it.replies.map((reply) => ({ ...reply, otherAddress: '10.0.0.1:3479' })),
    }))
    const report = reportOf({ ...home, exchanges })
    expect(report.servers[0]?.problem).toMatch(/10\.0\.0\.1:3479 is private/)
    expect(report.verdict.advice.join()).toMatch(/use another server with --server/)
  })

  test('an open host has nothing to change', () => {
    const { advice } = reportOf(natObservations({ mapping: 'none', filtering: 'endpoint-independent' })).verdict
    expect(advice).toHaveLength(1)
    expect(advice[0]).toMatch(/^Nothing to change/)
  })
})

describe('the document', () => {
  test('durationMs runs to the later family and occurs once', () => {
    const report = reportOf(silent({ endedAtMs: 1612.34 }), { ...noIpv6(), endedAtMs: 40 })
    expect(report.durationMs).toBe(1612.3)
    expect(JSON.stringify(report).match(/"durationMs"/g)).toHaveLength(1)
  })

  test('the same observations give the same report, through JSON too', () => {
    const observations = [natObservations({ mapping: 'address-dependent', filtering: 'address-dependent' }), noIpv6()]
    const families = analysed(...observations)
    const first = buildReport({ startedAt, families })
    const again = analysed(...(JSON.parse(JSON.stringify(first)) as typeof first).observations)
    expect(buildReport({ startedAt, families: again })).toEqual(first)
  })

  test('an error has the same fields', () => {
    const report = errorReport(startedAt, { code: 'USAGE', message: 'no', fix: 'do' })
    expect(Object.keys(report)).toEqual(Object.keys(reportOf(silent())))
    expect(report.verdict).toMatchObject({ p2p: 'unknown', summary: 'no', advice: ['do'] })
  })
})

describe('servers', () => {
  test('both families of one server are one entry, and a missing address is no problem', () => {
    const home = natObservations({ mapping: 'endpoint-independent', filtering: 'endpoint-independent' })
    expect(reportOf(home, noIpv6()).servers).toEqual([
      { uri: 'stun:198.51.100.10:3478', ok: true, rttMs: 20, rfc5780: true, problem: null },
    ])
  })

  test('public servers that nobody had to ask are left out', () => {
    const home = natObservations({ mapping: 'endpoint-independent', filtering: 'endpoint-independent' })
    const unasked = server({ uri: 'stun:spare.example', address: '192.0.2.9:3478', asked: false })
    expect(reportOf({ ...home, servers: [server(), unasked] }).servers.map(({ uri }) => uri)).toEqual([
      'stun:198.51.100.10:3478',
    ])
  })

  test('a server without an address of the family asked for says so', () => {
    expect(reportOf(noIpv6()).servers).toMatchObject([{ ok: false, problem: 'no address of the family asked for' }])
  })
})
