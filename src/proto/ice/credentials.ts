/** The name and password of one ICE session, agreed on in the descriptions. RFC 8445 §5.3, RFC 8839 §5.4 */
import type { Random } from '../../core/index.ts'
import type { ShortTermCredentials } from '../stun/index.ts'

export interface IceCredentials {
  /** 4–256 ice-chars. */
  readonly ufrag: string
  /** 22–256 ice-chars. */
  readonly password: string
}

const iceChars = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** 48 bits of name and 144 of password, where RFC 8445 §5.3 asks for 24 and 128. */
export const newIceCredentials = (random: Random): IceCredentials => ({
  ufrag: iceText(random, 8),
  password: iceText(random, 24),
})

const iceText = (random: Random, length: number): string =>
  [...random.bytes(length)].map((byte) => iceChars[byte & 63]).join('')

/** What signs our checks: the peer's password, and both names, the peer's first. RFC 8445 §7.2.2 */
export const checkCredentials = (local: IceCredentials, remote: IceCredentials): ShortTermCredentials => ({
  kind: 'short-term',
  username: `${remote.ufrag}:${local.ufrag}`,
  password: remote.password,
  integrity: 'sha1',
})
