import { describe, expect, test } from 'vitest'
import {
  attribute,
  decodeMessage,
  effectiveAttributes,
  encodeMessage,
  errorCode,
  get,
  looksLikeStun,
  type MessageClass,
  Method,
  mappedAddress,
  messageIntegrity,
  messageIntegritySha256,
  newClassicTransactionId,
  newTransactionId,
  rawAttribute,
  shortTermKey,
  software,
  transactionKey,
  unknownComprehensionRequired,
  username,
  verifyFingerprint,
  verifyIntegrity,
  verifyIntegritySha256,
  xorMappedAddress,
} from '../../../src/wire/index.ts'
import { fingerprintOf } from '../../../src/wire/stun/fingerprint.ts'
import { decoded, fromHex, vectors } from '../vectors.ts'

const transactionId = fromHex('000102030405060708090a0b')
const classicId = fromHex('f00102030405060708090a0b0c0d0e0f')
const key = shortTermKey('secret')
const binding = { class: 'request', method: Method.binding, transactionId } as const

describe('the header', () => {
  test.each<[MessageClass, number, string]>([
    ['request', Method.binding, '0001'],
    ['indication', Method.binding, '0011'],
    ['success', Method.binding, '0101'],
    ['error', Method.binding, '0111'],
    ['error', Method.allocate, '0113'],
    ['indication', Method.data, '0017'],
    ['request', 0xfff, '3eef'],
    ['error', 0xfff, '3fff'],
    ['indication', 0x080, '0210'],
  ])('%s of method %i has type %s', (messageClass, method, type) => {
    const bytes = encodeMessage({ class: messageClass, method, transactionId })
    expect(Buffer.from(bytes).toString('hex')).toBe(`${type}00002112a442000102030405060708090a0b`)
    expect(decoded(bytes)).toMatchObject({ class: messageClass, method, transactionId, attributes: [], bytes })
  })

  test('without magic cookie it is RFC 3489, with an id of 16 bytes', () => {
    const bytes = encodeMessage({ ...binding, transactionId: classicId })
    expect(Buffer.from(bytes).toString('hex')).toBe('00010000f00102030405060708090a0b0c0d0e0f')
    expect(decoded(bytes).transactionId).toEqual(classicId)
  })

  test.each([
    ['', 'header', '0 bytes'],
    ['000100002112a44200010203040506070809', 'header', '18 bytes'],
    ['400100002112a442000102030405060708090a0b', 'message type', 'two zero bits'],
    ['000100032112a442000102030405060708090a0b', 'message length', 'not a multiple of 4'],
    ['000100042112a442000102030405060708090a0b', 'message length', 'says 24 bytes, but only 20'],
    ['000100042112a442000102030405060708090a0b80220001', 'attribute 0x8022', 'says 1 bytes, but only 0'],
    ['000100082112a442000102030405060708090a0b8022ffff61626364', 'attribute 0x8022', 'says 65535 bytes, but only 4'],
    ['000100082112a442000102030405060708090a0b8022000561626364', 'attribute 0x8022', 'says 5 bytes, but only 4'],
  ])('%j is bad in its %s', (hex, where, why) => {
    expect(decodeMessage(fromHex(hex))).toEqual({ ok: false, where, why: expect.stringContaining(why) as string })
  })

  test('no message can carry a method of 13 bits, an id of 13 bytes or 65536 bytes', () => {
    const usage = expect.objectContaining({ code: 'USAGE' }) as Error
    expect(() => encodeMessage({ ...binding, method: 0x1000 })).toThrow(usage)
    expect(() => encodeMessage({ ...binding, transactionId: new Uint8Array(13) })).toThrow(usage)
    const half = rawAttribute(0x8fff, new Uint8Array(0x8000))
    expect(() => encodeMessage({ ...binding, attributes: [half, half] })).toThrow(usage)
    expect(() => encodeMessage({ ...binding, integrity: { key, algorithm: 'sha256', truncateTo: 12 } })).toThrow(usage)
  })
})

describe('transaction ids', () => {
  const random = { bytes: (length: number) => new Uint8Array(length).fill(0x21), integer: (min: number) => min }

  test('have 12 bytes, or 16 that are not mistaken for a magic cookie', () => {
    expect(newTransactionId(random)).toEqual(new Uint8Array(12).fill(0x21))
    expect(newClassicTransactionId(random)).toEqual(new Uint8Array(16).fill(0x21).fill(0x20, 0, 1))
  })

  test('have equal keys when they are equal', () => {
    expect(transactionKey(transactionId)).toBe(transactionKey(Uint8Array.from(transactionId)))
    expect(transactionKey(fromHex('00ff'))).not.toBe(transactionKey(fromHex('00fe')))
    expect(transactionKey(fromHex('0000'))).not.toBe(transactionKey(fromHex('000000')))
  })
})

