/** The WebRTC packages of npm through our relay and nothing else, on loopback: no packet lost, and past Refreshes. */
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { type DataChannelOptions, type DataChannelReport, lost } from '../support/data-channel.ts'
import { check } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'
import { holdSeconds, lifetimeSeconds, relayForClients, type RelayForClients } from './relay-for-clients.ts'

const main = fileURLToPath(new URL('../support/webrtc-package-main.mjs', import.meta.url))
const datapaths = ['dgram', 'mmsg'] as const

async function call(name: 'wrtc' | 'node-datachannel', options: DataChannelOptions): Promise<DataChannelReport> {
  const printed = await check([process.execPath, main, name], { input: JSON.stringify(options), timeoutMs: 40_000 })
  return JSON.parse(printed) as DataChannelReport
}

describeIf(['linux'], 'WebRTC packages', () => {
  const pair = certificate({ commonName: 'localhost', names: ['localhost'] })
  const relays: RelayForClients[] = []
  const start = async (datapath: (typeof datapaths)[number], seconds?: number): Promise<RelayForClients> => {
    const relay = await relayForClients(datapath, pair, seconds)
    relays.push(relay)
    return relay
  }
  afterAll(async () => {
    for (const { relay } of relays) await relay.close()
  })

  test.concurrent.each(datapaths)('@roamhq/wrtc over UDP and TCP, past Refreshes, on the %s datapath', async (name) => {
    const { relay, iceServers, ended } = await start(name, lifetimeSeconds)
    const calls = (['udp', 'tcp'] as const).map(async (transport) => {
      const options = { iceServers: iceServers(transport), count: 300, size: 500, holdSeconds }
      const { opened, sides } = await call('wrtc', options)
      const [first, second] = sides
      const local = { type: 'relay', relayProtocol: transport }
      expect({
        opened,
        missed: [first?.missed, second?.missed],
        local: [first?.local, second?.local],
        lost: [lost(first, second), lost(second, first)],
      }).toEqual({ opened: true, missed: [[], []], local: [local, local], lost: [0, 0] })
    })
    await Promise.all(calls)
    // What has carried a call is older than an allocation gets without a Refresh.
    expect(ended.filter(({ why }) => why === 'expired')).toEqual([])
    const carried = ended.filter(({ allocation }) => allocation.ageSeconds > lifetimeSeconds)
    expect(new Set(carried.map(({ allocation }) => allocation.protocol))).toEqual(new Set(['udp', 'tcp']))
    expect((await relay.stats()).undelivered).toBe(0)
  })

  // It counts no packets, so nothing may be sent again. And it lets allocations of 4 s and 30 s run out without a Refresh,
  // so it gets the default lifetime.
  test.concurrent.each(datapaths)('node-datachannel over UDP, on the %s datapath', async (name) => {
    const { relay, iceServers } = await start(name)
    const options = { iceServers: iceServers('udp'), count: 100, size: 500, holdSeconds: 2, maxRetransmits: 0 }
    const { opened, sides } = await call('node-datachannel', options)
    expect(opened).toBe(true)
    for (const { missed, local, remote } of sides) {
      expect({ missed, local, remote }).toEqual({ missed: [], local: { type: 'relay' }, remote: { type: 'relay' } })
    }
    expect((await relay.stats()).undelivered).toBe(0)
  })
})
