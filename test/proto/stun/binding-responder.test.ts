import { describe, expect, it } from 'vitest'
import type { TransportAddress } from '../../../src/core/index.ts'
import {
  type BindingReply,
  BindingResponder,
  type BindingResponderOptions,
  type ResponderSocket,
  responderSockets,
} from '../../../src/proto/stun/binding-responder.ts'
import {
  type AttributeCodec,
  attribute,
  attributeName,
  changedAddress,
  changeRequest,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  get,
  isClassic,
  mappedAddress,
  type MessageToEncode,
  Method,
  messageIntegrity,
  otherAddress,
  padding,
  priority,
  rawAttribute,
  responseAddress,
  responseOrigin,
  responsePort,
  sourceAddress,
  type StunMessage,
  transactionKey,
  unknownAttributes,
  username,
  verifyFingerprint,
  xorMappedAddress,
} from '../../../src/wire/index.ts'
import { bindingRequestBytes, client, expectOk, transactionId } from './messages.ts'

const addresses: Record<ResponderSocket, TransportAddress> = {
  primary: { ip: '192.0.2.1', port: 3478 },
  'alternate-port': { ip: '192.0.2.1', port: 3479 },
  'alternate-ip': { ip: '192.0.2.2', port: 3478 },
  'alternate-ip-and-port': { ip: '192.0.2.2', port: 3479 },
}
const twoIps: BindingResponderOptions = { primary: addresses.primary, alternateIp: '192.0.2.2', alternatePort: 3479 }
const four = new BindingResponder(twoIps)
const single = new BindingResponder({ primary: addresses.primary })
const twoPorts = new BindingResponder({ primary: addresses.primary, alternatePort: 3479 })

const classicRequest = (attributes: readonly EncodableAttribute[] = []): Uint8Array =>
  bindingRequestBytes(attributes, new Uint8Array(16).fill(9))

interface Answer extends BindingReply {
  readonly message: StunMessage
}

function ask(
  responder: BindingResponder,
  bytes: Uint8Array,
  on: ResponderSocket = 'primary',
  from: TransportAddress = client,
): Answer {
  const reply = responder.respond(bytes, from, on)
  if (!reply) throw new Error('no reply')
  return { ...reply, message: expectOk(decodeMessage(reply.bytes)) }
}

const names = ({ message }: Answer): string[] => message.attributes.map(({ type }) => attributeName(type))
const code = ({ message }: Answer): number | undefined => get(message, errorCode)?.code
const value = <T>({ message }: Answer, codec: AttributeCodec<T>): T | undefined => get(message, codec)

