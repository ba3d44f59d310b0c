/** What node-turn 0.0.6 gets wrong, as measured against it: each is a test that this server passes. */
import { describe, expect, it } from 'vitest'
import {
  get,
  has,
  lifetime,
  messageIntegrity,
  messageIntegritySha256,
  Method,
  rawAttribute,
  unknownAttributes,
} from '../../../src/wire/index.ts'
import { outcome, peer, Rig, text, udp } from './rig.ts'

describe('node-turn 0.0.6', () => {
  it('drops ChannelData from clients', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate()
    client.bind(0x4000)
    expect(client.channelData(0x4000, text('hello'))).toMatchObject([{ kind: 'send-to-peer', bytes: text('hello') }])
  })

  it('destroys the allocation on Refresh, by a timer of NaN', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate()
    expect(get(client.refresh(), lifetime)).toBe(600)
    expect(rig.server.pollTimeout()).toBe(600_000)
    rig.pass(599)
    expect(rig.allocations.length).toBe(1)
  })

  it.each([0, 1, 2, 3])('crashes on a datagram of %i bytes from a permitted peer', (length) => {
    const rig = new Rig()
    const client = rig.client()
    const relay = client.relayId(client.relayed())
    client.permit(peer)
    expect(rig.fromPeer(relay, peer, new Uint8Array(length)).length).toBe(1)
    client.bind(0x4000)
    expect(rig.fromPeer(relay, peer, new Uint8Array(length)).length).toBe(1)
  })

  it('never closes relay sockets', () => {
    const rig = new Rig()
    const [one, other, third] = [rig.client(), rig.client(), rig.client({ protocol: 'tcp' })]
    for (const client of [one, other, third]) client.allocate()
    one.refresh(0)
    rig.server.handleClientGone(third.path, rig.now)
    rig.settle()
    rig.pass(600)
    expect(rig.closed.toSorted()).toEqual(['client-gone', 'expired', 'refreshed-to-zero'])
    expect(rig.open.size).toBe(0)
  })

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('authenticates the user %s', (username) => {
    const rig = new Rig()
    for (const password of ['', 'undefined', Object.toString()]) {
      expect(outcome(rig.client({ username, password }).allocate())).toBe(401)
    }
  })

  it('drops packets with unknown attributes silently', () => {
    const reply = new Rig().client().request(Method.allocate, [udp, rawAttribute(0x7001, text('what'))])
    expect(outcome(reply)).toBe(420)
    expect(get(reply, unknownAttributes)).toEqual([0x7001])
  })

  it('leaves MESSAGE-INTEGRITY out of ChannelBind replies', () => {
    const client = new Rig({ auth: { algorithms: [] } }).client()
    client.allocate()
    expect(has(client.bind(0x4000), messageIntegrity)).toBe(true)
    const modern = new Rig().client()
    modern.allocate()
    expect(has(modern.bind(0x4000), messageIntegritySha256)).toBe(true)
  })

  it.each(['127.0.0.1', '10.0.0.1', '192.168.0.1', '169.254.169.254'])('lets clients reach %s', (ip) => {
    const client = new Rig().client()
    client.allocate()
    expect(outcome(client.permit({ ip, port: 80 }))).toBe(403)
    expect(outcome(client.bind(0x4000, { ip, port: 80 }))).toBe(403)
    expect(client.send(text('GET /'), { ip, port: 80 })).toEqual([])
  })

  it('leaves timers behind when it is stopped', () => {
    const rig = new Rig()
    for (let i = 0; i < 5; i++) allocated(rig).bind(0x4000)
    rig.server.stop(rig.now)
    rig.settle()
    expect(rig.server.pollTimeout()).toBeUndefined()
    expect(rig.idle).toBe(true)
  })

  it('serves UDP only', () => {
    const rig = new Rig()
    for (const protocol of ['tcp', 'tls'] as const) {
      const client = rig.client({ protocol })
      expect(outcome(client.allocate())).toBe('success')
    }
  })
})

function allocated(rig: Rig) {
  const client = rig.client()
  client.allocate()
  return client
}
