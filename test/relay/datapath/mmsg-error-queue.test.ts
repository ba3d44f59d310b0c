/** What the kernel says of ICMP errors, read from memory that may hold anything. */
import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../../../src/lab/index.ts'
import { writeAddress } from '../../../src/relay/datapath/mmsg/destination.ts'
import { readPeerError } from '../../../src/relay/datapath/mmsg/error-queue.ts'
import { mmsgProblem } from '../../../src/relay/datapath/mmsg/index.ts'
import { cmsg, extendedError } from '../../../src/relay/datapath/mmsg/layout.ts'
import { Memory } from '../../../src/relay/datapath/mmsg/memory.ts'
import { loadSystem } from '../../../src/relay/datapath/mmsg/system.ts'

const problem = await mmsgProblem()
const control = 64

interface Written {
  readonly origin: number
  readonly type: number
  readonly code: number
  readonly info?: number
  readonly errno?: number
}

async function written(ip: string, error: Written): Promise<Memory> {
  const memory = new Memory(await loadSystem(), 256)
  const { view } = memory
  writeAddress(view, 0, ip, 9)
  const inet6 = ip.includes(':')
  // Another message comes first: TTL, of 4 bytes.
  view.setUint32(control + cmsg.length, cmsg.header + 4, true)
  view.setUint32(control + cmsg.type, 2, true)
  const at = control + 24
  view.setUint32(at + cmsg.length, cmsg.header + extendedError.size + 16, true)
  view.setUint32(at + cmsg.level, inet6 ? 41 : 0, true)
  view.setUint32(at + cmsg.type, inet6 ? 25 : 11, true)
  view.setUint32(at + cmsg.data + extendedError.errno, error.errno ?? 111, true)
  view.setUint8(at + cmsg.data + extendedError.origin, error.origin)
  view.setUint8(at + cmsg.data + extendedError.type, error.type)
  view.setUint8(at + cmsg.data + extendedError.code, error.code)
  view.setUint32(at + cmsg.data + extendedError.info, error.info ?? 0, true)
  return memory
}
const length = 24 + 48

describe.skipIf(problem !== undefined)('the error queue', () => {
  test.each([
    ['port unreachable', '192.0.2.1', { origin: 2, type: 3, code: 3, info: 7 }, { type: 3, code: 3, data: 0 }],
    ['too big', '192.0.2.1', { origin: 2, type: 3, code: 4, info: 1280 }, { type: 3, code: 4, data: 1280 }],
    [
      'too big for us',
      '192.0.2.1',
      { origin: 1, type: 0, code: 0, info: 1280, errno: 90 },
      { type: 3, code: 4, data: 1280 },
    ],
    ['time exceeded', '192.0.2.1', { origin: 2, type: 11, code: 0 }, { type: 11, code: 0, data: 0 }],
    ['port unreachable', '2001:db8::1', { origin: 3, type: 1, code: 4 }, { type: 1, code: 4, data: 0 }],
    ['too big', '2001:db8::1', { origin: 3, type: 2, code: 0, info: 1300 }, { type: 2, code: 0, data: 1300 }],
    [
      'too big for us',
      '2001:db8::1',
      { origin: 1, type: 0, code: 0, info: 1300, errno: 90 },
      { type: 2, code: 0, data: 1300 },
    ],
  ])('%s, %s', async (_, ip, error, icmp) => {
    expect(readPeerError(await written(ip, error), 0, control, length)).toEqual({ peer: { ip, port: 9 }, icmp })
  })

  test.each([
    ['a redirect', '192.0.2.1', { origin: 2, type: 5, code: 0 }],
    ['a parameter problem', '2001:db8::1', { origin: 3, type: 4, code: 0 }],
    ['an error of our own other than the size', '192.0.2.1', { origin: 1, type: 0, code: 0, errno: 1 }],
    ['the other family', '192.0.2.1', { origin: 3, type: 1, code: 4 }],
    ['a timestamp', '192.0.2.1', { origin: 4, type: 3, code: 3 }],
  ])('%s is none for the client', async (_, ip, error) => {
    expect(readPeerError(await written(ip, error), 0, control, length)).toBeUndefined()
  })

  test('cut off anywhere, it is none', async () => {
    const memory = await written('192.0.2.1', { origin: 2, type: 3, code: 3 })
    for (let cut = 0; cut < length; cut++) expect(readPeerError(memory, 0, control, cut)).toBeUndefined()
  })

  test('any bytes: no throw, no endless loop, nothing that the attribute can not carry', async () => {
    const random = new SeededRandom(11)
    const memory = await written('192.0.2.1', { origin: 2, type: 3, code: 3 })
    const good = memory.bytes.slice(0, control + length)
    let errors = 0
    for (let round = 0; round < 20_000; round++) {
      memory.bytes.set(good)
      for (let i = random.integer(1, 4); i > 0; i--) {
        memory.bytes[random.integer(0, control + length - 1)] = random.integer(0, 255)
      }
      const error = readPeerError(memory, 0, control, random.integer(0, 128))
      if (!error) continue
      errors++
      expect(error.icmp.type).toBeLessThan(128)
      expect(error.icmp.code).toBeLessThan(512)
    }
    expect(errors).toBeGreaterThan(1000)
  })
})
