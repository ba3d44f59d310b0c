/** The machine on hand-driven time, and servers that answer what they should not. */
import { describe, expect, it } from 'vitest'
import { after, type Instant, instant, type TransportAddress, type TransportProtocol } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import { TurnClient, type TurnClientEffect, type TurnClientInput } from '../../../src/proto/turn-client/index.ts'
import {
  alternateDomain,
  alternateServer,
  attribute,
  channelNumber,
  data,
  decodeMessage,
  encodeMessage,
  get,
  getAll,
  has,
  icmp,
  lifetime,
  messageIntegrity,
  Method,
  methodName,
  rawAttribute,
  realm,
  nonce,
  PasswordAlgorithmNumber,
  passwordAlgorithms,
  withNonceCookie,
  requestedAddressFamily,
  additionalAddressFamily,
  reservationToken,
  evenPort,
  dontFragment,
  mobilityTicket,
  software,
  type StunMessage,
  toChannelNumber,
  unknownAttributes,
  xorPeerAddress,
} from '../../../src/wire/index.ts'
import { alice } from './lab.ts'
import {
  afterChallenge,
  challenge,
  granted,
  lifetimeOf,
  relayed,
  replyBytes,
  type Reply,
  type Script,
} from './scripted.ts'

const server: TransportAddress = { ip: '50.0.0.1', port: 3478 }
const peer: TransportAddress = { ip: '60.0.0.1', port: 5000 }
const text = (words: string): Uint8Array => new TextEncoder().encode(words)

/** A machine, and a server of one line: answers are there at once, unless the script is silent. */
class Rig {
  readonly client: TurnClient
  now: Instant = instant(0)
  readonly sent: { readonly at: number; readonly message: StunMessage | undefined; readonly bytes: Uint8Array }[] = []
  readonly seen: TurnClientEffect[] = []
  #script: Script
  #nth = 0
  #id = 0

  constructor(script: Script, protocol: TransportProtocol = 'udp', credentials: typeof alice | undefined = alice) {
    this.#script = script
    this.client = new TurnClient({
      random: new SeededRandom('machine'),
      to: server,
      protocol,
      ...(credentials && { credentials: { kind: 'long-term', ...credentials } }),
    })
  }

  set script(script: Script) {
    this.#script = script
  }

  give(input: TurnClientInput): void {
    this.client.handleInput(input, this.now)
    this.settle()
  }

  /** A command; what ended it, if it has ended. */
  ask(input: Record<string, unknown> & { kind: TurnClientInput['kind'] }): TurnClientEffect | undefined {
    const id = ++this.#id
    this.give({ id, ...input } as unknown as TurnClientInput)
    return this.endOf(id)
  }

  endOf(id: number): TurnClientEffect | undefined {
    return this.seen.findLast((effect) => 'id' in effect && effect.id === id)
  }

  receive(bytes: Uint8Array, from: TransportAddress = server): TurnClientEffect[] {
    const before = this.seen.length
    this.give({ kind: 'received', bytes, from })
    return this.seen.slice(before)
  }

  settle(): void {
    for (let effect = this.client.pollEffect(); effect !== undefined; effect = this.client.pollEffect()) {
      if (effect.kind !== 'send') {
        this.seen.push(effect)
        continue
      }
      const decoded = decodeMessage(effect.bytes)
      const message = decoded.ok ? decoded.value : undefined
      this.sent.push({ at: this.now, message, bytes: effect.bytes })
      const reply = message?.class === 'request' ? this.#script(message, this.#nth++) : undefined
      if (message && reply) {
        this.client.handleInput({ kind: 'received', bytes: replyBytes(message, reply), from: server }, this.now)
      }
    }
  }

  /** Lets time pass, waking the machine exactly when it wants to be woken. */
  pass(seconds: number): void {
    const until = after(this.now, seconds * 1000)
    for (let at = this.client.pollTimeout(); at !== undefined && at <= until; at = this.client.pollTimeout()) {
      this.now = at
      this.client.handleTimeout(at)
      this.settle()
    }
    this.now = until
  }

  /** `second method` of what was sent since the last call. */
  requests(): string[] {
    return this.sent.splice(0).map(({ at, message }) => `${at / 1000} ${message ? methodName(message.method) : 'data'}`)
  }

