/** Arbitrary and mutated packets at the engine node-turn, from clients and from peers: no throw, and it goes on serving. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRelay } from '../../../src/index.ts'
import { homeNetwork, SeededRandom } from '../../../src/lab/index.ts'
import { packet } from '../../wire/mutations.ts'
import { allocate, channelBind, createPermission, refresh, sendIndication } from '../datapath/turn-messages.ts'
import { channelData, codeOf, openPeer, TestClient, text } from './client.ts'

const listener = { ip: '50.0.0.1', port: 3478 }
const users = [{ username: 'alice', password: 'a' }]
const packets = 30_000

test.each([
  ['without authentication', { noAuth: true }],
  ['with users', { users }],
])(`${packets} packets, %s`, async (_, access) => {
  const home = homeNetwork({ behavior: 'open' })
  const portsOf = (network: typeof home.server.network) => ({ network, clock: home.clock, random: new SeededRandom(1) })
  const warnings: unknown[] = []
  const relay = await createRelay(
    {
      engine: 'node-turn',
      listen: [listener],
      allowPeers: ['80.0.0.0/24'],
      ...access,
      onEvent: (event) => event.kind === 'warning' && warnings.push(event),
    },
    portsOf(home.server.network),
  )
  const peer = await home.clock.run(openPeer(portsOf(home.neighbour.network), '80.0.0.11'))
  const open = () => home.clock.run(TestClient.open(portsOf(home.client.network), listener, { ip: '80.0.0.10' }))
  const [good, wild] = [await open(), await open()]
  expect(codeOf(await home.clock.run(good.allocate(3600)))).toBe('success')
  expect(codeOf(await home.clock.run(good.bind(0x4000, peer.address)))).toBe('success')
  // Whole ones among them, so that the broken ones meet allocations, permissions and channels.
  const whole = [allocate, () => channelBind(peer.address), () => createPermission(peer.address), () => refresh(600)]
  const seeds = fc.sample(packet, { seed: 7, numRuns: packets })
  const random = new SeededRandom('order')
  for (const [index, bytes] of seeds.entries()) {
    if (index % 50 === 0) wild.send(whole[random.integer(0, whole.length - 1)]?.() ?? bytes)
    const cut = sendIndication(peer.address, bytes.subarray(0, 100))
    wild.send(random.integer(0, 3) === 0 ? cut.subarray(0, random.integer(0, cut.length)) : bytes)
    peer.send(bytes.subarray(0, random.integer(0, bytes.length)), good.relayed)
    if (index % 100 === 0) await home.clock.advance(100)
    good.heard.length = 0
    good.raw.length = 0
    wild.raw.length = 0
  }
  await home.clock.advance(1000)
  peer.heard.length = 0
  good.heard.length = 0
  expect(codeOf(await home.clock.run(good.bind(0x4000, peer.address)))).toBe('success')
  good.send(channelData(0x4000, 'still there'))
  peer.send(text('so am I'), good.relayed)
  await home.clock.advance(1000)
  expect(peer.heard).toEqual(['still there'])
  expect(good.heard).toEqual(['channel 4000 so am I'])
  expect(warnings).toEqual([])
  const stats = await relay.stats()
  expect(stats.drops['client malformed']).toBeGreaterThan(packets / 10)
  expect(stats.toClient.packets).toBeGreaterThan(packets / 2)
  await relay.close()
})
