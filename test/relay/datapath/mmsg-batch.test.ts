import { afterEach, describe, expect, test } from 'vitest'
import { Batch, Outbox } from '../../../src/relay/datapath/mmsg/batch.ts'
import { toDestination } from '../../../src/relay/datapath/mmsg/destination.ts'
import { mmsgProblem } from '../../../src/relay/datapath/mmsg/index.ts'
import { errno, mmsghdr } from '../../../src/relay/datapath/mmsg/layout.ts'
import { Sockets } from '../../../src/relay/datapath/mmsg/sockets.ts'
import { loadSystem, type System } from '../../../src/relay/datapath/mmsg/system.ts'

const problem = await mmsgProblem()

interface Kernel {
  readonly system: System
  /** Datagrams in each sendmmsg that was let through. */
  readonly calls: number[]
  batch: Batch | undefined
}

/** The real kernel, but for what `refuse` says of the first message of a sendmmsg: an errno, or 0 to let it through. */
async function kernel(refuse: (segmented: boolean, call: number) => number): Promise<Kernel> {
  const real = await loadSystem()
  let refused = 0
  let call = 0
  const self: Kernel = {
    calls: [],
    batch: undefined,
    system: {
      ...real,
      errno: () => refused || real.errno(),
      sendmmsg: (fd, messages, count, flags) => {
        const { memory } = self.batch ?? { memory: undefined }
        const at = messages - (memory?.base ?? 0)
        refused = refuse(memory?.view.getUint32(at + mmsghdr.controlLength, true) !== 0, call++)
        if (refused !== 0) return -1
        self.calls.push(count)
        return real.sendmmsg(fd, messages, count, flags)
      },
    },
  }
  return self
}

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** Sends packets of these sizes through one outbox; what arrived, by size. */
function exchange(rig: Kernel, sizes: readonly number[], outbox?: (fd: number) => Outbox): number[] {
  const { system } = rig
  const sockets = new Sockets(system)
  const open = (): { fd: number; port: number } => {
    const bound = sockets.open({ ip: '127.0.0.1', port: 0 }, {})
    if (!bound.ok) throw new Error(`errno ${bound.errno}`)
    closing.push(() => void system.close(bound.fd))
    return { fd: bound.fd, port: bound.local.port }
  }
  const [from, to] = [open(), open()]
  const batch = new Batch(system)
  rig.batch = batch
  const box = outbox?.(from.fd) ?? new Outbox(from.fd, true)
  const destination = toDestination({ ip: '127.0.0.1', port: to.port })
  for (const size of sizes) batch.enqueue(box, destination, batch.offsetOf(0), size)
  batch.flush()
  const arrived: number[] = []
  for (let count = batch.receive(to.fd, 64); count > 0; count = batch.receive(to.fd, 64)) {
    for (let slot = 0; slot < count; slot++) arrived.push(batch.lengthOf(slot))
    batch.flush()
  }
  sockets.end()
  return arrived
}

describe.skipIf(problem !== undefined)('batches', () => {
  test('runs of one size leave as one message, and a shorter one ends the run', async () => {
    const rig = await kernel(() => 0)
    const sizes = [100, 100, 40, 100, 0, 100, 200, 200, 0]
    expect(exchange(rig, sizes)).toEqual(sizes)
    // [100 100 40] [100] [0] [100] [200 200] [0]
    expect(rig.calls).toEqual([6])
  })

  test.each([
    ['EIO: the device has no checksums', errno.EIO],
    ['EINVAL: more than the MTU', errno.EINVAL],
    ['EMSGSIZE: more than the MTU', errno.EMSGSIZE],
  ])('%s: the run leaves as single datagrams, and so do later ones', async (_name, word) => {
    const rig = await kernel((segmented) => (segmented ? word : 0))
    let box: Outbox | undefined
    const sizes = [1200, 1200, 1200, 7, 1200, 1200]
    expect(exchange(rig, sizes, (fd) => (box = new Outbox(fd, true)))).toEqual(sizes)
    expect(box?.segmentLimit).toBe(word === errno.EIO ? 0 : 1200)
    expect(rig.batch?.dropped).toBe(0)
  })

  test('a full socket buffer loses what does not fit, and an interrupted call nothing', async () => {
    const full = await kernel((_segmented, call) => (call === 0 ? errno.EAGAIN : 0))
    expect(exchange(full, [100, 100, 50, 60])).toEqual([60])
    expect(full.batch?.dropped).toBe(3)
    const interrupted = await kernel((_segmented, call) => (call === 0 ? errno.EINTR : 0))
    expect(exchange(interrupted, [100, 50, 60])).toEqual([100, 50, 60])
  })

  test('more than one call can hold', async () => {
    const rig = await kernel(() => 0)
    // Growing sizes are no run.
    const sizes = Array.from({ length: 150 }, (_, i) => i + 1)
    expect(exchange(rig, sizes)).toEqual(sizes)
    expect(rig.calls).toEqual([64, 64, 22])
  })
})