  failure(input: Record<string, unknown> & { kind: TurnClientInput['kind'] }): unknown {
    const end = this.ask(input)
    return end && 'failure' in end ? end.failure : end?.kind
  }
}

const ready = (reply: (request: StunMessage) => Reply | undefined = usual): Rig => {
  const rig = new Rig(afterChallenge(reply))
  rig.ask({ kind: 'allocate', options: {} })
  rig.requests()
  return rig
}

const usual = (request: StunMessage): Reply =>
  request.method === Method.allocate ? granted() : { attributes: [attribute(lifetime, lifetimeOf(request) ?? 600)] }

describe('Allocate', () => {
  it('is asked without credentials, then with them, and tells what it asks for', () => {
    const rig = new Rig(afterChallenge(usual))
    const options = {
      lifetimeSeconds: 1200,
      families: [4, 6],
      evenPort: 'reserve-next',
      reservationToken: new Uint8Array(8),
      dontFragment: true,
      mobility: true,
      attributes: [attribute(software, 'test')],
    }
    expect(rig.ask({ kind: 'allocate', options })).toMatchObject({
      kind: 'allocated',
      value: { relayed: [relayed], lifetimeSeconds: 600 },
    })
    const [first, second] = rig.sent.map(({ message }) => message)
    if (!first || !second) throw new Error('nothing was sent')
    expect(has(first, messageIntegrity)).toBe(false)
    expect(has(second, messageIntegrity)).toBe(true)
    expect(get(second, lifetime)).toBe(1200)
    expect(get(second, additionalAddressFamily)).toBe(6)
    expect(get(second, evenPort)).toEqual({ reserveNext: true })
    expect(get(second, reservationToken)).toHaveLength(8)
    expect(get(second, dontFragment)).toBe(true)
    expect(get(second, mobilityTicket)).toHaveLength(0)
    expect(get(second, software)).toBe('test')
    rig.give({ kind: 'send', peer, bytes: text('x'), via: 'indication' })
    const indication = rig.sent.at(-1)?.message
    expect(indication && get(indication, dontFragment)).toBe(true)
  })

  it('names one family by REQUESTED-ADDRESS-FAMILY', () => {
    const rig = new Rig(() => undefined)
    rig.ask({ kind: 'allocate', options: { families: [6] } })
    const [request] = rig.sent.map(({ message }) => message)
    expect(request && get(request, requestedAddressFamily)).toBe(6)
    expect(request && get(request, lifetime)).toBeUndefined()
  })

  it.each<[string, Reply, object]>([
    ['403', { code: 403 }, { stage: 'allocate', cause: 'error', error: { code: 403, reason: 'reason 403' } }],
    ['437', { code: 437 }, { stage: 'allocate', cause: 'error', error: { code: 437 } }],
    ['486', { code: 486 }, { stage: 'allocate', cause: 'error', error: { code: 486 } }],
    ['508', { code: 508 }, { stage: 'allocate', cause: 'error', error: { code: 508 } }],
    [
      '420 with its list',
      { code: 420, attributes: [attribute(unknownAttributes, [0x0018])] },
      { stage: 'allocate', cause: 'error', unknownAttributes: [0x0018] },
    ],
    ['300 without an address', { code: 300 }, { stage: 'allocate', cause: 'error', error: { code: 300 } }],
    ['401 again', challenge(), { stage: '401', cause: 'wrong-credentials' }],
    [
      'a realm that is too long to be sent',
      { code: 438, attributes: [rawAttribute(realm.type, new Uint8Array(800).fill(97)), attribute(nonce, 'n')] },
      { stage: '401', cause: 'bad-challenge' },
    ],
    [
      'no addresses',
      { attributes: [attribute(lifetime, 600)] },
      {
        stage: 'allocate',
        cause: 'invalid-answer',
        why: 'the Allocate success response has no usable XOR-RELAYED-ADDRESS and no usable XOR-MAPPED-ADDRESS',
      },
    ],
    ['a lifetime of zero', granted(0), { stage: 'allocate', cause: 'invalid-answer' }],
    [
      'what must be understood',
      { ...granted(), attributes: [rawAttribute(0x7fff, new Uint8Array())] },
      { stage: 'allocate', cause: 'invalid-answer' },
    ],
  ])('answered with %s fails with its stage and cause', (_what, reply, failure) => {
    const rig = new Rig(afterChallenge(() => reply))
    expect(rig.failure({ kind: 'allocate', options: {} })).toMatchObject(failure)
    expect(rig.client.allocation).toBeUndefined()
    expect(rig.client.pollTimeout()).toBeUndefined()
  })

  it('ends when the server finds each of its nonces stale', () => {
    const rig = new Rig((request, nth) =>
      has(request, messageIntegrity) ? challenge(438, `nonce ${nth}`) : challenge(),
    )
    expect(rig.failure({ kind: 'allocate', options: {} })).toMatchObject({
      stage: '401',
      cause: 'stale-nonce-loop',
      error: { code: 438 },
    })
    expect(rig.sent).toHaveLength(5)
  })

  it('asks the caller to go where a 300 points', () => {
    const to = { ip: '50.0.0.9', port: 3478 }
    const rig = new Rig(() => ({
      code: 300,
      attributes: [attribute(alternateServer, to), attribute(alternateDomain, 'turn.example')],
    }))
    expect(rig.ask({ kind: 'allocate', options: {} })).toMatchObject({
      kind: 'redirected',
      to: { server: to, domain: 'turn.example' },
      failure: { stage: 'allocate', cause: 'redirected' },
    })
  })

  it.each([
    ['nothing', 'unprotected-answer'],
    ['another key', 'wrong-integrity'],
  ])('believes no success that is signed with %s', (signed, cause) => {
    const signedWith = signed === 'nothing' ? signed : new Uint8Array(16)
    const rig = new Rig(afterChallenge(() => ({ ...granted(), signedWith })))
    expect(rig.failure({ kind: 'allocate', options: {} })).toBeUndefined()
    rig.pass(40)
    expect(rig.endOf(1)).toMatchObject({ failure: { stage: 'allocate', cause } })
    expect(rig.client.allocation).toBeUndefined()
    const stream = new Rig(
      afterChallenge(() => ({ ...granted(), signedWith })),
      'tcp',
    )
    expect(stream.failure({ kind: 'allocate', options: {} })).toMatchObject({ stage: 'allocate', cause })
  })

  it('takes an answer from another address for none, and says where it came from', () => {
    const rig = new Rig(() => undefined)
    const elsewhere = { ip: '50.0.0.2', port: 3478 }
    rig.ask({ kind: 'allocate', options: {} })
    const request = rig.sent[0]?.message
    if (!request) throw new Error('nothing was sent')
    expect(rig.receive(replyBytes(request, challenge()), elsewhere)).toEqual([
      { kind: 'observed', observation: { kind: 'stray', at: 0, from: elsewhere, method: Method.allocate } },
    ])
    rig.pass(40)
    expect(rig.endOf(1)).toMatchObject({
      failure: { stage: '401', cause: 'other-address', why: expect.stringContaining('50.0.0.2:3478') },
    })
  })

  it('is repeated over UDP by the RFC’s timing, and never over TCP', () => {
    const udp = new Rig(() => undefined)
    udp.ask({ kind: 'allocate', options: {} })
    udp.pass(60)
    expect(udp.requests().map((each) => each.split(' ')[0])).toEqual(['0', '0.5', '1.5', '3.5', '7.5', '15.5', '31.5'])
    const tcp = new Rig(() => undefined, 'tcp')
    tcp.ask({ kind: 'allocate', options: {}, deadline: instant(3000) })
    tcp.pass(60)
    expect(tcp.requests()).toEqual(['0 Allocate'])
    expect(tcp.endOf(1)).toMatchObject({ failure: { stage: '401', cause: 'timeout' } })
    expect(tcp.seen.at(-2)).toMatchObject({ observation: { endedAt: 3000, transmissions: 1 } })
  })
})

