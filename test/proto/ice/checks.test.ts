/** One agent, fed by hand: what its checks say, how it answers, and that nothing makes it grow or throw. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Instant, instant, type TransportAddress } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import {
  type Candidate,
  Foundations,
  IceAgent,
  type IceAgentOptions,
  type IceEffect,
  type LocalCandidate,
  localCandidate,
  parseCandidate,
} from '../../../src/proto/ice/index.ts'
import {
  attribute,
  attributeName,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  get,
  has,
  iceControlled,
  iceControlling,
  type MessageToEncode,
  Method,
  priority,
  rawAttribute,
  shortTermKey,
  type StunMessage,
  useCandidate,
  username,
  verifyFingerprint,
  verifyIntegrity,
  xorMappedAddress,
} from '../../../src/wire/index.ts'

const base: TransportAddress = { ip: '192.0.2.1', port: 5000 }
const peerAddress: TransportAddress = { ip: '198.51.100.1', port: 6000 }
const peer = { ufrag: 'peer', password: 'p'.repeat(22) }
const own = { ufrag: 'ours', password: 'o'.repeat(22) }

/** An agent with one host candidate. */
class Bench {
  readonly agent: IceAgent
  readonly foundations = new Foundations()
  now: Instant = instant(0)

  constructor(options: Partial<IceAgentOptions> = {}) {
    this.agent = new IceAgent({ role: 'controlling', random: new SeededRandom(1), credentials: own, ...options })
    this.local({ type: 'host', address: base })
  }

  local(origin: Parameters<typeof localCandidate>[0]): LocalCandidate {
    const candidate = localCandidate(origin, this.foundations)
    this.agent.handleInput({ kind: 'local-candidate', candidate }, this.now)
    return candidate
  }

  remote(text: string): void {
    this.agent.handleInput({ kind: 'remote-candidate', candidate: parsed(text) }, this.now)
  }

  begin(): void {
    this.agent.handleInput({ kind: 'remote-credentials', credentials: peer }, this.now)
  }

  end(): void {
    for (const side of ['local', 'remote'] as const)
      this.agent.handleInput({ kind: 'end-of-candidates', side }, this.now)
  }

  receive(bytes: Uint8Array, from: TransportAddress = peerAddress, at: TransportAddress = base): void {
    this.agent.handleInput({ kind: 'datagram', bytes, from, base: at }, this.now)
  }

  effects(): IceEffect[] {
    const effects: IceEffect[] = []
    for (let effect = this.agent.pollEffect(); effect; effect = this.agent.pollEffect()) effects.push(effect)
    return effects
  }

  sent(): { message: StunMessage; to: TransportAddress }[] {
    return this.effects().flatMap((effect) =>
      effect.kind === 'send' ? [{ message: decoded(effect.bytes), to: effect.to }] : [],
    )
  }

  /** Lets time pass, timer by timer, and collects what happens. */
  run(milliseconds: number): IceEffect[] {
    const end = this.now + milliseconds
    const all: IceEffect[] = this.effects()
    let rounds = 0
    for (let at = this.agent.pollTimeout(); at !== undefined && at <= end; at = this.agent.pollTimeout()) {
      // A timer that re-arms itself for a time that has passed would go round for ever.
      if (rounds++ > 10_000) throw new Error(`time stands still at ${at} of ${end} ms`)
      this.now = instant(Math.max(this.now, at))
      this.agent.handleTimeout(this.now)
      all.push(...this.effects())
    }
    this.now = instant(end)
    return all
  }
}

function parsed(text: string): Candidate {
  const result = parseCandidate(`candidate:${text}`)
  if (!result.ok) throw new Error(`${result.where} ${result.why}`)
  return result.value
}

function decoded(bytes: Uint8Array): StunMessage {
  const message = decodeMessage(bytes)
  if (!message.ok) throw new Error(message.why)
  return message.value
}

