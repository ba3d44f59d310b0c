/** createRelay on loopback: hooks, events, NAT behaviour discovery, the limits of ports, and what is left when it ends. */
import { generateKeyPairSync } from 'node:crypto'
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
  type TransportAddress,
} from '../../src/index.ts'
import { analyseFamily, probeNat } from '../../src/probe/nat/index.ts'
import { openStunConnection, type RequestOutcome, type StunConnection } from '../../src/proto/stun/index.ts'
import {
  attribute,
  type ChannelNumber,
  channelNumber,
  type EncodableAttribute,
  lifetime,
  Method,
  parseServerUri,
  requestedTransport,
  xorPeerAddress,
} from '../../src/wire/index.ts'
import { certificate } from '../transport/certificates.ts'

const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
const ip = '127.0.0.1'
const users = [{ username: 'alice', password: 'a' }]
const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function relayWith(options: RelayOptions & RelayCallbacks): Promise<{ relay: Relay; to: TransportAddress }> {
  const relay = await createRelay({ listen: [{ ip, port: 0 }], datapath: 'dgram', ...options })
  cleanups.push(() => relay.close())
  const to = relay.listeners[0]?.address
  if (!to) throw new Error('it does not listen')
  return { relay, to }
}

async function client(to: TransportAddress, username = 'alice', password = 'a'): Promise<StunConnection> {
  const credentials = { kind: 'long-term', username, password } as const
  const connection = await openStunConnection(ports, { to, protocol: 'udp', credentials, connectTimeoutMs: 2000 })
  cleanups.push(() => connection.close())
  return connection
}

const ask = async ({ client }: StunConnection, method: number, attributes: EncodableAttribute[]): Promise<number> => {
  const outcome: RequestOutcome = await client.request({ method, attributes, timeoutMs: 5000 })
  if (outcome.kind === 'success') return 0
  return outcome.kind === 'error-response' ? outcome.error.code : -1
}
const allocate = (connection: StunConnection): Promise<number> =>
  ask(connection, Method.allocate, [attribute(requestedTransport, 17), attribute(lifetime, 600)])
const bind = (connection: StunConnection, channel: number, peer: TransportAddress): Promise<number> =>
  ask(connection, Method.channelBind, [
    attribute(channelNumber, channel as ChannelNumber),
    attribute(xorPeerAddress, peer),
  ])

