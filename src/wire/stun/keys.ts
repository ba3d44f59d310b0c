/** Keys for message integrity, made from what users type. RFC 8489 §9.1.1, §9.2.2, §18.5.1 */
import { createHash } from 'node:crypto'
import { utf8 } from '../text.ts'

export interface LongTermCredential {
  readonly username: string
  readonly realm: string
  readonly password: string
}

/** The key of the short-term mechanism: the password itself. RFC 8489 §9.1.1 */
export const shortTermKey = (password: string): Uint8Array => Uint8Array.from(utf8(opaqueString(password)))

/** The key of the long-term mechanism: a hash of `username:realm:password`. 16 bytes by MD5, 32 by SHA-256. RFC 8489 §18.5.1 */
export function longTermKey(credential: LongTermCredential, algorithm: 'md5' | 'sha-256' = 'md5'): Uint8Array {
  const { username, realm, password } = credential
  return digest(
    algorithm === 'md5' ? 'md5' : 'sha256',
    `${opaqueString(username)}:${opaqueString(realm)}:${opaqueString(password)}`,
  )
}

/** What USERHASH carries: SHA-256 of `username:realm`. 32 bytes. RFC 8489 §14.4 */
export const userhashOf = (username: string, realm: string): Uint8Array =>
  digest('sha256', `${opaqueString(username)}:${opaqueString(realm)}`)

/**
 * The OpaqueString profile: spaces of any kind become U+0020, then NFC. RFC 8265 §4.2
 * Departs from it in not refusing anything: a password with control characters or unassigned code points is still the
 * one the server has, and coturn, pion and libwebrtc take it as it is.
 */
export const opaqueString = (text: string): string => text.replace(/\p{Zs}/gu, ' ').normalize('NFC')

/**
 * SASLprep, which RFC 5389 §15.3 used where RFC 8489 has OpaqueString: spaces become U+0020, invisible characters
 * vanish, then NFKC. RFC 4013 §2
 * Departs from it in not refusing prohibited and bidirectional text.
 */
export const saslPrep = (text: string): string =>
  text
    .replace(/\p{Zs}/gu, ' ')
    .replace(mappedToNothing, '')
    .normalize('NFKC')

/** RFC 3454 table B.1. */
const mappedToNothing = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/gu

/** A plain Uint8Array: Buffers compare unequal to it in tests and print differently. */
const digest = (algorithm: 'md5' | 'sha256', text: string): Uint8Array =>
  new Uint8Array(createHash(algorithm).update(text, 'utf8').digest())
