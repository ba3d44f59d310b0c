/** Each `no` and each `warning` comes from a server that really behaves so, and from no other. */
import { expect, test } from 'vitest'
import type { CheckResult, TurnCheckId, TurnObservations, TurnOptions } from '../../../src/probe/turn/index.ts'
import { judgeCheck } from '../../../src/report/index.ts'
import { alice, turnLab } from '../../proto/turn-client/lab.ts'
import { type FlawedServer, type Flaws, flawedServer } from './flawed.ts'
import { checkOf, look, reportOn } from './lab.ts'

type Case = readonly [
  flaw: string,
  flaws: Flaws,
  check: TurnCheckId,
  result: CheckResult,
  detail: RegExp,
  options?: Partial<TurnOptions>,
]

const cases: readonly Case[] = [
  ['gives allocations to strangers', { noAuthentication: true }, 'authentication', 'no', /without credentials/],
  ['answers the same Allocate with 437', { again: 437 }, 'idempotence', 'no', /437/],
  [
    'answers the same Allocate with another address',
    { again: 'another address' },
    'idempotence',
    'no',
    /another relayed/,
  ],
  ['passes over unknown attributes', { unknownAttribute: 'passed over' }, 'unknown-attribute', 'no', /passed over/],
  ['drops unknown attributes', { unknownAttribute: 'dropped' }, 'unknown-attribute', 'no', /dropped/],
  [
    'answers unknown attributes with 400',
    { unknownAttribute: 400 },
    'unknown-attribute',
    'warning',
    /400 instead of 420/,
  ],
  ['accepts any nonce', { staleNonce: 'accepted' }, 'stale-nonce', 'warning', /replayed/],
  ['answers stale nonces with 401', { staleNonce: 401 }, 'stale-nonce', 'warning', /401 instead of 438/],
  ['leaves NONCE out of 438', { staleNonce: 'without NONCE' }, 'stale-nonce', 'no', /438 without NONCE/],
  ['tells its version', { software: 'Relay 1.2.3' }, 'software', 'warning', /Relay 1\.2\.3/],
  ['answers strangers at length', { fat: 200 }, 'amplification', 'warning', /[4-9]\.\d times/],
  ['relays to its loopback', { opens: (ip) => ip === '127.0.0.1' }, 'forbidden-peers', 'no', /to 127\.0\.0\.1$/],
  ['relays to the metadata service', { opens: (ip) => ip === '169.254.169.254' }, 'forbidden-peers', 'no', /169\.254/],
  ['relays to private networks', { opens: (ip) => ip.startsWith('10.') }, 'forbidden-peers', 'no', /10\.0\.0\.1/],
  ['lets anybody write to its clients', { leaks: true }, 'permissions', 'no', /had no permission/],
  ['gives private addresses', { relayedIp: '10.1.2.3' }, 'relayed-address', 'no', /10\.1\.2\.3.*private/],
  ['gives loopback addresses', { relayedIp: '127.0.0.1' }, 'relayed-address', 'no', /loopback/],
  ['relays from privileged ports', { firstPort: 901 }, 'relay-ports', 'warning', /below 1024/],
  ['grants short lifetimes', { lifetime: 60 }, 'lifetime', 'warning', /60 s/],
  ['keeps allocations that were given back', { keepsAllocations: true }, 'release', 'no', /still succeeds/],
  ['has a quota of two', { quota: 2 }, 'quota', 'warning', /486/],
  ['gives odd ports for even ones', { evenPort: 'odd' }, 'even-port', 'no', /odd/],
  ['has no pairs of ports', { evenPort: 508 }, 'even-port', 'no', /not offered \(508/],
  ['gives no token', { evenPort: 'no token' }, 'reservation', 'no', /no RESERVATION-TOKEN/],
  ['does not keep the port of a token', { evenPort: 'wrong port' }, 'reservation', 'no', /and not port/],
  ['gives tickets that it does not take', { mobility: 'ticket only' }, 'mobility', 'no', /not honoured/],
  ['gives no tickets', {}, 'mobility', 'no', /no MOBILITY-TICKET/],
  ['refuses channels', { refusesChannels: true }, 'data', 'no', /no channel: 400/],
  ['relays out only', { oneWay: 'out' }, 'data', 'no', / 0 of \d+ in/],
  ['relays in only', { oneWay: 'in' }, 'data', 'no', /^0 of \d+ out/],
  ['refuses its own addresses', { refusesItself: true }, 'hairpin', 'no', /no permission.*403/],
  ['loses packets over 1000 bytes out', { mtu: { out: 1000, in: 9000 } }, 'mtu', 'no', /1000 bytes out, 1432 in/],
  ['loses packets over 1100 bytes in', { mtu: { out: 9000, in: 1100 } }, 'mtu', 'no', /1432 bytes out, 1100 in/],
  ['loses packets over 1300 bytes', { mtu: { out: 1300, in: 1300 } }, 'mtu', 'yes', /1300 bytes out, 1300 in/],
  ['takes 80 ms a packet', { slowMs: 80 }, 'relay-latency', 'warning', /^80\.0 ms/],
  ['carries a tenth of the rate', { packetsPerSecond: 100 }, 'throughput', 'warning', /lost/, { rateMbit: 10 }],
  ['forgets after five minutes', { forgetsAfterMs: 300_000 }, 'hold', 'no', /a gap of/, { holdMs: 660_000 }],
  ['lets the nonce die', { nonceDiesAfterMs: 400_000 }, 'hold', 'no', /438|NONCE|REALM/, { holdMs: 660_000 }],
]

async function seen(
  flaws: Flaws,
  options?: Partial<TurnOptions>,
): Promise<{ readonly observations: TurnObservations; readonly server: FlawedServer }> {
  const lab = turnLab({ latencyMs: 25 })
  const server = await flawedServer(lab.server, lab.clock, flaws)
  return { observations: await look(lab, ['turn:50.0.0.1'], { user: alice, ...options }), server }
}

/** What a flaw brings with it, besides the check that is about it. */
const brings: Readonly<Partial<Record<TurnCheckId, readonly TurnCheckId[]>>> = {
  'relayed-address': ['data', 'hairpin'],
  quota: ['hairpin'],
  data: ['hairpin', 'mtu'],
  'even-port': ['reservation'],
}

for (const [flaw, flaws, check, result, detail, options] of cases) {
  test(`a server that ${flaw}`, async () => {
    const { observations, server } = await seen(flaws, options)
    expect(checkOf(observations, check)).toMatchObject({ result, detail: expect.stringMatching(detail) as string })
    expect(observations.ended).toBe('complete')
    if (!flaws.keepsAllocations && flaws.nonceDiesAfterMs === undefined) expect(server.held).toBe(0)
    // And no other check fails with it.
    const allowed = [check, ...(brings[check] ?? [])]
    const failing = observations.checks.map(judgeCheck).filter(({ severity }) => severity !== null)
    expect(failing.filter(({ id }) => !allowed.includes(id))).toEqual([])
  })
}

test('a server without a flaw has no finding', async () => {
  const { observations } = await seen({}, { rateMbit: 10, holdMs: 660_000 })
  const report = reportOn(observations)
  expect(report.findings).toEqual([])
  expect(report.verdict).toEqual({
    kind: 'good',
    summary: 'turn:50.0.0.1 works over UDP, and does all that it should.',
  })
})