describe('hooks', () => {
  test('authenticate, permitPeer and quota decide, and see who asks', async () => {
    const asked: unknown[] = []
    const { to } = await relayWith({
      allowPeers: ['127.0.0.0/8'],
      hooks: {
        authenticate: (username, from) => {
          asked.push([username, from.ip])
          return username === 'carol' ? 'c' : undefined
        },
        permitPeer: (peer, { username, protocol }) => {
          asked.push([peer.port, username, protocol])
          return peer.port !== 9
        },
        quota: ({ username }) => ({ allocations: username === 'carol' ? 1 : 0 }),
      },
    })
    const carol = await client(to, 'carol', 'c')
    expect(await allocate(carol)).toBe(0)
    expect(await allocate(await client(to, 'carol', 'c'))).toBe(486)
    expect(await allocate(await client(to, 'dave', 'd'))).toBe(401)
    expect(await bind(carol, 0x4000, { ip, port: 9 })).toBe(403)
    expect(await bind(carol, 0x4001, { ip, port: 10 })).toBe(0)
    expect(asked).toContainEqual(['carol', ip])
    expect(asked).toContainEqual([9, 'carol', 'udp'])
  })

  test('one that throws refuses', async () => {
    const fails = (): never => {
      throw new Error('the database is away')
    }
    const { to } = await relayWith({ users, allowPeers: ['127.0.0.0/8'], hooks: { permitPeer: fails } })
    const alice = await client(to)
    expect(await allocate(alice)).toBe(0)
    expect(await bind(alice, 0x4000, { ip, port: 10 })).toBe(403)
    const limited = await relayWith({ users, hooks: { quota: fails } })
    expect(await allocate(await client(limited.to))).toBe(486)
    const closed = await relayWith({ hooks: { authenticate: fails } })
    expect(await allocate(await client(closed.to))).toBe(401)
  })

  test.each([
    ['a number', 7],
    ['true', true],
    ['nothing that is something', null],
    ['an empty password', ''],
    ['a promise', Promise.resolve('a')],
    ['a promise that fails', undefined],
    ['an object', { password: 'a' }],
  ])('an answer that is none refuses: %s', async (name, value) => {
    const answer = (): never => (name === 'a promise that fails' ? Promise.reject(new Error('late')) : value) as never
    const closed = await relayWith({ hooks: { authenticate: answer } })
    expect(await allocate(await client(closed.to, 'alice', ''))).toBe(401)
    expect(await allocate(await client(closed.to, 'alice', 'a'))).toBe(401)
    if (value === true) return
    const { to } = await relayWith({ users, allowPeers: ['127.0.0.0/8'], hooks: { permitPeer: answer } })
    const alice = await client(to)
    expect(await allocate(alice)).toBe(0)
    expect(await bind(alice, 0x4000, { ip, port: 10 })).toBe(403)
  })

  test.each([
    [{ allocations: Number.NaN }, 486],
    [{ allocations: -1 }, 486],
    [{ allocations: '1' }, 486],
    [{ allocations: 1, bytesPerSecond: Number.NaN }, 486],
    [{ bytesPerSecond: -5 }, 486],
    [Promise.resolve({ allocations: 1 }), 486],
    [null, 486],
    [7, 486],
    [{ allocations: Number.POSITIVE_INFINITY }, 0],
    [{ allocations: undefined }, 0],
    [undefined, 0],
  ])('a quota of %o: %i', async (quota, code) => {
    const { to } = await relayWith({ users, hooks: { quota: () => quota as never } })
    expect(await allocate(await client(to))).toBe(code)
  })

  test('mmsg can not ask them, and says so', async () => {
    await expect(
      createRelay({ listen: [{ ip, port: 0 }], datapath: 'mmsg', hooks: { authenticate: () => undefined } }),
    ).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('hooks run in this thread') })
  })
})

test('events tell of allocations, and no relayed port is left: 508', async () => {
  const events: RelayEvent[] = []
  const probe = await ports.network.openDatagram({ family: 4, ip }, { onDatagram: () => {}, onFailure: () => {} })
  probe.close()
  const { port } = probe.local
  const { to, relay } = await relayWith({
    users,
    ports: { min: port, max: port },
    onEvent: (event) => events.push(event),
  })
  const first = await client(to)
  expect(await allocate(first)).toBe(0)
  expect(await allocate(await client(to))).toBe(508)
  expect(await relay.stats()).toMatchObject({ allocations: 1, responses: { 'Allocate 0': 1, 'Allocate 508': 1 } })
  expect(await ask(first, Method.refresh, [attribute(lifetime, 0)])).toBe(0)
  expect(await relay.stats()).toMatchObject({ allocations: 0 })
  // The port is free again, for anybody.
  const again = await ports.network.openDatagram({ family: 4, ip, port }, { onDatagram: () => {}, onFailure: () => {} })
  again.close()
  expect(events.map(({ kind }) => kind)).toEqual(['allocation-created', 'relay-failed', 'allocation-ended'])
  expect(events[0]).toMatchObject({ allocation: { username: 'alice', protocol: 'udp', relayed: [{ ip, port }] } })
  expect(events[2]).toMatchObject({ why: 'refreshed-to-zero' })
})

test('a reload whose certificate TLS does not take changes nothing', async () => {
  const good = certificate({ commonName: ip })
  const bad = certificate({ commonName: ip, issuer: good, keys: generateKeyPairSync('rsa', { modulusLength: 512 }) })
  const { relay, to } = await relayWith({ users, tlsListen: [{ ip, port: 0 }], certificate: good })
  const changed = relay.reload({ users: [{ username: 'bob', password: 'b' }], certificate: bad })
  await expect(changed).rejects.toMatchObject({ code: 'BAD_FILE', message: expect.stringContaining("can't be used") })
  expect(await allocate(await client(to))).toBe(0)
})

