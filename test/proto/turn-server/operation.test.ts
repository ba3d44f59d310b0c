import { describe, expect, it } from 'vitest'
import { after, instant } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import { SourceLimit, sourceLimitMemory } from '../../../src/proto/turn-server/source-limit.ts'
import {
  attribute,
  decodeMessage,
  encodeMessage,
  evenPort,
  get,
  lifetime,
  Method,
  requestedTransport,
  changeRequest,
  errorCode,
  padding,
  responsePort,
  unknownAttributes,
  xorMappedAddress,
} from '../../../src/wire/index.ts'
import { answers, outcome, peer, Rig, text } from './rig.ts'

const binding = encodeMessage({ class: 'request', method: Method.binding, transactionId: new Uint8Array(12) })
const bareAllocate = encodeMessage({
  class: 'request',
  method: Method.allocate,
  transactionId: new Uint8Array(12),
  attributes: [attribute(requestedTransport, 17)],
})

describe('draining', () => {
  it('lets those that live go on, takes nobody new, and tells when it is done', () => {
    const rig = new Rig()
    const [one, other] = [rig.client(), rig.client()]
    one.allocate()
    other.allocate()
    rig.server.drain(rig.now)
    expect(outcome(rig.client().allocate())).toBe(508)
    rig.pass(300)
    expect(outcome(one.refresh())).toBe('success')
    one.refresh(0)
    rig.told()
    rig.pass(300)
    expect(rig.told()).toEqual(['allocation-ended expired', 'drained'])
    rig.pass(100)
    expect(rig.idle).toBe(true)
  })

  it('ends what is left at the deadline, and grants nothing beyond it', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate()
    rig.server.drain(rig.now, after(rig.now, 100_000))
    expect(get(client.refresh(3600), lifetime)).toBe(100)
    rig.pass(99.9)
    expect(rig.allocations.length).toBe(1)
    rig.told()
    rig.pass(0.1)
    expect(rig.closed).toEqual([expect.stringMatching(/drained|expired/)])
    expect(rig.told().at(-1)).toBe('drained')
    expect(rig.idle).toBe(true)
  })

  it('is over at once where nothing lives, reservations included', () => {
    const rig = new Rig()
    const client = rig.client()
    client.allocate([attribute(evenPort, { reserveNext: true })])
    client.refresh(0)
    expect(rig.open.size).toBe(1)
    rig.told()
    rig.server.drain(rig.now)
    rig.settle()
    expect(rig.told()).toEqual(['drained'])
    expect(rig.open.size).toBe(0)
  })

  it('stop ends everything, also what is being opened', () => {
    const rig = new Rig()
    rig.client().allocate([attribute(evenPort, { reserveNext: true })])
    rig.setOpening(() => undefined)
    expect(() => rig.client().allocate()).toThrow('0 answers')
    rig.server.stop(rig.now)
    rig.settle()
    expect(rig.closed).toEqual(['drained', 'drained', 'drained'])
    expect(rig.told()).toContain('drained')
    expect(rig.idle).toBe(true)
  })
})

