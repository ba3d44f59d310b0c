/** The engine node-turn in virtual time: what ends when, drain, and reload. */
import { afterEach, describe, expect, test } from 'vitest'
import { createRelay, type Relay, type RelayEvent, type RelayOptions } from '../../../src/index.ts'
import { type HomeNetwork, homeNetwork, SeededRandom } from '../../../src/lab/index.ts'
import type { RelayPorts } from '../../../src/relay/relay.ts'
import { sendIndication } from '../datapath/turn-messages.ts'
import { channelData, codeOf, openPeer, TestClient, type TestPeer, text } from './client.ts'

const listener = { ip: '50.0.0.1', port: 3478 }

class Setup {
  readonly home: HomeNetwork = homeNetwork({ behavior: 'open' })
  readonly events: RelayEvent[] = []
  readonly relay: Relay
  readonly peer: TestPeer

  private constructor(home: HomeNetwork, events: RelayEvent[], relay: Relay, peer: TestPeer) {
    this.home = home
    this.events = events
    this.relay = relay
    this.peer = peer
  }

  static async start(options: RelayOptions = {}): Promise<Setup> {
    const home = homeNetwork({ behavior: 'open' })
    const events: RelayEvent[] = []
    const users = [{ username: 'alice', password: 'a' }]
    // Loading the package takes real time, opening virtual sockets takes none.
    const relay = await createRelay(
      { engine: 'node-turn', listen: [listener], users, ...options, onEvent: (event) => events.push(event) },
      portsOf(home, home.server.network),
    )
    const peer = await home.clock.run(openPeer(portsOf(home, home.neighbour.network), '80.0.0.11'))
    return new Setup(home, events, relay, peer)
  }

  async client(credentials: { username?: string; password?: string } = {}): Promise<TestClient> {
    const ports = portsOf(this.home, this.home.client.network)
    return await this.run(TestClient.open(ports, listener, { ip: '80.0.0.10', ...credentials }))
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.home.clock.run(promise)
  }

  async pass(seconds: number): Promise<void> {
    await this.home.clock.advance(seconds * 1000)
  }

  ended(): unknown[] {
    return this.events.flatMap((event) => (event.kind === 'allocation-ended' ? [event.why] : []))
  }
}

const portsOf = ({ clock }: HomeNetwork, network: RelayPorts['network']): RelayPorts => ({
  network,
  clock,
  random: new SeededRandom(1),
})

let setup: Setup
afterEach(async () => {
  await setup.relay.close()
})

describe('lifetimes', () => {
  test('an allocation that is refreshed outlives eleven minutes, and its channel too', async () => {
    setup = await Setup.start()
    const alice = await setup.client()
    await setup.run(alice.allocate())
    for (let minute = 0; minute < 12; minute++) {
      if (minute % 4 === 0) expect(codeOf(await setup.run(alice.bind(0x4000, setup.peer.address)))).toBe('success')
      if (minute % 8 === 7) expect(codeOf(await setup.run(alice.refresh(600)))).toBe('success')
      await setup.pass(60)
      alice.send(channelData(0x4000, `minute ${minute}`))
      setup.peer.send(text(`answer ${minute}`), alice.relayed)
    }
    await setup.pass(1)
    const minutes = Array.from({ length: 12 }, (_, minute) => minute)
    expect(setup.peer.heard).toEqual(minutes.map((minute) => `minute ${minute}`))
    expect(alice.heard).toEqual(minutes.map((minute) => `channel 4000 answer ${minute}`))
    expect(await setup.relay.stats()).toMatchObject({ allocations: 1, permissions: 1, channels: 1 })
  })

  test('without a Refresh it ends, its socket closes, its port is free again', async () => {
    setup = await Setup.start({ ports: { min: 50_000, max: 50_000 } })
    const alice = await setup.client()
    await setup.run(alice.allocate())
    await setup.run(alice.permit(setup.peer.address))
    await setup.pass(599)
    expect((await setup.relay.stats()).allocations).toBe(1)
    await setup.pass(2)
    expect(setup.ended()).toEqual(['expired'])
    setup.peer.send(text('too late'), alice.relayed)
    alice.send(sendIndication(setup.peer.address, text('too late')))
    await setup.pass(1)
    expect([alice.heard, setup.peer.heard]).toEqual([[], []])
    expect(codeOf(await setup.run(alice.refresh(600)))).toBe(437)
    expect(codeOf(await setup.run((await setup.client()).allocate()))).toBe('success')
  })

  test('permissions end after five minutes, a channel and its permission after ten', async () => {
    setup = await Setup.start()
    const alice = await setup.client()
    await setup.run(alice.allocate(3600))
    await setup.run(alice.permit(setup.peer.address))
    await setup.pass(290)
    setup.peer.send(text('one'), alice.relayed)
    await setup.pass(15)
    setup.peer.send(text('lost'), alice.relayed)
    alice.send(sendIndication(setup.peer.address, text('lost')))
    await setup.pass(1)
    expect(alice.heard).toEqual(['data one'])
    await setup.run(alice.bind(0x4000, setup.peer.address))
    await setup.pass(590)
    setup.peer.send(text('two'), alice.relayed)
    alice.send(sendIndication(setup.peer.address, text('there')))
    await setup.pass(15)
    setup.peer.send(text('lost'), alice.relayed)
    alice.send(channelData(0x4000, 'lost'))
    await setup.pass(1)
    expect(alice.heard).toEqual(['data one', 'channel 4000 two'])
    expect(setup.peer.heard).toEqual(['there'])
    expect(await setup.relay.stats()).toMatchObject({
      permissions: 0,
      channels: 0,
      drops: { 'client no-channel': 1, 'client no-permission': 1, 'peer no-permission': 2 },
    })
  })

  test('every default can be set', async () => {
    setup = await Setup.start({
      lifetimes: { allocation: 20, maxAllocation: 30, permission: 5, channel: 8, nonce: 10 },
    })
    const alice = await setup.client()
    await setup.run(alice.allocate(0))
    await setup.run(alice.permit(setup.peer.address))
    await setup.pass(6)
    expect((await setup.relay.stats()).permissions).toBe(0)
    await setup.run(alice.bind(0x4000, setup.peer.address))
    await setup.pass(6)
    // The nonce is stale by now, and the client's business.
    expect(await setup.run(alice.refresh(600))).toMatchObject({ kind: 'success', transactions: 2 })
    await setup.pass(29)
    expect((await setup.relay.stats()).allocations).toBe(1)
    await setup.pass(2)
    expect(setup.ended()).toEqual(['expired'])
  })
})

