/** NAT behaviour discovery as the relay serves it on two addresses of loopback, with either datapath. RFC 5780, RFC 3489 */
import { createRequire } from 'node:module'
import { afterEach, describe, expect, test } from 'vitest'
import { NatcheckError, type TransportAddress } from '../../src/core/index.ts'
import type { createRelay as Create, Relay } from '../../src/index.ts'
import { analyseFamily, probeNat } from '../../src/probe/nat/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../src/transport/index.ts'
import {
  attribute,
  changedAddress,
  changeRequest,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  get,
  mappedAddress,
  Method,
  otherAddress,
  padding,
  parseServerUri,
  responseOrigin,
  responsePort,
  sourceAddress,
  type StunMessage,
  xorMappedAddress,
} from '../../src/wire/index.ts'
import { describeIf } from '../support/requirements.ts'

const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
const [ip, altIp] = ['127.0.0.1', '127.0.0.2'] as const
const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** The built one: the worker of mmsg is JavaScript. */
async function start(datapath: 'dgram' | 'mmsg'): Promise<{ relay: Relay; first: TransportAddress }> {
  const { createRelay } = createRequire(import.meta.url)('../../dist/index.js') as { createRelay: typeof Create }
  for (let attempt = 1; ; attempt++) {
    try {
      const users = [{ username: 'alice', password: 'a' }]
      const relay = await createRelay({ listen: [{ ip, port: 0 }], altIp, users, datapath })
      cleanups.push(() => relay.close())
      const first = relay.listeners[0]?.address
      if (!first) throw new Error('it does not listen')
      return { relay, first }
    } catch (error) {
      // The second port is the first plus one, which may be another's.
      if (attempt === 5 || !(error instanceof Error && 'code' in error && error.code === 'ADDRESS_IN_USE')) throw error
    }
  }
}

interface Heard {
  readonly message: StunMessage
  readonly from: TransportAddress
}

/** A client's socket. */
class Socket {
  readonly heard: Heard[] = []
  local: TransportAddress = { ip, port: 0 }
  #send: (bytes: Uint8Array, to: TransportAddress) => void = () => {}

  static async open(): Promise<Socket> {
    const socket = new Socket()
    const endpoint = await ports.network.openDatagram(
      { family: 4, ip },
      {
        onDatagram: (bytes, from) => {
          const decoded = decodeMessage(bytes)
          if (!decoded.ok) throw new NatcheckError('BAD_FILE', decoded.why)
          socket.heard.push({ message: decoded.value, from })
        },
        onFailure: () => {},
      },
    )
    socket.local = endpoint.local
    socket.#send = (bytes, to) => endpoint.send(bytes, to)
    cleanups.push(() => endpoint.close())
    return socket
  }

  /** Sends, and waits for what this or another socket hears. */
  async ask(bytes: Uint8Array, to: TransportAddress, at: Socket = this): Promise<Heard> {
    const before = at.heard.length
    this.#send(bytes, to)
    await expect.poll(() => at.heard.length, { interval: 5, timeout: 5000 }).toBe(before + 1)
    const heard = at.heard.at(-1)
    if (!heard) throw new Error('nothing came')
    return heard
  }
}

const request = (attributes: readonly EncodableAttribute[] = [], idLength: 12 | 16 = 12): Uint8Array =>
  encodeMessage({
    class: 'request',
    method: Method.binding,
    transactionId: new Uint8Array(idLength).fill(3),
    attributes,
  })

const changes = [
  { changeIp: false, changePort: false },
  { changeIp: false, changePort: true },
  { changeIp: true, changePort: false },
  { changeIp: true, changePort: true },
] as const

