/**
 * The server's side of the long-term credential mechanism: who sent a request, and what to answer when that is not
 * proven. RFC 8489 §9.2.4. Nonces are stateless, so a flood of requests allocates nothing.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { type IpAddress, ipToBytes, NatcheckError, type TransportAddress, type WallTime } from '../../core/index.ts'
import {
  attribute,
  type EncodableAttribute,
  findAttribute,
  get,
  has,
  type IntegrityOptions,
  longTermKey,
  messageIntegrity,
  messageIntegritySha256,
  nonce,
  opaqueString,
  PasswordAlgorithmNumber,
  parseNonceCookie,
  passwordAlgorithm,
  passwordAlgorithms,
  rawAttribute,
  realm,
  type StunMessage,
  userhash,
  userhashOf,
  username,
  verifyIntegrity,
  verifyIntegritySha256,
  withNonceCookie,
} from '../../wire/index.ts'

export interface ServerAuthOptions {
  readonly realm: string
  /** Signs nonces: 16 random bytes or more. Nodes of a fleet share it, so that each takes the nonces of the others. */
  readonly nonceKey: Uint8Array
  /** Seconds a nonce is good for. Default 3600. */
  readonly nonceLifetime?: number | undefined
  /** Names and passwords. A Map, so that no name can be that of a built-in property. */
  readonly users?: ReadonlyMap<string, string> | undefined
  /**
   * Shared secrets of the TURN REST mechanism (draft-uberti-behave-turn-rest-00): the username is `expiry:user`, the
   * password the base64 of its HMAC-SHA1. Several, so that one can be replaced while the other is still in use.
   */
  readonly secrets?: readonly string[] | undefined
  /** Judges REST expiry at every request, and not only at Allocate: calls then end with their credentials. Default false. */
  readonly strictExpiry?: boolean | undefined
  /** Asked when neither `users` nor `secrets` know the name. Called synchronously; must not throw. */
  readonly authenticate?: ((username: string, client: TransportAddress) => UserSecret | undefined) | undefined
  /** Offered in PASSWORD-ALGORITHMS, best first. Default: SHA-256, MD5. Empty: as before RFC 8489. */
  readonly algorithms?: readonly PasswordHash[] | undefined
}

export type PasswordHash = 'sha-256' | 'md5'

/** A user's password, or the keys made from it where the password itself is not kept. */
export type UserSecret = { readonly password: string } | { readonly keys: Partial<Record<PasswordHash, Uint8Array>> }

/** What a request has proven. Kept with an allocation, it goes on proving it when users and secrets have changed. */
export interface AuthenticatedUser {
  /** As the request gave it, or as USERHASH stands for. */
  readonly username: string
  /** Who that is: without the expiry of a REST username. What quotas count by. */
  readonly identity: string
  /** Seconds since the epoch at which a REST username ends; undefined for any other. */
  readonly expiry: number | undefined
  readonly hash: PasswordHash
  readonly key: Uint8Array
}

/** Why a request was not believed. */
export type AuthFailure =
  | 'wrong-password'
  | 'unknown-user'
  | 'expired-credentials' // a REST username whose time is over
  | 'incomplete' // integrity without name, realm or nonce
  | 'bid-down' // the password algorithms are not those that were offered

export type AuthResult =
  | { readonly kind: 'authenticated'; readonly user: AuthenticatedUser; readonly integrity: IntegrityOptions }
  | {
      readonly kind: 'refused'
      readonly code: 400 | 401 | 438
      /** To be sent along with the code. */
      readonly attributes: readonly EncodableAttribute[]
      /** The two first are how every conversation begins and goes on, and no failures. */
      readonly why: 'no-credentials' | 'stale-nonce' | AuthFailure
      readonly username: string | undefined
      /** What seals the answer: only a stale nonce comes from somebody who has proven who he is. */
      readonly integrity: IntegrityOptions | undefined
    }

export interface AuthContext {
  readonly client: TransportAddress
  readonly now: WallTime
  /** Whether REST usernames whose time is over are refused: at Allocate, see `ServerAuthOptions.strictExpiry`. */
  readonly judgeExpiry: boolean
  /** Who has proven himself on this 5-tuple before. */
  readonly known?: AuthenticatedUser | undefined
}

/** 96 bits: guessing one takes longer than it is good for, and a challenge stays short. */
const macLength = 12
const expiryLength = 8
/** RFC 8489 §9.2: the cookie and its 24 feature bits. */
const cookieLength = 13
const algorithmNumbers: Readonly<Record<PasswordHash, number>> = {
  'sha-256': PasswordAlgorithmNumber.sha256,
  md5: PasswordAlgorithmNumber.md5,
}

