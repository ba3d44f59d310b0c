/** Packets that went wrong in every way: nothing throws, and what is answered keeps to its bounds. */
import { describe, expect, it } from 'vitest'
import { instant, sameAddress, type TransportAddress } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import {
  BindingResponder,
  checkReply,
  ClientTransaction,
  responderSockets,
  type TransactionEffect,
} from '../../../src/proto/stun/index.ts'
import {
  attribute,
  changeRequest,
  decodeMessage,
  encodeMessage,
  errorCode,
  get,
  longTermKey,
  Method,
  nonce,
  padding,
  priority,
  rawAttribute,
  realm,
  responseAddress,
  responsePort,
  username,
  xorMappedAddress,
} from '../../../src/wire/index.ts'
import { bindingRequestBytes, client, server } from './messages.ts'

const rounds = 150_000

/** One to three things that happen to packets, or that attackers do. */
function mutate(original: Uint8Array, random: SeededRandom): Uint8Array {
  let bytes = Uint8Array.from(original)
  for (let times = random.integer(1, 3); times > 0 && bytes.length >= 20; times--) {
    const at = random.integer(0, bytes.length - 1)
    switch (random.integer(0, 6)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7))
        break
      case 1:
        bytes[at] = random.integer(0, 255)
        break
      case 2:
        bytes = bytes.slice(0, at)
        break
      case 3:
        bytes = Uint8Array.from([...bytes, ...random.bytes(random.integer(1, 40))])
        break
      case 4:
        new DataView(bytes.buffer).setUint16(2, random.integer(0, 40) * (random.chance(0.75) ? 4 : 1))
        break
      case 5: {
        // A further attribute of any type and size, with the header's length right.
        const value = random.bytes(random.integer(0, 24))
        const extra = encodeMessage({
          class: 'request',
          method: 1,
          transactionId: new Uint8Array(12),
          attributes: [rawAttribute(random.integer(0, random.chance(0.5) ? 0x30 : 0xffff), value)],
        }).subarray(20)
        bytes = Uint8Array.from([...bytes, ...extra])
        new DataView(bytes.buffer).setUint16(2, bytes.length - 20)
        break
      }
      default:
        bytes.fill(random.integer(0, 255), at, at + random.integer(1, 8))
    }
  }
  return bytes
}

const requests: readonly Uint8Array[] = [
  bindingRequestBytes(),
  bindingRequestBytes([attribute(changeRequest, { changeIp: true, changePort: true })]),
  bindingRequestBytes([attribute(responsePort, 41_000)]),
  bindingRequestBytes([attribute(changeRequest, { changeIp: false, changePort: true }), attribute(responsePort, 3479)]),
  bindingRequestBytes([attribute(padding, new Uint8Array(1600))]),
  bindingRequestBytes([attribute(padding, new Uint8Array(16)), attribute(username, 'alice')]),
  bindingRequestBytes([attribute(priority, 7), rawAttribute(0x7fff, new Uint8Array(9))]),
  bindingRequestBytes([], new Uint8Array(16).fill(3)),
  bindingRequestBytes([attribute(changeRequest, { changeIp: true, changePort: false })], new Uint8Array(16).fill(3)),
  bindingRequestBytes([attribute(responseAddress, { ip: '198.51.100.1', port: 53 })], new Uint8Array(16).fill(3)),
  encodeMessage({ class: 'request', method: Method.binding, transactionId: new Uint8Array(12), fingerprint: true }),
]

/** The longest answer a request of this length may get, as BindingResponder promises. */
function allowance(length: number, error: boolean, described: number): number {
  // ERROR-CODE with its phrase, UNKNOWN-ATTRIBUTES with two bytes for at least four of the request, FINGERPRINT.
  return error ? 64 + length / 2 : Math.max(20 + described + 8, length)
}

