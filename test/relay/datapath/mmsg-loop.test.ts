import { afterEach, describe, expect, test } from 'vitest'
import { after, type Instant, instant, type TransportAddress } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import type { TurnServerOptions } from '../../../src/proto/turn-server/index.ts'
import { Batch, Outbox } from '../../../src/relay/datapath/mmsg/batch.ts'
import { type Destination, toDestination } from '../../../src/relay/datapath/mmsg/destination.ts'
import { mmsgProblem } from '../../../src/relay/datapath/mmsg/index.ts'
import { Loop } from '../../../src/relay/datapath/mmsg/loop.ts'
import { Pace } from '../../../src/relay/datapath/mmsg/pace.ts'
import { Sockets } from '../../../src/relay/datapath/mmsg/sockets.ts'
import { loadSystem, type System } from '../../../src/relay/datapath/mmsg/system.ts'
import { systemClock } from '../../../src/transport/index.ts'
import {
  allocate,
  channel,
  channelBind,
  createPermission,
  describePacket,
  openServer,
  refresh,
  relayedAddress,
  sendIndication,
} from './turn-messages.ts'

const problem = await mmsgProblem()
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (words: string): Uint8Array => new TextEncoder().encode(words)

function channelData(payload: Uint8Array, number = channel): Uint8Array {
  const frame = new Uint8Array(4 + payload.length)
  new DataView(frame.buffer).setUint32(0, number * 65536 + payload.length)
  frame.set(payload, 4)
  return frame
}

/** A socket of the test, which sends and receives by the same batches. With `joined`, runs leave as one (UDP_SEGMENT). */
class Socket {
  readonly local: TransportAddress
  readonly #rig: Rig
  readonly #fd: number
  readonly #outbox: Outbox

  constructor(rig: Rig, ip: string) {
    const bound = rig.sockets.open({ ip, port: 0 }, { receiveBuffer: 4 * 2 ** 20 })
    if (!bound.ok) throw new Error(`errno ${bound.errno}`)
    this.#rig = rig
    this.#fd = bound.fd
    this.local = bound.local
    this.#outbox = new Outbox(bound.fd, true)
  }

  send(to: Destination, ...packets: readonly Uint8Array[]): void {
    this.queue(to, ...packets)
    this.#rig.turn()
  }

