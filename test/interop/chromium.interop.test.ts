/** Chromium's data channels through our relay and nothing else, on loopback: over each transport, past a Refresh, no packet lost. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Chromium, launchChromium, relayedDataChannel } from '../support/chromium.ts'
import { describeIf } from '../support/requirements.ts'
import { lost } from '../support/data-channel.ts'
import { certificate } from '../transport/certificates.ts'
import { holdSeconds, lifetimeSeconds, relayForClients, type RelayForClients } from './relay-for-clients.ts'

const transports = ['udp', 'tcp', 'tls'] as const

describeIf(['linux', 'chromium'], 'Chromium', () => {
  const { cert, key } = certificate({ commonName: 'localhost', names: ['localhost'] })
  const relays: RelayForClients[] = []
  let chromium: Chromium
  const relay = async (datapath: 'dgram' | 'mmsg'): Promise<RelayForClients> => {
    const running = await relayForClients(datapath, { cert, key }, lifetimeSeconds)
    relays.push(running)
    return running
  }

  beforeAll(async () => {
    chromium = await launchChromium({ trust: [cert] })
  })
  afterAll(async () => {
    await chromium?.close()
    for (const { relay } of relays) await relay.close()
  })

  test.concurrent.each(['dgram', 'mmsg'] as const)(
    'over UDP, TCP and TLS nothing is lost, before and after Refreshes, on the %s datapath',
    async (datapath) => {
      const { relay: running, iceServers, ended } = await relay(datapath)
      const calls = transports.map(async (transport) => {
        const page = await chromium.newPage()
        const options = { iceServers: iceServers(transport), count: 300, size: 500, holdSeconds }
        const { opened, sides } = await relayedDataChannel(page, options)
        await page.close()
        const [first, second] = sides
        return {
          opened,
          missed: [first?.missed, second?.missed],
          errors: [first?.errors, second?.errors],
          local: [first?.local, second?.local],
          remote: [first?.remote?.type, second?.remote?.type],
          lost: [lost(first, second), lost(second, first)],
        }
      })
      const reports = await Promise.all(calls)
      for (const [index, report] of reports.entries()) {
        const local = { type: 'relay', relayProtocol: transports[index] }
        expect(report).toEqual({
          opened: true,
          missed: [[], []],
          errors: [[], []],
          local: [local, local],
          remote: ['relay', 'relay'],
          lost: [0, 0],
        })
      }
      await vi.waitFor(async () => expect((await running.stats()).allocations).toBe(0), { timeout: 5000 })
      expect(ended.filter(({ why }) => why === 'expired')).toEqual([])
      // What has carried a call is older than an allocation gets without a Refresh.
      const old = ended.filter(({ allocation }) => allocation.ageSeconds > lifetimeSeconds)
      expect(new Set(old.map(({ allocation }) => allocation.protocol))).toEqual(new Set(transports))
      expect(old.length).toBeGreaterThanOrEqual(2 * transports.length)
      const { undelivered, drops, authFailures, relayFailures } = await running.stats()
      // A check that comes before this side has asked for the permission is ICE's everyday, and is repeated.
      const { 'peer no-permission': _early, ...others } = drops
      expect({ undelivered, others, authFailures, relayFailures }).toEqual({
        undelivered: 0,
        others: {},
        authFailures: {},
        relayFailures: {},
      })
    },
  )

  test.concurrent('a wrong password is told by icecandidateerror 401, over each transport', async () => {
    const { iceServers } = await relay('dgram')
    const calls = transports.map(async (transport) => {
      const page = await chromium.newPage()
      const options = { iceServers: iceServers(transport, 'wrong'), count: 1, size: 4, holdSeconds: 1 }
      const { opened, sides } = await relayedDataChannel(page, options)
      const told = sides.flatMap(({ errors }) => errors.map(({ url, code }) => `${code} ${url}`))
      expect({ opened, told: new Set(told) }).toEqual({
        opened: false,
        told: new Set(options.iceServers.map(({ urls }) => `401 ${String(urls)}`)),
      })
    })
    await Promise.all(calls)
  })
})