describe('the Binding responder', () => {
  const alternates = { alternateIp: '192.0.2.2', alternatePort: 3479 }
  const from6 = { ip: '2001:db8:9::9', port: 5000 }
  it.each([
    { name: 'four sockets', from: client, described: 4 * 12, options: { primary: server, ...alternates } },
    { name: 'one socket', from: client, described: 12, options: { primary: server } },
    {
      name: 'four IPv6 sockets',
      from: from6,
      described: 4 * 24,
      options: { primary: { ip: '2001:db8::1', port: 3478 }, alternateIp: '2001:db8::2', alternatePort: 3479 },
    },
  ])('on $name answers well or not at all', ({ name, from, described, options }) => {
    const random = new SeededRandom(name)
    const responder = new BindingResponder(options)
    const own = responderSockets.map((socket) => responder.addressOf(socket))
    const seen = { success: 0, error: 0, nothing: 0 }
    for (let round = 0; round < rounds; round++) {
      const original = requests[round % requests.length] ?? new Uint8Array()
      const bytes = random.chance(0.02) ? random.bytes(random.integer(0, 60)) : mutate(original, random)
      const source: TransportAddress = random.chance(0.1) ? (own[round % 4] ?? from) : from
      const before = Uint8Array.from(bytes)
      const reply = responder.respond(bytes, source, responderSockets[round % 4] ?? 'primary')
      if (Buffer.compare(before, bytes) !== 0) throw new Error('the request was changed')
      if (!reply) {
        seen.nothing++
        continue
      }
      const decoded = decodeMessage(reply.bytes)
      const wrong = (what: string): Error => new Error(`${what}: ${Buffer.from(bytes).toString('hex')}`)
      if (!decoded.ok || decoded.value.bytes.length !== reply.bytes.length) throw wrong('malformed answer')
      const { class: messageClass } = decoded.value
      if (messageClass !== 'success' && messageClass !== 'error') throw wrong(`a ${messageClass}`)
      if (reply.bytes.length > allowance(bytes.length, messageClass === 'error', described)) throw wrong('too long')
      if (Buffer.compare(reply.bytes.subarray(4, 20), bytes.subarray(4, 20)) !== 0) throw wrong('another id')
      if (reply.to.ip !== source.ip || reply.to.port === 0) throw wrong('to somebody else')
      if (own.some((address) => sameAddress(address, reply.to))) throw wrong('to itself')
      const code = get(decoded.value, errorCode)?.code
      if (messageClass === 'error' && code !== 400 && code !== 420) throw wrong(`error ${code}`)
      seen[messageClass]++
    }
    // Each kind of answer has been seen often, or the mutations would prove little.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(rounds / 100)
  })
})

describe('the client transaction', () => {
  const key = longTermKey({ username: 'alice', realm: 'example.org', password: 'secret' })
  const request = bindingRequestBytes()
  const reply = (integrity: { key: Uint8Array; algorithm: 'sha1' | 'sha256' }): Uint8Array =>
    encodeMessage({
      class: 'success',
      method: Method.binding,
      transactionId: request.subarray(8, 20),
      attributes: [attribute(xorMappedAddress, client), attribute(realm, 'example.org'), attribute(nonce, 'n')],
      integrity,
      fingerprint: true,
    })

  it.each(['sha1', 'sha256'] as const)('takes no mutated reply for an authenticated success (%s)', (algorithm) => {
    const random = new SeededRandom(algorithm)
    const original = reply({ key, algorithm })
    const seen = new Map<string, number>()
    for (let round = 0; round < rounds / 2; round++) {
      const bytes = mutate(original, random)
      const decoded = decodeMessage(bytes)
      if (!decoded.ok) continue
      const transaction = new ClientTransaction(
        { request, to: server, check: (message) => checkReply(message, { key, algorithm }, 'long-term') },
        instant(0),
      )
      transaction.handleInput({ kind: 'message', message: decoded.value, from: server }, instant(1))
      for (let effect = transaction.pollEffect(); effect; effect = transaction.pollEffect()) {
        const kind = kindOf(effect)
        seen.set(kind, (seen.get(kind) ?? 0) + 1)
        if (kind !== 'success') continue
        // What integrity covers is whole: only FINGERPRINT and what follows it may differ, and with it the length.
        const sealedEnd = original.length - 8
        const same =
          Buffer.compare(bytes.subarray(0, 2), original.subarray(0, 2)) === 0 &&
          Buffer.compare(bytes.subarray(4, sealedEnd), original.subarray(4, sealedEnd)) === 0
        if (!same) throw new Error(`believed ${Buffer.from(bytes).toString('hex')}`)
      }
    }
    for (const kind of ['success', 'discarded']) expect(seen.get(kind)).toBeGreaterThan(100)
  })
})

const kindOf = (effect: TransactionEffect): string => (effect.kind === 'done' ? effect.outcome.kind : effect.kind)
