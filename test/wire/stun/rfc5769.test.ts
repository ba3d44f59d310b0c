import { expect, test } from 'vitest'
import {
  decodeMessage,
  encodeMessage,
  get,
  iceControlled,
  nonce,
  priority,
  realm,
  saslPrep,
  shortTermKey,
  software,
  username,
  verifyFingerprint,
  verifyIntegrity,
  xorMappedAddress,
} from '../../../src/wire/index.ts'
import { decoded, vectors } from '../vectors.ts'

test('all four vectors are there', () => {
  expect(vectors.map((vector) => vector.bytes.length)).toEqual([108, 116, 80, 92])
})

test.each(vectors)('§$section is decoded and verified', (vector) => {
  const message = decoded(vector.bytes)
  expect(message.class).toBe(vector.class)
  expect(message.method).toBe(0x001)
  expect(verifyIntegrity(message, vector.key)).toBe(true)
  expect(verifyIntegrity(message, shortTermKey('another'))).toBe(false)
  expect(verifyFingerprint(message)).toBe(vector.fingerprint)
})

test.each(vectors)('§$section is encoded byte for byte', (vector) => {
  const { class: messageClass, attributes, key, fingerprint, paddingByte, bytes } = vector
  const { method, transactionId } = decoded(bytes)
  const message = { class: messageClass, method, transactionId, attributes, integrity: { key }, fingerprint }
  expect(encodeMessage({ ...message, paddingByte })).toEqual(bytes)
})

test.each(vectors)('§$section: one flipped bit anywhere breaks the integrity or the fingerprint', ({ bytes, key }) => {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const result = decodeMessage(flipped)
    if (!result.ok) continue
    const untouched = verifyIntegrity(result.value, key) && (bytes.length === 116 || verifyFingerprint(result.value))
    expect(untouched, `bit ${bit}`).toBe(false)
  }
})

test('the values of the vectors are those that the RFC prints', () => {
  const [request, longTerm, ipv4, ipv6] = vectors.map((vector) => decoded(vector.bytes))
  if (!request || !longTerm || !ipv4 || !ipv6) throw new Error('four vectors')
  expect(get(request, software)).toBe('STUN test client')
  expect(get(request, priority)).toBe(0x6e0001ff)
  expect(get(request, iceControlled)).toBe(0x932ff9b151263b36n)
  expect(get(request, username)).toBe('evtj:h6vY')
  expect(get(longTerm, username)).toBe('マトリックス')
  expect(get(longTerm, nonce)).toBe('f//499k954d6OL34oL9FSTvy64sA')
  expect(get(longTerm, realm)).toBe('example.org')
  expect(get(ipv4, xorMappedAddress)).toEqual({ ip: '192.0.2.1', port: 32853 })
  expect(get(ipv6, xorMappedAddress)).toEqual({ ip: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 })
})

test('the password of §2.4 before SASLprep becomes the one after it', () => {
  expect(saslPrep('The\u00adM\u00aatr\u2168')).toBe('TheMatrIX')
})