describe('what the datapath tells', () => {
  it('a stream that ends takes its allocation along', () => {
    const rig = new Rig()
    const client = rig.client({ protocol: 'tcp' })
    client.allocate()
    client.bind(0x4000)
    rig.server.handleClientGone(client.path, rig.now)
    rig.settle()
    expect(rig.closed).toEqual(['client-gone'])
    expect(rig.idle).toBe(true)
    rig.server.handleClientGone(client.path, rig.now)
    expect(rig.settle()).toEqual([])
  })

  it('a stream that ends while its address is being opened gets nothing and leaves nothing', () => {
    const rig = new Rig({ opening: () => undefined })
    const client = rig.client({ protocol: 'tcp' })
    expect(() => client.allocate()).toThrow('0 answers')
    const [relay] = rig.open.keys()
    rig.server.handleClientGone(client.path, rig.now)
    expect(rig.settle().map(({ kind }) => kind)).toEqual(['close-relayed-address'])
    expect(rig.idle).toBe(true)
    if (relay !== undefined) rig.server.handleRelayOpened(relay, rig.now)
    expect(rig.settle()).toEqual([])
    expect(rig.idle).toBe(true)
  })

  it('a socket that broke ends its allocation', () => {
    const rig = new Rig()
    const client = rig.client()
    const relay = client.relayId(client.relayed())
    rig.server.handleRelayFailed(relay, 'other', rig.now)
    rig.settle()
    expect(rig.closed).toEqual(['failed'])
    expect(outcome(client.refresh())).toBe(437)
    expect(rig.idle).toBe(true)
  })

  it('a reserved socket that broke ends its reservation', () => {
    const rig = new Rig()
    rig.client().allocate([attribute(evenPort, { reserveNext: true })])
    const [, reserved] = rig.open.keys()
    if (reserved !== undefined) rig.server.handleRelayFailed(reserved, 'other', rig.now)
    rig.settle()
    expect(rig.server.counts).toMatchObject({ reservations: 0, relays: 1, allocations: 1 })
  })
})