const peerHost = `1 1 udp 2130706431 ${peerAddress.ip} ${peerAddress.port} typ host`
const names = ({ attributes }: StunMessage): string[] => attributes.map(({ type }) => attributeName(type))

/** A check as the peer would send it. */
function peerCheck(
  attributes: readonly EncodableAttribute[] = peerAttributes(),
  over: Partial<MessageToEncode> = {},
): Uint8Array {
  return encodeMessage({
    class: 'request',
    method: Method.binding,
    transactionId: new Uint8Array(12).fill(9),
    attributes,
    integrity: { key: shortTermKey(own.password) },
    fingerprint: true,
    ...over,
  })
}

const peerAttributes = (): EncodableAttribute[] => [attribute(username, 'ours:peer'), attribute(priority, 1853824767)]

const answerTo = (request: StunMessage, mapped: TransportAddress = base): Uint8Array =>
  encodeMessage({
    class: 'success',
    method: Method.binding,
    transactionId: request.transactionId,
    attributes: [attribute(xorMappedAddress, mapped)],
    integrity: { key: shortTermKey(peer.password) },
    fingerprint: true,
  })

describe('a check of ours', () => {
  it('has the attributes of RFC 8445 §7.2.2, and USE-CANDIDATE only to nominate', () => {
    const bench = new Bench()
    bench.remote(peerHost)
    bench.begin()
    const [check] = bench.sent()
    if (!check) throw new Error('nothing was sent')
    expect(check.to).toEqual(peerAddress)
    expect(names(check.message)).toEqual([
      'PRIORITY',
      'ICE-CONTROLLING',
      'USERNAME',
      'MESSAGE-INTEGRITY',
      'FINGERPRINT',
    ])
    expect(get(check.message, username)).toBe('peer:ours')
    // Peer-reflexive, with the local preference and component of the candidate it is sent from.
    expect(get(check.message, priority)).toBe(110 * 2 ** 24 + 65535 * 256 + 255)
    expect(verifyIntegrity(check.message, shortTermKey(peer.password)) && verifyFingerprint(check.message)).toBe(true)
    bench.end()
    bench.receive(answerTo(check.message))
    const [nomination] = bench.sent()
    expect(nomination && has(nomination.message, useCandidate)).toBe(true)
    if (nomination) bench.receive(answerTo(nomination.message))
    expect(bench.effects().at(-1)).toMatchObject({ kind: 'settled', report: { nominated: { state: 'succeeded' } } })
  })

  it('waits for the peer’s credentials, and then keeps to Ta', () => {
    const bench = new Bench()
    for (let port = 6000; port < 6004; port++) bench.remote(`${port} 1 udp 2130706431 198.51.100.1 ${port} typ host`)
    expect(bench.sent()).toEqual([])
    bench.begin()
    const at: number[] = []
    for (let milliseconds = 0; milliseconds <= 200; milliseconds++) {
      if (bench.run(1).some(({ kind }) => kind === 'send')) at.push(milliseconds)
    }
    expect(at).toHaveLength(4)
    expect(at.slice(1).map((time, index) => time - (at[index] ?? 0))).toEqual(expect.arrayContaining([50]))
  })

  it('fails when the answer comes from another address, or to another one of ours', () => {
    const other = { ip: '192.0.2.2', port: 5000 }
    for (const [from, at] of [
      [{ ip: '198.51.100.1', port: 6001 }, base],
      [peerAddress, other],
    ] as const) {
      const bench = new Bench()
      bench.remote(peerHost)
      bench.begin()
      const [check] = bench.sent()
      if (check) bench.receive(answerTo(check.message), from, at)
      expect(bench.agent.report().pairs[0]).toMatchObject({
        state: 'failed',
        why: expect.stringMatching(/^answered from/),
      })
    }
  })

  it('is not believed when somebody else answers it', () => {
    const bench = new Bench()
    bench.remote(peerHost)
    bench.begin()
    const [check] = bench.sent()
    if (!check) throw new Error('nothing was sent')
    const { transactionId } = check.message
    const attributes = [attribute(xorMappedAddress, base)]
    bench.receive(
      encodeMessage({ class: 'success', method: Method.binding, transactionId, attributes, fingerprint: true }),
    )
    expect(bench.agent.report().pairs[0]?.state).toBe('in-progress')
    bench.run(20_000)
    expect(bench.agent.report().pairs[0]?.why).toMatch(/integrity/)
  })

  it('finds our peer-reflexive address', () => {
    const bench = new Bench()
    bench.remote(peerHost)
    bench.begin()
    const [check] = bench.sent()
    if (check) bench.receive(answerTo(check.message, { ip: '203.0.113.9', port: 7000 }))
    expect(bench.agent.report().pairs[0]?.valid?.local).toMatchObject({
      type: 'prflx',
      host: '203.0.113.9',
      port: 7000,
      base,
      related: { host: base.ip, port: base.port },
      priority: 110 * 2 ** 24 + 65535 * 256 + 255,
    })
  })
})

