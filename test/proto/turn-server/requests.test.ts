import { describe, expect, it } from 'vitest'
import {
  attribute,
  channelNumber,
  get,
  has,
  lifetime,
  messageIntegritySha256,
  Method,
  nonce,
  rawAttribute,
  realm,
  requestedAddressFamily,
  toChannelNumber,
  xorPeerAddress,
} from '../../../src/wire/index.ts'
import { codeOf, outcome, peer, peer6, policyOf, Rig, serverAddress, text } from './rig.ts'

describe('Refresh (RFC 8656 §8)', () => {
  it('extends the allocation', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate()
    rig.pass(540)
    const reply = client.refresh(3600)
    expect(get(reply, lifetime)).toBe(3600)
    expect(has(reply, messageIntegritySha256)).toBe(true)
    rig.pass(3599)
    expect(rig.allocations.length).toBe(1)
    rig.pass(1)
    expect(rig.idle).toBe(true)
  })

  it('can shorten it too', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate([attribute(lifetime, 3600)])
    expect(get(client.refresh(), lifetime)).toBe(600)
    rig.pass(600)
    expect(rig.idle).toBe(true)
  })

  it('ends it with lifetime 0; a retransmission succeeds again, another transaction gets 437', () => {
    const rig = new Rig()
    const client = rig.client()
    client.relayed()
    client.bind(0x4000)
    const id = new Uint8Array(12).fill(3)
    const first = client.refresh(0, { id })
    expect(get(first, lifetime)).toBe(0)
    expect(rig.closed).toEqual(['refreshed-to-zero'])
    expect(rig.open.size).toBe(0)
    const [again] = client.exchange(client.bytes(Method.refresh, [attribute(lifetime, 0)], { id }))
    expect(again?.bytes).toEqual(first.bytes)
    expect(outcome(client.refresh(0))).toBe(437)
    rig.pass(40)
    expect(rig.idle).toBe(true)
    const [late] = client.exchange(client.bytes(Method.refresh, [attribute(lifetime, 0)], { id }))
    expect(late && outcome(late)).toBe(437)
  })

  it('a late copy of it does not end the next allocation', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate()
    const id = new Uint8Array(12).fill(3)
    client.refresh(0, { id })
    expect(outcome(client.allocate())).toBe('success')
    const [copy] = client.exchange(client.bytes(Method.refresh, [attribute(lifetime, 0)], { id }))
    expect(copy && get(copy, lifetime)).toBe(0)
    expect(rig.allocations.length).toBe(1)
  })

  it('remembers farewells of streams not at all, and of datagrams a bounded number', () => {
    const rig = new Rig()
    const stream = rig.client({ protocol: 'tcp' })
    stream.allocate()
    stream.refresh(0)
    expect(rig.idle).toBe(true)
  })

  it.each([
    [[attribute(requestedAddressFamily, 6)], 443],
    [[rawAttribute(requestedAddressFamily.type, Uint8Array.of(9, 0, 0, 0))], 443],
    [[rawAttribute(requestedAddressFamily.type, Uint8Array.of(1))], 400],
    [[rawAttribute(lifetime.type, Uint8Array.of(1))], 400],
    [[rawAttribute(0x7abc, Uint8Array.of(1))], 420],
  ])('refuses %o', (attributes, code) => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate()
    expect(outcome(client.request(Method.refresh, attributes))).toBe(code)
    expect(rig.allocations.length).toBe(1)
  })
})

describe('without an allocation', () => {
  it.each([
    ['Refresh', Method.refresh, []],
    ['CreatePermission', Method.createPermission, [attribute(xorPeerAddress, peer)]],
    ['ChannelBind', Method.channelBind, [attribute(xorPeerAddress, peer)]],
    ['Connect', Method.connect, [attribute(xorPeerAddress, peer)]],
  ] as const)('%s gets 437', (_, method, attributes) => {
    const rig = new Rig()
    expect(outcome(rig.client().request(method, attributes))).toBe(437)
    expect(rig.idle).toBe(true)
  })
})

describe('somebody else on an allocation', () => {
  it.each([Method.refresh, Method.createPermission, Method.channelBind])('gets 441 (method %i)', (method) => {
    const rig = new Rig()
    const alice = rig.client()
    alice.allocate()
    const bob = rig.client({ ...alice.path, username: 'bob' })
    const attributes = method === Method.refresh ? [] : [attribute(xorPeerAddress, peer)]
    expect(outcome(bob.request(method, attributes))).toBe(441)
    expect(rig.allocations.length).toBe(1)
  })
})