describe('looksLikeStun', () => {
  const bytes = encodeMessage({ ...binding, attributes: [attribute(software, 'x')] })

  test('knows messages of both framings', () => {
    expect(looksLikeStun(bytes)).toBe(true)
    expect(looksLikeStun(encodeMessage({ ...binding, transactionId: classicId }))).toBe(true)
  })

  test.each([
    ['nothing', ''],
    ['a DTLS record', '16feff000000000000000000360100002a0000000000000000'],
    ['RTP', '8000000100000000000000010000000000000000'],
    ['ChannelData', '4000001000000000000000000000000000000000'],
    ['a QUIC long header', 'c000000001088394c8f03e5157080000449e0000'],
    ['a cut-off message', '000100042112a442000102030405060708090a0b'],
    ['no cookie, and a length that does not fit', '0001000000000000000000000000000000000000ff'],
    ['a length that is not a multiple of 4', '000100012112a442000102030405060708090a0b00'],
  ])('tells %s from it', (_, hex) => {
    expect(looksLikeStun(fromHex(hex))).toBe(false)
  })
})

describe('the end of the message', () => {
  test.each(vectors)('§$section: every truncation is bad', ({ bytes }) => {
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeMessage(bytes.subarray(0, length)).ok, `${length} bytes`).toBe(false)
    }
  })

  test.each(vectors)('§$section: truncated with a length to match, only whole attributes are there', ({ bytes }) => {
    const boundaries = new Set([20, ...decoded(bytes).attributes.map((raw) => raw.offset), bytes.length])
    for (let length = 20; length < bytes.length; length += 4) {
      const cut = Uint8Array.from(bytes.subarray(0, length))
      cut[2] = (length - 20) >> 8
      cut[3] = length - 20
      expect(decodeMessage(cut).ok, `${length} bytes`).toBe(boundaries.has(length))
    }
  })

  test.each(vectors)('§$section: what comes after it does not change it', ({ bytes, key, fingerprint }) => {
    for (const poison of [0x00, 0x80, 0xff]) {
      const surroundings = new Uint8Array(bytes.length + 200).fill(poison)
      surroundings.set(bytes, 100)
      const message = decoded(surroundings.subarray(100))
      expect(message.bytes).toEqual(bytes)
      expect(verifyIntegrity(message, key)).toBe(true)
      expect(verifyFingerprint(message)).toBe(fingerprint)
    }
  })

  test('an attribute that reaches into what comes after the message is bad', () => {
    const bytes = fromHex('000100082112a442000102030405060708090a0b802200086162636465666768')
    const result = decodeMessage(bytes)
    expect(result).toEqual({ ok: false, where: 'attribute 0x8022', why: 'at 20 says 8 bytes, but only 4 remain' })
  })

  test('values are views of the bytes that came in, plain ones also of a Buffer', () => {
    const bytes = Buffer.from(encodeMessage({ ...binding, attributes: [attribute(software, 'abc')] }))
    const { value } = decoded(bytes).attributes[0] ?? {}
    expect(value?.buffer).toBe(bytes.buffer)
    expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype)
    expect(value).toEqual(new TextEncoder().encode('abc'))
  })
})

describe('padding', () => {
  test.each([0, 1, 2, 3, 4, 5])('a value of %i bytes is padded, and the padding is no part of it', (length) => {
    const text = 'x'.repeat(length)
    for (const paddingByte of [0, 0x20, 0xff]) {
      const attributes = [attribute(software, text), attribute(username, 'next')]
      const bytes = encodeMessage({ ...binding, attributes, paddingByte })
      expect(bytes.length % 4).toBe(0)
      expect(get(decoded(bytes), software)).toBe(text)
      expect(get(decoded(bytes), username)).toBe('next')
      expect(bytes.slice(24 + length, 24 + length + (-length & 3))).toEqual(
        new Uint8Array(-length & 3).fill(paddingByte),
      )
    }
  })
})

describe('attributes after the integrity', () => {
  const mac = attribute(messageIntegrity, new Uint8Array(20))
  const mac256 = attribute(messageIntegritySha256, new Uint8Array(32))
  const print = rawAttribute(0x8028, new Uint8Array(4))
  const late = attribute(software, 'late')
  const names = { 0x0008: 'MI', 0x001c: 'MI256', 0x8028: 'FP', 0x8022: 'late' } as Record<number, string>

  test.each([
    ['MI late', [mac, late], 'MI'],
    ['MI MI256 FP', [mac, mac256, print], 'MI MI256 FP'],
    ['MI late FP', [mac, late, print], 'MI FP'],
    ['MI MI', [mac, mac], 'MI'],
    ['MI256 MI FP', [mac256, mac, print], 'MI256 FP'],
    ['MI256 late MI256', [mac256, late, mac256], 'MI256'],
    ['FP late MI', [print, late, mac], 'FP'],
    ['late MI late', [late, mac, late], 'late MI'],
  ])('of %s, these count: %s', (_, attributes, expected) => {
    const message = decoded(encodeMessage({ ...binding, attributes }))
    expect(message.attributes).toHaveLength(attributes.length)
    const counted = effectiveAttributes(message).map(({ type }) => names[type])
    expect(counted.join(' ')).toBe(expected)
    expect(get(message, software)).toBe(expected.startsWith('late') ? 'late' : undefined)
  })
})

