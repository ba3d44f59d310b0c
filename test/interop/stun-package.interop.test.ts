/** The npm package `stun` 2.1.0 as an independent codec: what it writes we read, what we write it reads, its bugs stay its own. */
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import {
  attribute,
  encodeMessage,
  errorCode,
  get,
  iceControlling,
  Method,
  mappedAddress,
  nonce,
  otherAddress,
  priority,
  realm,
  responseOrigin,
  responsePort,
  shortTermKey,
  software,
  unknownAttributes,
  username,
  verifyFingerprint,
  verifyIntegrity,
  xorMappedAddress,
} from '../../src/wire/index.ts'
import { decoded, fromHex, vectors } from '../wire/vectors.ts'

/** What is used of the package, which has no types of its own. */
interface TheirMessage {
  readonly type: number
  readonly transactionId: Buffer
  isLegacy(): boolean
  getAttribute(type: number): { value: unknown } | undefined
  getAddress(): { address: string; port: number } | undefined
  getXorAddress(): { address: string; port: number } | undefined
  getUsername(): string | undefined
  getRealm(): string | undefined
  getNonce(): string | undefined
  getSoftware(): string | undefined
  getError(): { code: number; reason: string } | undefined
  getUnknownAttributes(): number[] | undefined
}

interface TheirRequest extends TheirMessage {
  addAttribute(type: number, ...values: unknown[]): unknown
  addAddress(ip: string, port: number): unknown
  addXorAddress(ip: string, port: number): unknown
  addUsername(name: string): unknown
  addRealm(realm: string): unknown
  addNonce(nonce: string): unknown
  addSoftware(software: string): unknown
  addError(code: number, reason: string): unknown
  addUnknownAttributes(types: number[]): unknown
  addPriority(priority: number): unknown
  addIceControlling(tieBreaker: Buffer): unknown
  addMessageIntegrity(key: string): unknown
  addFingerprint(): unknown
  toBuffer(): Buffer
}

const stun = createRequire(import.meta.url)('stun') as {
  createMessage(type: number, transactionId?: Buffer): TheirRequest
  decode(bytes: Buffer): TheirMessage
  validateFingerprint(message: TheirMessage): boolean
  validateMessageIntegrity(message: TheirMessage, key: string): boolean
}

const transactionId = fromHex('000102030405060708090a0b')
const bindingRequest = 0x0001
const bindingResponse = 0x0101
const bindingError = 0x0111
const addresses = [
  { ip: '192.0.2.1', port: 32853 },
  { ip: '255.255.255.255', port: 65535 },
  { ip: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 },
  { ip: '2001:db8::1', port: 1 },
]

const theirMessage = (type: number): TheirRequest => stun.createMessage(type, Buffer.from(transactionId))

describe('what the package writes, we read', () => {
  test('a request with credentials, integrity and fingerprint', () => {
    const theirs = theirMessage(bindingRequest)
    theirs.addSoftware('their software')
    theirs.addUsername('evtj:h6vY')
    theirs.addRealm('example.org')
    theirs.addNonce('f//499k954d6OL34oL9FSTvy64sA')
    theirs.addPriority(0x6e0001ff)
    theirs.addIceControlling(Buffer.from('932ff9b151263b36', 'hex'))
    theirs.addMessageIntegrity('secret')
    theirs.addFingerprint()
    const message = decoded(theirs.toBuffer())
    expect(message).toMatchObject({ class: 'request', method: Method.binding, transactionId })
    expect(get(message, software)).toBe('their software')
    expect(get(message, username)).toBe('evtj:h6vY')
    expect(get(message, realm)).toBe('example.org')
    expect(get(message, nonce)).toBe('f//499k954d6OL34oL9FSTvy64sA')
    expect(get(message, priority)).toBe(0x6e0001ff)
    expect(get(message, iceControlling)).toBe(0x932ff9b151263b36n)
    expect(verifyIntegrity(message, shortTermKey('secret'))).toBe(true)
    expect(verifyIntegrity(message, shortTermKey('Secret'))).toBe(false)
    expect(verifyFingerprint(message)).toBe(true)
  })

  test.each(addresses)('addresses: $ip $port', ({ ip, port }) => {
    const theirs = theirMessage(bindingResponse)
    theirs.addAddress(ip, port)
    theirs.addXorAddress(ip, port)
    theirs.addAttribute(responseOrigin.type, ip, port)
    theirs.addAttribute(otherAddress.type, ip, port)
    const message = decoded(theirs.toBuffer())
    for (const codec of [mappedAddress, xorMappedAddress, responseOrigin, otherAddress]) {
      expect(get(message, codec), codec.name).toEqual({ ip, port })
    }
  })

  test('errors, unknown attributes and RESPONSE-PORT', () => {
    const theirs = theirMessage(bindingError)
    theirs.addError(420, 'Unknown Attribute')
    theirs.addUnknownAttributes([0x7f01, 0x7f02, 0x7f03])
    theirs.addAttribute(responsePort.type, 3479)
    const message = decoded(theirs.toBuffer())
    expect(get(message, errorCode)).toEqual({ code: 420, reason: 'Unknown Attribute' })
    expect(get(message, unknownAttributes)).toEqual([0x7f01, 0x7f02, 0x7f03])
    expect(get(message, responsePort)).toBe(3479)
  })
})