describe('what is held', () => {
  it('is renewed before it ends: allocation at nine minutes, permissions and channels every four', () => {
    const rig = ready()
    rig.ask({ kind: 'permit', peers: [peer, { ip: '60.0.0.2', port: 1 }] })
    rig.ask({ kind: 'bind-channel', peer: { ip: '60.0.0.3', port: 1 } })
    rig.requests()
    rig.pass(700)
    expect(rig.requests()).toEqual([
      '240 CreatePermission',
      '240 ChannelBind',
      '480 CreatePermission',
      '480 ChannelBind',
      '540 Refresh',
    ])
    rig.ask({ kind: 'release' })
    rig.requests()
    rig.pass(4000)
    expect(rig.requests()).toEqual([])
    expect(rig.client.pollTimeout()).toBeUndefined()
  })

  it('asks again for the lifetime it was granted', () => {
    const rig = ready((request) => (request.method === Method.allocate ? granted(3600) : usual(request)))
    rig.pass(3550)
    const [refresh] = rig.sent.map(({ message }) => message)
    expect(refresh && get(refresh, lifetime)).toBe(3600)
  })

  it('is reported as lost when it can’t be renewed: one denied peer alone, an allocation with all it has', () => {
    const denied = { ip: '60.0.0.9', port: 1 }
    const rig = ready()
    rig.ask({ kind: 'permit', peers: [peer, denied] })
    rig.script = (request) =>
      getAll(request, xorPeerAddress).some(({ ip }) => ip === denied.ip) ? { code: 403 } : usual(request)
    rig.pass(241)
    expect(rig.seen.filter(({ kind }) => kind === 'lost')).toMatchObject([
      { lost: { what: 'permission', ip: denied.ip, failure: { stage: 'permission', error: { code: 403 } } } },
    ])
    rig.script = () => ({ code: 437 })
    rig.pass(400)
    expect(rig.seen.at(-1)).toMatchObject({ lost: { what: 'allocation', failure: { stage: 'refresh' } } })
    expect(rig.client.pollTimeout()).toBeUndefined()
  })

  it('is lost with its stream', () => {
    const rig = new Rig(afterChallenge(usual), 'tcp')
    rig.ask({ kind: 'allocate', options: {} })
    rig.give({ kind: 'closed', why: 'it closed' })
    expect(rig.seen.at(-1)).toMatchObject({
      lost: { what: 'allocation', failure: { cause: 'closed', why: 'it closed' } },
    })
    expect(rig.failure({ kind: 'permit', peers: [peer] })).toMatchObject({ stage: 'permission', cause: 'closed' })
  })

  it('is gone already when it is released: 437 is fine', () => {
    const rig = ready()
    rig.script = () => ({ code: 437 })
    expect(rig.ask({ kind: 'release' })).toMatchObject({ kind: 'released' })
  })

  it('moves with its mobility ticket', () => {
    const ticket = text('ticket')
    const rig = new Rig(
      afterChallenge(() => ({ attributes: [attribute(lifetime, 300), attribute(mobilityTicket, text('next'))] })),
    )
    const allocation = { relayed: [relayed], mapped: peer, lifetimeSeconds: 600, mobilityTicket: ticket }
    expect(rig.ask({ kind: 'move', allocation })).toMatchObject({
      kind: 'allocated',
      value: { relayed: [relayed], lifetimeSeconds: 300, mobilityTicket: text('next') },
    })
    const moving = rig.sent.at(-1)?.message
    expect(moving && get(moving, mobilityTicket)).toEqual(ticket)
  })
})