describe('unknown attributes', () => {
  const unknown = (type: number) => rawAttribute(type, new Uint8Array(0))

  test('are those below 0x8000 that there is no codec for, once each and in order', () => {
    const attributes = [0x7002, 0x0006, 0x7001, 0x8fff, 0x7002].map(unknown)
    expect(unknownComprehensionRequired(decoded(encodeMessage({ ...binding, attributes })))).toEqual([0x7002, 0x7001])
  })

  test('are not looked for after the integrity', () => {
    const attributes = [attribute(messageIntegrity, new Uint8Array(20)), unknown(0x7001)]
    expect(unknownComprehensionRequired(decoded(encodeMessage({ ...binding, attributes })))).toEqual([])
  })

  test('depend on what the asker acts on', () => {
    const message = decoded(encodeMessage({ ...binding, attributes: [0x0006, 0x0024].map(unknown) }))
    expect(unknownComprehensionRequired(message, new Set([0x0006]))).toEqual([0x0024])
  })
})

describe('integrity and fingerprint', () => {
  const attributes = [attribute(username, 'a:b')]

  test.each(['sha1', 'sha256', 'both'] as const)('%s is verified with the key and with no other', (algorithm) => {
    for (const fingerprint of [false, true]) {
      const message = decoded(encodeMessage({ ...binding, attributes, integrity: { key, algorithm }, fingerprint }))
      expect(verifyIntegrity(message, key)).toBe(algorithm !== 'sha256')
      expect(verifyIntegritySha256(message, key)).toBe(algorithm !== 'sha1')
      expect(verifyIntegrity(message, shortTermKey('Secret'))).toBe(false)
      expect(verifyIntegritySha256(message, shortTermKey('Secret'))).toBe(false)
      expect(verifyFingerprint(message)).toBe(fingerprint)
    }
  })

  test.each([16, 20, 24, 28, 32])('SHA-256 truncated to %i bytes is verified', (truncateTo) => {
    const bytes = encodeMessage({ ...binding, attributes, integrity: { key, algorithm: 'sha256', truncateTo } })
    expect(get(decoded(bytes), messageIntegritySha256)).toHaveLength(truncateTo)
    expect(verifyIntegritySha256(decoded(bytes), key)).toBe(true)
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    expect(verifyIntegritySha256(decoded(bytes), key)).toBe(false)
  })

  test('a MAC of another length is no MAC', () => {
    const short = decoded(encodeMessage({ ...binding, attributes: [rawAttribute(0x0008, new Uint8Array(16))] }))
    expect(verifyIntegrity(short, key)).toBe(false)
    const empty = decoded(encodeMessage({ ...binding, attributes: [rawAttribute(0x001c, new Uint8Array(0))] }))
    expect(verifyIntegritySha256(empty, key)).toBe(false)
  })

  test('nothing added after the MAC is covered by it, nor does it break it', () => {
    const bytes = encodeMessage({ ...binding, attributes, integrity: { key } })
    const grown = new Uint8Array(bytes.length + 8)
    grown.set(bytes)
    grown.set(fromHex('8022000465766964'), bytes.length)
    grown[3] = (grown[3] ?? 0) + 8
    expect(verifyIntegrity(decoded(grown), key)).toBe(true)
    expect(get(decoded(grown), software)).toBeUndefined()
  })

  test('a fingerprint that is not last is none', () => {
    const print = rawAttribute(0x8028, new Uint8Array(4))
    expect(verifyFingerprint(decoded(encodeMessage({ ...binding, attributes: [print, print] })))).toBe(false)
    expect(verifyFingerprint(decoded(encodeMessage(binding)))).toBe(false)
    // Right for the header as it stands, but with an attribute behind it.
    const bytes = fromHex('000100102112a442000102030405060708090a0b80280004000000008022000478787878')
    new DataView(bytes.buffer).setUint32(24, fingerprintOf(bytes, 20))
    expect(verifyFingerprint(decoded(bytes))).toBe(false)
  })

  test('RFC 3489 pads the text to 64 bytes before it is hashed', () => {
    // HMAC-SHA1 by Python: the 20 bytes of header (length 24) and 44 zeros, key "secret".
    const bytes = encodeMessage({ ...binding, transactionId: classicId, integrity: { key } })
    expect(Buffer.from(bytes.subarray(24)).toString('hex')).toBe('82565c7864e84e309742c1cc3a6c13eda655233e')
    expect(verifyIntegrity(decoded(bytes), key)).toBe(true)
  })
})

test('an error response of an old server is read whole', () => {
  const attributes = [attribute(errorCode, { code: 420, reason: 'Unknown Attribute' })]
  const bytes = encodeMessage({ class: 'error', method: Method.binding, transactionId: classicId, attributes })
  expect(get(decoded(bytes), errorCode)).toEqual({ code: 420, reason: 'Unknown Attribute' })
  expect(get(decoded(bytes), mappedAddress) ?? get(decoded(bytes), xorMappedAddress)).toBeUndefined()
})
