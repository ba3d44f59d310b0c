/** The relay watched: once a second while somebody looks, and by the Prometheus endpoints of others. */
import { describe, expect, test } from 'vitest'
import { parseMetrics, prometheusRelay, readRelayMetrics } from '../../src/dashboard/prometheus.ts'
import { embeddedRelay } from '../../src/dashboard/relay-view.ts'
import { type RelaySample, RelayWatch } from '../../src/dashboard/relay-watch.ts'
import { relayMetrics } from '../../src/relay/metrics.ts'
import type { Relay } from '../../src/relay/relay.ts'
import type { RelayStats } from '../../src/relay/stats.ts'
import { VirtualClock } from '../../src/lab/index.ts'

const stats: RelayStats = {
  allocations: 2,
  permissions: 3,
  channels: 1,
  undelivered: 0,
  toPeer: { packets: 10, bytes: 1000, refused: 1 },
  toClient: { packets: 20, bytes: 2000, refused: 2 },
  allocationsCreated: { udp: 3, tls: 1 },
  allocationsEnded: { expired: 1 },
  responses: { 'Allocate 0': 4, 'Allocate 401': 5 },
  drops: { 'peer no-permission': 6 },
  authFailures: {},
  relayFailures: {},
}
const relay = { engine: 'native', datapath: 'dgram', stats: () => Promise.resolve(stats) } as unknown as Relay

test('a relay looks the same from within and by its metrics', async () => {
  const source = {
    engine: 'native',
    datapath: 'dgram',
    draining: false,
    certificateValidTo: undefined,
    stats: () => relay.stats(),
  }
  const text = await relayMetrics(source).text()
  expect(readRelayMetrics(parseMetrics(text))).toEqual(await embeddedRelay(relay).read())
})

test("coturn's traffic, and null for what it does not tell", () => {
  const text = `# HELP turn_total_traffic_rcvp Represents total finished sessions received packets
turn_total_traffic_rcvp 7
turn_total_traffic_rcvb 700
turn_total_traffic_sentp 5
turn_total_traffic_sentb 500
turn_total_traffic_peer_sentp 6
turn_total_traffic_peer_sentb 600
turn_total_allocations{type="UDP"} 2
turn_total_allocations{type="TCP"} 1
`
  expect(readRelayMetrics(parseMetrics(text))).toMatchObject({
    source: 'coturn',
    allocations: 3,
    toPeer: { packets: 6, bytes: 600 },
    toClient: { packets: 5, bytes: 500 },
    permissions: null,
    responses: null,
  })
})

describe('an endpoint that is none', () => {
  const read = async (text: string): Promise<unknown> =>
    await prometheusRelay(new URL('http://127.0.0.1:9641/'), () => Promise.resolve(text)).read()

  test.each([
    ['<!doctype html><html>', 'answers HTML, no metrics'],
    ['up 1\n', "has no relay's metrics"],
    ['', "has no relay's metrics"],
    ['turn_total_allocations oops', "has no relay's metrics"],
  ])('%j', async (text, why) => {
    await expect(read(text)).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining(why) as string,
    })
  })

  test('nobody there', async () => {
    // Port 1 is nobody's.
    await expect(prometheusRelay(new URL('http://127.0.0.1:1/metrics')).read()).rejects.toThrow('does not answer')
  })
})

describe('watching', () => {
  test('one reading a second for all, none while nobody looks, two minutes kept', async () => {
    const clock = new VirtualClock()
    let reads = 0
    const samples: RelaySample[] = []
    const source = {
      read: async () => {
        reads++
        return await embeddedRelay(relay).read()
      },
    }
    const watch = new RelayWatch(source, clock, (sample) => samples.push(sample))
    await clock.run(clock.sleep(5000))
    expect(reads).toBe(0)
    for (let viewers = 1; viewers < 200; viewers++) watch.watch(true)
    await clock.run(clock.sleep(10_500))
    expect(reads).toBe(11)
    expect(samples).toHaveLength(11)
    watch.watch(false)
    await clock.run(clock.sleep(10_000))
    expect(reads).toBe(11)
    watch.watch(true)
    await clock.run(clock.sleep(200_000))
    expect(watch.samples).toHaveLength(120)
  })

  test('a relay that is gone is said, and asked again', async () => {
    const clock = new VirtualClock()
    let isGone = true
    const source = {
      read: () => (isGone ? Promise.reject(new Error('it is gone')) : embeddedRelay(relay).read()),
    }
    const samples: RelaySample[] = []
    const watch = new RelayWatch(source, clock, (sample) => samples.push(sample))
    watch.watch(true)
    await clock.run(clock.sleep(100))
    isGone = false
    await clock.run(clock.sleep(1000))
    expect(samples).toMatchObject([{ ok: false, message: 'it is gone' }, { ok: true }])
  })
})
