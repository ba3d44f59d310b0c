import { describe, expect, it } from 'vitest'
import { instant } from '../../../src/core/index.ts'
import { addressKey, Flow, noTraffic, type TurnEffect } from '../../../src/proto/turn-server/index.ts'
import {
  additionalAddressFamily,
  attribute,
  data,
  dontFragment,
  get,
  icmp,
  Method,
  rawAttribute,
  xorPeerAddress,
} from '../../../src/wire/index.ts'
import { answers, channelDataBytes, type Client, names, peer, peer6, Rig, type RigOptions, text } from './rig.ts'

const hello = text('hello')

/** A client with a permission for `peer`, and the id of its relayed address. */
function permitted(options: RigOptions = {}, path: Parameters<Rig['client']>[0] = {}) {
  const rig = new Rig(options)
  const client = rig.client(path)
  const relay = client.relayId(client.relayed())
  client.permit(peer)
  rig.told()
  return { rig, client, relay }
}

function bound(options: RigOptions = {}, path: Parameters<Rig['client']>[0] = {}, channel = 0x4000) {
  const all = permitted(options, path)
  all.client.bind(channel)
  all.rig.told()
  return all
}

const sentToPeer = (effects: readonly TurnEffect[]) =>
  effects.map((effect) => (effect.kind === 'send-to-peer' ? { ...effect, bytes: [...effect.bytes] } : effect))

const toPeer = (relay: number, bytes: Uint8Array, over = {}) => [
  { kind: 'send-to-peer', relay, peer, bytes: [...bytes], dontFragment: false, ...over },
]

describe('Send and Data indications (RFC 8656 §11)', () => {
  it('relays both ways, and empty data too', () => {
    const { rig, client, relay } = permitted()
    expect(sentToPeer(client.send(hello))).toEqual(toPeer(relay, hello))
    expect(sentToPeer(client.send(new Uint8Array(0)))).toEqual(toPeer(relay, new Uint8Array(0)))
    for (const bytes of [hello, Uint8Array.of(7), new Uint8Array(0), new Uint8Array(65_456).fill(3)]) {
      const [indication, ...more] = answers(rig.fromPeer(relay, peer, bytes), client.path)
      expect(more).toEqual([])
      expect(indication).toMatchObject({ class: 'indication', method: Method.data })
      expect(indication && get(indication, xorPeerAddress)).toEqual(peer)
      expect(indication && get(indication, data)).toEqual(bytes)
    }
    expect(rig.told()).toEqual([])
    expect(rig.allocations[0]).toMatchObject({
      toPeer: { packets: 2, bytes: 5, refused: 0 },
      toClient: { packets: 4, bytes: 65_462, refused: 0 },
    })
  })

  it.each<[string, (client: Client) => TurnEffect[], string]>([
    ['a peer without permission', (client) => client.send(hello, { ip: '9.8.7.6', port: 1 }), 'no-permission'],
    ['a peer of the other family', (client) => client.send(hello, peer6), 'no-permission'],
    ['port 0', (client) => client.send(hello, { ...peer, port: 0 }), 'bad-indication'],
    ['an unknown attribute', (client) => client.send(hello, peer, [rawAttribute(0x7abc, hello)]), 'unknown-attribute'],
    [
      'DONT-FRAGMENT that nobody can set',
      (client) => client.send(hello, peer, [attribute(dontFragment, true)]),
      'unknown-attribute',
    ],
  ])('drops Send to %s', (_, send, reason) => {
    const { rig, client } = permitted()
    expect(send(client)).toEqual([])
    expect(rig.told()).toEqual([`drop ${reason}`])
  })

  it('drops data that no message can carry', () => {
    const { rig, relay } = permitted()
    expect(rig.fromPeer(relay, peer, new Uint8Array(65_507))).toEqual([])
    expect(rig.told()).toEqual(['drop too-big'])
  })

  it('passes DONT-FRAGMENT on where the datapath can set DF', () => {
    const { client, relay } = permitted({ dontFragment: true })
    const effects = client.send(hello, peer, [attribute(dontFragment, true)])
    expect(sentToPeer(effects)).toEqual(toPeer(relay, hello, { dontFragment: true }))
  })

  it('each family has its own address', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate([attribute(additionalAddressFamily, 6)])
    client.permit(peer, peer6)
    const ids = [...rig.open.keys()]
    const relays = [client.send(hello), client.send(hello, peer6)].map(([effect]) =>
      effect?.kind === 'send-to-peer' ? effect.relay : undefined,
    )
    expect(relays).toEqual(ids)
  })

  it('tells the client of ICMP errors for peers that it may reach', () => {
    const { rig, client, relay } = permitted()
    const error = { type: 3, code: 4, data: 1280 }
    rig.server.handlePeerError(relay, peer, error, rig.now)
    const [indication] = answers(rig.settle(), client.path)
    expect(indication && names(indication)).toEqual(['XOR-PEER-ADDRESS', 'ICMP'])
    expect(indication && get(indication, icmp)).toEqual(error)
    rig.server.handlePeerError(relay, { ip: '9.8.7.6', port: 1 }, error, rig.now)
    rig.server.handlePeerError(relay, peer, { type: 129, code: 0, data: 0 }, rig.now)
    expect(rig.settle()).toEqual([])
    expect(rig.told()).toEqual(['drop no-permission', 'drop unexpected'])
  })

  it('tells of ten ICMP errors a second, however many come', () => {
    const { rig, client, relay } = permitted()
    const error = { type: 3, code: 3, data: 0 }
    const told = (count: number): number => {
      for (let i = 0; i < count; i++) rig.server.handlePeerError(relay, peer, error, rig.now)
      return answers(rig.settle(), client.path).length
    }
    expect(told(1000)).toBe(10)
    rig.pass(1)
    expect(told(1000)).toBe(10)
  })
})