/** Authenticates requests. Throws USAGE for a realm or a nonce key that will not do. */
export class ServerAuth {
  readonly realm: string
  readonly #options: ServerAuthOptions
  readonly #algorithms: readonly PasswordHash[]
  readonly #offer: Uint8Array | undefined
  #users: ReadonlyMap<string, string> = new Map()
  #hashes: ReadonlyMap<string, string> = new Map()
  #secrets: readonly string[] = []
  #noncePrefix = ''

  constructor(options: ServerAuthOptions) {
    if (options.realm === '' || options.realm.length > 127) {
      throw new NatcheckError('USAGE', 'a realm has 1 to 127 characters', { fix: 'Give a realm such as example.org.' })
    }
    if (options.nonceKey.length < 16) {
      throw new NatcheckError('USAGE', 'a nonce key has 16 bytes or more', { fix: 'Give 32 random bytes.' })
    }
    this.#options = options
    this.realm = options.realm
    this.#algorithms = options.algorithms ?? ['sha-256', 'md5']
    const offered = this.#algorithms.flatMap((hash) => [0, algorithmNumbers[hash], 0, 0])
    this.#offer = offered.length > 0 ? Uint8Array.from(offered) : undefined
    this.replace(options)
  }

  /** Takes other users and secrets from now on. What allocations were granted by goes on being valid for them. */
  replace({ users, secrets }: Pick<ServerAuthOptions, 'users' | 'secrets'>): void {
    this.#users = new Map([...(users ?? [])].map(([name, password]) => [opaqueString(name), password]))
    this.#hashes = new Map([...this.#users.keys()].map((name) => [hex(userhashOf(name, this.realm)), name]))
    this.#secrets = secrets ?? []
    // Only names that are all known beforehand can be found by their hash.
    const usernameAnonymity = this.#secrets.length === 0 && this.#options.authenticate === undefined
    this.#noncePrefix = this.#offer ? withNonceCookie({ passwordAlgorithms: true, usernameAnonymity }, '') : ''
  }

