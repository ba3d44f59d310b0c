import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AttributeCodec,
  attribute,
  changeRequest,
  channelNumber,
  encodeMessage,
  errorCode,
  get,
  getAll,
  icmp,
  lifetime,
  loggingId,
  Method,
  mappedAddress,
  messageIntegritySha256,
  nonce,
  passwordAlgorithms,
  rawAttribute,
  read,
  realm,
  requestedAddressFamily,
  responsePort,
  type StunMessage,
  software,
  toChannelNumber,
  transactionTransmitCounter,
  unknownAttributes,
  useCandidate,
  username,
  xorMappedAddress,
  xorPeerAddress,
} from '../../../src/wire/index.ts'
import { codecs, transactionId, values } from '../codecs.ts'
import { decoded, fromHex } from '../vectors.ts'

const id = fromHex('000102030405060708090a0b')

/** A message with one attribute whose value is given in hex. */
function messageWith(codec: { type: number }, hex: string, transactionId: Uint8Array = id): StunMessage {
  const attributes = [rawAttribute(codec.type, fromHex(hex))]
  return decoded(encodeMessage({ class: 'success', method: Method.binding, transactionId, attributes }))
}

/** The value in hex. */
function encoded<T>(codec: AttributeCodec<T>, value: T, transactionId: Uint8Array = id): string {
  const attributes = [attribute(codec, value)]
  const message = decoded(encodeMessage({ class: 'success', method: Method.binding, transactionId, attributes }))
  return Buffer.from(message.attributes[0]?.value ?? []).toString('hex')
}

test('every codec has values to be tested with', () => {
  expect(Object.keys(values).toSorted()).toEqual([...codecs.keys()].toSorted())
})

describe.each([...codecs])('%s', (name, codec) => {
  test('reads what it writes, in both framings, at any offset', () => {
    const value = values[name] ?? fc.constant(undefined)
    fc.assert(
      fc.property(value, transactionId, fc.uint8Array({ maxLength: 9 }), (value, transactionId, before) => {
        const attributes = [rawAttribute(0x7fff, before), attribute(codec, value)]
        const message = { class: 'request', method: Method.binding, transactionId, attributes } as const
        expect(read(decoded(encodeMessage(message)), codec)).toEqual({ ok: true, value })
      }),
      { seed: 8489, numRuns: 200 },
    )
  })

  test('is undefined where it is absent', () => {
    const message = messageWith({ type: 0x7fff }, '')
    expect(get(message, codec)).toBeUndefined()
    expect(read(message, codec)).toBeUndefined()
  })
})

test.each<[string, AttributeCodec<unknown>, string, string]>([
  ['an address of no family', mappedAddress, '0003000101020304', 'family 3'],
  ['an IPv4 address of 5 bytes', mappedAddress, '000100010102030405', 'has 5 bytes, not 4'],
  ['an IPv6 address of 4 bytes', xorMappedAddress, '0002000101020304', 'has 4 bytes, not 16'],
  ['an address cut off', xorMappedAddress, '0001', 'ends after 0 of 2 bytes'],
  ['a number of 2 bytes', lifetime, '0001', 'has 2 bytes, not 4'],
  ['a number of 8 bytes', lifetime, '0000000100000001', 'has 8 bytes, not 4'],
  ['a flag with a value', useCandidate, '00', 'has 1 bytes, not 0'],
  ['an empty error', errorCode, '', 'ends after 0 of 2 bytes'],
  ['an error of class 7', errorCode, '00000700', 'class 7'],
  ['an error of class 2', errorCode, '00000200', 'class 2'],
  ['an error with number 100', errorCode, '00000464', 'number 100'],
  ['half a type', unknownAttributes, '000100', '3 bytes'],
  ['a name that is not UTF-8', username, 'ff', 'is not UTF-8'],
  ['a SHA-256 MAC of 12 bytes', messageIntegritySha256, '00'.repeat(12), 'has 12 bytes'],
  ['a SHA-256 MAC of 18 bytes', messageIntegritySha256, '00'.repeat(18), 'has 18 bytes'],
  ['a channel number that is a port', channelNumber, '3fff0000', '0x3fff'],
  ['a family that is none', requestedAddressFamily, '03000000', 'family 3'],
  ['parameters cut off', passwordAlgorithms, '00020008aabb', 'ends after 2 of 8 bytes'],
])('%s is malformed, not absent', (_, codec, hex, why) => {
  const message = messageWith(codec, hex)
  expect(get(message, codec)).toBeUndefined()
  expect(read(message, codec)).toEqual({ ok: false, where: codec.name, why: expect.stringContaining(why) as string })
})