describe('ChannelData (RFC 8656 §12)', () => {
  it.each([0, 1, 2, 3])('over UDP is taken with %i bytes behind it, and sent without any', (padding) => {
    const { rig, client, relay } = bound()
    expect(sentToPeer(client.channelData(0x4000, hello, padding))).toEqual(toPeer(relay, hello))
    const [answer] = rig.fromPeer(relay, peer, hello)
    expect(answer).toMatchObject({ kind: 'send-to-client', bytes: channelDataBytes(0x4000, hello) })
  })

  it.each(['tcp', 'tls'] as const)('over %s is padded to 4 bytes, which its length does not count', (protocol) => {
    const { rig, client, relay } = bound({}, { protocol })
    expect(sentToPeer(client.channelData(0x4000, hello, 3))).toEqual(toPeer(relay, hello))
    const [answer] = rig.fromPeer(relay, peer, hello)
    expect(answer).toMatchObject({ kind: 'send-to-client', bytes: channelDataBytes(0x4000, hello, 3) })
  })

  it.each([0x4000, 0x4fff, 0x5000, 0x7ffe])('works on channel %i', (channel) => {
    const { rig, client, relay } = bound({}, {}, channel)
    expect(sentToPeer(client.channelData(channel, hello))).toEqual(toPeer(relay, hello))
    const [answer] = rig.fromPeer(relay, peer, hello)
    expect(answer).toMatchObject({ bytes: channelDataBytes(channel, hello) })
  })

  it('carries 0, 1 and 65500 bytes', () => {
    const { rig, client, relay } = bound()
    for (const length of [0, 1, 65_500]) {
      const bytes = new Uint8Array(length).fill(5)
      expect(sentToPeer(client.channelData(0x4000, bytes))).toEqual(toPeer(relay, bytes))
      expect(rig.fromPeer(relay, peer, bytes)).toMatchObject([{ bytes: channelDataBytes(0x4000, bytes) }])
    }
    expect(rig.fromPeer(relay, peer, new Uint8Array(65_501))).toEqual([])
    expect(rig.told()).toEqual(['drop too-big'])
  })

  it('another port of the same peer comes as Data indication', () => {
    const { rig, relay, client } = bound()
    const [indication] = answers(rig.fromPeer(relay, { ...peer, port: 5001 }, hello), client.path)
    expect(indication?.method).toBe(Method.data)
  })

  it.each([
    ['on an unbound channel', channelDataBytes(0x4001, hello), 'no-channel'],
    ['on 0x7FFF', channelDataBytes(0x7fff, hello), 'malformed'],
    ['cut off', channelDataBytes(0x4000, hello).subarray(0, 8), 'malformed'],
    ['without a whole header', Uint8Array.of(0x40, 0), 'malformed'],
  ])('drops it %s', (_, bytes, reason) => {
    const { rig, client } = bound()
    expect(rig.fromClient(client.path, bytes)).toEqual([])
    expect(rig.told()).toEqual([`drop ${reason}`])
  })

  it('drops it without an allocation', () => {
    const rig = new Rig()
    expect(rig.client().channelData(0x4000, hello)).toEqual([])
    expect(rig.told()).toEqual(['drop no-allocation'])
  })
})

