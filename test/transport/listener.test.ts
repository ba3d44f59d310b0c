import { afterEach, describe, expect, test, vi } from 'vitest'
import { type AcceptedStream, NatcheckError, type StreamListener } from '../../src/core/index.ts'
import { nodeNetwork } from '../../src/transport/index.ts'
import { certificate } from './certificates.ts'
import { bytes, RecordedStream } from './handlers.ts'

const network = nodeNetwork()
const listeners: StreamListener[] = []
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.close()
})

const family = 4
const ip = '127.0.0.1'
const timeoutMs = 5000
const localhost = { commonName: 'localhost', names: ['localhost'] }

interface Served {
  readonly listener: StreamListener
  readonly heard: RecordedStream
  readonly streams: AcceptedStream[]
}

async function serve(tls?: { cert: string; key: string }): Promise<Served> {
  const heard = new RecordedStream()
  const streams: AcceptedStream[] = []
  const listener = await network.listenStream({ family, ip, tls }, (stream) => {
    streams.push(stream)
    return heard
  })
  listeners.push(listener)
  return { listener, heard, streams }
}

const code = async (attempt: Promise<unknown>): Promise<string | undefined> => {
  const error: unknown = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof NatcheckError ? error.code : undefined
}

describe('listening', () => {
  test('TCP: bytes there and back, with the addresses of both ends', async () => {
    const { listener, heard, streams } = await serve()
    const client = new RecordedStream()
    const stream = await network.connectStream({ to: listener.local, timeoutMs }, client)
    stream.send(bytes('hello'))
    await heard.hasReceived('hello')
    expect(streams.map(({ local, remote }) => [local, remote])).toEqual([[listener.local, stream.local]])
    streams[0]?.send(bytes('welcome'))
    await client.hasReceived('welcome')
    expect(streams[0]?.unsent).toBe(0)
    streams[0]?.close()
    await client.hasClosed()
    expect(client.closes).toEqual([undefined])
  })

  test('a reader that does not read makes `unsent` grow', async () => {
    const { createConnection } = await import('node:net')
    const { listener, streams } = await serve()
    const socket = createConnection(listener.local.port, ip).pause()
    await expect.poll(() => streams.length).toBe(1)
    const megabyte = new Uint8Array(2 ** 20)
    for (let i = 0; i < 16; i++) streams[0]?.send(megabyte)
    await expect.poll(() => streams[0]?.unsent).toBeGreaterThan(2 ** 20)
    socket.destroy()
  })

  test('one that never reads is gone ten seconds after it was closed', async () => {
    const { createConnection } = await import('node:net')
    const { listener, heard, streams } = await serve()
    const socket = createConnection(listener.local.port, ip).pause()
    socket.on('error', () => undefined)
    await expect.poll(() => streams.length).toBe(1)
    for (let i = 0; i < 16; i++) streams[0]?.send(new Uint8Array(2 ** 20))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    streams[0]?.close()
    vi.advanceTimersByTime(10_000)
    vi.useRealTimers()
    await heard.hasClosed()
    socket.destroy()
  })

  test('TLS, and a renewed certificate for those who come later', async () => {
    const first = certificate(localhost)
    const second = certificate(localhost)
    const { listener, heard } = await serve(first)
    const connect = (ca: string): Promise<string | undefined> =>
      code(
        network
          .connectStream({ to: listener.local, tls: { serverName: 'localhost', ca }, timeoutMs }, new RecordedStream())
          .then((stream) => stream.send(bytes('x'))),
      )
    expect(await connect(first.cert)).toBeUndefined()
    await heard.hasReceived('x')
    expect(() => listener.replaceCertificate({ cert: 'none', key: 'none' })).toThrow(/can't be used/)
    expect(await connect(first.cert)).toBeUndefined()
    listener.replaceCertificate(second)
    expect(await connect(first.cert)).toBe('TLS_FAILED')
    expect(await connect(second.cert)).toBeUndefined()
  })

  test('what can not be listened on', async () => {
    const { listener } = await serve()
    const again = { family, ip, port: listener.local.port } as const
    expect(await code(network.listenStream(again, () => new RecordedStream()))).toBe('ADDRESS_IN_USE')
    const foreign = { family, ip: '192.0.2.1' } as const
    expect(await code(network.listenStream(foreign, () => new RecordedStream()))).toBe('BAD_ADDRESS')
    const one = certificate(localhost)
    const mismatch = { cert: one.cert, key: certificate(localhost).key }
    expect(await code(network.listenStream({ family, ip, tls: mismatch }, () => new RecordedStream()))).toBe('BAD_FILE')
  })

  test('somebody who does not speak TLS is no stream, and stops nobody', async () => {
    const own = certificate(localhost)
    const { listener, heard, streams } = await serve(own)
    const plain = new RecordedStream()
    const stream = await network.connectStream({ to: listener.local, timeoutMs }, plain)
    stream.send(bytes('GET / HTTP/1.0\r\n\r\n'))
    await plain.hasClosed()
    expect(streams).toEqual([])
    const tls = { serverName: 'localhost', ca: own.cert }
    const good = await network.connectStream({ to: listener.local, tls, timeoutMs }, new RecordedStream())
    good.send(bytes('x'))
    await heard.hasReceived('x')
  })
})
