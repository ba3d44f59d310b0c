import { describe, expect, it } from 'vitest'
import { type DeliveryFailure, instant } from '../../../src/core/index.ts'
import {
  ClientTransaction,
  type TransactionEffect,
  type TransactionOptions,
} from '../../../src/proto/stun/client-transaction.ts'
import { attribute, Method, priority, rawAttribute, software } from '../../../src/wire/index.ts'
import { bindingRequestBytes, failure, message, server, success, transactionId } from './messages.ts'

const request = bindingRequestBytes()
const send: TransactionEffect = { kind: 'send', bytes: request, to: server }
const portUnreachable: DeliveryFailure = { to: server, reason: 'port-unreachable', detail: 'ECONNREFUSED' }

/** A transaction begun at instant 0, with its first transmission drained. */
function begin(options: Partial<TransactionOptions> = {}): ClientTransaction {
  const transaction = new ClientTransaction({ request, to: server, ...options }, instant(0))
  expect(drain(transaction)).toEqual([send])
  return transaction
}

function drain(transaction: ClientTransaction): TransactionEffect[] {
  const effects: TransactionEffect[] = []
  for (let effect = transaction.pollEffect(); effect; effect = transaction.pollEffect()) effects.push(effect)
  return effects
}

/** Lets time pass from timeout to timeout and tells what happened when. */
function playOut(transaction: ClientTransaction): [at: number, kind: string][] {
  const events: [number, string][] = []
  for (let at = transaction.pollTimeout(); at !== undefined; at = transaction.pollTimeout()) {
    transaction.handleTimeout(at)
    for (const effect of drain(transaction)) {
      events.push([at, effect.kind === 'done' ? effect.outcome.kind : effect.kind])
    }
  }
  return events
}

describe('timing (RFC 8489 §6.2.1)', () => {
  it('sends at 0, 500, 1500, 3500, 7500, 15500 and 31500 ms and gives up at 39500 ms', () => {
    expect(playOut(begin())).toEqual([
      [500, 'send'],
      [1500, 'send'],
      [3500, 'send'],
      [7500, 'send'],
      [15_500, 'send'],
      [31_500, 'send'],
      [39_500, 'timeout'],
    ])
  })

  it('takes RTO, Rc and Rm from its options', () => {
    expect(playOut(begin({ timing: { rtoMs: 100, requestCount: 3, lastWaitFactor: 4 } }))).toEqual([
      [100, 'send'],
      [300, 'send'],
      [700, 'timeout'],
    ])
  })

  it('sends once over a reliable transport and waits 39.5 s (§6.2.2)', () => {
    expect(playOut(begin({ reliable: true }))).toEqual([[39_500, 'timeout']])
    expect(playOut(begin({ reliable: true, timing: { reliableTimeoutMs: 2000 } }))).toEqual([[2000, 'timeout']])
  })

  it('repeats the very same bytes', () => {
    const transaction = begin()
    transaction.handleTimeout(instant(500))
    const [again] = drain(transaction)
    expect(again?.kind === 'send' && again.bytes).toBe(request)
  })

  it('does nothing when called early or repeatedly', () => {
    const transaction = begin()
    transaction.handleTimeout(instant(0))
    transaction.handleTimeout(instant(499.9))
    expect(drain(transaction)).toEqual([])
    transaction.handleTimeout(instant(500))
    transaction.handleTimeout(instant(500))
    expect(drain(transaction)).toEqual([send])
    expect(transaction.pollTimeout()).toBe(1500)
  })

  it('sends once after a long pause, and gives the server its time', () => {
    const transaction = begin()
    transaction.handleTimeout(instant(60_000))
    expect(drain(transaction)).toEqual([send])
    expect(transaction.pollTimeout()).toBe(61_000)
  })
})