describe('a check of the peer’s', () => {
  const answer = (bytes: Uint8Array): StunMessage | undefined => {
    const bench = new Bench()
    bench.receive(bytes)
    return bench.sent()[0]?.message
  }
  const code = (message: StunMessage | undefined): number | undefined => message && get(message, errorCode)?.code

  it('is answered before the peer’s description has come, with what its source looks like', () => {
    const reply = answer(peerCheck())
    expect(reply && get(reply, xorMappedAddress)).toEqual(peerAddress)
    expect(reply && verifyIntegrity(reply, shortTermKey(own.password)) && verifyFingerprint(reply)).toBe(true)
  })

  it.each([
    ['without USERNAME', 400, peerCheck([attribute(priority, 1)])],
    ['without integrity', 400, peerCheck(peerAttributes(), { integrity: undefined })],
    ['for somebody else', 401, peerCheck([attribute(username, 'theirs:peer'), attribute(priority, 1)])],
    ['with a wrong password', 401, peerCheck(peerAttributes(), { integrity: { key: shortTermKey('wrong') } })],
    ['with an unknown attribute', 420, peerCheck([...peerAttributes(), rawAttribute(0x7ffe, new Uint8Array(4))])],
    ['without PRIORITY', 400, peerCheck([attribute(username, 'ours:peer')])],
    [
      'of a larger tie-breaker in our role',
      undefined,
      peerCheck([...peerAttributes(), attribute(iceControlling, 2n ** 64n - 1n)]),
    ],
    ['of a smaller tie-breaker in our role', 487, peerCheck([...peerAttributes(), attribute(iceControlling, 0n)])],
  ])('%s: %s', (_, expected, bytes) => {
    const reply = answer(bytes)
    expect(reply).toBeDefined()
    expect(code(reply)).toBe(expected)
  })

  it('without FINGERPRINT, or of another method, deserves no answer', () => {
    expect(answer(peerCheck(peerAttributes(), { fingerprint: false }))).toBeUndefined()
    expect(answer(peerCheck(peerAttributes(), { method: Method.allocate }))).toBeUndefined()
  })

  it('triggers one of ours at once, and nominates when it says so', () => {
    const bench = new Bench({ role: 'controlled' })
    bench.begin()
    bench.end()
    bench.receive(peerCheck([...peerAttributes(), attribute(useCandidate, true)]))
    const check = bench.sent().find(({ message }) => message.class === 'request')
    expect(bench.agent.report().pairs[0]).toMatchObject({
      remote: { type: 'prflx', priority: 1853824767 },
      triggered: true,
      received: 1,
    })
    if (check) bench.receive(answerTo(check.message))
    expect(bench.agent.report().nominated).toMatchObject({ state: 'succeeded' })
  })
})