describe('data', () => {
  const indication = (attributes: Parameters<typeof encodeMessage>[0]['attributes']): Uint8Array =>
    encodeMessage({ class: 'indication', method: Method.data, transactionId: new Uint8Array(12), attributes })

  it('goes by channel where one is bound, padded on streams only', () => {
    for (const [protocol, length] of [
      ['udp', 7],
      ['tcp', 8],
    ] as const) {
      const rig = new Rig(afterChallenge(usual), protocol)
      rig.ask({ kind: 'allocate', options: {} })
      const bound = rig.ask({ kind: 'bind-channel', peer, channel: toChannelNumber(0x4abc) })
      expect(bound).toMatchObject({ value: { channel: 0x4abc, peer } })
      rig.give({ kind: 'send', peer, bytes: text('abc'), via: 'channel' })
      expect([...(rig.sent.at(-1)?.bytes ?? [])].slice(0, 7)).toEqual([0x4a, 0xbc, 0, 3, 97, 98, 99])
      expect(rig.sent.at(-1)?.bytes).toHaveLength(length)
      expect(rig.receive(Uint8Array.of(0x4a, 0xbc, 0, 1, 120, 0, 0, 0))).toMatchObject([
        { kind: 'data', data: { peer, bytes: text('x'), via: 'channel', permitted: true } },
      ])
    }
  })

  it('says whether its peer is permitted, brings ICMP errors, and drops the rest', () => {
    const rig = ready()
    rig.ask({ kind: 'permit', peers: [peer] })
    const from = attribute(xorPeerAddress, peer)
    const stranger = attribute(xorPeerAddress, { ip: '60.0.0.66', port: 1 })
    expect(rig.receive(indication([from, attribute(data, text('a'))]))).toMatchObject([
      { data: { permitted: true, bytes: text('a') } },
    ])
    expect(rig.receive(indication([stranger, attribute(data, text('a'))]))).toMatchObject([
      { data: { permitted: false } },
    ])
    const error = { type: 3, code: 3, data: 0 }
    expect(rig.receive(indication([from, attribute(icmp, error)]))).toEqual([{ kind: 'icmp', peer, error }])
    const why = (bytes: Uint8Array, sender = server): unknown =>
      rig
        .receive(bytes, sender)
        .map(
          (effect) => effect.kind === 'observed' && effect.observation.kind === 'discarded' && effect.observation.why,
        )
    expect(why(indication([from]))).toEqual(['a Data indication with neither DATA nor ICMP'])
    expect(why(indication([attribute(data, text('a'))]))).toEqual([
      'a Data indication without a usable XOR-PEER-ADDRESS',
    ])
    expect(why(indication([from, attribute(data, text('a'))]), peer)).toEqual([
      'a Data indication from another address',
    ])
    expect(why(indication([from, rawAttribute(0x7fff, text('a'))]))).toEqual([
      'a Data indication with unknown attributes',
    ])
    expect(why(Uint8Array.of(0x40, 0, 0, 0))).toEqual(['ChannelData on 0x4000, which is not bound'])
    expect(why(Uint8Array.of(1))).toEqual(['header: 1 bytes, where a header has 20'])
  })

  it('uses every channel number once, then says so', () => {
    const rig = new Rig(usual)
    rig.ask({ kind: 'allocate', options: {} })
    for (let index = 0; index < 4096; index++) {
      const peerOf = { ip: `60.1.${index >> 8}.${index & 255}`, port: 1 }
      expect(rig.ask({ kind: 'bind-channel', peer: peerOf })?.kind).toBe('channel-bound')
    }
    const last = rig.sent.at(-1)?.message
    expect(last && get(last, channelNumber)).toBe(0x4fff)
    expect(rig.failure({ kind: 'bind-channel', peer })).toMatchObject({ stage: 'channel', cause: 'error' })
    expect(rig.ask({ kind: 'bind-channel', peer: { ip: '60.1.0.0', port: 1 } })).toMatchObject({
      value: { channel: 0x4000 },
    })
  })
})