describe('438', () => {
  it('renews the nonce of a Refresh, with realm and nonce, and the allocation lives on', () => {
    const rig = new Rig({ auth: { nonceLifetime: 100 } })
    const client = rig.client()
    client.allocate()
    rig.pass(101)
    const stale = client.once(Method.refresh)
    expect(codeOf(stale)).toBe(438)
    expect(get(stale, realm)).toBe('example.org')
    expect(get(stale, nonce)).not.toBe(client.session?.nonce)
    expect(outcome(client.refresh())).toBe('success')
  })

  it('never meets an Allocate that was just challenged, whatever the port it moves to', () => {
    const rig = new Rig()
    const first = rig.client()
    first.allocate()
    // libwebrtc after a 437: a new socket, the same nonce.
    const second = rig.client()
    second.session = first.session
    expect(outcome(second.once(Method.allocate, [attribute(lifetime, 600)]))).toBe(400)
    expect(outcome(second.allocate())).toBe('success')
  })

  it("every node of a fleet takes the others' nonces", () => {
    const [one, other] = [new Rig(), new Rig()]
    const client = one.client()
    client.allocate()
    const moved = other.client()
    moved.session = client.session
    expect(outcome(moved.once(Method.allocate, [attribute(lifetime, 600)]))).toBe(400)
  })
})

describe('CreatePermission (RFC 8656 §10)', () => {
  it('lets several peers in, for five minutes', () => {
    const rig = new Rig()
    const client = rig.client()
    const relay = client.relayId(client.relayed())
    expect(outcome(client.permit(peer, { ip: '9.8.7.6', port: 1 }))).toBe('success')
    expect(rig.server.counts.permissions).toBe(2)
    rig.pass(299.9)
    expect(rig.fromPeer(relay, { ip: '9.8.7.6', port: 777 }, text('x')).length).toBe(1)
    rig.pass(0.1)
    expect(rig.server.counts.permissions).toBe(0)
    rig.told()
    expect(rig.fromPeer(relay, peer, text('x'))).toEqual([])
    expect(rig.told()).toEqual(['drop no-permission'])
  })

  it('permits all of its peers or none', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate()
    expect(outcome(client.permit(peer, { ip: '10.0.0.1', port: 1 }))).toBe(403)
    expect(outcome(client.permit(peer, peer6))).toBe(443)
    const broken = [attribute(xorPeerAddress, peer), rawAttribute(xorPeerAddress.type, Uint8Array.of(0, 1, 2))]
    expect(outcome(client.request(Method.createPermission, broken))).toBe(400)
    expect(outcome(client.request(Method.createPermission))).toBe(400)
    expect(rig.server.counts.permissions).toBe(0)
  })

  it('holds no more than it is allowed to', () => {
    const rig = new Rig({ maxPermissions: 3 })
    const client = rig.client()
    client.allocate()
    const peers = [1, 2, 3].map((last) => ({ ip: `9.8.7.${last}`, port: 1 }))
    expect(outcome(client.permit(...peers))).toBe('success')
    expect(outcome(client.permit(peer))).toBe(508)
    expect(outcome(client.permit(...peers))).toBe('success')
    expect(outcome(client.bind(0x4000))).toBe(508)
  })
})