describe('order', () => {
  it('of one foundation one pair is checked first; its success frees the others', () => {
    const bench = new Bench({ taMs: 10 })
    // The same kind of candidate three times, and another one that is worth less.
    for (const port of [6000, 6001, 6002]) bench.remote(`1 1 udp ${2130706431 - port} 198.51.100.1 ${port} typ host`)
    bench.remote('2 1 udp 1694498815 203.0.113.1 6003 typ srflx')
    expect(bench.agent.report().pairs.map(({ state }) => state)).toEqual(['waiting', 'frozen', 'frozen', 'waiting'])
    bench.begin()
    const [first] = bench.sent()
    expect(first?.to.port).toBe(6000)
    if (first) bench.receive(answerTo(first.message))
    expect(bench.agent.report().pairs.map(({ state }) => state)).toEqual(['succeeded', 'waiting', 'waiting', 'waiting'])
  })

  it('but none is left unchecked', () => {
    const bench = new Bench()
    for (const port of [6000, 6001, 6002]) bench.remote(`1 1 udp ${2130706431 - port} 198.51.100.1 ${port} typ host`)
    bench.begin()
    bench.end()
    bench.run(40_000)
    expect(bench.agent.report().pairs.map(({ state, sent }) => [state, sent])).toEqual(
      Array.from({ length: 3 }, () => ['failed', 5]),
    )
  })
})

