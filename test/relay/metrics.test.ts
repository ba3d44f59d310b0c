/** Counters become Prometheus text, read anew at each scrape. */
import { expect, test } from 'vitest'
import { instant } from '../../src/core/index.ts'
import type { AllocationInfo, ClientPath } from '../../src/proto/turn-server/index.ts'
import { type MetricsSource, relayMetrics } from '../../src/relay/metrics.ts'
import { addStats, EventCounter, type RelayStats } from '../../src/relay/stats.ts'
import { Method } from '../../src/wire/index.ts'

const path: ClientPath = {
  key: 1,
  protocol: 'tcp',
  client: { ip: '198.51.100.7', port: 1234 },
  server: { ip: '192.0.2.1', port: 3478 },
}
const traffic = { packets: 0, bytes: 0, refused: 0 }
const allocation: AllocationInfo = {
  path,
  username: 'alice',
  relayed: [],
  createdAt: instant(0),
  toPeer: traffic,
  toClient: traffic,
}

function counted(): RelayStats {
  const counter = new EventCounter()
  counter.count({ kind: 'allocation-created', allocation })
  counter.count({ kind: 'allocation-ended', allocation, why: 'expired' })
  counter.count({ kind: 'error-response', path, method: Method.allocate, code: 401 })
  counter.count({ kind: 'error-response', path, method: Method.allocate, code: 401 })
  counter.count({ kind: 'success-response', path, method: Method.allocate })
  counter.count({ kind: 'auth-failure', path, method: Method.allocate, why: 'wrong-password', username: 'alice' })
  counter.count({ kind: 'drop', from: 'client', reason: 'malformed' })
  counter.count({ kind: 'drop', from: 'peer', reason: 'no-permission' })
  counter.count({ kind: 'relay-failed', why: 'no-descriptors' })
  const gauges = { allocations: 3, permissions: 4, channels: 2, undelivered: 1 }
  const flows = { toPeer: { packets: 5, bytes: 500, refused: 1 }, toClient: { packets: 7, bytes: 700, refused: 0 } }
  return { ...gauges, ...flows, ...counter.snapshot() }
}

const source = (stats: () => RelayStats): MetricsSource & { draining: boolean } => ({
  engine: 'native',
  datapath: 'dgram',
  certificateValidTo: new Date(2_000_000_000_000),
  draining: false,
  stats: async () => stats(),
})

test('each count under its name and labels, and no address or user name anywhere', async () => {
  const text = await relayMetrics(source(counted)).text()
  for (const line of [
    'natcheck_relay_allocations 3',
    'natcheck_relay_permissions 4',
    'natcheck_relay_channels 2',
    'natcheck_relay_draining 0',
    'natcheck_relay_undelivered_packets_total 1',
    'natcheck_relay_info{engine="native",datapath="dgram"} 1',
    'natcheck_relay_certificate_not_after_seconds{protocol="tls"} 2000000000',
    'natcheck_relay_relayed_packets_total{direction="to-peer"} 5',
    'natcheck_relay_relayed_bytes_total{direction="to-client"} 700',
    'natcheck_relay_refused_packets_total{direction="to-peer"} 1',
    'natcheck_relay_allocations_created_total{protocol="tcp"} 1',
    'natcheck_relay_allocations_ended_total{reason="expired"} 1',
    'natcheck_relay_responses_total{method="Allocate",code="401"} 2',
    'natcheck_relay_responses_total{method="Allocate",code="0"} 1',
    'natcheck_relay_dropped_packets_total{from="client",reason="malformed"} 1',
    'natcheck_relay_dropped_packets_total{from="peer",reason="no-permission"} 1',
    'natcheck_relay_auth_failures_total{reason="wrong-password"} 1',
    'natcheck_relay_relay_failures_total{reason="no-descriptors"} 1',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  expect(text).not.toMatch(/alice|198\.51\.100|192\.0\.2/)
})

test('a scrape shows the present: gauges fall, counters go on, nothing is added twice', async () => {
  let stats = counted()
  const from = source(() => stats)
  const metrics = relayMetrics(from)
  await metrics.text()
  stats = { ...stats, allocations: 0, toPeer: { packets: 6, bytes: 600, refused: 1 } }
  from.draining = true
  const text = await metrics.text()
  expect(text).toContain('natcheck_relay_allocations 0\n')
  expect(text).toContain('natcheck_relay_relayed_packets_total{direction="to-peer"} 6\n')
  expect(text).toContain('natcheck_relay_draining 1\n')
  expect(text).toContain('natcheck_relay_responses_total{method="Allocate",code="401"} 2\n')
})

test('methods that a stranger makes up share one name', () => {
  const counter = new EventCounter()
  for (let method = 0x100; method < 0x200; method++) counter.count({ kind: 'error-response', path, method, code: 437 })
  expect(counter.snapshot().responses).toEqual({ 'other 437': 256 })
})

test('threads add up', () => {
  const sum = addStats([counted(), counted()])
  expect(sum).toMatchObject({
    allocations: 6,
    toPeer: { packets: 10, bytes: 1000, refused: 2 },
    responses: { 'Allocate 401': 4, 'Allocate 0': 2 },
    drops: { 'client malformed': 2 },
  })
})