describe('ChannelBind (RFC 8656 §12)', () => {
  it.each([
    [0x4000, 'success'],
    [0x4fff, 'success'],
    [0x5000, 'success'],
    [0x7ffe, 'success'],
    [0x7fff, 400],
    [0x3fff, 400],
    [0x8000, 400],
    [0, 400],
  ])('channel %i: %s', (channel, expected) => {
    const client = new Rig().client()
    client.allocate()
    expect(outcome(client.bind(channel))).toBe(expected)
  })

  it('keeps one channel for one peer', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate()
    expect(outcome(client.bind(0x4000))).toBe('success')
    expect(outcome(client.bind(0x4000))).toBe('success')
    expect(outcome(client.bind(0x4001))).toBe(400)
    expect(outcome(client.bind(0x4000, { ...peer, port: 5001 }))).toBe(400)
    expect(outcome(client.bind(0x4001, { ...peer, port: 5001 }))).toBe('success')
    expect(rig.server.counts).toMatchObject({ channels: 2, permissions: 1 })
  })

  it('lasts ten minutes, and its permission as long', () => {
    const rig = new Rig()
    const client = rig.client()
    const relay = client.relayId(client.relayed([attribute(lifetime, 3600)]))
    client.bind(0x4000)
    rig.pass(599.9)
    expect(rig.fromPeer(relay, peer, text('x')).length).toBe(1)
    expect(rig.fromPeer(relay, { ...peer, port: 1 }, text('x')).length).toBe(1)
    rig.pass(0.1)
    expect(rig.server.counts).toMatchObject({ channels: 0, permissions: 0 })
    expect(outcome(client.bind(0x4001))).toBe('success')
  })

  it('a CreatePermission does not cut its permission short', () => {
    const rig = new Rig()
    const client = rig.client()
    const relay = client.relayId(client.relayed())
    client.bind(0x4000)
    client.permit(peer)
    rig.pass(400)
    expect(rig.fromPeer(relay, { ...peer, port: 1 }, text('x')).length).toBe(1)
  })

  it.each([
    ['a private peer', { ip: '10.0.0.1', port: 5 }, 403],
    ['the other family', peer6, 443],
    ['port 0', { ...peer, port: 0 }, 400],
    ['the server itself', serverAddress, 403],
  ])('refuses %s', (_, to, code) => {
    const rig = new Rig({ peerPolicy: policyOf('198.51.100.0/24') })
    const client = rig.client()
    client.allocate()
    expect(outcome(client.bind(0x4000, to))).toBe(code)
    expect(rig.server.counts).toMatchObject({ channels: 0, permissions: 0 })
  })

  it.each([
    ['without a channel', [attribute(xorPeerAddress, peer)]],
    ['without a peer', [attribute(channelNumber, toChannelNumber(0x4000))]],
  ])('%s is a bad request', (_, attributes) => {
    const client = new Rig().client()
    client.allocate()
    expect(outcome(client.request(Method.channelBind, attributes))).toBe(400)
  })
})

describe('who may be reached', () => {
  it('a relayed address of this server, but not its listeners', () => {
    const rig = new Rig({ peerPolicy: policyOf('198.51.100.0/24') })
    const [one, other] = [rig.client(), rig.client({ username: 'bob' })]
    one.allocate()
    const relayed = other.relayed()
    expect(outcome(one.permit(relayed))).toBe('success')
    expect(outcome(one.bind(0x4000, relayed))).toBe('success')
    rig.told()
    expect(one.send(text('x'), serverAddress)).toEqual([])
    expect(rig.told()).toEqual(['drop denied-peer'])
  })

  it('a listener too when it is allowed by name', () => {
    const rig = new Rig({ peerPolicy: policyOf('198.51.100.1') })
    const client = rig.client()
    client.allocate()
    expect(outcome(client.bind(0x4000, serverAddress))).toBe('success')
  })

  it('listeners on a wildcard are those of every address of the server', () => {
    const rig = new Rig({
      listeners: [{ ip: '0.0.0.0', port: 3479 }],
      relayAddresses: [{ ip: '10.0.0.5', externalIp: '8.8.8.1' }],
    })
    const client = rig.client()
    client.allocate()
    expect(outcome(client.bind(0x4000, { ip: '8.8.8.1', port: 3479 }))).toBe(403)
    expect(outcome(client.bind(0x4000, { ip: '8.8.8.1', port: 3480 }))).toBe('success')
  })

  it('the hook may refuse more', () => {
    const rig = new Rig({ permitPeer: ({ ip }, { username }) => username === 'bob' || ip !== peer.ip })
    const [alice, bob] = [rig.client(), rig.client({ username: 'bob' })]
    alice.allocate()
    bob.allocate()
    expect(outcome(alice.permit(peer))).toBe(403)
    expect(outcome(alice.bind(0x4000))).toBe(403)
    expect(outcome(bob.permit(peer))).toBe('success')
    expect(outcome(bob.permit({ ip: '10.0.0.1', port: 1 }))).toBe(403)
  })

  it('new rules end permissions and channels that they forbid, and no allocation', () => {
    const rig = new Rig({ peerPolicy: policyOf('10.0.0.0/8') })
    const client = rig.client()
    const relay = client.relayId(client.relayed())
    client.bind(0x4000, { ip: '10.0.0.1', port: 1 })
    client.bind(0x4001, peer)
    rig.server.setPeerPolicy(policyOf())
    expect(rig.server.counts).toMatchObject({ allocations: 1, channels: 1, permissions: 1 })
    expect(rig.fromPeer(relay, { ip: '10.0.0.1', port: 1 }, text('x'))).toEqual([])
    expect(rig.fromPeer(relay, peer, text('x')).length).toBe(1)
  })
})
