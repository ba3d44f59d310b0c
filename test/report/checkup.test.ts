import { Errors } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import type { IceObservations } from '../../src/probe/ice/index.ts'
import type { FamilyObservations } from '../../src/probe/nat/observations.ts'
import {
  buildCheckup,
  buildIceReport,
  type CheckupReport,
  checkupErrorReport,
  isCondition,
  pathLine,
  renderCheckup,
} from '../../src/report/index.ts'
import { checkupReportSchema } from '../../src/report/checkup-schema.ts'
import { attempt, candidates, failing, observed, startedAt } from './ice-observed.ts'
import { blocked, natObservations, noIpv6, nothing, reportOf, server, silent } from './observed.ts'

const plain = { level: 0, width: 80 } as const

const home = natObservations({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' })
const open = natObservations({ mapping: 'none', filtering: 'endpoint-independent' })
const symmetric = natObservations({ mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' })

const stunServer = attempt({ uri: 'stun:198.51.100.10:3478', scheme: 'stun', relayed: null })
const [host, srflx, relay] = candidates
const withoutRelay = observed({
  candidates: [host, srflx].filter((each) => each !== undefined),
  attempts: [stunServer],
  reachability: [],
})
const deadRelay = observed({
  candidates: [host, srflx].filter((each) => each !== undefined),
  attempts: [stunServer, failing({ code: 'wrong-credentials', stage: 'challenge', facts: { realm: 'example.org' } })],
  reachability: [],
})
const overTcp = observed({
  candidates: [host, relay && { ...relay, relayProtocol: 'tcp' as const, attempt: 1 }].filter(
    (each) => each !== undefined,
  ),
  attempts: [
    failing({ code: 'blocked', facts: { worksOver: 'TCP 3478' } }),
    attempt({ uri: 'turn:198.51.100.10?transport=tcp', transport: 'tcp', local: '192.168.77.2:51000' }),
  ],
  reachability: observed().reachability.map((entry) => ({ ...entry, candidate: 1 })),
})
const nobody = observed({ attempts: [failing({ code: 'no-answer' })], candidates: [], reachability: [] })

interface Asked {
  readonly serversFrom?: 'configured' | 'public'
  readonly expect?: readonly string[]
  readonly failOn?: readonly string[]
}

const checkup = (
  nat: readonly FamilyObservations[],
  ice: IceObservations,
  { serversFrom = 'configured', expect: expected = [], failOn = [] }: Asked = {},
): CheckupReport =>
  buildCheckup(reportOf(...nat), buildIceReport({ startedAt, observations: ice }), [], {
    serversFrom,
    durationMs: 1234,
    expect: expected,
    failOn,
  })

const reports: Readonly<Record<string, CheckupReport>> = {
  ready: checkup([home, noIpv6()], observed()),
  public: checkup([home, noIpv6()], withoutRelay, { serversFrom: 'public' }),
  'dead-relay': checkup([home], deadRelay),
  symmetric: checkup([symmetric], withoutRelay, { expect: ['srflx', 'relay'], failOn: ['symmetric', 'rtt>150'] }),
  'symmetric-with-relay': checkup([symmetric], observed()),
  blocked: checkup([blocked()], overTcp),
  'blocked-without-relay': checkup([blocked()], nobody),
  unreachable: checkup([silent()], nobody),
}

describe('80 columns without colour', () => {
  test.each(Object.entries(reports))('%s', async (name, report) => {
    const text = renderCheckup(report, plain)
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(text).not.toContain('\x1b')
    await expect(text).toMatchFileSnapshot(`../golden/checkup-${name}.txt`)
  })
})

test('each report keeps to the published schema, and the schema refuses what is none', () => {
  for (const report of [
    ...Object.values(reports),
    checkupErrorReport(startedAt, { code: 'USAGE', message: 'x', fix: null }),
  ]) {
    expect(Errors(checkupReportSchema, JSON.parse(JSON.stringify(report)))).toEqual([])
  }
  const { ready } = reports
  expect(Errors(checkupReportSchema, { ...ready, extra: 1 })).not.toEqual([])
  expect(Errors(checkupReportSchema, { ...ready, nat: { ...ready?.nat, extra: 1 } })).not.toEqual([])
  expect(Errors(checkupReportSchema, { ...ready, ice: { ...ready?.ice, schemaVersion: 2 } })).not.toEqual([])
})

describe('the verdict', () => {
  const unproven = observed({
    reachability: observed().reachability.map((entry) => ({ ...entry, result: 'not-proven' as const })),
  })
  const failed = observed({
    reachability: observed().reachability.map((entry) => ({ ...entry, result: 'failed' as const })),
  })
  const pooled = natObservations({
    mapping: 'address-and-port-dependent',
    filtering: 'address-and-port-dependent',
    publicIps: ['203.0.113.2', '203.0.113.3'],
  })
  test.each<[string, CheckupReport, string, RegExp]>([
    ['direct, relay proven', checkup([home], observed()), 'ready', /work with most peers, and your relay carries/],
    ['open to all', checkup([open], observed()), 'ready', /work with everyone, and your relay/],
    ['direct, no relay named', checkup([home], withoutRelay), 'ready', /most peers; no relay was named/],
    ['direct, relay broken', checkup([home], deadRelay), 'degraded', /none of your TURN servers works/],
    ['relay not proven', checkup([home], unproven), 'degraded', /a relay was granted over UDP, but not proven/],
    ['relay shown to fail', checkup([symmetric], failed), 'not-ready', /none of your TURN servers works: most/],
    ['symmetric, relay', checkup([symmetric], observed()), 'ready', /^Your NAT is symmetric.* your relay carries/],
    ['symmetric, no relay', checkup([symmetric], withoutRelay), 'not-ready', /no relay was named .*calls will fail/],
    ['pooling, relay', checkup([pooled], observed()), 'ready', /another public address for each peer/],
    ['blocked, relay over TCP', checkup([blocked()], overTcp), 'degraded', /carries the rest over TCP/],
    ['blocked, none', checkup([blocked()], nobody), 'not-ready', /UDP is blocked.*calls will fail/],
    ['NAT not measured, relay', checkup([], overTcp), 'degraded', /^Your relay works over TCP; .* is not known/],
    [
      'nothing at all',
      checkup([silent()], withoutServers(), { serversFrom: 'public' }),
      'unknown',
      /could not be measured/,
    ],
  ])('%s', (_, { verdict }, kind, summary) => {
    expect(verdict.kind).toBe(kind)
    expect(verdict.summary).toMatch(summary)
  })

  function withoutServers(): IceObservations {
    return observed({ attempts: [], candidates: [], reachability: [] })
  }
})

describe('findings', () => {
  const codes = ({ findings }: CheckupReport): string[] => findings.map(({ severity, code }) => `${severity} ${code}`)

  test('the most severe come first', () => {
    const { findings } = checkup([symmetric], deadRelay)
    const ranks = findings.map(({ severity }) => ['error', 'warning', 'hint'].indexOf(severity))
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b))
    expect(findings.length).toBeGreaterThan(2)
  })

  test('a relay that works answers what needs one', () => {
    expect(codes(checkup([symmetric], withoutRelay))).toContain('error symmetric')
    expect(codes(checkup([symmetric], observed())).filter((code) => code.startsWith('error'))).toEqual([])
  })

  test('a relay over UDP alone is no way out of a network without UDP', () => {
    expect(codes(checkup([home], observed()))).toEqual(['hint relay-udp-only'])
    expect(codes(checkup([blocked()], overTcp))).not.toContain('hint relay-udp-only')
  })

  test('servers that nobody chose are nobody here to blame', () => {
    const some = observed({ attempts: [stunServer, failing({ code: 'dns-failed' }, { scheme: 'stun' })] })
    expect(codes(checkup([home], some))).toContain('error dns-failed')
    expect(codes(checkup([home], some, { serversFrom: 'public' }))).not.toContain('error dns-failed')
  })

  test('what silence means is told of the network, or of each server that was named', () => {
    const unresolved = nothing({
      localIp: null,
      servers: [server({ address: null, asked: false, problem: { code: 'DNS_FAILED', message: 'no resolver' } })],
    })
    expect(codes(checkup([unresolved], nobody, { serversFrom: 'public' }))).toEqual(['error dns'])
    expect(codes(checkup([unresolved], nobody))).toEqual(['error no-answer'])
  })

  test('a NAT that could not be measured over the servers that were named', () => {
    expect(codes(checkup([], overTcp))).toContain('hint nat-not-measured')
  })
})

describe('the error', () => {
  test.each<[string, CheckupReport, string | null]>([
    ['nothing came back', checkup([silent()], nobody), 'UNREACHABLE'],
    ['a relay over TCP is something', checkup([silent()], overTcp), null],
    ['blocked UDP is a result', checkup([blocked()], nobody), null],
    [
      'a refusal is an answer',
      checkup([], observed({ attempts: [failing({ code: 'refused' })], candidates: [], reachability: [] })),
      null,
    ],
    [
      'silence over TCP alone',
      checkup([], observed({ attempts: [failing({ code: 'connect-timeout' })], candidates: [], reachability: [] })),
      'UNREACHABLE',
    ],
    ['interrupted', checkup([home], observed({ interrupted: true })), 'CANCELLED'],
  ])('%s', (_, { error }, code) => {
    expect(error?.code ?? null).toBe(code)
  })
})

describe('the path', () => {
  const pathOf = (report: CheckupReport): string => pathLine(report.path)
  const wan = (ip: string): FamilyObservations => ({
    ...home,
    router: [
      {
        protocol: 'upnp',
        outcome: 'answered',
        externalIp: ip,
        server: '192.168.77.1:5000',
      },
    ],
  })

  test.each<[string, CheckupReport, string]>([
    ['home', checkup([home], observed()), 'you 192.168.77.2 → NAT 203.0.113.2 → internet → TURN 198.51.100.10'],
    ['no NAT', checkup([open], withoutRelay), 'you 203.0.113.77 → internet → STUN 198.51.100.10'],
    [
      'a carrier NAT behind the home router',
      checkup([wan('100.64.0.7')], observed()),
      'you 192.168.77.2 → NAT 100.64.0.7 → carrier NAT 203.0.113.2 → internet → TURN 198.51.100.10',
    ],
    [
      'a NAT that only a TCP server saw',
      checkup([], overTcp),
      'you 192.168.77.2 → NAT 203.0.113.65 → internet → TURN 198.51.100.10',
    ],
    [
      'UDP is blocked',
      checkup([blocked()], overTcp),
      'you 192.168.77.2 → NAT 203.0.113.65 → firewall → internet → TURN 198.51.100.10',
    ],
    [
      'one server for both',
      checkup([open], observed({ attempts: [stunServer, attempt({})] })),
      'you 203.0.113.77 → internet → STUN/TURN 198.51.100.10',
    ],
    ['nobody answered', checkup([silent()], nobody), ''],
    [
      'several servers',
      checkup(
        [home],
        observed({
          attempts: ['1', '2', '3', '4'].map((end) =>
            attempt({ uri: `stun:198.51.100.${end}`, scheme: 'stun', address: `198.51.100.${end}:3478` }),
          ),
        }),
      ),
      'you 192.168.77.2 → NAT 203.0.113.2 → internet → STUN 198.51.100.1, 198.51.100.2 and 2 more',
    ],
  ])('%s', (_, report, line) => {
    expect(pathOf(report)).toBe(line)
  })
})

describe('expectations', () => {
  const tls = { version: 'TLSv1.3', names: ['x'], issuer: 'y', validFrom: startedAt }
  const expiring = observed({
    attempts: [attempt({ tls: { ...tls, validTo: '2026-12-01T12:00:00.000Z' } })], // ten days later
  })
  const lossy = observed({ reachability: observed().reachability.map((entry) => ({ ...entry, loss: 0.1 })) })
  test.each<[string, IceObservations, boolean]>([
    ['no-relay', withoutRelay, true],
    ['no-relay', observed(), false],
    ['no-srflx', nobody, true],
    ['no-srflx', withoutRelay, false],
    ['not-proven', observed(), false],
    ['rtt>39', observed(), true],
    ['rtt>40', observed(), false],
    ['rtt>39.5', observed(), true],
    ['loss>9', lossy, true],
    ['loss>10', lossy, false],
    ['loss>5', nobody, false],
    ['certificate<11', expiring, true],
    ['certificate<10', expiring, false],
    ['certificate<10', observed(), false],
    ['symmetric', observed(), false],
  ])('--fail-on %s', (word, ice, fails) => {
    expect(isCondition(word)).toBe(true)
    expect(checkup([home], ice, { failOn: [word] }).failed).toEqual(fails ? [word] : [])
  })

  test('--fail-on no-udp', () => {
    expect(checkup([silent()], overTcp, { failOn: ['no-udp'] }).failed).toEqual(['no-udp'])
    expect(checkup([home], overTcp, { failOn: ['no-udp'] }).failed).toEqual([])
  })

  test.each([
    'rtt',
    'rtt<5',
    'rtt>',
    'rtt>-1',
    'rtt>1e9',
    'certificate>5',
    'constructor',
    'constructor>5',
    'toString',
    '',
  ])('there is no --fail-on "%s"', (word) => {
    expect(isCondition(word)).toBe(false)
  })

  test('--expect', () => {
    expect(checkup([home], observed(), { expect: ['host', 'relay/udp', 'relay/tls'] }).failed).toEqual(['relay/tls'])
  })
})
