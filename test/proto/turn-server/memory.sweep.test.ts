/** What allocations cost while they idle, and that nothing stays when they end. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import type { ClientPath } from '../../../src/proto/turn-server/index.ts'
import { attribute, lifetime, Method } from '../../../src/wire/index.ts'
import { type Client, Rig, serverAddress, udp } from './rig.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes of heap and of buffers outside it. */
function memory(): number {
  collect()
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** As a datapath has it: a path of its own for each client, IPv4 keys as numbers. */
const pathOf = (index: number): ClientPath => ({
  key: index,
  protocol: 'udp',
  client: { ip: '9.9.9.9', port: 1024 + (index % 60_000) },
  server: serverAddress,
})

/** Clients share one challenge: nonces serve every port of an address. */
function allocateAll(rig: Rig, count: number, each: (client: Client) => void = () => {}): void {
  const session = challenged(rig)
  for (let index = 0; index < count; index++) {
    const client = rig.client(pathOf(index))
    client.session = session
    if (client.once(Method.allocate, [udp, attribute(lifetime, 3600)]).class !== 'success') throw new Error('refused')
    each(client)
    rig.events.length = 0
  }
}

function challenged(rig: Rig): Client['session'] {
  const client = rig.client({ ...pathOf(0), key: 'first' })
  client.request(Method.refresh)
  return client.session
}

it('an idle allocation takes at most 6 KiB, with a permission and a channel too', () => {
  const count = 2000
  const rig = new Rig()
  allocateAll(rig, 100)
  const before = memory()
  const other = new Rig()
  allocateAll(other, count)
  const idle = (memory() - before) / count
  const third = new Rig()
  const withoutBound = memory()
  allocateAll(third, count, (client) => client.bind(0x4000))
  const bound = (memory() - withoutBound) / count
  expect(other.allocations.length + third.allocations.length).toBe(2 * count)
  expect(rig.allocations.length).toBe(100)
  expect(idle).toBeLessThan(6 * 1024)
  expect(bound).toBeLessThan(6 * 1024)
})

it('three cycles of 5000 allocations leave no memory behind', () => {
  const rig = new Rig()
  const sizes: number[] = []
  for (let cycle = 0; cycle < 4; cycle++) {
    allocateAll(rig, 5000)
    expect(rig.server.counts.allocations).toBe(5000)
    rig.pass(3600)
    rig.events.length = 0
    rig.closed.length = 0
    expect(rig.idle).toBe(true)
    sizes.push(memory())
  }
  const [first = 0, ...later] = sizes
  // Half a KiB for each of 5000 would be 2.5 MB.
  for (const size of later) expect(size - first).toBeLessThan(1_500_000)
})