describe('bounds', () => {
  it('a hundred pairs, the best ones', () => {
    const bench = new Bench()
    for (let n = 1; n <= 20; n++) bench.local({ type: 'host', address: { ip: `10.0.0.${n}`, port: 5000 } })
    for (let n = 1; n <= 20; n++) bench.remote(`${n} 1 udp ${1000 + n} 198.51.100.${n} 6000 typ host`)
    const { pairs } = bench.agent.report()
    expect(pairs).toHaveLength(100)
    expect(Math.min(...pairs.map(({ remote }) => remote.priority))).toBeGreaterThan(1010)
  })

  it('everything has ended at the deadline, whatever the peer does', () => {
    const bench = new Bench({ deadlineMs: 3000 })
    for (let n = 1; n <= 90; n++) bench.remote(`${n} 1 udp ${1000 + n} 198.51.100.${n} 6000 typ host`)
    bench.begin()
    const settled = bench.run(3000).filter(({ kind }) => kind === 'settled')
    expect(settled).toHaveLength(1)
    const { pairs } = bench.agent.report()
    expect(pairs.every(({ state }) => state === 'failed')).toBe(true)
    expect(pairs.at(-1)?.why).toBe('not checked: time was up')
    expect(bench.agent.pollTimeout()).toBeUndefined()
  })

  it('candidates that can’t be checked are named with the reason', () => {
    const bench = new Bench()
    bench.remote('1 1 udp 1 abc.local 6000 typ host')
    bench.remote('1 1 tcp 1 198.51.100.1 6000 typ host tcptype passive')
    bench.remote(peerHost)
    bench.remote(peerHost)
    bench.local({ type: 'srflx', address: base, base, serverIp: '203.0.113.1' })
    expect(bench.agent.report().passedOver.map(({ side, why }) => [side, why])).toEqual([
      ['remote', 'the name abc.local has to be looked up first'],
      ['remote', 'checks are made over UDP only'],
      ['remote', 'it has the address of a host one'],
      ['local', 'it has the address and the base of a host one'],
    ])
  })

  it('what is no STUN is the application’s', () => {
    const bench = new Bench()
    // DTLS and RTP. RFC 7983 §7
    for (const first of [22, 128]) {
      bench.receive(Uint8Array.of(first, 1, 2, 3))
      expect(bench.effects()).toEqual([{ kind: 'data', bytes: Uint8Array.of(first, 1, 2, 3), base, from: peerAddress }])
    }
  })

  it('arbitrary and damaged datagrams never throw', () => {
    const damaged = fc
      .tuple(fc.constantFrom(peerCheck(), answerTo(decoded(peerCheck()))), fc.nat(120), fc.nat(255))
      .map(([bytes, at, value]) => bytes.map((byte, index) => (index === at % bytes.length ? value : byte)))
    const bench = new Bench()
    bench.remote(peerHost)
    bench.begin()
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => {
        bench.receive(bytes)
        bench.effects()
        expect(bench.agent.report().pairs.length).toBeLessThan(3)
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['a check of the peer', peerCheck()],
    ['one in our own role', peerCheck([...peerAttributes(), attribute(iceControlled, 0n)])],
  ])('a nomination that never comes is waited for once, also when %s comes meanwhile', (_, bytes) => {
    const bench = new Bench({ role: 'controlled' })
    bench.remote(peerHost)
    bench.begin()
    bench.end()
    const [check] = bench.sent()
    if (check) bench.receive(answerTo(check.message))
    bench.run(9000)
    bench.receive(bytes, { ...peerAddress, port: 7000 })
    const effects = bench.run(60_000)
    expect(effects.filter(({ kind }) => kind === 'settled')).toHaveLength(1)
    expect(bench.agent.report().pairs.map(({ state }) => state)).toEqual(['succeeded', 'failed'])
    expect(bench.agent.pollTimeout()).toBeUndefined()
  })

  it('whatever comes in whatever order: it never asks for a time that has passed, and comes to its end', () => {
    const from = (port: number): TransportAddress => ({ ...peerAddress, port: 6000 + port })
    const port = fc.nat(30)
    const step = fc.oneof(
      fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3000) }),
      fc.record({ do: fc.constant('candidate' as const), port }),
      fc.record({
        do: fc.constant('check' as const),
        port,
        nominates: fc.boolean(),
        tieBreaker: fc.bigInt(0n, 2n ** 64n - 1n),
      }),
      fc.record({ do: fc.constant('answer' as const), mapped: port, error: fc.constantFrom(undefined, 401, 487) }),
      fc.record({ do: fc.constant('begin' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom('controlling', 'controlled'), (steps, role) => {
        const bench = new Bench({ role })
        const open: { message: StunMessage; to: TransportAddress }[] = []
        const settle = (ms: number): void => {
          for (const effect of bench.run(ms)) {
            if (effect.kind === 'send') open.push({ message: decoded(effect.bytes), to: effect.to })
          }
          const next = bench.agent.pollTimeout()
          if (next !== undefined) expect(next).toBeGreaterThan(bench.now)
        }
        for (const action of steps) {
          if (action.do === 'candidate')
            bench.remote(`${action.port} 1 udp ${1000 + action.port} ${peerAddress.ip} ${6000 + action.port} typ host`)
          if (action.do === 'begin') bench.begin()
          if (action.do === 'check') {
            const extra = [
              attribute(iceControlling, action.tieBreaker),
              ...(action.nominates ? [attribute(useCandidate, true)] : []),
            ]
            bench.receive(peerCheck([...peerAttributes(), ...extra]), from(action.port))
          }
          const asked = action.do === 'answer' ? open.pop() : undefined
          if (action.do === 'answer' && asked?.message.class === 'request') {
            const { error, mapped } = action
            bench.receive(
              error === undefined ? answerTo(asked.message, from(mapped)) : refusal(asked.message, error),
              asked.to,
            )
          }
          settle(action.do === 'wait' ? action.ms : 0)
        }
        bench.begin()
        bench.end()
        settle(60_000)
        expect(bench.agent.pollTimeout()).toBeUndefined()
        expect(bench.agent.report().pairs.every(({ state }) => ['succeeded', 'failed', 'pruned'].includes(state))).toBe(
          true,
        )
      }),
    )
  })
})

const refusal = (request: StunMessage, code: number): Uint8Array =>
  encodeMessage({
    class: 'error',
    method: Method.binding,
    transactionId: request.transactionId,
    attributes: [attribute(errorCode, { code, reason: '' })],
    integrity: { key: shortTermKey(peer.password) },
    fingerprint: true,
  })
