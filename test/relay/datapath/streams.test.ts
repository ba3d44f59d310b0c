/** What clients of streams may cost: time, descriptors, memory. Over streams that the test makes, in virtual time. */
import { expect, test } from 'vitest'
import type { AcceptedStream, StreamHandlers } from '../../../src/core/index.ts'
import { VirtualClock } from '../../../src/lab/index.ts'
import { StreamClients, type StreamPath } from '../../../src/relay/datapath/streams.ts'
import { allocate, refresh } from './turn-messages.ts'

const allocateSuccess = Uint8Array.of(1, 3, ...new Uint8Array(18))
const challenge = Uint8Array.of(1, 0x13, ...new Uint8Array(18))
const channelData = Uint8Array.of(0x40, 0, 0, 0)

class TestStream implements AcceptedStream {
  readonly local = { ip: '198.51.100.1', port: 3478 }
  readonly remote = { ip: '9.9.9.9', port: 40_000 }
  unsent = 0
  sent = 0
  closed = false
  send = (): void => void this.sent++
  close = (): void => void (this.closed = true)
  pause = (): void => undefined
  resume = (): void => undefined
}

function client(clock = new VirtualClock()): {
  clock: VirtualClock
  stream: TestStream
  handlers: StreamHandlers
  path: () => StreamPath
} {
  const stream = new TestStream()
  let found: StreamPath | undefined
  const clients = new StreamClients(clock, {
    onMessage: (path) => void (found = path),
    onChannelData: () => undefined,
    onGone: () => undefined,
  })
  const path = (): StreamPath => {
    if (!found) throw new Error('it has said nothing')
    return found
  }
  return { clock, stream, handlers: clients.accept('tcp', stream), path }
}

const pass = (clock: VirtualClock, milliseconds: number): Promise<void> =>
  clock.run(clock.sleep(milliseconds), 2 * milliseconds)

test('who has no allocation is not waited for: a minute after its last word it is closed', async () => {
  const { clock, stream, handlers, path } = client()
  handlers.onData(allocate())
  path().send(challenge)
  await pass(clock, 55_000)
  handlers.onData(refresh(600))
  await pass(clock, 55_000)
  expect(stream.closed).toBe(false)
  await pass(clock, 11_000)
  expect(stream.closed).toBe(true)
})

test('who has one may be silent for as long as the longest lifetime', async () => {
  const { clock, stream, handlers, path } = client()
  handlers.onData(allocate())
  path().send(allocateSuccess)
  await pass(clock, 3_600_000)
  expect(stream.closed).toBe(false)
  await pass(clock, 66_000)
  expect(stream.closed).toBe(true)
})

test('a client that does not read is sent little before it has an allocation, then data, then answers only', () => {
  const { stream, handlers, path } = client()
  handlers.onData(allocate())
  const sends = (unsent: number, bytes: Uint8Array): boolean => {
    const before = stream.sent
    stream.unsent = unsent
    path().send(bytes)
    return stream.sent > before
  }
  expect([sends(16_384, challenge), sends(16_385, challenge)]).toEqual([true, false])
  expect(sends(16_385, allocateSuccess)).toBe(true)
  expect([sends(262_144, channelData), sends(262_145, channelData)]).toEqual([true, false])
  expect([sends(524_288, challenge), sends(524_289, challenge)]).toEqual([true, false])
  expect(path().dropped).toBe(3)
})
