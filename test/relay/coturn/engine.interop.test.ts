/** The engine coturn in a program: who may use it, whom it reaches, and what changes while the real turnserver runs. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { TransportAddress } from '../../../src/core/index.ts'
import { createRelay } from '../../../src/index.ts'
import { openStunConnection, type StunConnection } from '../../../src/proto/stun/index.ts'
import { deniedByDefault } from '../../../src/proto/turn-server/index.ts'
import { timeLimitedCredentials } from '../../../src/relay/credentials.ts'
import type { RelayOptions } from '../../../src/relay/options.ts'
import type { Relay, RelayEvent } from '../../../src/relay/relay.ts'
import { nodeNetwork, nodeProcesses, systemClock, systemRandom } from '../../../src/transport/index.ts'
import {
  attribute,
  type EncodableAttribute,
  lifetime,
  Method,
  requestedAddressFamily,
  requestedTransport,
  xorPeerAddress,
} from '../../../src/wire/index.ts'
import { describeIf } from '../../support/requirements.ts'
import { certificate } from '../../transport/certificates.ts'

const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
const ip = '127.0.0.1'
const alice = { username: 'alice', password: 'wonderland' }
const bob = { username: 'bob', password: 'builder' }
const cleanups: (() => Promise<void> | void)[] = []
let directory = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-engine-'))
  vi.stubEnv('TMPDIR', directory)
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  vi.unstubAllEnvs()
  expect(readdirSync(directory)).toEqual([])
  rmSync(directory, { recursive: true })
  expect(turnservers()).toEqual([])
})

/** The children of this process that are turnserver. */
function turnservers(): number[] {
  const tasks = readdirSync('/proc/self/task')
  const children = tasks.flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' '))
  return children
    .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'turnserver\n')
    .map(Number)
}

interface Started {
  readonly relay: Relay
  readonly to: TransportAddress
  readonly events: RelayEvent[]
}

async function start(options: RelayOptions): Promise<Started> {
  const events: RelayEvent[] = []
  const all = { engine: 'coturn', listen: [{ ip, port: 0 }], ...options } as const
  const relay = await createRelay({ ...all, onEvent: (event) => events.push(event) })
  cleanups.push(() => relay.close())
  const to = relay.listeners[0]?.address
  if (!to) throw new Error('it does not listen')
  return { relay, to, events }
}

async function client(to: TransportAddress, { username, password }: typeof alice): Promise<StunConnection> {
  const credentials = { kind: 'long-term', username, password } as const
  const connection = await openStunConnection(ports, { to, protocol: 'udp', credentials, connectTimeoutMs: 2000 })
  cleanups.push(() => connection.close())
  return connection
}

async function ask({ client }: StunConnection, method: number, attributes: EncodableAttribute[]): Promise<number> {
  const outcome = await client.request({ method, attributes, timeoutMs: 5000 })
  if (outcome.kind === 'success') return 0
  return outcome.kind === 'error-response' ? outcome.error.code : -1
}
const allocate = (connection: StunConnection, family: 4 | 6 = 4): Promise<number> =>
  ask(connection, Method.allocate, [
    attribute(requestedTransport, 17),
    attribute(requestedAddressFamily, family),
    attribute(lifetime, 600),
  ])
const refresh = (connection: StunConnection, seconds: number): Promise<number> =>
  ask(connection, Method.refresh, [attribute(lifetime, seconds)])
const permit = (connection: StunConnection, peer: string): Promise<number> =>
  ask(connection, Method.createPermission, [attribute(xorPeerAddress, { ip: peer, port: 9 })])