describe('operation', () => {
  test('drain takes nobody new and ends with the last, or at its deadline', async () => {
    setup = await Setup.start()
    const [alice, other] = [await setup.client(), await setup.client()]
    await setup.run(alice.allocate())
    await setup.run(other.allocate())
    let drained = false
    const draining = setup.relay.drain(120_000).then(() => (drained = true))
    expect(setup.relay.draining).toBe(true)
    expect(codeOf(await setup.run((await setup.client()).allocate()))).toBe(508)
    expect(codeOf(await setup.run(alice.refresh(0)))).toBe('success')
    expect(drained).toBe(false)
    await setup.pass(121)
    await draining
    expect(setup.ended()).toEqual(['refreshed-to-zero', 'drained'])
  })

  test('a drain with nobody there is over at once', async () => {
    setup = await Setup.start()
    await setup.run(setup.relay.drain(120_000))
    expect(setup.relay.draining).toBe(true)
  })

  test('reload: users and peer rules change, allocations stay', async () => {
    setup = await Setup.start()
    const alice = await setup.client()
    await setup.run(alice.allocate())
    await setup.run(alice.bind(0x4000, setup.peer.address))
    await setup.relay.reload({ users: [{ username: 'bob', password: 'b' }], denyPeers: ['80.0.0.0/24'] })
    expect(codeOf(await setup.run((await setup.client()).allocate()))).toBe(401)
    expect(codeOf(await setup.run(alice.refresh(600)))).toBe('success')
    alice.send(channelData(0x4000, 'denied now'))
    setup.peer.send(text('denied now'), alice.relayed)
    await setup.pass(1)
    expect([alice.heard, setup.peer.heard]).toEqual([[], []])
    expect(codeOf(await setup.run(alice.permit(setup.peer.address)))).toBe(403)
    await expect(setup.relay.reload({ denyPeers: ['nonsense'] })).rejects.toMatchObject({ code: 'USAGE' })
    await expect(setup.relay.reload({ users: [] })).rejects.toMatchObject({ code: 'USAGE' })
    const bob = await setup.client({ username: 'bob', password: 'b' })
    expect(codeOf(await setup.run(bob.allocate()))).toBe('success')
    expect(await setup.relay.stats()).toMatchObject({ allocations: 2, authFailures: { 'unknown-user': 1 } })
  })

  test('behind a 1:1 NAT, with a cap on bandwidth', async () => {
    setup = await Setup.start({ externalIps: [{ external: '90.0.0.9' }], maxBps: 1000 })
    const alice = await setup.client()
    await setup.run(alice.allocate())
    expect(alice.relayed.ip).toBe('90.0.0.9')
    expect(setup.relay.urls).toEqual(['turn:90.0.0.9:3478?transport=udp'])
    await setup.run(alice.bind(0x4000, setup.peer.address))
    for (let i = 0; i < 8; i++) alice.send(channelData(0x4000, 'x'.repeat(300)))
    await setup.pass(0.5)
    expect(setup.peer.heard.length).toBe(3)
    expect((await setup.relay.stats()).toPeer).toEqual({ packets: 3, bytes: 900, refused: 5 })
  })
})
