import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  attribute,
  encodeMessage,
  get,
  longTermKey,
  Method,
  nonce,
  PasswordAlgorithmNumber,
  parseNonceCookie,
  passwordAlgorithm,
  realm,
  userhash,
  userhashOf,
  verifyIntegrity,
  verifyIntegritySha256,
} from '../../../src/wire/index.ts'
import { decoded, fromHex } from '../vectors.ts'

const file = new URL('../../vectors/rfc8489-b1.json', import.meta.url)
const bytes = fromHex((JSON.parse(readFileSync(file, 'utf8')) as { hex: string }).hex)
const credential = { username: 'マトリックス', realm: 'example.org', password: 'TheMatrIX' }
const key = longTermKey(credential, 'sha-256')
const theNonce = 'obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA'

test('appendix B.1 is decoded and verified', () => {
  const message = decoded(bytes)
  expect(get(message, userhash)).toEqual(userhashOf(credential.username, credential.realm))
  expect(get(message, nonce)).toBe(theNonce)
  expect(get(message, passwordAlgorithm)).toEqual({ algorithm: PasswordAlgorithmNumber.sha256 })
  expect(verifyIntegritySha256(message, key)).toBe(true)
  expect(verifyIntegritySha256(message, longTermKey(credential, 'md5'))).toBe(false)
  expect(verifyIntegrity(message, key)).toBe(false)
})

test('its nonce cookie promises username anonymity and nothing else', () => {
  expect(parseNonceCookie(theNonce)).toEqual({ passwordAlgorithms: false, usernameAnonymity: true })
})

test('appendix B.1 is encoded byte for byte', () => {
  const encoded = encodeMessage({
    class: 'request',
    method: Method.binding,
    transactionId: decoded(bytes).transactionId,
    attributes: [
      attribute(userhash, userhashOf(credential.username, credential.realm)),
      attribute(nonce, theNonce),
      attribute(realm, credential.realm),
      attribute(passwordAlgorithm, { algorithm: PasswordAlgorithmNumber.sha256 }),
    ],
    integrity: { key, algorithm: 'sha256' },
  })
  expect(encoded).toEqual(bytes)
})
