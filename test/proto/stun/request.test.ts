import { describe, expect, it } from 'vitest'
import { RttEstimator, type TransactionTiming } from '../../../src/proto/stun/index.ts'
import { decodeMessage, Method, verifyFingerprint } from '../../../src/wire/index.ts'
import { AuthServer, user } from './auth-server.ts'
import { client as mapped, expectOk, server, success } from './messages.ts'
import { type Answerer, virtualClient } from './virtual-client.ts'

const binding = { method: Method.binding }
const reply: Answerer = (request) => [success({ transactionId: expectOk(decodeMessage(request)).transactionId }).bytes]
const silence: Answerer = () => []

describe('a request', () => {
  it('is answered', async () => {
    const { clock, client, sentAt } = virtualClient(reply)
    const outcome = await clock.run(client.request(binding))
    expect(outcome).toMatchObject({
      kind: 'success',
      from: server,
      rttMs: 20,
      elapsedMs: 20,
      totalMs: 20,
      transmissions: 1,
      transactions: 1,
      authenticated: false,
      strays: [],
      discarded: [],
    })
    expect(sentAt).toEqual([0])
  })

  it('is repeated until it is answered', async () => {
    const { clock, client, sentAt } = virtualClient((request, nth) => (nth < 2 ? [] : reply(request, nth)))
    const outcome = await clock.run(client.request(binding))
    expect(outcome).toMatchObject({ kind: 'success', rttMs: undefined, transmissions: 3, elapsedMs: 1520 })
    expect(sentAt).toEqual([0, 500, 1500])
  })

  it('times out by RFC 8489, or at its deadline when that is earlier', async () => {
    const { clock, client, sentAt } = virtualClient(silence)
    expect(await clock.run(client.request(binding))).toMatchObject({ kind: 'timeout', totalMs: 39_500 })
    expect(sentAt).toEqual([0, 500, 1500, 3500, 7500, 15_500, 31_500])
    const again = await clock.run(client.request({ ...binding, timeoutMs: 1200 }))
    expect(again).toMatchObject({ kind: 'timeout', totalMs: 1200, transmissions: 2 })
  })

  it('has one deadline for all of its transactions', async () => {
    const server = new AuthServer({ stale: () => true })
    const { clock, client } = virtualClient((request) => [server.answer(request)], { credentials: user })
    const outcome = await clock.run(client.request({ ...binding, timeoutMs: 50 }))
    expect(outcome).toMatchObject({ kind: 'timeout', transactions: 3, totalMs: 50 })
  })

  it('leaves nothing scheduled', async () => {
    const { clock, client } = virtualClient(reply)
    await clock.run(client.request({ ...binding, timeoutMs: 5000 }))
    const { executed } = clock
    await clock.advance(100_000)
    expect(clock.executed).toBe(executed)
  })

  it('can be aborted, before and while it runs', async () => {
    const { clock, client, sentAt } = virtualClient(silence)
    const aborted = await clock.run(client.request({ ...binding, signal: AbortSignal.abort() }))
    expect(aborted).toMatchObject({ kind: 'cancelled', transmissions: 0 })
    expect(sentAt).toEqual([])
    const controller = new AbortController()
    const running = client.request({ ...binding, signal: controller.signal })
    await clock.advance(700)
    controller.abort()
    expect(await clock.run(running)).toMatchObject({ kind: 'cancelled', totalMs: 700, transmissions: 2 })
  })

  it('ends at once when delivery fails', async () => {
    const { clock, client } = virtualClient(silence)
    const running = client.request(binding)
    await clock.advance(3)
    client.fail({ to: server, reason: 'port-unreachable', detail: 'ECONNREFUSED' })
    expect(await clock.run(running)).toMatchObject({
      kind: 'unreachable',
      failure: { reason: 'port-unreachable' },
      elapsedMs: 3,
    })
  })

  it('runs beside others, and each gets its own answer', async () => {
    const held: Uint8Array[] = []
    const { clock, client } = virtualClient((request, nth) => {
      held.push(...reply(request, nth))
      // Both answers at once, the later one first.
      return held.length === 2 ? held.toReversed() : []
    })
    const work = Promise.all([client.request(binding), client.request(binding)])
    const [first, second] = await clock.run(work)
    if (first?.kind !== 'success' || second?.kind !== 'success') throw new Error('not answered')
    expect(first.message.transactionId).not.toEqual(second.message.transactionId)
    expect([first.transmissions, second.transmissions]).toEqual([1, 1])
  })

  it('notes strays, but not without end', async () => {
    const { clock, client } = virtualClient(silence)
    const running = client.request({ ...binding, timeoutMs: 100 })
    const stray = success({ transactionId: new Uint8Array(12).fill(1) })
    for (let i = 0; i < 50; i++) expect(client.receive(stray, mapped)).toBe(true)
    const outcome = await clock.run(running)
    expect(outcome.kind).toBe('timeout')
    expect(outcome.strays).toHaveLength(8)
    expect(outcome.strays[0]).toMatchObject({ from: mapped })
  })

  it('carries FINGERPRINT when told to', async () => {
    const seen: boolean[] = []
    const { clock, client } = virtualClient(
      (request, nth) => {
        seen.push(verifyFingerprint(expectOk(decodeMessage(request))))
        return reply(request, nth)
      },
      { fingerprint: true },
    )
    await clock.run(client.request(binding))
    expect(seen).toEqual([true])
  })
})

