import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  longTermKey,
  opaqueString,
  parseNonceCookie,
  saslPrep,
  shortTermKey,
  userhashOf,
  withNonceCookie,
} from '../../../src/wire/index.ts'

const hash = (algorithm: string, text: string): string => createHash(algorithm).update(text).digest('hex')
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const credential = { username: 'user', realm: 'realm', password: 'pass' }

describe('keys', () => {
  test('are the digests of RFC 8489 §18.5.1', () => {
    // The example of RFC 5389 §15.4.
    expect(hex(longTermKey(credential, 'md5'))).toBe('8493fbc53ba582fb4c044c456bdc40eb')
    expect(hex(longTermKey(credential))).toBe('8493fbc53ba582fb4c044c456bdc40eb')
    expect(hex(longTermKey(credential, 'sha-256'))).toBe(hash('sha256', 'user:realm:pass'))
    expect(hex(userhashOf('user', 'realm'))).toBe(hash('sha256', 'user:realm'))
    expect(hex(shortTermKey('pass'))).toBe('70617373')
  })

  test('are equal for texts that look equal', () => {
    const composed = { ...credential, password: 'caf\u00e9\u00a0x' }
    const decomposed = { ...credential, password: 'cafe\u0301 x' }
    expect(longTermKey(composed, 'md5')).toEqual(longTermKey(decomposed, 'md5'))
    expect(shortTermKey(composed.password)).toEqual(shortTermKey(decomposed.password))
  })
})

test('OpaqueString keeps compatibility characters, SASLprep folds them', () => {
  expect(opaqueString('\u2168\u00ad\u3000')).toBe('\u2168\u00ad ')
  expect(saslPrep('\u2168\u00ad\u3000')).toBe('IX ')
})

describe('the nonce cookie', () => {
  test.each([
    [false, false, 'obMatJos2AAAA'],
    [true, false, 'obMatJos2AAAB'],
    [false, true, 'obMatJos2AAAC'],
    [true, true, 'obMatJos2AAAD'],
  ])('of password algorithms %s and anonymity %s is %s', (passwordAlgorithms, usernameAnonymity, cookie) => {
    const features = { passwordAlgorithms, usernameAnonymity }
    expect(withNonceCookie(features, 'nonce')).toBe(`${cookie}nonce`)
    expect(parseNonceCookie(`${cookie}nonce`)).toEqual(features)
  })

  test('other bits are ignored', () => {
    expect(parseNonceCookie('obMatJos2///9')).toEqual({ passwordAlgorithms: true, usernameAnonymity: false })
  })

  test.each(['', 'f//499k954d6OL34oL9FSTvy64sA', 'obMatJos2', 'obMatJos2AAA', 'obMatJos2AA=A', 'xobMatJos2AAAA'])(
    'is not in %j',
    (nonce) => {
      expect(parseNonceCookie(nonce)).toBeUndefined()
    },
  )
})