describe('abuse', () => {
  it('a bare Binding of 20 bytes is answered with 32', () => {
    const rig = new Rig()
    const client = rig.client()
    const [effect] = rig.fromClient(client.path, binding)
    expect(effect?.kind === 'send-to-client' && effect.bytes.length).toBe(32)
    const [reply] = answers(effect ? [effect] : [])
    expect(reply && get(reply, xorMappedAddress)).toEqual(client.path.client)
    expect(rig.events).toMatchObject([{ kind: 'success-response', method: Method.binding }])
  })

  it('a 401 to a 28-byte Allocate is at most 140 bytes', () => {
    expect(bareAllocate.length).toBe(28)
    const rig = new Rig()
    const [effect] = rig.fromClient(rig.client().path, bareAllocate)
    const length = effect?.kind === 'send-to-client' ? effect.bytes.length : 0
    expect(length).toBeGreaterThan(28)
    expect(length).toBeLessThanOrEqual(140)
  })

  it('one source gets a hundred unauthenticated answers a second, and is served again a second later', () => {
    const rig = new Rig()
    const count = (bytes: Uint8Array): number => {
      let answered = 0
      // From ever other ports: a flood with forged addresses has them all.
      for (let i = 0; i < 1000; i++) answered += rig.fromClient(rig.client().path, bytes).length
      return answered
    }
    expect(count(bareAllocate)).toBe(100)
    expect(count(binding)).toBe(0)
    expect(new Set(rig.told())).toEqual(new Set(['error 401', 'drop rate-limited']))
    rig.pass(1)
    expect(count(binding)).toBe(100)
    expect(rig.fromClient(rig.client({ client: { ip: '9.9.9.8', port: 1 } }).path, binding).length).toBe(1)
    expect(rig.idle).toBe(true)
  })

  it('who has proven himself is not limited', () => {
    const rig = new Rig({ unauthenticatedPerSecond: 1 })
    const client = rig.client()
    expect(outcome(client.allocate())).toBe('success')
    for (let i = 0; i < 50; i++) expect(outcome(client.refresh())).toBe('success')
  })

  it('a stale nonce of somebody who has proven himself is told even then', () => {
    const rig = new Rig({ unauthenticatedPerSecond: 1, auth: { nonceLifetime: 1 } })
    const client = rig.client()
    client.allocate()
    rig.pass(2)
    expect(rig.fromClient(client.path, binding).length).toBe(1)
    expect(rig.fromClient(client.path, binding).length).toBe(0)
    expect(outcome(client.once(Method.refresh))).toBe(438)
  })

  it.each([
    ['loopback', { client: { ip: '127.0.0.1', port: 9 } }],
    ['IPv6 loopback', { client: { ip: '::1', port: 9 } }],
    ['TCP, whose source is proven', { protocol: 'tcp' as const }],
  ])('%s is exempt', (_, path) => {
    const rig = new Rig()
    const client = rig.client(path)
    let answered = 0
    for (let i = 0; i < 1000; i++) answered += rig.fromClient(client.path, binding).length
    expect(answered).toBe(1000)
  })

  it('a whole IPv6 /64 is one source', () => {
    const limit = new SourceLimit(10, sourceLimitMemory(new SeededRandom(1)))
    const from = (ip: string): number =>
      Array.from({ length: 100 }, () => limit.admit(ip, instant(0))).filter(Boolean).length
    expect([from('2001:db8::1'), from('2001:db8::2'), from('2001:db8:0:1::1')]).toEqual([10, 0, 10])
  })

  it('several servers of one relay answer a source no more than one would', () => {
    const sourceLimit = sourceLimitMemory(new SeededRandom(1))
    const servers = [0, 1, 2].map(() => new Rig({ unauthenticatedPerSecond: 6, sourceLimit }))
    const answered = (): number =>
      servers
        .flatMap((rig) => Array.from({ length: 20 }, () => rig.fromClient(rig.client().path, bareAllocate)))
        .filter((effects) => effects.some(({ kind }) => kind === 'send-to-client')).length
    expect(answered()).toBe(6)
    for (const rig of servers) rig.pass(0.5)
    expect(answered()).toBe(3)
    for (const rig of servers) rig.pass(3600)
    expect(answered()).toBe(6)
  })

  it('a bucket is right after its clock has wrapped, and after days', () => {
    const limit = new SourceLimit(10, sourceLimitMemory(new SeededRandom(1)))
    const day = 86_400_000
    const wrap = 2 ** 32 / 10
    for (const now of [0, 1.24 * day, wrap - 500, wrap, wrap * 1.5, wrap * 1.5 + 950, 300 * day]) {
      const admitted = Array.from({ length: 20 }, () => limit.admit('192.0.2.1', instant(now))).filter(Boolean).length
      expect([now, admitted]).toEqual([now, now === wrap ? 5 : now === wrap * 1.5 + 950 ? 9 : 10])
    }
  })

  it('threads whose clocks differ a little share it all the same', () => {
    const memory = sourceLimitMemory(new SeededRandom(1))
    const [early, late] = [new SourceLimit(10, memory), new SourceLimit(10, memory)]
    let admitted = 0
    for (let i = 0; i < 100; i++) {
      if (late.admit('192.0.2.1', instant(5000))) admitted++
      if (early.admit('192.0.2.1', instant(4900))) admitted++
    }
    expect(admitted).toBe(10)
  })

  it('floods from a million sources leave no state behind', () => {
    const rig = new Rig()
    for (let i = 0; i < 5000; i++) {
      const ip = `${11 + (i >> 12)}.${(i >> 8) & 15}.${i & 255}.7`
      rig.fromClient(
        { key: i, protocol: 'udp', client: { ip, port: 1 + i }, server: { ip: '198.51.100.1', port: 3478 } },
        bareAllocate,
      )
    }
    expect(rig.idle).toBe(true)
  })

  it('failed passwords are told, and answered like everything unauthenticated', () => {
    const rig = new Rig()
    const client = rig.client({ password: 'guess' })
    const reply = client.allocate()
    expect(outcome(reply)).toBe(401)
    expect(rig.told()).toEqual(['error 401', 'auth-failure wrong-password', 'error 401'])
  })
})