  /** RFC 8489 §9.2.4, in its order. */
  check(request: StunMessage, context: AuthContext): AuthResult {
    const sha256 = findAttribute(request, messageIntegritySha256.type)
    if (!sha256 && !has(request, messageIntegrity)) return this.#challenge(401, 'no-credentials', context)
    const name = this.#nameOf(request, context.known)
    const requestNonce = get(request, nonce)
    if (!name.given || requestNonce === undefined || get(request, realm) === undefined) return refuse('incomplete')
    const hash = this.#hashOf(request, requestNonce)
    if (!hash) return refuse('bid-down', name.username)

    const found = name.username === undefined ? [] : this.#find(name.username, hash, context)
    // An unknown name costs as much time as a wrong password.
    const candidates = found.length > 0 ? found : [nobody]
    const whole = sha256 === undefined || sha256.length === 32
    const match = candidates.find(({ key }) =>
      sha256 ? verifyIntegritySha256(request, key) && whole : verifyIntegrity(request, key),
    )
    if (name.username === undefined || found.length === 0) {
      return this.#challenge(401, 'unknown-user', context, name.username)
    }
    if (!match) return this.#challenge(401, 'wrong-password', context, name.username)
    const { key, expiry } = match
    const judged = context.judgeExpiry || this.#options.strictExpiry === true
    if (judged && expiry !== undefined && expiry * 1000 <= context.now) {
      return this.#challenge(401, 'expired-credentials', context, name.username)
    }
    const integrity = { key, algorithm: sha256 ? 'sha256' : 'sha1' } as const
    if (!this.#isFresh(requestNonce, context)) {
      return { ...this.#challenge(438, 'stale-nonce', context, name.username), integrity }
    }
    // One user, however the name's spaces and accents are written: the keys are the same too.
    const identity = opaqueString(expiry === undefined ? name.username : identityOf(name.username))
    return { kind: 'authenticated', user: { username: name.username, identity, expiry, hash, key }, integrity }
  }

  /** A nonce for this client, good for the nonce lifetime. */
  nonceFor(ip: IpAddress, now: WallTime): string {
    const expiry = Math.floor(now / 1000) + (this.#options.nonceLifetime ?? 3600)
    const text = `${this.#noncePrefix}${expiry.toString(36).padStart(expiryLength, '0')}`
    return `${text}${this.#mac(text, ip).toString('base64')}`
  }

  /**
   * Bound to the IP address and not to the port: libwebrtc meets a 437 with a new socket and its old nonce, and takes
   * 438 on Allocate for the end.
   */
  #mac(text: string, ip: IpAddress): Buffer {
    const mac = createHmac('sha256', this.#options.nonceKey).update(text).update(ipToBytes(ip)).digest()
    return mac.subarray(0, macLength)
  }

  #isFresh(text: string, { client, now }: AuthContext): boolean {
    const prefixLength = parseNonceCookie(text) ? cookieLength : 0
    if (text.length !== prefixLength + expiryLength + (macLength * 4) / 3) return false
    const signed = text.slice(0, prefixLength + expiryLength)
    const mac = Buffer.from(text.slice(signed.length), 'base64')
    if (mac.length !== macLength || !timingSafeEqual(mac, this.#mac(signed, client.ip))) return false
    return Number.parseInt(signed.slice(prefixLength), 36) * 1000 > now
  }

  #challenge(
    code: 401 | 438,
    why: 'no-credentials' | 'stale-nonce' | AuthFailure,
    { client, now }: AuthContext,
    name?: string,
  ): AuthResult & { kind: 'refused' } {
    const offer = this.#offer ? [rawAttribute(passwordAlgorithms.type, this.#offer)] : []
    const attributes = [attribute(realm, this.realm), attribute(nonce, this.nonceFor(client.ip, now)), ...offer]
    return { kind: 'refused', code, attributes, why, username: name, integrity: undefined }
  }

  #nameOf(request: StunMessage, known?: AuthenticatedUser): { given: boolean; username: string | undefined } {
    const name = get(request, username)
    if (name !== undefined) return { given: true, username: name }
    const hash = get(request, userhash)
    if (!hash) return { given: false, username: undefined }
    const found = this.#hashes.get(hex(hash))
    // Who is known on this 5-tuple may have been removed since.
    if (found !== undefined || !known) return { given: true, username: found }
    const same = Buffer.compare(hash, userhashOf(known.username, this.realm)) === 0
    return { given: true, username: same ? known.username : undefined }
  }

  /** The hash that keys are made with; undefined when the negotiation was tampered with. RFC 8489 §9.2.4 */
  #hashOf(request: StunMessage, requestNonce: string): PasswordHash | undefined {
    const echoed = findAttribute(request, passwordAlgorithms.type)
    const choice = get(request, passwordAlgorithm)
    if (!echoed && !has(request, passwordAlgorithm)) return 'md5'
    if (parseNonceCookie(requestNonce)?.passwordAlgorithms !== true) return 'md5'
    if (!echoed || !choice || !this.#offer || Buffer.compare(echoed.value, this.#offer) !== 0) return undefined
    return this.#algorithms.find((hash) => algorithmNumbers[hash] === choice.algorithm)
  }

  /** The keys that this name may have signed with. */
  #find(name: string, hash: PasswordHash, { known, client }: AuthContext): Candidate[] {
    const keyOf = (password: string): Uint8Array => longTermKey({ username: name, realm: this.realm, password }, hash)
    const remembered = known?.username === name && known.hash === hash ? [known] : []
    const password = this.#users.get(opaqueString(name))
    if (password !== undefined) return [...remembered, { key: keyOf(password), expiry: undefined }]
    const own = this.#options.authenticate?.(name, client)
    if (own) {
      const key = 'password' in own ? keyOf(own.password) : own.keys[hash]
      return key ? [...remembered, { key, expiry: undefined }] : remembered
    }
    const expiry = restExpiry(name)
    if (expiry === undefined) return remembered
    return [...remembered, ...this.#secrets.map((secret) => ({ key: keyOf(restPassword(secret, name)), expiry }))]
  }
}

interface Candidate {
  readonly key: Uint8Array
  readonly expiry: number | undefined
}

const nobody: Candidate = { key: new Uint8Array(16), expiry: undefined }

/** `alice` of `1700000000:alice`; all of a name that has nothing but an expiry. */
const identityOf = (name: string): string => /^\d+:(.+)$/s.exec(name)?.[1] ?? name

/** The password that belongs to a REST username: base64 of HMAC-SHA1. draft-uberti-behave-turn-rest-00 §2.2 */
export const restPassword = (secret: string, name: string): string =>
  createHmac('sha1', secret).update(name).digest('base64')

/** Seconds since the epoch at which a REST username ends; undefined when it is none. */
export function restExpiry(name: string): number | undefined {
  const match = /^(\d{1,15})(?::|$)/.exec(name)
  return match ? Number(match[1]) : undefined
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const refuse = (why: AuthFailure, name?: string): AuthResult => ({
  kind: 'refused',
  code: 400,
  attributes: [],
  why,
  username: name,
  integrity: undefined,
})
