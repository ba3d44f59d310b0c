/** The npm package node-turn 0.0.6 as our engine, on loopback: each of its faults is a test that the engine passes. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  createRelay,
  nodeNetwork,
  type Relay,
  type RelayCallbacks,
  type RelayEvent,
  type RelayOptions,
  systemClock,
  systemRandom,
} from '../../../src/index.ts'
import { nodeTurnLimits } from '../../../src/relay/node-turn/options.ts'
import {
  attribute,
  dontFragment,
  encodeMessage,
  evenPort,
  get,
  has,
  lifetime,
  messageIntegrity,
  Method,
  nonce,
  rawAttribute,
  requestedAddressFamily,
  requestedTransport,
  reservationToken,
  unknownAttributes,
} from '../../../src/wire/index.ts'
import { sendIndication } from '../datapath/turn-messages.ts'
import { channelData, codeOf, openPeer, TestClient, type TestPeer, text } from './client.ts'

const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
const users = [
  { username: 'alice', password: 'a' },
  { username: 'bob', password: 'b' },
]
const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function start(options: RelayOptions & RelayCallbacks = {}): Promise<Relay> {
  const listen = [{ ip: '127.0.0.1', port: 0 }]
  const relay = await createRelay({ engine: 'node-turn', listen, users, allowPeers: ['127.0.0.1'], ...options })
  cleanups.push(() => relay.close())
  return relay
}

async function client(relay: Relay, credentials: { username?: string; password?: string } = {}): Promise<TestClient> {
  const to = relay.listeners[0]?.address
  if (!to) throw new Error('it does not listen')
  const opened = await TestClient.open(ports, to, credentials)
  cleanups.push(() => opened.close())
  return opened
}

async function peer(): Promise<TestPeer> {
  const opened = await openPeer(ports)
  cleanups.push(() => opened.close())
  return opened
}

const eventually = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { interval: 5, timeout: 5000 })
const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'UDPWrap').length
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

describe('what node-turn 0.0.6 gets wrong', () => {
  test('it drops ChannelData from clients', async () => {
    const alice = await client(await start())
    const remote = await peer()
    await alice.allocate()
    expect(codeOf(await alice.bind(0x4000, remote.address))).toBe('success')
    alice.send(channelData(0x4000, 'hello'))
    alice.send(channelData(0x4000, 'padded', 2))
    alice.send(channelData(0x4000, ''))
    await eventually(() => expect(remote.heard).toEqual(['hello', 'padded', '']))
    remote.send(text('welcome'), alice.relayed)
    await eventually(() => expect(alice.heard).toEqual(['channel 4000 welcome']))
  })

  test('it takes what a peer sends for ChannelData where it looks like that', async () => {
    const alice = await client(await start())
    const remote = await peer()
    await alice.allocate()
    await alice.permit(remote.address)
    const like = new TextDecoder().decode(channelData(0x4001, 'inside'))
    remote.send(text(like), alice.relayed)
    await eventually(() => expect(alice.heard).toEqual([`data ${like}`]))
    await alice.bind(0x4000, remote.address)
    remote.send(text(like), alice.relayed)
    await eventually(() => expect(alice.heard.slice(1)).toEqual([`channel 4000 ${like}`]))
  })

  test.each([0, 1, 2, 3])('it crashes on a datagram of %i bytes from a permitted peer', async (length) => {
    const alice = await client(await start())
    const remote = await peer()
    await alice.allocate()
    await alice.permit(remote.address)
    const words = 'xyz'.slice(0, length)
    remote.send(text(words), alice.relayed)
    await eventually(() => expect(alice.heard).toEqual([`data ${words}`]))
    await alice.bind(0x4000, remote.address)
    remote.send(text(words), alice.relayed)
    await eventually(() => expect(alice.heard[1]).toBe(`channel 4000 ${words}`))
    alice.send(sendIndication(remote.address, text(words)))
    await eventually(() => expect(remote.heard).toEqual([words]))
  })

  test('its Refresh ends the allocation; Refresh 0 does, and closes the socket', async () => {
    const relay = await start()
    const alice = await client(relay)
    const remote = await peer()
    await eventually(() => expect(sockets()).toBe(3))
    expect(codeOf(await alice.allocate())).toBe('success')
    expect(sockets()).toBe(4)
    for (const [asked, granted] of [
      [700, 700],
      [1, 600],
      [99_999, 3600],
    ] as const) {
      const outcome = await alice.refresh(asked)
      expect(outcome.kind === 'success' && get(outcome.message, lifetime)).toBe(granted)
    }
    await alice.permit(remote.address)
    remote.send(text('still here'), alice.relayed)
    await eventually(() => expect(alice.heard).toEqual(['data still here']))
    const last = await alice.refresh(0)
    expect(last.kind === 'success' && get(last.message, lifetime)).toBe(0)
    await eventually(() => expect(sockets()).toBe(3))
    expect(codeOf(await alice.refresh(600))).toBe(437)
    expect((await relay.stats()).allocationsEnded).toEqual({ 'refreshed-to-zero': 1 })
  })

  test('it misreads LIFETIME, EVEN-PORT and retransmissions of Allocate', async () => {
    const alice = await client(await start())
    const even = attribute(evenPort, { reserveNext: false })
    const outcome = await alice.allocate(1200, [even])
    expect(outcome.kind === 'success' && get(outcome.message, lifetime)).toBe(1200)
    expect(alice.relayed.port % 2).toBe(0)
    expect(codeOf(await alice.allocate())).toBe(437)
    expect(codeOf(await alice.refresh(600))).toBe('success')
  })

  test('the same Allocate again gets the same answer, from one socket', async () => {
    const relay = await start({ users: [], noAuth: true })
    const alice = await client(relay)
    const transactionId = new Uint8Array(12).fill(5)
    const attributes = [attribute(requestedTransport, 17)]
    const request = encodeMessage({ class: 'request', method: Method.allocate, transactionId, attributes })
    await eventually(() => expect(sockets()).toBe(2))
    for (let i = 0; i < 4; i++) alice.send(request)
    await eventually(() => expect(alice.raw.length).toBeGreaterThan(0))
    alice.send(request)
    await eventually(() => expect(alice.raw.length).toBeGreaterThan(1))
    expect(new Set(alice.raw.map((bytes) => Buffer.from(bytes).toString('hex'))).size).toBe(1)
    expect(alice.heard[0]).toBe('allocate success')
    expect(sockets()).toBe(3)
    expect((await relay.stats()).allocations).toBe(1)
  })

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'it authenticates the user %s',
    async (name) => {
      const relay = await start()
      for (const password of ['', 'undefined', Object.toString(), '[object Object]']) {
        expect(codeOf(await (await client(relay, { username: name, password })).allocate())).toBe(401)
      }
    },
  )

  test('it drops packets with unknown attributes', async () => {
    const alice = await client(await start())
    const unknown = [rawAttribute(0x7001, text('what')), attribute(dontFragment, true)]
    const outcome = await alice.allocate(600, unknown)
    expect(codeOf(outcome)).toBe(420)
    expect(outcome.kind === 'error-response' && get(outcome.message, unknownAttributes)).toEqual([0x7001, 0x001a])
    // Chromium's LOGGING-ID is optional, and no reason to be deaf.
    expect(codeOf(await alice.allocate(600, [rawAttribute(0xff05, text('abcd'))]))).toBe('success')
  })

  test('it leaves MESSAGE-INTEGRITY out of ChannelBind replies', async () => {
    const alice = await client(await start())
    const remote = await peer()
    for (const outcome of [
      await alice.allocate(),
      await alice.bind(0x4000, remote.address),
      await alice.permit(remote.address),
      await alice.refresh(600),
      await alice.refresh(0),
    ]) {
      expect(outcome).toMatchObject({ kind: 'success', authenticated: true })
      expect(outcome.kind === 'success' && has(outcome.message, messageIntegrity)).toBe(true)
    }
  })

  test.each(['127.0.0.1', '10.0.0.1', '192.168.0.1', '169.254.169.254', '100.64.0.1'])(
    'it relays to %s',
    async (ip) => {
      const alice = await client(await start({ allowPeers: [] }))
      await alice.allocate()
      expect(codeOf(await alice.permit({ ip, port: 80 }))).toBe(403)
      expect(codeOf(await alice.permit({ ip: '8.8.4.4', port: 80 }, { ip, port: 80 }))).toBe(403)
      expect(codeOf(await alice.bind(0x4000, { ip, port: 80 }))).toBe(403)
    },
  )

  test('its nonces are Math.random’s, each with a timer of an hour', async () => {
    const relay = await start()
    const alice = await client(relay)
    const chance = vi.spyOn(Math, 'random')
    const before = timers()
    const request = encodeMessage({ class: 'request', method: Method.allocate, transactionId: text('transaction!') })
    for (let i = 0; i < 50; i++) alice.send(request)
    await eventually(() => expect(alice.heard.filter((word) => word === 'allocate 401').length).toBe(50))
    expect(chance).not.toHaveBeenCalled()
    expect(timers()).toBeLessThan(before + 10)
    chance.mockRestore()
    const other = await client(relay)
    const stale = await other.request(Method.allocate, [attribute(nonce, '0123456789abcdef')])
    expect(codeOf(stale)).not.toBe('success')
  })

  test('it prints, and leaves sockets and timers behind when it is stopped', async () => {
    const print = vi.spyOn(console, 'log')
    await eventually(() => expect(sockets()).toBe(0))
    const relay = await start()
    const remote = await peer()
    for (let i = 0; i < 5; i++) {
      const each = await client(relay)
      await each.allocate()
      await each.bind(0x4000, remote.address)
      each.close()
    }
    remote.close()
    await eventually(() => expect(sockets()).toBe(6))
    await relay.close()
    await relay.close()
    await eventually(() => expect(sockets()).toBe(0))
    await expect(relay.stats()).rejects.toThrow('the relay has ended')
    expect(print).not.toHaveBeenCalled()
    print.mockRestore()
  })
})

describe('refusals', () => {
  test('families, reservations, transports and other people’s allocations', async () => {
    const relay = await start()
    const alice = await client(relay)
    expect(codeOf(await alice.allocate(600, [attribute(requestedAddressFamily, 6)]))).toBe(440)
    expect(codeOf(await alice.allocate(600, [attribute(evenPort, { reserveNext: true })]))).toBe(508)
    expect(codeOf(await alice.allocate(600, [attribute(reservationToken, new Uint8Array(8))]))).toBe(508)
    expect(codeOf(await alice.request(Method.allocate, []))).toBe(400)
    expect(codeOf(await alice.request(Method.allocate, [attribute(requestedTransport, 6)]))).toBe(442)
    expect(codeOf(await alice.permit({ ip: '8.8.8.8', port: 1 }))).toBe(437)
    expect(codeOf(await alice.allocate(600, [attribute(requestedAddressFamily, 4)]))).toBe('success')
    expect(codeOf(await alice.permit({ ip: '2001:4860::1', port: 1 }))).toBe(443)
    expect(codeOf(await alice.request(Method.createPermission, []))).toBe(400)
    expect(codeOf(await alice.bind(0x3fff, { ip: '8.8.8.8', port: 1 }))).toBe(400)
    expect(codeOf(await alice.bind(0x7ffe, { ip: '8.8.8.8', port: 1 }))).toBe('success')
    expect(codeOf(await alice.bind(0x4001, { ip: '8.8.8.8', port: 1 }))).toBe(400)
    expect(codeOf(await alice.bind(0x7ffe, { ip: '8.8.8.8', port: 2 }))).toBe(400)
    expect((await relay.stats()).responses).toMatchObject({ 'Allocate 440': 1, 'Allocate 508': 2, 'Allocate 442': 1 })
  })

  test('the relay’s own listener is no peer, unless it is named', async () => {
    const relay = await start({ allowPeers: ['127.0.0.0/8'] })
    const alice = await client(relay)
    const own = relay.listeners[0]?.address ?? { ip: '127.0.0.1', port: 0 }
    await alice.allocate()
    expect(codeOf(await alice.bind(0x4000, own))).toBe(403)
    expect(codeOf(await alice.permit(own))).toBe('success')
    alice.send(sendIndication(own, text('round and round')))
    await eventually(async () => expect((await relay.stats()).drops).toEqual({ 'client denied-peer': 1 }))
  })

  test('quotas: of a user, in all, and a hook’s', async () => {
    const relay = await start({ userQuota: 1, totalQuota: 2 })
    expect(codeOf(await (await client(relay)).allocate())).toBe('success')
    expect(codeOf(await (await client(relay)).allocate())).toBe(486)
    expect(codeOf(await (await client(relay, { username: 'bob', password: 'b' })).allocate())).toBe('success')
    const hooked = await start({
      hooks: {
        quota: ({ username }) => ({ allocations: username === 'bob' ? 0 : 1 }),
        permitPeer: ({ port }) => port !== 9,
        authenticate: (name) => (name === 'carol' ? 'c' : undefined),
      },
    })
    expect(codeOf(await (await client(hooked, { username: 'bob', password: 'b' })).allocate())).toBe(486)
    const carol = await client(hooked, { username: 'carol', password: 'c' })
    expect(codeOf(await carol.allocate())).toBe('success')
    expect(codeOf(await carol.permit({ ip: '8.8.8.8', port: 9 }))).toBe(403)
  })

  test('a port range that is used up', async () => {
    const events: RelayEvent[] = []
    // An address that no other test relays from.
    const own = { relayIps: ['127.0.0.9'], ports: { min: 61_234, max: 61_234 } }
    const relay = await start({ ...own, onEvent: (event) => events.push(event) })
    const alice = await client(relay)
    await alice.allocate()
    expect(alice.relayed.port).toBe(61_234)
    expect(codeOf(await (await client(relay)).allocate())).toBe(508)
    expect(events).toContainEqual({ kind: 'relay-failed', why: 'no-port' })
    await alice.refresh(0)
    expect(codeOf(await (await client(relay)).allocate())).toBe('success')
  })

  test.each([
    ['TLS', { tlsListen: [{ ip: '127.0.0.1', port: 0 }] }],
    ['IPv6', { listen: [{ ip: '::1', port: 0 }] }],
    ['IPv6', { relayIps: ['2001:db8::1'] }],
    ['second address', { altIp: '127.0.0.2' }],
    ['mmsg', { datapath: 'mmsg' as const }],
    ['one thread', { threads: 2 }],
  ])('options it does not have: %s', async (word, options) => {
    await expect(start(options)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(word),
      fix: expect.stringContaining('native'),
    })
  })

  test('options that make no sense to any engine', async () => {
    await expect(start({ users: [] })).rejects.toMatchObject({ code: 'USAGE' })
    await expect(start({ allowPeers: ['nonsense'] })).rejects.toMatchObject({ code: 'USAGE' })
    const { address } = (await start()).listeners[0] ?? { address: { ip: '', port: 0 } }
    await expect(start({ listen: [address] })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
  })
})

test('Binding, and STUN only', async () => {
  const relay = await start({ stunOnly: true, users: [] })
  expect(relay.urls[0]).toMatch(/^stun:127/)
  expect(relay.relayIps).toEqual([])
  const alice = await client(relay)
  const outcome = await alice.request(Method.binding, [])
  expect(outcome.kind === 'success' && outcome.message.bytes.length).toBe(32)
  expect(codeOf(await alice.request(Method.binding, [rawAttribute(0x7001, text('what'))]))).toBe(420)
  expect(codeOf(await alice.allocate())).toBe(440)
})

test('it says what it is and what it can’t do', async () => {
  const relay = await start()
  expect(relay).toMatchObject({ engine: 'node-turn', datapath: 'dgram', relayIps: ['127.0.0.1'] })
  expect(relay.limits).toEqual(nodeTurnLimits)
  expect(relay.urls).toEqual([`turn:127.0.0.1:${relay.listeners[0]?.address.port}?transport=udp`])
})
