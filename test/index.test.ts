/** The public barrel: what README promises to library users. */
import { Check } from 'typebox/value'
import { expect, test } from 'vitest'
import * as natcheck from '../src/index.ts'

test('measure, conclude and report, with nothing but the package', async () => {
  const network = natcheck.nodeNetwork()
  const server = await natcheck.startStunServer(network, { primaryIp: '127.0.0.1', alternateIp: '127.0.0.2' })
  try {
    const ports = { network, clock: natcheck.systemClock, random: natcheck.systemRandom }
    const startedAt = new Date(natcheck.systemClock.wallTime()).toISOString()
    const runs = await natcheck.probeNat(ports, {
      servers: [natcheck.parseServerUri(`stun:${natcheck.formatAddress(server.primary)}`)],
      exclusive: true,
      families: [4],
      timeoutMs: 5000,
      hairpin: false,
      lifetime: false,
      fragments: false,
      ports: false,
      router: false,
    })
    const families = runs.map((observations) => ({ observations, finding: natcheck.analyseFamily(observations) }))
    const report = natcheck.buildReport({ startedAt, families })
    expect(report.verdict.p2p).toBe('direct')
    expect(Check(await natcheck.loadNatReportSchema(), JSON.parse(JSON.stringify(report)))).toBe(true)
  } finally {
    server.close()
  }
})

test('the codec is there under its own name', () => {
  expect(natcheck.wire.decodeMessage(new Uint8Array(3)).ok).toBe(false)
})

test('turnserver.conf is there under its own name', () => {
  const findings = natcheck.coturn.lint({ text: 'realm=example.org # ours\n', version: '4.6.1' })
  expect(findings.find(({ line }) => line === 1)?.rule).toBe('inline-comment')
})

test('gather and report, with nothing but the package', async () => {
  const ports = { network: natcheck.nodeNetwork(), clock: natcheck.systemClock, random: natcheck.systemRandom }
  const observations = await natcheck.gatherIce(ports, {
    servers: [],
    policy: 'all',
    families: [4, 6],
    timeoutMs: 5000,
  })
  const report = natcheck.buildIceReport({ startedAt: '2026-11-21T12:00:00.000Z', observations })
  expect(report.verdict.kind).toBe('host-only')
  expect(natcheck.renderIce(report, { level: 0, width: 80 })).toContain('No server was asked')
})