describe('what we write, the package reads', () => {
  test('a request with credentials, integrity and fingerprint', () => {
    const bytes = encodeMessage({
      class: 'request',
      method: Method.binding,
      transactionId,
      attributes: [
        attribute(software, 'natcheck'),
        attribute(username, 'マトリックス'),
        attribute(realm, 'example.org'),
        attribute(nonce, 'nonce'),
        attribute(priority, 0x6e0001ff),
      ],
      integrity: { key: shortTermKey('secret') },
      fingerprint: true,
    })
    const theirs = stun.decode(Buffer.from(bytes))
    expect(theirs.type).toBe(bindingRequest)
    expect(theirs.isLegacy()).toBe(false)
    expect(new Uint8Array(theirs.transactionId)).toEqual(transactionId)
    expect([theirs.getSoftware(), theirs.getUsername(), theirs.getRealm(), theirs.getNonce()]).toEqual([
      'natcheck',
      'マトリックス',
      'example.org',
      'nonce',
    ])
    expect(theirs.getAttribute(priority.type)?.value).toBe(0x6e0001ff)
    expect(stun.validateMessageIntegrity(theirs, 'secret')).toBe(true)
    expect(stun.validateMessageIntegrity(theirs, 'Secret')).toBe(false)
    expect(stun.validateFingerprint(theirs)).toBe(true)
  })

  test.each(addresses)('addresses: $ip $port', ({ ip, port }) => {
    const attributes = [attribute(mappedAddress, { ip, port }), attribute(xorMappedAddress, { ip, port })]
    const bytes = encodeMessage({ class: 'success', method: Method.binding, transactionId, attributes })
    const theirs = stun.decode(Buffer.from(bytes))
    expect(theirs.getAddress()).toMatchObject({ address: ip, port })
    expect(theirs.getXorAddress()).toMatchObject({ address: ip, port })
  })

  test('unknown attributes', () => {
    const attributes = [attribute(unknownAttributes, [0x7f01, 0x7f02, 0x7f03])]
    const bytes = encodeMessage({ class: 'error', method: Method.binding, transactionId, attributes })
    expect(stun.decode(Buffer.from(bytes)).getUnknownAttributes()).toEqual([0x7f01, 0x7f02, 0x7f03])
  })
})

describe('its bugs are not ours', () => {
  test.each([
    [300, 300],
    [400, 400],
    [401, 404],
    [438, 552],
  ])('ERROR-CODE %i is %i to it: it multiplies the class with number + 100', (code, theirs) => {
    const attributes = [attribute(errorCode, { code, reason: 'why' })]
    const bytes = encodeMessage({ class: 'error', method: Method.binding, transactionId, attributes })
    expect(stun.decode(Buffer.from(bytes)).getError()).toEqual({ code: theirs, reason: 'why' })
    expect(get(decoded(bytes), errorCode)).toEqual({ code, reason: 'why' })
  })

  test('it verifies a re-encoding with zero padding, so RFC 5769 §2.1, padded with spaces, fails there', () => {
    const request = vectors.find(({ section }) => section.startsWith('2.1'))
    if (!request) throw new Error('the vector is missing')
    const theirs = stun.decode(Buffer.from(request.bytes))
    expect(stun.validateMessageIntegrity(theirs, 'VOkJxbRl1RmTxUk/WvJxBt')).toBe(false)
    expect(stun.validateFingerprint(theirs)).toBe(false)
    expect(verifyIntegrity(decoded(request.bytes), request.key)).toBe(true)
    expect(verifyFingerprint(decoded(request.bytes))).toBe(true)
  })

  test('it throws on a datagram that is cut off; we say what is wrong', () => {
    const [vector] = vectors
    const cut = Buffer.from(vector?.bytes.subarray(0, 30) ?? [])
    expect(() => stun.decode(cut)).toThrow()
    expect(() => decoded(cut)).toThrow('message length: says 108 bytes, but only 30 are there')
  })
})