test.each(['native', 'node-turn'] as const)('%s: its listener behind a 1:1 NAT is no peer either', async (engine) => {
  const externalIps = [
    { external: '9.9.9.9', internal: ip },
    { external: '9.9.9.8', internal: '127.0.0.2' },
  ]
  const { to } = await relayWith({ users, engine, relayIps: ['127.0.0.2'], externalIps })
  const alice = await client(to)
  expect(await allocate(alice)).toBe(0)
  expect(await bind(alice, 0x4000, { ip: '9.9.9.9', port: to.port })).toBe(403)
  expect(await bind(alice, 0x4000, { ip: '9.9.9.9', port: to.port === 9 ? 10 : 9 })).toBe(0)
})

test('lifetimes can be set: an allocation of one second ends by itself', async () => {
  const events: RelayEvent[] = []
  const { to, relay } = await relayWith({
    users,
    lifetimes: { allocation: 1, maxAllocation: 1 },
    onEvent: (event) => events.push(event),
  })
  expect(await allocate(await client(to))).toBe(0)
  await vi.waitFor(() => expect(events[1]).toMatchObject({ kind: 'allocation-ended', why: 'expired' }), {
    timeout: 5000,
  })
  expect((await relay.stats()).allocations).toBe(0)
})

test('with a second address it answers NAT behaviour tests', async () => {
  const { to, relay } = await relayWith({ users, altIp: '127.0.0.2' })
  expect(relay.urls).toEqual([`turn:${ip}:${to.port}?transport=udp`, `turn:${ip}:${to.port}?transport=tcp`])
  const [run] = await probeNat(ports, {
    servers: [parseServerUri(`stun:${to.ip}:${to.port}`)],
    exclusive: true,
    families: [4],
    timeoutMs: 5000,
    hairpin: false,
    lifetime: false,
    fragments: false,
    ports: false,
    router: false,
  })
  if (!run) throw new Error('nothing was observed')
  const { mapping, filtering, servers } = analyseFamily(run)
  expect(servers).toMatchObject([{ ok: true, rfc5780: true }])
  expect({ mapping: mapping.value, filtering: filtering.value }).toEqual({
    mapping: 'none',
    filtering: 'endpoint-independent',
  })
})

test('without one it tells of no other address', async () => {
  const { to } = await relayWith({ users })
  const { client: stun } = await client(to)
  const outcome = await stun.request({ method: Method.binding, timeoutMs: 5000 })
  if (outcome.kind !== 'success') throw new Error(outcome.kind)
  expect(outcome.message.bytes.length).toBe(32)
})

describe('refuses, and leaves nothing open', () => {
  test.each([
    [{}, 'USAGE', 'without users would serve everybody'],
    [{ users, authSecrets: ['short'] }, 'USAGE', 'a secret needs 16 bytes'],
    [{ users, ports: { min: 2, max: 1 } }, 'USAGE', 'no range of ports'],
    [{ users, ports: { min: 50_000, max: 50_001 }, totalQuota: 3 }, 'USAGE', 'too few ports'],
    [{ users, tlsListen: [{ ip, port: 0 }] }, 'USAGE', 'needs a certificate'],
    [{ users, denyPeers: ['everybody'] }, 'USAGE', 'everybody'],
    [{ users, relayIps: ['192.0.2.200'] }, 'BAD_ADDRESS', '192.0.2.200'],
  ])('%j', async (options, code, message) => {
    await expect(createRelay({ listen: [{ ip, port: 0 }], datapath: 'dgram', ...options })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
  })

  test('a closed relay answers nothing more, and can be closed again', async () => {
    const { relay, to } = await relayWith({ users })
    await relay.close()
    await relay.close()
    await expect(relay.stats()).rejects.toMatchObject({ code: 'CANCELLED' })
    const again = await createRelay({ users, listen: [to], datapath: 'dgram' })
    await again.close()
  })
})
