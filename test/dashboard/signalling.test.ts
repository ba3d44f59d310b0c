/** Signalling over real WebSockets on loopback. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { readSignal, type Signal } from '../../src/dashboard/signals.ts'
import { host, testApp, type TestApp } from './app.ts'

class Browser {
  readonly heard: Signal[] = []
  readonly closed: Promise<number>
  readonly #socket: WebSocket
  #wake: () => void = () => {}

  constructor(socket: WebSocket) {
    this.#socket = socket
    this.closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)))
    socket.on('message', (data: Buffer) => {
      this.heard.push(JSON.parse(data.toString('utf8')) as Signal)
      this.#wake()
    })
  }

  send(message: object | string): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  leave(): void {
    this.#socket.close()
  }

  /** The first message of this type. */
  async hear(type: Signal['type']): Promise<Signal> {
    for (;;) {
      const found = this.heard.find((signal) => signal.type === type)
      if (found) return found
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

async function connect({ app }: TestApp, headers: Record<string, string> = {}): Promise<Browser> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/signal`, { headers })
  const browser = new Browser(socket)
  await once(socket, 'open')
  return browser
}

async function roomOf({ app }: TestApp): Promise<string> {
  return (await app.inject({ method: 'POST', url: '/api/rooms', headers: { host } })).json<{ room: string }>().room
}

async function couple(server: TestApp): Promise<readonly [Browser, Browser, string]> {
  const room = await roomOf(server)
  const [first, second] = [await connect(server), await connect(server)]
  first.send({ type: 'join', room })
  await first.hear('joined')
  second.send({ type: 'join', room })
  await second.hear('joined')
  await first.hear('peer-joined')
  return [first, second, room]
}

describe('two in a room', () => {
  test('hear of each other, the second is polite, and both get the servers', async () => {
    const [first, second] = await couple(await testApp())
    const iceServers = [{ urls: ['stun:127.0.0.1:3478'] }]
    expect(first.heard[0]).toEqual({ type: 'joined', polite: false, peer: null, iceServers })
    expect(second.heard[0]).toEqual({ type: 'joined', polite: true, peer: 'browser', iceServers })
    expect(first.heard[1]).toEqual({ type: 'peer-joined', peer: 'browser' })
  })

  test('pass offers, answers and candidates on, and hear when the other leaves', async () => {
    const [first, second] = await couple(await testApp())
    const candidate = { type: 'candidate', candidate: 'candidate:1 1 udp 1 192.0.2.1 1 typ host', sdpMid: '0' }
    first.send({ type: 'offer', sdp: 'v=0' })
    expect(await second.hear('offer')).toEqual({ type: 'offer', sdp: 'v=0' })
    second.send({ type: 'answer', sdp: 'v=0' })
    second.send(candidate)
    expect(await first.hear('answer')).toEqual({ type: 'answer', sdp: 'v=0' })
    expect(await first.hear('candidate')).toEqual(candidate)
    second.leave()
    await first.hear('peer-left')
  })
})

describe('refused', () => {
  test('a third person, who gets no servers', async () => {
    const server = await testApp()
    const [, , room] = await couple(server)
    const third = await connect(server)
    third.send({ type: 'join', room })
    expect(await third.hear('refused')).toMatchObject({ why: 'full' })
    expect(await third.closed).toBe(1008)
    expect(third.heard).toHaveLength(1)
  })

  test('an unknown room', async () => {
    const browser = await connect(await testApp())
    browser.send({ type: 'join', room: 'nothing' })
    expect(await browser.hear('refused')).toMatchObject({ why: 'unknown-room' })
    await browser.closed
  })

  test.each(['', '{', '7', '{"type":"offer"}', '{"type":"join","room":7}', '{"type":"offer","sdp":"v=0"}'])(
    'before joining: %s',
    async (message) => {
      const browser = await connect(await testApp())
      browser.send(message)
      expect(await browser.hear('refused')).toMatchObject({ why: 'bad-message' })
      expect(await browser.closed).toBe(1008)
    },
  )

  test('messages beyond any negotiation', async () => {
    const [first, second] = await couple(await testApp())
    for (let count = 0; count < 301; count++) first.send({ type: 'answer', sdp: '' })
    expect(await first.hear('refused')).toMatchObject({ why: 'too-fast' })
    await second.hear('peer-left')
  })

  test('a message longer than any description', async () => {
    const [first, second] = await couple(await testApp())
    first.send({ type: 'offer', sdp: 'x'.repeat(70_000) })
    // 1009: message too big. RFC 6455 §7.4.1
    expect(await first.closed).toBe(1009)
    await second.hear('peer-left')
  })

  test('a socket that names no room', async () => {
    const server = await testApp()
    const browser = await connect(server)
    await server.clock.run(server.clock.sleep(6000))
    await browser.closed
  })

  test('a page of another origin', async () => {
    await expect(connect(await testApp(), { origin: 'http://evil.example' })).rejects.toThrow('403')
  })
})

test('a guest needs a room, not the token', async () => {
  const token = 'a-token-of-some-length'
  const server = await testApp({ listen: { ip: '0.0.0.0', port: 0 }, token })
  const headers = { host, authorization: `Bearer ${token}` }
  const { room } = (await server.app.inject({ method: 'POST', url: '/api/rooms', headers })).json<{ room: string }>()
  const guest = await connect(server)
  guest.send({ type: 'join', room })
  await guest.hear('joined')
})

test('whatever arrives is a signal or nothing', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const signal = readSignal(text)
      expect(signal === undefined || typeof signal.type === 'string').toBe(true)
    }),
  )
})
