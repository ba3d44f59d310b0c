/** A STUN server with long-term credentials, written from RFC 8489 §9.2.4 for the tests of the client's side. */
import {
  attribute,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  findAttribute,
  get,
  has,
  type IntegrityOptions,
  longTermKey,
  messageIntegrity,
  messageIntegritySha256,
  nonce,
  type PasswordAlgorithm,
  passwordAlgorithm,
  passwordAlgorithms,
  realm,
  type StunMessage,
  userhash,
  userhashOf,
  username,
  verifyIntegrity,
  verifyIntegritySha256,
  withNonceCookie,
  xorMappedAddress,
} from '../../../src/wire/index.ts'
import { client } from './messages.ts'

export interface AuthServerOptions {
  readonly realm?: string
  readonly password?: string
  /** Offered in PASSWORD-ALGORITHMS; undefined: a server from before RFC 8489, without nonce cookie. */
  readonly algorithms?: readonly PasswordAlgorithm[]
  readonly anonymity?: boolean
  /** Whether a nonce is stale. Default: only those of earlier `renewNonce`s. */
  readonly stale?: (nonce: string) => boolean
}

export const user = { kind: 'long-term', username: 'alice', password: 'secret' } as const

export class AuthServer {
  /** Every request that arrived. */
  readonly requests: StunMessage[] = []
  readonly #options: AuthServerOptions
  readonly #realm: string
  #nonces = 1

  constructor(options: AuthServerOptions = {}) {
    this.#options = options
    this.#realm = options.realm ?? 'example.org'
  }

  renewNonce(): void {
    this.#nonces++
  }

  answer(bytes: Uint8Array): Uint8Array {
    const decoded = decodeMessage(bytes)
    if (!decoded.ok) throw new Error(decoded.why)
    const request = decoded.value
    this.requests.push(request)
    if (!has(request, messageIntegrity) && !has(request, messageIntegritySha256)) return this.#challenge(request, 401)
    const name = get(request, username)
    const hash = get(request, userhash)
    const requestNonce = get(request, nonce)
    if ((name === undefined && !hash) || get(request, realm) !== this.#realm || requestNonce === undefined) {
      return this.#fail(request, 400)
    }
    const key = this.#keyFor(request)
    if (!key) return this.#fail(request, 400)
    const known = name === user.username || (hash && Buffer.compare(hash, userhashOf(user.username, this.#realm)) === 0)
    if (!known) return this.#challenge(request, 401)
    const sealed = has(request, messageIntegritySha256)
      ? verifyIntegritySha256(request, key)
      : verifyIntegrity(request, key)
    if (!sealed) return this.#challenge(request, 401)
    const stale = this.#options.stale?.(requestNonce) ?? requestNonce !== this.#nonce()
    if (stale) return this.#challenge(request, 438)
    const algorithm = has(request, passwordAlgorithms) ? 'sha256' : 'sha1'
    return this.#encode(request, 'success', [attribute(xorMappedAddress, client)], { key, algorithm })
  }

  /** The key by what the request negotiated; undefined when it negotiated wrongly. */
  #keyFor(request: StunMessage): Uint8Array | undefined {
    const credential = {
      username: user.username,
      realm: this.#realm,
      password: this.#options.password ?? user.password,
    }
    const offer = findAttribute(request, passwordAlgorithms.type)
    const choice = get(request, passwordAlgorithm)
    if (!offer && !choice) return longTermKey(credential, 'md5')
    const { algorithms = [] } = this.#options
    const mine = this.#encode(request, 'error', [attribute(passwordAlgorithms, algorithms)]).subarray(24)
    const same = offer && Buffer.compare(offer.value, mine.subarray(0, offer.value.length)) === 0
    if (!same || !choice || !algorithms.some(({ algorithm }) => algorithm === choice.algorithm)) return undefined
    return longTermKey(credential, choice.algorithm === 2 ? 'sha-256' : 'md5')
  }

  #nonce(): string {
    const { algorithms, anonymity = false } = this.#options
    if (!algorithms && !anonymity) return `nonce-${this.#nonces}`
    return withNonceCookie(
      { passwordAlgorithms: algorithms !== undefined, usernameAnonymity: anonymity },
      `-${this.#nonces}`,
    )
  }

  #challenge(request: StunMessage, code: 401 | 438): Uint8Array {
    if (this.#options.stale) this.renewNonce()
    const { algorithms } = this.#options
    return this.#encode(request, 'error', [
      attribute(errorCode, { code, reason: '' }),
      attribute(realm, this.#realm),
      attribute(nonce, this.#nonce()),
      ...(algorithms ? [attribute(passwordAlgorithms, algorithms)] : []),
    ])
  }

  #fail(request: StunMessage, code: number): Uint8Array {
    return this.#encode(request, 'error', [attribute(errorCode, { code, reason: '' })])
  }

  #encode(
    { method, transactionId }: StunMessage,
    messageClass: 'success' | 'error',
    attributes: readonly EncodableAttribute[],
    integrity?: IntegrityOptions,
  ): Uint8Array {
    return encodeMessage({ class: messageClass, method, transactionId, attributes, integrity })
  }
}