describe.each(['dgram', 'mmsg'] as const)('on the %s datapath', (datapath) => {
  describeIf(datapath === 'mmsg' ? ['linux', 'koffi'] : ['linux'], 'two addresses, two ports', () => {
    const fourOf = (first: TransportAddress): TransportAddress[] =>
      [ip, altIp].flatMap((each) => [first.port, first.port + 1].map((port) => ({ ip: each, port })))

    test('CHANGE-REQUEST, RESPONSE-ORIGIN and OTHER-ADDRESS from each of the four', async () => {
      const { first } = await start(datapath)
      const client = await Socket.open()
      for (const to of fourOf(first)) {
        const other = {
          ip: to.ip === ip ? altIp : ip,
          port: to.port === first.port ? first.port + 1 : first.port,
        }
        for (const change of changes) {
          const { message, from } = await client.ask(request([attribute(changeRequest, change)]), to)
          const expected = {
            ip: change.changeIp ? other.ip : to.ip,
            port: change.changePort ? other.port : to.port,
          }
          expect(from).toEqual(expected)
          expect(get(message, responseOrigin)).toEqual(expected)
          expect(get(message, otherAddress)).toEqual(other)
          expect(get(message, xorMappedAddress)).toEqual(client.local)
          expect(get(message, mappedAddress)).toEqual(client.local)
        }
      }
    })

    test('RESPONSE-PORT answers there, and tells the mapped address of who asked', async () => {
      const { first } = await start(datapath)
      const [client, other] = [await Socket.open(), await Socket.open()]
      const wish = attribute(responsePort, other.local.port)
      for (const to of fourOf(first)) {
        const { message, from } = await client.ask(request([wish]), to, other)
        expect(from).toEqual(to)
        expect(get(message, xorMappedAddress)).toEqual(client.local)
      }
      const both = request([wish, attribute(changeRequest, { changeIp: true, changePort: true })])
      expect((await client.ask(both, first, other)).from).toEqual({ ip: altIp, port: first.port + 1 })
      expect(client.heard).toEqual([])
    })

    test('PADDING comes back, and no answer is longer than its request', async () => {
      const { first } = await start(datapath)
      const client = await Socket.open()
      for (const length of [4, 400, 1700, 9000]) {
        const bytes = request([attribute(padding, new Uint8Array(length))])
        const { message } = await client.ask(bytes, first)
        expect(message.bytes.length).toBeLessThanOrEqual(Math.max(bytes.length, 76))
        expect(get(message, padding)?.length).toBe(length === 4 ? 0 : length === 400 ? 352 : 1500)
      }
      const contrary = request([attribute(padding, new Uint8Array(4)), attribute(responsePort, 9)])
      expect(get((await client.ask(contrary, first)).message, errorCode)?.code).toBe(400)
    })

    test('RFC 3489 is answered too, in its own words', async () => {
      const { first } = await start(datapath)
      const client = await Socket.open()
      const wish = attribute(changeRequest, { changeIp: true, changePort: true })
      const { message, from } = await client.ask(request([wish], 16), first)
      const other = { ip: altIp, port: first.port + 1 }
      expect(from).toEqual(other)
      expect(get(message, sourceAddress)).toEqual(other)
      expect(get(message, changedAddress)).toEqual(other)
      expect(get(message, mappedAddress)).toEqual(client.local)
      expect(get(message, xorMappedAddress)).toBeUndefined()
    })

    test('the probe finds no NAT, and fragments that come through', async () => {
      const { first } = await start(datapath)
      const [run] = await probeNat(ports, {
        servers: [parseServerUri(`stun:${first.ip}:${first.port}`)],
        exclusive: true,
        families: [4],
        timeoutMs: 5000,
        hairpin: false,
        lifetime: false,
        fragments: true,
        ports: false,
        router: false,
      })
      if (!run) throw new Error('nothing was observed')
      const { mapping, filtering, fragments, servers, rfc3489 } = analyseFamily(run)
      expect(servers).toMatchObject([{ ok: true, rfc5780: true }])
      expect([mapping.value, filtering.value, fragments.value]).toEqual(['none', 'endpoint-independent', 'pass'])
      expect(rfc3489.value).toBe('open-internet')
    })
  })
})