describe('RFC 8489', () => {
  it('answers a bare request of 20 bytes with XOR-MAPPED-ADDRESS alone, 32 bytes', () => {
    const answer = ask(single, bindingRequestBytes())
    expect(names(answer)).toEqual(['XOR-MAPPED-ADDRESS'])
    expect(value(answer, xorMappedAddress)).toEqual(client)
    expect(answer.bytes.length).toBe(32)
    expect(answer).toMatchObject({ to: client, from: 'primary', message: { class: 'success', method: Method.binding } })
    expect(transactionKey(answer.message.transactionId)).toBe(transactionKey(transactionId(7)))
  })

  it('answers IPv6 clients', () => {
    const responder = new BindingResponder({ primary: { ip: '2001:db8::1', port: 3478 } })
    const from = { ip: '2001:db8:9::9', port: 5000 }
    const answer = ask(responder, bindingRequestBytes(), 'primary', from)
    expect(value(answer, xorMappedAddress)).toEqual(from)
    expect(answer.bytes.length).toBe(44)
  })

  it.each(['223.255.255.254', '1.0.0.1', '127.0.0.1', '10.0.0.9', '::1', 'ff::1', 'fe80::1%eth0'])(
    'answers %s',
    (ip) => {
      expect(ask(single, bindingRequestBytes(), 'primary', { ip, port: 5000 }).to.ip).toBe(ip)
    },
  )

  it('gives a retransmission the same answer', () => {
    expect(ask(four, bindingRequestBytes()).bytes).toEqual(ask(four, bindingRequestBytes()).bytes)
  })

  it('adds FINGERPRINT when the request has it, and ignores a request whose FINGERPRINT is wrong', () => {
    const parts: MessageToEncode = {
      class: 'request',
      method: Method.binding,
      transactionId: transactionId(1),
      fingerprint: true,
    }
    const request = encodeMessage(parts)
    const answer = ask(four, request)
    expect(names(answer).at(-1)).toBe('FINGERPRINT')
    expect(verifyFingerprint(answer.message)).toBe(true)
    const broken = Uint8Array.from(request)
    broken[12] = (broken[12] ?? 0) ^ 1
    expect(four.respond(broken, client, 'primary')).toBeUndefined()
    const failing = ask(four, encodeMessage({ ...parts, attributes: [attribute(priority, 1)] }))
    expect([code(failing), verifyFingerprint(failing.message)]).toEqual([420, true])
  })

  it('names unknown comprehension-required attributes in a 420', () => {
    const unknown = [
      rawAttribute(0x7001, new Uint8Array(2)),
      attribute(priority, 1),
      rawAttribute(0x7001, new Uint8Array()),
    ]
    const answer = ask(four, bindingRequestBytes(unknown), 'alternate-port')
    expect(answer).toMatchObject({ from: 'alternate-port', to: client, message: { class: 'error' } })
    expect(code(answer)).toBe(420)
    expect(value(answer, unknownAttributes)).toEqual([0x7001, priority.type])
  })

  it('ignores unknown optional attributes and credentials it did not ask for', () => {
    const request = encodeMessage({
      class: 'request',
      method: Method.binding,
      transactionId: transactionId(1),
      attributes: [rawAttribute(0xff77, new Uint8Array(3)), attribute(username, 'alice')],
      integrity: { key: new Uint8Array(16), algorithm: 'both' },
    })
    expect(names(ask(single, request))).toEqual(['XOR-MAPPED-ADDRESS'])
  })

  it('does not act on what follows MESSAGE-INTEGRITY', () => {
    const request = bindingRequestBytes([
      rawAttribute(messageIntegrity.type, new Uint8Array(20)),
      attribute(changeRequest, { changeIp: true, changePort: true }),
    ])
    expect(ask(four, request).from).toBe('primary')
  })

  it.each([
    ['an indication', encodeMessage({ class: 'indication', method: Method.binding, transactionId: transactionId(1) })],
    [
      'a success response',
      encodeMessage({ class: 'success', method: Method.binding, transactionId: transactionId(1) }),
    ],
    ['an error response', encodeMessage({ class: 'error', method: Method.binding, transactionId: transactionId(1) })],
    ['another method', encodeMessage({ class: 'request', method: Method.allocate, transactionId: transactionId(1) })],
    ['nothing', new Uint8Array()],
    ['a truncated request', bindingRequestBytes().subarray(0, 19)],
    ['bytes after the message', new Uint8Array([...bindingRequestBytes(), 0])],
    ['text', new TextEncoder().encode('GET / HTTP/1.1\r\nHost: stun\r\n\r\n')],
  ])('ignores %s', (_, bytes) => {
    for (const on of responderSockets) expect(four.respond(bytes, client, on)).toBeUndefined()
  })

  it.each([
    { ip: client.ip, port: 0 },
    { ip: '0.0.0.0', port: 5000 },
    { ip: '255.255.255.255', port: 5000 },
    { ip: '224.0.0.1', port: 5000 },
    { ip: '::', port: 5000 },
    { ip: 'ff02::1', port: 5000 },
    ...Object.values(addresses),
  ])('sends nothing to %o', (from) => {
    for (const bytes of [bindingRequestBytes(), bindingRequestBytes([attribute(priority, 1)]), classicRequest()]) {
      expect(four.respond(bytes, from, 'primary')).toBeUndefined()
    }
  })
})