describe('credentials', () => {
  it('that no message can carry are refused at once', () => {
    const make = (): unknown => new Rig(usual, 'udp', { ...alice, username: 'x'.repeat(509) })
    expect(make).toThrow('USERNAME has 509 bytes')
  })

  it('are not weakened by a challenge to an unsigned request', () => {
    const offer = attribute(passwordAlgorithms, [{ algorithm: PasswordAlgorithmNumber.sha256 }])
    const strong = withNonceCookie({ passwordAlgorithms: true, usernameAnonymity: false }, 'strong')
    const rig = new Rig(() => ({
      code: 401,
      attributes: [attribute(realm, 'example.org'), attribute(nonce, strong), offer],
    }))
    rig.ask({ kind: 'allocate', options: {} })
    expect(rig.client.session).toMatchObject({ algorithm: 'sha-256', nonce: strong })
    rig.script = () => challenge(401, 'weak')
    rig.ask({ kind: 'exchange', exchange: { method: Method.refresh, sign: 'never' } })
    expect(rig.client.session).toMatchObject({ algorithm: 'sha-256', nonce: strong })
  })
})

describe('a delivery failure', () => {
  it('ends requests, unless it is about data that was too big', () => {
    const rig = new Rig(() => undefined)
    rig.ask({ kind: 'allocate', options: {} })
    rig.give({ kind: 'failure', failure: { to: server, reason: 'message-too-big', detail: 'EMSGSIZE' } })
    expect(rig.endOf(1)).toBeUndefined()
    rig.give({ kind: 'failure', failure: { to: server, reason: 'admin-prohibited', detail: 'EHOSTUNREACH' } })
    expect(rig.endOf(1)).toMatchObject({
      failure: { stage: '401', cause: 'unreachable', delivery: { reason: 'admin-prohibited' } },
    })
  })
})