describe('Binding', () => {
  it('RFC 3489 is answered only when asked for', () => {
    const classic = encodeMessage({
      class: 'request',
      method: Method.binding,
      transactionId: new Uint8Array(16).fill(1),
    })
    const rig = new Rig()
    expect(rig.fromClient(rig.client().path, classic)).toEqual([])
    const old = new Rig({ classic: true })
    expect(old.fromClient(old.client().path, classic).length).toBe(1)
  })

  it.each([
    [attribute(responsePort, 53)],
    [attribute(changeRequest, { changeIp: true, changePort: true })],
    [attribute(padding, new Uint8Array(8))],
  ])('%o of RFC 5780 gets 420 and is named, at the port that asked', (wish) => {
    const attributes = [wish]
    const request = encodeMessage({
      class: 'request',
      method: Method.binding,
      transactionId: new Uint8Array(12),
      attributes,
    })
    const rig = new Rig()
    const { path } = rig.client()
    const [answer] = answers(rig.fromClient(path, request), path)
    expect(answer && get(answer, errorCode)?.code).toBe(420)
    expect(answer && get(answer, unknownAttributes)).toEqual([wish.type])
    expect(rig.told()).toEqual(['error 420'])
  })

  it('may be answered by somebody else', () => {
    const rig = new Rig({ binding: (_, path) => ({ bytes: text('mine'), path }) })
    expect(rig.fromClient(rig.client().path, binding)).toMatchObject([{ bytes: text('mine') }])
  })

  it('indications are keepalives', () => {
    const rig = new Rig()
    const bytes = encodeMessage({ class: 'indication', method: Method.binding, transactionId: new Uint8Array(12) })
    expect(rig.fromClient(rig.client().path, bytes)).toEqual([])
    expect(rig.told()).toEqual([])
  })
})

describe('without authentication', () => {
  it('everybody relays, and nothing is signed', () => {
    const rig = new Rig({ auth: 'none' })
    const client = rig.client()
    expect(outcome(client.once(Method.allocate, [attribute(requestedTransport, 17)]))).toBe('success')
    expect(outcome(client.permit(peer))).toBe('success')
    expect(rig.allocations[0]?.username).toBe('')
  })
})

describe('what is no request', () => {
  it.each([
    ['nothing', new Uint8Array(0), 'malformed'],
    ['one byte', Uint8Array.of(0), 'malformed'],
    ['DTLS', new Uint8Array(100).fill(22), 'malformed'],
    ['RTP', new Uint8Array(100).fill(128), 'malformed'],
    ['a request with something behind it', Uint8Array.from([...bareAllocate, 0]), 'malformed'],
    [
      'an RFC 3489 Allocate',
      encodeMessage({ class: 'request', method: 3, transactionId: new Uint8Array(16) }),
      'malformed',
    ],
    ['a response', encodeMessage({ class: 'success', method: 3, transactionId: new Uint8Array(12) }), 'unexpected'],
    [
      'a Data indication',
      encodeMessage({ class: 'indication', method: 7, transactionId: new Uint8Array(12) }),
      'unexpected',
    ],
    [
      'an unknown method',
      encodeMessage({ class: 'request', method: 0x0bc, transactionId: new Uint8Array(12) }),
      'unexpected',
    ],
  ])('%s is dropped', (_, bytes, reason) => {
    const rig = new Rig()
    expect(rig.fromClient(rig.client().path, bytes)).toEqual([])
    expect(rig.told()).toEqual([`drop ${reason}`])
  })

  it('a wrong FINGERPRINT too; a right one is answered with one', () => {
    const bytes = encodeMessage({ class: 'request', method: 3, transactionId: new Uint8Array(12), fingerprint: true })
    const rig = new Rig()
    const [effect] = rig.fromClient(rig.client().path, bytes)
    const decoded = decodeMessage(effect?.kind === 'send-to-client' ? effect.bytes : bytes)
    expect(decoded.ok && decoded.value.attributes.at(-1)?.type).toBe(0x8028)
    rig.told()
    const wrong = Uint8Array.from(bytes)
    wrong[27] = (wrong[27] ?? 0) ^ 1
    expect(rig.fromClient(rig.client().path, wrong)).toEqual([])
    expect(rig.told()).toEqual(['drop bad-fingerprint'])
  })
})