describe('replies', () => {
  it('ends with the success response and its round-trip time, and nothing is left', () => {
    const transaction = begin()
    const reply = success()
    transaction.handleInput({ kind: 'message', message: reply, from: server }, instant(42))
    expect(drain(transaction)).toEqual([
      {
        kind: 'done',
        outcome: { kind: 'success', message: reply, from: server, rttMs: 42, elapsedMs: 42, transmissions: 1 },
      },
    ])
    expect(transaction.pollTimeout()).toBeUndefined()
  })

  it("gives no round-trip time when the request was repeated (Karn's rule)", () => {
    const transaction = begin()
    transaction.handleTimeout(instant(500))
    drain(transaction)
    transaction.handleInput({ kind: 'message', message: success(), from: server }, instant(520))
    expect(drain(transaction)).toMatchObject([
      { kind: 'done', outcome: { kind: 'success', rttMs: undefined, elapsedMs: 520, transmissions: 2 } },
    ])
  })

  it('ends with an error response and its code', () => {
    const transaction = begin()
    const reply = failure(420, 'Unknown Attribute')
    transaction.handleInput({ kind: 'message', message: reply, from: server }, instant(5))
    expect(drain(transaction)).toMatchObject([
      {
        kind: 'done',
        outcome: { kind: 'error-response', error: { code: 420, reason: 'Unknown Attribute' }, rttMs: 5 },
      },
    ])
  })

  it('reports a reply from elsewhere as stray and goes on waiting', () => {
    const transaction = begin()
    const reply = success()
    for (const from of [
      { ip: server.ip, port: 3479 },
      { ip: '192.0.2.2', port: server.port },
    ]) {
      transaction.handleInput({ kind: 'message', message: reply, from }, instant(5))
      expect(drain(transaction)).toEqual([{ kind: 'stray', from, message: reply }])
    }
    expect(transaction.pollTimeout()).toBe(500)
    transaction.handleInput({ kind: 'message', message: reply, from: server }, instant(6))
    expect(drain(transaction)).toMatchObject([{ kind: 'done', outcome: { kind: 'success' } }])
  })

  it("leaves other transactions' messages alone", () => {
    const transaction = begin()
    transaction.handleInput(
      { kind: 'message', message: success({ transactionId: transactionId(8) }), from: server },
      instant(5),
    )
    expect(drain(transaction)).toEqual([])
    expect(transaction.pollTimeout()).toBe(500)
  })

  it.each([
    ['our own request, echoed', message({ class: 'request' })],
    ['an indication', message({ class: 'indication' })],
    ['a reply to another method', message({ method: Method.allocate })],
  ])('discards %s', (_, reply) => {
    const transaction = begin()
    transaction.handleInput({ kind: 'message', message: reply, from: server }, instant(5))
    expect(drain(transaction)).toMatchObject([{ kind: 'discarded', message: reply }])
    expect(playOut(transaction).at(-1)).toEqual([39_500, 'timeout'])
  })

  it('fails on unknown comprehension-required attributes and on an error without code (§6.3.3, §6.3.4)', () => {
    const unknown = begin()
    const strange = success({ attributes: [rawAttribute(0x7abc, new Uint8Array(4))] })
    unknown.handleInput({ kind: 'message', message: strange, from: server }, instant(5))
    expect(drain(unknown)).toMatchObject([
      { kind: 'done', outcome: { kind: 'invalid-response', why: 'unknown attributes 0x7abc' } },
    ])
    const codeless = begin()
    codeless.handleInput({ kind: 'message', message: message({ class: 'error' }), from: server }, instant(5))
    expect(drain(codeless)).toMatchObject([{ kind: 'done', outcome: { kind: 'invalid-response' } }])
  })

  it('does not mind known attributes it has no use for', () => {
    const transaction = begin()
    const reply = success({ attributes: [attribute(priority, 1), attribute(software, 'x')] })
    transaction.handleInput({ kind: 'message', message: reply, from: server }, instant(5))
    expect(drain(transaction)).toMatchObject([{ kind: 'done', outcome: { kind: 'success' } }])
  })

  it('is deaf after the end: late and duplicate replies, failures and timeouts', () => {
    const transaction = begin()
    transaction.handleInput({ kind: 'message', message: success(), from: server }, instant(5))
    drain(transaction)
    transaction.handleInput({ kind: 'message', message: success(), from: server }, instant(6))
    transaction.handleInput({ kind: 'message', message: failure(500, ''), from: server }, instant(6))
    transaction.handleInput({ kind: 'failure', failure: portUnreachable }, instant(7))
    transaction.handleInput({ kind: 'cancel' }, instant(7))
    transaction.handleTimeout(instant(100_000))
    expect(drain(transaction)).toEqual([])
    expect(transaction.pollTimeout()).toBeUndefined()
  })
})