describe('RFC 5780', () => {
  it('tells both mapped addresses, where the answer comes from, and the other address (§6.1)', () => {
    const answer = ask(four, bindingRequestBytes())
    expect(names(answer)).toEqual(['XOR-MAPPED-ADDRESS', 'MAPPED-ADDRESS', 'RESPONSE-ORIGIN', 'OTHER-ADDRESS'])
    expect(value(answer, xorMappedAddress)).toEqual(client)
    expect(value(answer, mappedAddress)).toEqual(client)
    expect(answer.bytes.length).toBe(68)
  })

  const changes = [
    [0, { changeIp: false, changePort: false }],
    [1, { changeIp: false, changePort: true }],
    [2, { changeIp: true, changePort: false }],
    [3, { changeIp: true, changePort: true }],
  ] as const
  const cases = responderSockets.flatMap((on, at) =>
    changes.map(([bits, change]) => ({
      on,
      change,
      from: responderSockets[at ^ bits],
      other: responderSockets[at ^ 3],
    })),
  )
  it.each(cases)('on $on, $change answers from $from (§6.1 table 1)', ({ on, change, from, other }) => {
    if (!from || !other) throw new Error('a socket has a name')
    const answer = ask(four, bindingRequestBytes([attribute(changeRequest, change)]), on)
    expect(answer).toMatchObject({ from, to: client })
    expect(value(answer, responseOrigin)).toEqual(addresses[from])
    // It is relative to where the request arrived, whatever was changed.
    expect(value(answer, otherAddress)).toEqual(addresses[other])
  })

  it.each([
    ['one socket', single],
    ['two ports of one IP', twoPorts],
  ])('with %s refuses CHANGE-REQUEST and tells no OTHER-ADDRESS (§6.1)', (_, responder) => {
    for (const changePort of [true, false]) {
      const answer = ask(responder, bindingRequestBytes([attribute(changeRequest, { changeIp: false, changePort })]))
      expect([code(answer), value(answer, unknownAttributes)]).toEqual([420, [changeRequest.type]])
    }
    expect(names(ask(responder, bindingRequestBytes()))).toEqual(['XOR-MAPPED-ADDRESS'])
  })

  it('answers on the second port of one IP from there', () => {
    expect(ask(twoPorts, bindingRequestBytes(), 'alternate-port')).toMatchObject({ from: 'alternate-port', to: client })
    expect(twoPorts.addressOf('alternate-port')).toEqual(addresses['alternate-port'])
  })

  it.each([
    ['two', attribute(responsePort, 41_000)],
    ['four', rawAttribute(responsePort.type, new Uint8Array([0xa0, 0x28, 0, 0]))],
  ])('answers to RESPONSE-PORT of %s bytes, telling the mapped address as it is', (_, wish) => {
    for (const responder of [four, single]) {
      const answer = ask(responder, bindingRequestBytes([wish]))
      expect(answer.to).toEqual({ ip: client.ip, port: 41_000 })
      expect(value(answer, xorMappedAddress)).toEqual(client)
    }
  })

  it('combines RESPONSE-PORT with CHANGE-REQUEST', () => {
    const wishes = [attribute(changeRequest, { changeIp: true, changePort: true }), attribute(responsePort, 41_000)]
    expect(ask(four, bindingRequestBytes(wishes))).toMatchObject({
      from: 'alternate-ip-and-port',
      to: { ip: client.ip, port: 41_000 },
    })
  })

  it.each([
    ['RESPONSE-PORT with PADDING (§6.1)', [attribute(responsePort, 41_000), attribute(padding, new Uint8Array(4))]],
    ['RESPONSE-PORT 0', [attribute(responsePort, 0)]],
    ['RESPONSE-PORT of one byte', [rawAttribute(responsePort.type, new Uint8Array(1))]],
    ['CHANGE-REQUEST of two bytes', [rawAttribute(changeRequest.type, new Uint8Array(2))]],
  ])('refuses %s with 400, to where it came from', (_, attributes) => {
    const answer = ask(four, bindingRequestBytes(attributes))
    expect([code(answer), answer.from, answer.to]).toEqual([400, 'primary', client])
  })

  it('does not let RESPONSE-PORT reach its own sockets', () => {
    const request = bindingRequestBytes([attribute(responsePort, 3479)])
    expect(four.respond(request, { ip: '192.0.2.2', port: 5000 }, 'primary')).toBeUndefined()
  })

  it.each([0, 4, 47, 100, 1472, 9000, 65_000])('answers %i bytes of PADDING with no more than came', (length) => {
    const request = bindingRequestBytes([attribute(padding, new Uint8Array(length))])
    const answer = ask(four, request)
    const returned = value(answer, padding)
    expect(returned?.length).toBeLessThanOrEqual(Math.min(length, 1500))
    expect(answer.bytes.length).toBeLessThanOrEqual(Math.max(request.length, 72))
    if (length >= 1472) expect(answer.bytes.length).toBeGreaterThan(1472)
  })
})