describeIf(['linux', 'turnserver', 'sqlite3', 'setpriv'], 'the engine coturn', () => {
  describe('peers', () => {
    test('only what is on the public internet can be reached; the binary is asked, range by range', async () => {
      const { to } = await start({
        listen: [
          { ip, port: 0 },
          { ip: '::1', port: 0 },
        ],
        users: [alice],
      })
      const four = await client(to, alice)
      const six = await client(to, alice)
      expect([await allocate(four), await allocate(six, 6)]).toEqual([0, 0])
      const embedded = ['::ffff:8.8.8.8', '::ffff:169.254.169.254', '64:ff9b::a00:1', '2002:a00:1::1', '2001:0:a00:1::']
      const metadata = [
        '169.254.169.254',
        '100.100.100.200',
        '192.0.0.192',
        'fd00:ec2::254',
        '127.0.0.1',
        '::1',
        '0.0.0.0',
        '::',
      ]
      const peers = [...deniedByDefault.map((range) => range.split('/')[0] ?? ''), ...embedded, ...metadata]
      const answers: Record<string, number> = {}
      for (const peer of peers) answers[peer] = await permit(peer.includes(':') ? six : four, peer)
      expect(Object.entries(answers).filter(([, code]) => code !== 403)).toEqual([])
      expect([await permit(four, '8.8.8.8'), await permit(six, '2600::1')]).toEqual([0, 0])
    })

    test('what is allowed is reached, what is denied is not, whatever is allowed', async () => {
      const { to } = await start({
        users: [alice],
        allowPeers: ['127.0.0.0/8', '10.0.0.0/8'],
        denyPeers: ['10.9.0.0/16', '8.8.8.8'],
      })
      const connection = await client(to, alice)
      await allocate(connection)
      await vi.waitFor(async () => expect(await permit(connection, '10.8.255.255')).toBe(0), { timeout: 15_000 })
      const codes = {
        '127.0.0.1': 0,
        '10.10.0.0': 0,
        '10.9.0.1': 403,
        '8.8.8.8': 403,
        '192.168.0.1': 403,
        '8.8.4.4': 0,
      }
      for (const [peer, code] of Object.entries(codes))
        expect([peer, await permit(connection, peer)]).toEqual([peer, code])
    })
  })

  describe('reload', () => {
    test('users come and go; who has an allocation keeps it', async () => {
      const { relay, to } = await start({ users: [alice] })
      const before = await client(to, alice)
      expect(await allocate(before)).toBe(0)
      expect(await allocate(await client(to, bob))).toBe(401)
      await relay.reload({ users: [bob] })
      expect(await allocate(await client(to, bob))).toBe(0)
      expect(await allocate(await client(to, alice))).toBe(401)
      expect(await refresh(before, 600)).toBe(0)
    })

    test('secrets rotate', async () => {
      const [old, next] = ["it's the old secret", 'the next secret; drop table x']
      const { relay, to } = await start({ authSecrets: [old] })
      const minted = (secret: string): typeof alice => {
        const made = timeLimitedCredentials({ secret, user: 'carol', ttlSeconds: 60, now: systemClock.wallTime() })
        return { username: made.username, password: made.credential }
      }
      expect(await allocate(await client(to, minted(old)))).toBe(0)
      expect(await allocate(await client(to, minted(next)))).toBe(401)
      await relay.reload({ authSecrets: [next, old] })
      expect(await allocate(await client(to, minted(next)))).toBe(0)
      await relay.reload({ authSecrets: [next] })
      expect(await allocate(await client(to, minted(old)))).toBe(401)
    })

    test('peers are allowed and denied; what only a restart can change is refused, and nothing changes', async () => {
      const { relay, to } = await start({ users: [alice], denyPeers: ['8.8.8.8'] })
      const connection = await client(to, alice)
      await allocate(connection)
      await relay.reload({ allowPeers: ['10.0.0.0/8'], denyPeers: ['8.8.8.8', '9.9.9.9'] })
      await vi.waitFor(async () => expect(await permit(connection, '10.0.0.1')).toBe(0), { timeout: 15_000 })
      expect([await permit(connection, '9.9.9.9'), await permit(connection, '8.8.8.8')]).toEqual([403, 403])
      await expect(relay.reload({ denyPeers: [] })).rejects.toThrow('give up the denied peers 8.8.8.8')
      await expect(relay.reload({ allowPeers: [ip] })).rejects.toThrow('begin to allow loopback peers')
      await expect(relay.reload({ users: [], authSecrets: ['a secret of many bytes'] })).rejects.toThrow(
        'from users to',
      )
      await expect(relay.reload({ users: [{ username: 'a:b', password: 'c' }] })).rejects.toThrow(
        'coturn takes no user',
      )
      expect(await allocate(await client(to, alice))).toBe(0)
    })

    test('TLS serves, and its certificate is replaced', async () => {
      const [first, second] = [1, 2].map((n) => certificate({ commonName: `number ${n}`, names: ['turn.example.org'] }))
      if (!first || !second) throw new Error('no certificates')
      const { relay } = await start({ users: [alice], tlsListen: [{ ip, port: 0 }], certificate: first })
      const tls = relay.listeners.find(({ protocol }) => protocol === 'tls')?.address
      expect(relay.urls).toContain(`turns:turn.example.org:${tls?.port}?transport=tcp`)
      const shown = (): Promise<string> =>
        new Promise((resolve, reject) => {
          const socket = connect({ host: ip, port: tls?.port, rejectUnauthorized: false }, () => {
            resolve(String(socket.getPeerCertificate().subject.CN))
            socket.destroy()
          }).once('error', reject)
        })
      expect(await shown()).toBe('number 1')
      const secure = await openStunConnection(ports, {
        to: tls ?? { ip, port: 0 },
        protocol: 'tls',
        serverName: 'turn.example.org',
        ca: first.cert,
        credentials: { kind: 'long-term', ...alice },
        connectTimeoutMs: 5000,
      })
      cleanups.push(() => secure.close())
      expect(await allocate(secure)).toBe(0)
      await expect(relay.reload({ certificate: { cert: first.cert, key: second.key } })).rejects.toThrow(
        'not the one of',
      )
      await relay.reload({ certificate: second })
      await vi.waitFor(async () => expect(await shown()).toBe('number 2'), { timeout: 10_000 })
    })
  })

  test('a child that is killed is started again, on the same ports', async () => {
    const { relay, to, events } = await start({ users: [alice] })
    expect(await allocate(await client(to, alice))).toBe(0)
    await vi.waitFor(async () => expect(await relay.stats()).toMatchObject({ allocations: 1 }))
    const [pid = 0] = turnservers()
    process.kill(pid, 'SIGKILL')
    await vi.waitFor(() => expect(events).toContainEqual({ kind: 'warning', message: 'turnserver runs again' }), {
      timeout: 15_000,
    })
    expect(events).toContainEqual({
      kind: 'warning',
      message: 'turnserver has ended (SIGKILL); it is started again in 0.5 s',
    })
    expect(turnservers()).not.toEqual([pid])
    expect(await relay.stats()).toMatchObject({ allocations: 0, allocationsEnded: { failed: 1 } })
    expect(await allocate(await client(to, alice))).toBe(0)
  })

  describe('drain', () => {
    test('takes no new allocations, and ends with the last one', async () => {
      const { relay, to } = await start({ users: [alice] })
      const last = await client(to, alice)
      await allocate(last)
      await vi.waitFor(async () => expect(await relay.stats()).toMatchObject({ allocations: 1 }))
      const drained = relay.drain(60_000)
      expect(relay.draining).toBe(true)
      const refused = async (): Promise<void> => {
        const late = await client(to, alice)
        const code = await allocate(late)
        if (code === 0) await refresh(late, 0)
        expect(code).toBe(486)
      }
      await vi.waitFor(refused, { timeout: 15_000 })
      expect(turnservers()).toHaveLength(1)
      expect(await refresh(last, 600)).toBe(0)
      expect(await refresh(last, 0)).toBe(0)
      await drained
      expect(turnservers()).toEqual([])
    })

    test('ends what remains when the time is over', async () => {
      const { relay, to } = await start({ users: [alice] })
      await allocate(await client(to, alice))
      await vi.waitFor(async () => expect(await relay.stats()).toMatchObject({ allocations: 1 }))
      await relay.drain(10)
      expect(turnservers()).toEqual([])
      expect(await relay.stats()).toMatchObject({ allocations: 0, allocationsEnded: { drained: 1 } })
    })
  })

  test('what it writes is for nobody else, and holds no password', async () => {
    const { to, events } = await start({ users: [alice], noAuth: false })
    await allocate(await client(to, alice))
    await allocate(await client(to, { ...alice, password: 'not-hers' }))
    const [name = ''] = readdirSync(directory)
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o700)
    const files = readdirSync(join(directory, name)).map((file) => join(directory, name, file))
    const secret = files.filter((file) => /conf|turndb/.test(file))
    expect(secret.map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600])
    const texts = [...files.map((file) => readFileSync(file, 'latin1')), JSON.stringify(events)]
    expect(texts.some((text) => /wonderland|not-hers/.test(text))).toBe(false)
    const [pid = 0] = turnservers()
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, 2)).toEqual(['-c'])
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('VITEST')
  })

  test('answers NAT behaviour tests on two addresses, and only when asked to', async () => {
    const { relay } = await start({ stunOnly: true, altIp: '127.0.0.2' })
    expect(relay.listeners.filter(({ protocol }) => protocol === 'udp')).toHaveLength(4)
  })

  describe('refusals', () => {
    test('a port in use, an address of another machine, a combination that coturn has not', async () => {
      const held = createServer().listen(0, ip)
      await new Promise((resolve) => held.once('listening', resolve))
      cleanups.push(() => void held.close())
      const { port } = held.address() as { port: number }
      const starting = (options: RelayOptions): Promise<Started> => start({ users: [alice], ...options })
      await expect(starting({ listen: [{ ip, port }] })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
      await expect(starting({ listen: [{ ip: '192.0.2.1', port: 0 }] })).rejects.toMatchObject({ code: 'BAD_ADDRESS' })
      await expect(starting({ authSecrets: ['a secret of many bytes'] })).rejects.toMatchObject({ code: 'USAGE' })
      await expect(starting({ datapath: 'mmsg' })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    })

    test('what its configuration can not hold', async () => {
      const options = { users: [alice], relayIps: [ip], realm: 'x'.repeat(1200) }
      await expect(start(options)).rejects.toThrow("coturn's configuration can't hold this realm")
    })
  })

  test('without sqlite3 users are in the configuration, and stay as they are', async () => {
    const all = nodeProcesses()
    const processes = { ...all, find: (name: string) => (name === 'sqlite3' ? undefined : all.find(name)) }
    const options = { engine: 'coturn', listen: [{ ip, port: 0 }], users: [alice], allowPeers: ['10.0.0.0/8'] } as const
    const relay = await createRelay(options, { ...ports, processes })
    cleanups.push(() => relay.close())
    const to = relay.listeners[0]?.address ?? { ip, port: 0 }
    const connection = await client(to, alice)
    expect(await allocate(connection)).toBe(0)
    expect(await permit(connection, '10.0.0.1')).toBe(0)
    await expect(relay.reload({ users: [bob] })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      fix: 'apt-get install sqlite3',
    })
  })
})