describe('integrity', () => {
  const check: TransactionOptions['check'] = ({ attributes }) =>
    attributes.length > 1 ? { accepted: true } : { accepted: false, why: 'MESSAGE-INTEGRITY is missing' }

  it('treats a reply that fails as not arrived, and says at the end that it was no timeout (RFC 8489 §9.2.5)', () => {
    const transaction = begin({ check })
    transaction.handleInput({ kind: 'message', message: success(), from: server }, instant(5))
    expect(drain(transaction)).toMatchObject([{ kind: 'discarded', why: 'MESSAGE-INTEGRITY is missing' }])
    expect(playOut(transaction).at(-1)).toEqual([39_500, 'integrity-violated'])
  })

  it('still takes the true reply afterwards', () => {
    const transaction = begin({ check })
    transaction.handleInput({ kind: 'message', message: success(), from: server }, instant(5))
    drain(transaction)
    const reply = success({ attributes: [attribute(software, 'a'), attribute(software, 'b')] })
    transaction.handleInput({ kind: 'message', message: reply, from: server }, instant(6))
    expect(drain(transaction)).toMatchObject([{ kind: 'done', outcome: { kind: 'success', message: reply } }])
  })

  it('ends at once over a reliable transport', () => {
    const transaction = begin({ check, reliable: true })
    transaction.handleInput({ kind: 'message', message: success(), from: server }, instant(5))
    expect(drain(transaction)).toMatchObject([
      { kind: 'discarded' },
      { kind: 'done', outcome: { kind: 'integrity-violated', why: 'MESSAGE-INTEGRITY is missing' } },
    ])
    expect(transaction.pollTimeout()).toBeUndefined()
  })
})

describe('other ends', () => {
  it.each([server, undefined])('ends at once when delivery fails (to %o)', (to) => {
    const transaction = begin()
    const undeliverable: DeliveryFailure = { ...portUnreachable, to }
    transaction.handleInput({ kind: 'failure', failure: undeliverable }, instant(3))
    expect(drain(transaction)).toEqual([
      { kind: 'done', outcome: { kind: 'unreachable', failure: undeliverable, elapsedMs: 3, transmissions: 1 } },
    ])
    expect(transaction.pollTimeout()).toBeUndefined()
  })

  it('does not take the failure of another destination for its own', () => {
    const transaction = begin()
    transaction.handleInput(
      { kind: 'failure', failure: { ...portUnreachable, to: { ip: '192.0.2.2', port: 3478 } } },
      instant(3),
    )
    expect(drain(transaction)).toEqual([])
  })

  it('can be cancelled', () => {
    const transaction = begin()
    transaction.handleInput({ kind: 'cancel' }, instant(9))
    expect(drain(transaction)).toEqual([
      { kind: 'done', outcome: { kind: 'cancelled', elapsedMs: 9, transmissions: 1 } },
    ])
  })

  it('refuses what is no request', () => {
    for (const bytes of [new Uint8Array(3), success().bytes]) {
      expect(() => new ClientTransaction({ request: bytes, to: server }, instant(0))).toThrow(
        expect.objectContaining({ code: 'USAGE' }),
      )
    }
  })
})
