/** The nonce cookie: what the server can do, said where an attacker can't take it away unnoticed. RFC 8489 §9.2 */

/** The STUN security feature set. RFC 8489 §18.1, with erratum 6290: bit 0 is the rightmost. */
export interface SecurityFeatures {
  /** Bit 0: the server sends PASSWORD-ALGORITHMS. */
  readonly passwordAlgorithms: boolean
  /** Bit 1: the server accepts USERHASH instead of USERNAME. */
  readonly usernameAnonymity: boolean
}

const cookie = 'obMatJos2'
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** A nonce that begins with the cookie and 24 feature bits in base64. */
export function withNonceCookie(features: SecurityFeatures, nonce: string): string {
  const bits = (features.passwordAlgorithms ? 1 : 0) | (features.usernameAnonymity ? 2 : 0)
  return `${cookie}AAA${alphabet.charAt(bits)}${nonce}`
}

/** The features a nonce promises; undefined when it has no cookie, as those of servers before RFC 8489. */
export function parseNonceCookie(nonce: string): SecurityFeatures | undefined {
  if (!nonce.startsWith(cookie)) return undefined
  const features = nonce.slice(cookie.length, cookie.length + 4)
  if (!/^[A-Za-z0-9+/]{4}$/.test(features)) return undefined
  const last = alphabet.indexOf(features.charAt(3))
  return { passwordAlgorithms: (last & 1) !== 0, usernameAnonymity: (last & 2) !== 0 }
}