test.each<[AttributeCodec<unknown>, unknown, string]>([
  [mappedAddress, { ip: '192.0.2.1', port: 0x1234 }, '00011234c0000201'],
  [changeRequest, { changeIp: true, changePort: false }, '00000004'],
  [changeRequest, { changeIp: false, changePort: true }, '00000002'],
  [changeRequest, { changeIp: true, changePort: true }, '00000006'],
  [errorCode, { code: 401, reason: 'Unauthorized' }, '00000401556e617574686f72697a6564'],
  [errorCode, { code: 699, reason: '' }, '00000663'],
  [unknownAttributes, [0x7f01], '7f01'],
  [channelNumber, toChannelNumber(0x4001), '40010000'],
  [requestedAddressFamily, 6, '02000000'],
  [responsePort, 0x1234, '1234'],
  [icmp, { type: 3, code: 4, data: 1400 }, '0000060400000578'],
  [transactionTransmitCounter, { requests: 2, responses: 1 }, '00000201'],
  [passwordAlgorithms, [{ algorithm: 2 }, { algorithm: 1 }], '0002000000010000'],
])('%o of %o has the bytes of the RFC', (codec, value, hex) => {
  expect(encoded(codec, value)).toBe(hex)
})

test('RESPONSE-PORT is read with its padding counted and not counted', () => {
  expect(get(messageWith(responsePort, '1234'), responsePort)).toBe(0x1234)
  expect(get(messageWith(responsePort, '12340000'), responsePort)).toBe(0x1234)
  expect(get(messageWith(responsePort, '123400'), responsePort)).toBeUndefined()
})

test('reserved bits and bytes are ignored', () => {
  expect(get(messageWith(changeRequest, 'fffffff9'), changeRequest)).toEqual({ changeIp: false, changePort: false })
  expect(get(messageWith(mappedAddress, 'ff011234c0000201'), mappedAddress)).toEqual({ ip: '192.0.2.1', port: 0x1234 })
  expect(get(messageWith(errorCode, 'fffffc01'), errorCode)).toEqual({ code: 401, reason: '' })
})

test('SOFTWARE loses the string terminator that Vovida counts; names and nonces keep every byte', () => {
  expect(get(messageWith(software, '782000'), software)).toBe('x ')
  expect(get(messageWith(software, 'ff'), software)).toBe('\ufffd')
  expect(get(messageWith(nonce, '782000'), nonce)).toBe('x \0')
  expect(get(messageWith(nonce, 'efbbbf78'), nonce)).toBe('\ufeffx')
})

test('in RFC 3489 messages XOR- addresses are masked with the first bytes of the transaction id', () => {
  const classicId = fromHex('ffff0000000000000000000000000000')
  expect(encoded(xorMappedAddress, { ip: '192.0.2.1', port: 1 }, classicId)).toBe('0001fffe3fff0201')
})

test('in RFC 3489 messages an odd list of unknown attributes repeats its last', () => {
  expect(encoded(unknownAttributes, [1, 2, 3], new Uint8Array(16))).toBe('0001000200030003')
  expect(encoded(unknownAttributes, [1, 2], new Uint8Array(16))).toBe('00010002')
})

test('an attribute that occurs twice: get takes the first, getAll all that are well-formed', () => {
  const peers = [1, 2].map((port) => ({ ip: '192.0.2.1', port }))
  const attributes = [
    ...peers.map((peer) => attribute(xorPeerAddress, peer)),
    rawAttribute(xorPeerAddress.type, fromHex('00')),
  ]
  const bytes = encodeMessage({ class: 'request', method: Method.createPermission, transactionId: id, attributes })
  expect(get(decoded(bytes), xorPeerAddress)).toEqual(peers[0])
  expect(getAll(decoded(bytes), xorPeerAddress)).toEqual(peers)
})

test.each<[string, AttributeCodec<unknown>, unknown]>([
  ['a user name of 509 bytes', username, 'x'.repeat(509)],
  ['a realm of 764 bytes', realm, 'ä'.repeat(382)],
  ['a port that is none', mappedAddress, { ip: '192.0.2.1', port: 65536 }],
  ['a negative number', lifetime, -1],
  ['a fraction', lifetime, 0.5],
  ['a value longer than its length field', loggingId, 'x'.repeat(65536)],
])('writing %s throws USAGE', (_, codec, value) => {
  expect(() => encoded(codec, value)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error)
})