describe('RFC 3489', () => {
  it('answers in kind: no cookie, no XOR, with SOURCE-ADDRESS and CHANGED-ADDRESS', () => {
    const answer = ask(four, classicRequest())
    expect(isClassic(answer.message)).toBe(true)
    expect(answer.message.transactionId).toEqual(new Uint8Array(16).fill(9))
    expect(names(answer)).toEqual(['MAPPED-ADDRESS', 'SOURCE-ADDRESS', 'CHANGED-ADDRESS'])
    expect(value(answer, mappedAddress)).toEqual(client)
    expect(value(answer, sourceAddress)).toEqual(addresses.primary)
    expect(value(answer, changedAddress)).toEqual(addresses['alternate-ip-and-port'])
  })

  it('obeys CHANGE-REQUEST (tests II and III)', () => {
    const both = ask(four, classicRequest([attribute(changeRequest, { changeIp: true, changePort: true })]))
    expect([both.from, value(both, sourceAddress)]).toEqual([
      'alternate-ip-and-port',
      addresses['alternate-ip-and-port'],
    ])
    const port = ask(four, classicRequest([attribute(changeRequest, { changeIp: false, changePort: true })]))
    expect(port.from).toBe('alternate-port')
  })

  it('keeps to 32 bytes without an alternate address', () => {
    expect(ask(single, classicRequest()).bytes.length).toBe(32)
  })

  it('refuses RESPONSE-ADDRESS, in either framing: it would be sent to a stranger', () => {
    const elsewhere = attribute(responseAddress, { ip: '198.51.100.1', port: 53 })
    for (const request of [classicRequest([elsewhere]), bindingRequestBytes([elsewhere])]) {
      const answer = ask(four, request)
      expect([code(answer), answer.to]).toEqual([420, client])
      expect(value(answer, unknownAttributes)).toContain(responseAddress.type)
    }
  })

  it('can be switched off', () => {
    const responder = new BindingResponder({ ...twoIps, classic: false })
    expect(responder.respond(classicRequest(), client, 'primary')).toBeUndefined()
    expect(responder.respond(bindingRequestBytes(), client, 'primary')).toBeDefined()
  })
})

describe('options', () => {
  it.each<[string, BindingResponderOptions]>([
    ['one IP twice', { ...twoIps, alternateIp: '192.0.2.1' }],
    ['one port twice', { ...twoIps, alternatePort: 3478 }],
    ['two families', { ...twoIps, alternateIp: '2001:db8::2' }],
    ['a wildcard', { ...twoIps, primary: { ip: '0.0.0.0', port: 3478 } }],
  ])('refuses %s', (_, options) => {
    expect(() => new BindingResponder(options)).toThrow(
      expect.objectContaining({ code: 'USAGE', fix: expect.any(String) }),
    )
  })
})