describe('what arrives', () => {
  it('is ours only while the request is open', async () => {
    const { clock, client } = virtualClient(reply)
    const running = client.request(binding)
    const answer = success({ transactionId: new Uint8Array(12).fill(1) }).bytes
    expect(client.receiveDatagram(new Uint8Array([1, 2, 3]), server)).toBe(false)
    expect(client.receiveDatagram(success().bytes, server)).toBe(false)
    expect(client.receiveDatagram(answer, server)).toBe(true)
    expect(client.receiveDatagram(answer, server)).toBe(false)
    expect((await clock.run(running)).kind).toBe('success')
  })

  it('may be mutated in any way without harm', async () => {
    const { clock, client } = virtualClient(silence)
    const running = client.request({ ...binding, timeoutMs: 100 })
    const answer = success({ transactionId: new Uint8Array(12).fill(1), fingerprint: true }).bytes
    for (let at = 20; at < answer.length; at++) {
      for (let value = 0; value < 256; value += 17) {
        // From elsewhere, so that none of them may end the request.
        client.receiveDatagram(Uint8Array.from(answer).fill(value, at, at + 1), mapped)
      }
    }
    expect((await clock.run(running)).kind).toBe('timeout')
  })
})

describe('RTO', () => {
  it('is learned from unambiguous answers', async () => {
    let lose = false
    const { clock, client, sentAt } = virtualClient((request, nth) => (lose ? [] : reply(request, nth)))
    await clock.run(client.request(binding))
    // SRTT 20, RTTVAR 10: RTO 60.
    expect([client.rtt.srtt, client.rtt.rto()]).toEqual([20, 60])
    lose = true
    const start = clock.now()
    await clock.run(client.request({ ...binding, timeoutMs: 500 }))
    expect(sentAt.slice(1).map((at) => at - start)).toEqual([0, 60, 180, 420])
  })

  it('backs off after an ambiguous one, which is no sample', async () => {
    const { clock, client } = virtualClient((request, nth) => (nth === 0 ? [] : reply(request, nth)))
    await clock.run(client.request(binding))
    expect([client.rtt.srtt, client.rtt.rto()]).toEqual([undefined, 1000])
    await clock.run(client.request(binding))
    expect([client.rtt.srtt, client.rtt.rto()]).toEqual([20, 60])
  })

  it('is shared with others who ask the same server', async () => {
    const rtt = new RttEstimator()
    const { clock, client } = virtualClient(reply, { rtt })
    await clock.run(client.request(binding))
    expect(rtt.srtt).toBe(20)
  })

  it('yields to a timing that names it', async () => {
    const timing: Partial<TransactionTiming> = { rtoMs: 100, requestCount: 3, lastWaitFactor: 2 }
    const { clock, client, sentAt } = virtualClient(silence, { timing })
    expect(await clock.run(client.request(binding))).toMatchObject({ kind: 'timeout', totalMs: 500 })
    expect(sentAt).toEqual([0, 100, 300])
  })
})

describe('a stream', () => {
  it('carries a request once, and is waited for 39.5 s', async () => {
    const { clock, client, sentAt } = virtualClient(silence, { reliable: true })
    expect(await clock.run(client.request(binding))).toMatchObject({ kind: 'timeout', totalMs: 39_500 })
    expect(sentAt).toEqual([0])
  })

  it('that ends takes open and later requests with it', async () => {
    const { clock, client, sentAt } = virtualClient(silence, { reliable: true })
    const running = client.request(binding)
    await clock.advance(5)
    client.closed('the server closed the connection')
    expect(await clock.run(running)).toMatchObject({ kind: 'closed', why: 'the server closed the connection' })
    expect(await clock.run(client.request(binding))).toMatchObject({ kind: 'closed', transmissions: 0 })
    expect(sentAt).toEqual([0])
  })

  it('with an unsigned reply is over at once', async () => {
    const server = new AuthServer()
    const { clock, client } = virtualClient(
      (request, nth) => (nth === 0 ? [server.answer(request)] : reply(request, nth)),
      { reliable: true, credentials: user },
    )
    expect(await clock.run(client.request(binding))).toMatchObject({
      kind: 'integrity-violated',
      transactions: 2,
      totalMs: 40,
    })
  })
})