describe('Forwarding, which datapaths use', () => {
  it('finds the same routes as the machine, from both sides', () => {
    const { rig, client, relay } = bound()
    const { forwarding } = rig.server
    const out = forwarding.channelToPeer(client.path.key, 0x4000, rig.now)
    expect(out).toMatchObject({ relay, peer, peerKey: addressKey(peer), path: client.path, channel: 0x4000 })
    expect(forwarding.peerToClient(relay, addressKey(peer), rig.now)).toBe(out)
    expect(forwarding.channelToPeer(client.path.key, 0x4001, rig.now)).toBeUndefined()
    expect(forwarding.channelToPeer('nobody', 0x4000, rig.now)).toBeUndefined()
    expect(forwarding.peerToClient(relay, addressKey({ ...peer, port: 1 }), rig.now)).toBeUndefined()
  })

  it('counts for the allocation and for the server', () => {
    const { rig, client } = bound()
    const route = rig.server.forwarding.channelToPeer(client.path.key, 0x4000, rig.now)
    expect(route?.toPeer.admit(100, rig.now)).toBe(true)
    expect(route?.toClient.admit(50, rig.now)).toBe(true)
    client.channelData(0x4000, hello)
    expect(rig.allocations[0]?.toPeer).toMatchObject({ packets: 2, bytes: 105 })
    expect(rig.server.traffic).toMatchObject({
      toPeer: { packets: 2, bytes: 105 },
      toClient: { packets: 1, bytes: 50 },
    })
    client.refresh(0)
    expect(rig.server.traffic.toPeer).toMatchObject({ packets: 2, bytes: 105 })
  })

  it('forgets a channel at the instant it ends, whether or not the machine was woken', () => {
    const { rig, client, relay } = bound()
    const { forwarding } = rig.server
    const find = (at: number) => [
      forwarding.channelToPeer(client.path.key, 0x4000, instant(at)),
      forwarding.peerToClient(relay, addressKey(peer), instant(at)),
    ]
    expect(find(599_999)).not.toContain(undefined)
    expect(find(600_000)).toEqual([undefined, undefined])
  })

  it('forgets everything with the allocation', () => {
    const { rig, client, relay } = bound()
    client.refresh(0)
    const { forwarding } = rig.server
    expect(forwarding.channelToPeer(client.path.key, 0x4000, rig.now)).toBeUndefined()
    expect(forwarding.peerToClient(relay, addressKey(peer), rig.now)).toBeUndefined()
    expect(rig.fromPeer(relay, peer, hello)).toEqual([])
    expect(rig.told()).toContain('drop unknown-relay')
  })
})

describe('bandwidth caps', () => {
  it('hold each direction to its rate, and count what they refuse', () => {
    const { rig, client, relay } = bound({ bytesPerSecond: 1000 })
    const chunk = new Uint8Array(100)
    let passed = 0
    for (let tenth = 0; tenth < 100; tenth++) {
      for (let i = 0; i < 5; i++) passed += client.channelData(0x4000, chunk).length
      rig.pass(0.1)
    }
    // One second's worth at once, and then 1000 bytes a second for ten seconds.
    expect(passed).toBeGreaterThanOrEqual(109)
    expect(passed).toBeLessThanOrEqual(110)
    expect(rig.allocations[0]?.toPeer).toMatchObject({ packets: passed, refused: 500 - passed })
    expect(rig.fromPeer(relay, peer, chunk).length).toBe(1)
    expect(new Set(rig.told())).toEqual(new Set(['drop over-bandwidth']))
  })

  it('below the size of a packet still let packets through, one now and then', () => {
    const flow = new Flow(noTraffic(), 100, instant(0))
    const passed = Array.from({ length: 100 }, (_, second) => flow.admit(1000, instant(second * 1000)))
    expect(passed.filter(Boolean).length).toBeGreaterThanOrEqual(9)
    expect(passed.filter(Boolean).length).toBeLessThanOrEqual(11)
  })

  it('are those of the user where the hook says so', () => {
    const rig = new Rig({ quota: () => ({ bytesPerSecond: 10 }), bytesPerSecond: 1_000_000 })
    const client = rig.client()
    client.allocate()
    client.permit(peer)
    expect(client.send(new Uint8Array(10)).length).toBe(1)
    expect(client.send(new Uint8Array(10)).length).toBe(0)
  })
})