  /** Sends while the loop is at something else. */
  queue(to: Destination, ...packets: readonly Uint8Array[]): void {
    const { tx } = this.#rig
    let offset = tx.offsetOf(0)
    for (const packet of packets) {
      tx.memory.bytes.set(packet, offset)
      tx.enqueue(this.#outbox, to, offset, packet.length)
      offset += packet.length
    }
    tx.flush()
  }

  received(): Uint8Array[] {
    const { rx } = this.#rig
    const all: Uint8Array[] = []
    for (let count = rx.receive(this.#fd, 64); count > 0; count = rx.receive(this.#fd, 64)) {
      for (let slot = 0; slot < count; slot++) {
        const at = rx.offsetOf(slot)
        all.push(rx.memory.bytes.slice(at, at + rx.lengthOf(slot)))
      }
      rx.flush()
    }
    return all
  }

  close(): void {
    this.#rig.system.close(this.#fd)
  }
}

class Rig {
  readonly system: System
  readonly sockets: Sockets
  readonly rx: Batch
  readonly tx: Batch
  readonly loop: Loop
  readonly server: Destination
  readonly listening: TransportAddress
  readonly told: unknown[] = []
  readonly toStreams: string[] = []
  /** How long the loop has paused, each time, in microseconds. */
  readonly pauses: number[] = []
  readonly machine: ReturnType<typeof openServer>['machine']
  /** The loop's clock; undefined: the system's. */
  now: Instant | undefined

  constructor(system: System, ip: string, settings: Partial<TurnServerOptions>, offload: boolean) {
    this.system = system
    this.sockets = new Sockets(system)
    this.rx = new Batch(system)
    this.tx = new Batch(system)
    const host = {
      clock: systemClock,
      random: new SeededRandom(process.pid),
      post: (message: unknown) => void this.told.push(message),
      dropped: () => this.loop.dropped,
    }
    const server = openServer({ relayAddresses: [{ ip }], ports: { min: 20_000, max: 32_000 }, ...settings }, host)
    this.machine = server.machine
    this.loop = new Loop({
      system: { ...system, usleep: (microseconds) => this.pauses.push(microseconds) },
      machine: server.machine,
      now: () => this.now ?? systemClock.now(),
      onEvent: (event) => server.onEvent(event, systemClock.now()),
      sendToStream: (path, packet) =>
        void this.toStreams.push(`${path.key} ${describePacket(packet)} ${packet.length}`),
      onWake: () => void this.told.push('woken'),
      offload,
    })
    this.listening = this.loop.listen({ ip, port: 0 })
    this.server = toDestination(this.listening)
  }

  /** Loopback delivers at once, so a few turns serve all that was sent. */
  turn(): void {
    for (let i = 0; i < 8; i++) this.loop.turn(0)
  }
}

const rigs: { close(): void }[] = []
afterEach(() => {
  for (const each of rigs.splice(0)) each.close()
})

interface Session {
  readonly rig: Rig
  readonly client: Socket
  readonly peer: Socket
  readonly relayed: Destination
}

/** A client with an allocation and, unless told otherwise, a channel to the peer. */
async function session(
  options: { ip?: string; offload?: boolean; bind?: boolean; settings?: Partial<TurnServerOptions> } = {},
): Promise<Session> {
  const { ip = '127.0.0.1', offload = true, bind = true, settings = {} } = options
  const rig = new Rig(await loadSystem(), ip, settings, offload)
  const [client, peer] = [new Socket(rig, ip), new Socket(rig, ip)]
  rigs.push({
    close: () => {
      client.close()
      peer.close()
      rig.loop.end()
      rig.sockets.end()
    },
  })
  client.send(rig.server, allocate())
  const [answer = new Uint8Array()] = client.received()
  const relayed = toDestination({ ip, port: relayedAddress(answer).port })
  if (bind) {
    client.send(rig.server, channelBind(peer.local))
    expect(client.received().map(describePacket)).toEqual(['channelBind success'])
  }
  return { rig, client, peer, relayed }
}

const numbered = (count: number, size: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => bytes(`${i}`.padEnd(size, '.')))

describe.skipIf(problem !== undefined)('the mmsg loop', () => {
  test.each([
    ['127.0.0.1', true],
    ['127.0.0.1', false],
    ['::1', true],
  ])('relays on %s, with segmentation %s: runs, short tails, empty packets, in order', async (ip, offload) => {
    const { rig, client, peer, relayed } = await session({
      ip,
      offload,
      settings: { defaultFamily: ip === '::1' ? 6 : 4 },
    })
    const packets = [...numbered(70, 160), bytes('short'), ...numbered(5, 1200), bytes(''), bytes('end')]
    const before = rig.loop.received
    client.send(rig.server, ...packets.map((packet) => channelData(packet)))
    // With UDP_GRO the kernel hands joined datagrams over.
    expect(rig.loop.received - before < packets.length).toBe(offload)
    expect(peer.received().map(text)).toEqual(packets.map(text))
    peer.send(relayed, ...packets)
    expect(client.received().map(describePacket)).toEqual(packets.map((packet) => `channel 4000 ${text(packet)}`))
    expect([rig.loop.dropped, rig.told]).toEqual([0, []])
  })

  test('pauses under load, but never while packets wait', async () => {
    const { rig, client, peer } = await session({ offload: false })
    const packets = numbered(200, 160).map((packet) => channelData(packet))
    rig.now = systemClock.now()
    client.send(rig.server, ...packets)
    rig.now = after(rig.now, 1)
    rig.turn()
    peer.received()
    rig.pauses.length = 0
    client.queue(rig.server, ...packets)
    // Once before the first look, and then 64 at each.
    const relayed = [1, 2, 3, 4].map(() => {
      rig.loop.turn(0)
      return peer.received().length
    })
    expect(relayed).toEqual([64, 64, 64, 8])
    expect(rig.pauses.length).toBe(1)
    rig.loop.turn(0)
    expect(rig.pauses.length).toBe(2)
  })

  test('the largest datagram that fits', async () => {
    const { rig, client, peer, relayed } = await session()
    const large = new Uint8Array(65_507 - 4).fill(0x2e)
    client.send(rig.server, channelData(large))
    peer.send(relayed, large)
    expect(peer.received().map(({ length }) => length)).toEqual([65_503])
    expect(client.received().map(({ length }) => length)).toEqual([65_507])
    // With its header it would be larger than a datagram can be.
    peer.send(relayed, new Uint8Array(65_507).fill(0x2e))
    expect(client.received()).toEqual([])
    expect(rig.loop.dropped).toBe(1)
  })

  test('padding goes no further, and data that is shorter than it says is no data', async () => {
    const { rig, client, peer } = await session()
    client.send(rig.server, Uint8Array.from([...channelData(bytes('x')), 0, 0, 0]))
    const cut = channelData(bytes('hello')).subarray(0, 8)
    client.send(rig.server, cut, channelData(bytes('y')), channelData(bytes('z'), 0x4001))
    expect(peer.received().map(text)).toEqual(['x', 'y'])
    expect(rig.told).toEqual(['drop: client malformed', 'drop: client no-channel'])
  })

  test('what has no route goes to the machine: indications, strangers, noise', async () => {
    const { rig, client, peer, relayed } = await session({ bind: false })
    peer.send(relayed, bytes('too early'))
    client.send(rig.server, createPermission(peer.local))
    client.send(rig.server, sendIndication(peer.local, bytes('hello')))
    peer.send(relayed, bytes('welcome'), bytes('welcome'), bytes('bye'))
    expect(peer.received().map(text)).toEqual(['hello'])
    expect(client.received().map(describePacket)).toEqual([
      'createPermission success',
      'data welcome',
      'data welcome',
      'data bye',
    ])
    client.send(rig.server, bytes(''), bytes('@'), bytes('noise'))
    expect(rig.told).toEqual(['drop: peer no-permission', ...Array.from({ length: 3 }, () => 'drop: client malformed')])
  })

  test('a socket that is closed among packets for it takes nothing with it', async () => {
    const { rig, client, peer, relayed } = await session()
    client.send(rig.server, channelData(bytes('before')), refresh(0), channelData(bytes('after')))
    peer.send(relayed, bytes('late'))
    expect(peer.received().map(text)).toEqual(['before'])
    expect(client.received().map(describePacket)).toEqual(['refresh success'])
    expect(rig.told[0]).toBe('ended: refreshed-to-zero')
    const again = client
    again.send(rig.server, allocate())
    expect(again.received().map(describePacket)).toEqual(['allocate success'])
  })

  test('many clients at once, each with its own', async () => {
    const { rig, peer } = await session()
    const clients = Array.from({ length: 200 }, () => new Socket(rig, '127.0.0.1'))
    rigs.unshift({ close: () => clients.forEach((client) => client.close()) })
    for (const client of clients) client.send(rig.server, allocate(), channelBind(peer.local))
    const relayed = clients.map((client) => {
      const [answer = new Uint8Array()] = client.received()
      return relayedAddress(answer)
    })
    expect(new Set(relayed.map(({ port }) => port)).size).toBe(200)
    for (const [i, client] of clients.entries()) client.send(rig.server, channelData(bytes(`from ${i}`)))
    expect(peer.received().map(text)).toEqual(clients.map((_, i) => `from ${i}`))
    for (const [i, { port }] of relayed.entries()) {
      const to = toDestination({ ip: '127.0.0.1', port })
      peer.send(to, bytes(`to ${i}`), bytes(`to ${i}`))
    }
    for (const [i, client] of clients.entries()) {
      expect(client.received().map(describePacket)).toEqual([`channel 4000 to ${i}`, `channel 4000 to ${i}`])
    }
  })

  test.each([
    ['127.0.0.1', 'icmp 3/3 0'],
    ['::1', 'icmp 1/4 0'],
  ])('a port of %s where nobody listens is told, and costs no other packet', async (ip, told) => {
    const { rig, client, peer, relayed } = await session({ ip, settings: { defaultFamily: ip === '::1' ? 6 : 4 } })
    const gone = new Socket(rig, ip)
    gone.close()
    const dead = sendIndication(gone.local, bytes('?'))
    client.send(rig.server, createPermission(gone.local))
    expect(client.received().map(describePacket)).toEqual(['createPermission success'])
    for (let round = 0; round < 3; round++) {
      // The error of each dead one is pending when what follows it leaves and arrives.
      client.send(rig.server, dead, ...numbered(3, 100).map((data) => channelData(data)), dead, channelData(bytes('x')))
      expect(peer.received().map((data) => text(data).slice(0, 1))).toEqual(['0', '1', '2', 'x'])
      peer.send(relayed, ...numbered(3, 100))
      const heard = client.received().map(describePacket)
      expect(heard.filter((each) => each.startsWith('channel'))).toHaveLength(3)
      expect(new Set(heard.filter((each) => !each.startsWith('channel')))).toEqual(
        new Set([`${told} of ${gone.local.port}`]),
      )
    }
    expect(rig.loop.dropped).toBe(0)
    // Nothing is left that would wake the loop.
    expect(rig.sockets.wait(0)).toBe(0)
  })

  test('a flood of errors leaves neither a queue behind nor the client without its packets', async () => {
    const { rig, client, peer } = await session()
    const gone = new Socket(rig, '127.0.0.1')
    gone.close()
    client.send(rig.server, createPermission(gone.local))
    client.received()
    for (let round = 0; round < 20; round++) {
      client.send(
        rig.server,
        ...numbered(40, 100).map((data) => sendIndication(gone.local, data)),
        channelData(bytes('x')),
      )
    }
    expect(peer.received()).toHaveLength(20)
    // Ten, and ten more for each second that this took.
    expect(client.received().length).toBeLessThan(100)
    expect(rig.loop.dropped).toBe(0)
  })

  test('a bandwidth cap holds on the fast path', async () => {
    const { rig, client, peer } = await session({ settings: { bytesPerSecond: 1000 } })
    client.send(rig.server, ...numbered(20, 100).map((packet) => channelData(packet)))
    const passed = peer.received().length
    expect(passed).toBeGreaterThanOrEqual(10)
    expect(passed).toBeLessThan(20)
  })

  test('clients of a stream: data both ways, padded', async () => {
    const { rig, peer } = await session()
    const path = {
      key: -1,
      protocol: 'tcp',
      client: { ip: '127.0.0.1', port: 1 },
      server: { ip: '127.0.0.1', port: 2 },
    } as const
    const now = systemClock.now()
    rig.machine.handleClient(path, allocate(), now)
    rig.loop.perform()
    rig.machine.handleClient(path, channelBind(peer.local), now)
    rig.loop.perform()
    expect(rig.loop.relayFromStream(path, 0x4000, bytes('hello'), now)).toBe(true)
    expect(rig.loop.relayFromStream(path, 0x4001, bytes('hello'), now)).toBe(false)
    expect(peer.received().map(text)).toEqual(['hello'])
    const relayed = [...openRelays(rig)].at(-1) ?? 0
    peer.send(toDestination({ ip: '127.0.0.1', port: relayed }), bytes('x'), bytes('y'))
    expect(rig.toStreams.map((line) => line.replace(/ \d+$/, ''))).toEqual([
      '-1 allocate success',
      '-1 channelBind success',
      '-1 channel 4000 x',
      '-1 channel 4000 y',
    ])
    expect(rig.toStreams.slice(2).map((line) => line.split(' ').at(-1))).toEqual(['8', '8'])
  })

  test('a port in use is no obstacle, no port left is 508', async () => {
    const { rig, client } = await session({ settings: { ports: { min: 32_001, max: 32_001 } } })
    const other = new Socket(rig, '127.0.0.1')
    other.send(rig.server, allocate())
    expect(other.received().map(describePacket)).toEqual(['allocate 508'])
    client.send(rig.server, refresh(0))
    other.send(rig.server, allocate())
    expect(other.received().map(describePacket)).toEqual(['allocate success'])
    other.close()
  })

  test('an address that is not ours can not be listened on, nor one that is taken', async () => {
    const { rig } = await session()
    expect(() => rig.loop.listen(rig.listening)).toThrow(expect.objectContaining({ code: 'ADDRESS_IN_USE' }))
    expect(() => rig.loop.listen({ ip: '192.0.2.1', port: 0 })).toThrow(
      expect.objectContaining({ code: 'BAD_ADDRESS' }),
    )
  })
})

function* openRelays(rig: Rig): Iterable<number> {
  const machine = rig.machine as { allocations?: () => Iterable<{ relayed: readonly TransportAddress[] }> }
  for (const { relayed } of machine.allocations?.() ?? []) for (const { port } of relayed) yield port
}

describe('pauses', () => {
  /** Microseconds after so many packets in one millisecond. */
  const pauseAfter = (packets: number, pace = new Pace(500)): number => {
    pace.update(0, instant(1000))
    pace.update(packets, instant(1001))
    return pace.pauseMicroseconds
  }

  test('come from 16,000 packets a second on, and get shorter as packets gather sooner', () => {
    expect([15, 16, 50, 100, 320].map((packets) => pauseAfter(packets))).toEqual([0, 500, 500, 320, 100])
    expect(pauseAfter(1000, new Pace(0))).toBe(0)
  })

  test('end when the load does', () => {
    const pace = new Pace(500)
    expect(pauseAfter(50, pace)).toBe(500)
    pace.update(50, instant(1001.5))
    expect(pace.pauseMicroseconds).toBe(500)
    pace.update(50, instant(1002.1))
    expect(pace.pauseMicroseconds).toBe(0)
  })
})
