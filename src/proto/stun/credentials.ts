/**
 * The client's side of STUN authentication: what to sign, which answers to believe, how to meet a challenge. RFC 8489
 * §9
 */
import {
  attribute,
  type EncodableAttribute,
  errorCode,
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
  shortTermKey,
  userhash,
  userhashOf,
  username,
  verifyIntegrity,
  verifyIntegritySha256,
} from '../../wire/index.ts'
import type { ReplyCheck } from './client-transaction.ts'

/** A name and password that the server knows for good; it challenges with realm and nonce. RFC 8489 §9.2 */
export interface LongTermCredentials {
  readonly kind: 'long-term'
  readonly username: string
  readonly password: string
}

/** A name and password for one session, agreed on elsewhere (ICE: in the SDP). RFC 8489 §9.1 */
export interface ShortTermCredentials {
  readonly kind: 'short-term'
  readonly username: string
  readonly password: string
  /** Default: both, since the server's abilities are unknown. ICE says sha1 (RFC 8445 §7.1.2). */
  readonly integrity?: 'sha1' | 'sha256' | 'both' | undefined
}

export type Credentials = LongTermCredentials | ShortTermCredentials

/** What the server's last challenge said, to be repeated in every request until the next one. RFC 8489 §9.2.3.2 */
export interface LongTermSession {
  readonly realm: string
  readonly nonce: string
  /** Name ourselves by USERHASH. */
  readonly anonymous: boolean
  /** PASSWORD-ALGORITHMS as it came, byte for byte; undefined from servers before RFC 8489. */
  readonly offered: Uint8Array | undefined
  readonly algorithm: 'md5' | 'sha-256'
  readonly key: Uint8Array
}

/** A request's attributes with the credentials among them, and how to seal it. */
export interface SignedRequest {
  readonly attributes: readonly EncodableAttribute[]
  /** Undefined for a request that proves nothing: the first one, by which a challenge is asked for. */
  readonly integrity: IntegrityOptions | undefined
}

/** What to do about a 401 or 438. */
export type ChallengeAnswer =
  | { readonly kind: 'retry'; readonly session: LongTermSession }
  /** Trying again would be useless or unsafe; `why` says so in words. */
  | { readonly kind: 'refuse'; readonly cause: RefusalCause; readonly why: string }

/** Why a challenge is not met. */
export type RefusalCause =
  | 'wrong-credentials' // the server has seen them and asks again
  | 'bid-down' // somebody on the way has removed what the server offered
  | 'bad-challenge' // it lacks what an answer needs

/** Adds what the credentials demand to a request's own attributes. */
export function signRequest(
  attributes: readonly EncodableAttribute[],
  credentials: Credentials | undefined,
  session: LongTermSession | undefined,
): SignedRequest {
  if (credentials?.kind === 'short-term') {
    return {
      attributes: [...attributes, attribute(username, opaqueString(credentials.username))],
      integrity: { key: shortTermKey(credentials.password), algorithm: credentials.integrity ?? 'both' },
    }
  }
  // RFC 8489 §9.2.3.1: the first request goes without anything.
  if (!credentials || !session) return { attributes, integrity: undefined }
  const { offered, algorithm, key } = session
  const name = session.anonymous
    ? attribute(userhash, userhashOf(credentials.username, session.realm))
    : attribute(username, opaqueString(credentials.username))
  const choice = algorithm === 'md5' ? PasswordAlgorithmNumber.md5 : PasswordAlgorithmNumber.sha256
  const negotiation = offered
    ? [rawAttribute(passwordAlgorithms.type, offered), attribute(passwordAlgorithm, { algorithm: choice })]
    : []
  return {
    attributes: [...attributes, name, attribute(realm, session.realm), attribute(nonce, session.nonce), ...negotiation],
    // Who offers PASSWORD-ALGORITHMS knows RFC 8489, and has to answer with the SHA-256 one (§9.2.4).
    integrity: { key, algorithm: offered ? 'sha256' : 'sha1' },
  }
}

/** Whether a reply can be believed to be the server's, given how the request was sealed. RFC 8489 §9.1.4, §9.2.5 */
export function checkReply(
  reply: StunMessage,
  sealed: IntegrityOptions | undefined,
  mechanism?: Credentials['kind'],
): ReplyCheck {
  const code = reply.class === 'error' ? get(reply, errorCode)?.code : undefined
  const what = reply.class === 'error' ? `error ${code ?? 'response'}` : 'the success response'
  const challenge = isChallenge(code)
  if (!challenge && promisesAlgorithms(get(reply, nonce)) && !has(reply, passwordAlgorithms)) {
    return rejected(`${what} lacks the PASSWORD-ALGORITHMS that its nonce promises`)
  }
  // A server that does not know who we are can't prove to us who it is.
  if (!sealed || (challenge && mechanism !== 'short-term')) return { accepted: true }
  const algorithm = sealed.algorithm ?? 'sha1'
  const usesSha256 = has(reply, messageIntegritySha256)
  if (!usesSha256 && !has(reply, messageIntegrity)) return rejected(`${what} has no message integrity`)
  if (usesSha256 && algorithm !== 'sha1') {
    // RFC 8489 §14.6: shorter values are for usages that say so, and neither STUN nor TURN does.
    const whole = get(reply, messageIntegritySha256)?.length === 32
    if (whole && verifyIntegritySha256(reply, sealed.key)) return { accepted: true }
    return rejected(`${what} has a wrong MESSAGE-INTEGRITY-SHA256`)
  }
  if (algorithm === 'sha256') return rejected(`${what} has MESSAGE-INTEGRITY where the request had the SHA-256 one`)
  return verifyIntegrity(reply, sealed.key) ? { accepted: true } : rejected(`${what} has a wrong MESSAGE-INTEGRITY`)
}

/**
 * What to do about an error response to a request that was signed with `session` (undefined: not at all); undefined
 * when it is no challenge to these credentials. RFC 8489 §9.2.5
 */
export function answerChallenge(
  credentials: Credentials | undefined,
  session: LongTermSession | undefined,
  response: StunMessage,
): ChallengeAnswer | undefined {
  const code = get(response, errorCode)?.code
  if (credentials?.kind !== 'long-term' || !isChallenge(code)) return undefined
  const newRealm = get(response, realm) ?? (code === 438 ? session?.realm : undefined)
  const newNonce = get(response, nonce)
  if (newRealm === undefined) return refuse('bad-challenge', `error ${code} has no usable REALM`)
  if (newNonce === undefined) return refuse('bad-challenge', `error ${code} has no usable NONCE`)
  const algorithm = chooseAlgorithm(response, newNonce)
  if (algorithm.kind === 'refuse') return algorithm
  const { offered, chosen } = algorithm
  const anonymous = parseNonceCookie(newNonce)?.usernameAnonymity ?? false
  const next = { realm: newRealm, nonce: newNonce, anonymous, offered, algorithm: chosen }
  const objection = session && objectionTo(session, next, code)
  if (objection) return objection
  const sameKey = session?.realm === newRealm && session.algorithm === chosen
  const key = sameKey ? session.key : longTermKey({ ...credentials, realm: newRealm }, chosen)
  return { kind: 'retry', session: { ...next, key } }
}

/** The first of the offered algorithms that we have, and the offer itself; MD5 where nothing is offered. */
function chooseAlgorithm(
  response: StunMessage,
  newNonce: string,
): { kind: 'chosen'; offered: Uint8Array | undefined; chosen: LongTermSession['algorithm'] } | Refusal {
  const raw = findAttribute(response, passwordAlgorithms.type)
  if (!raw) {
    if (!promisesAlgorithms(newNonce)) return { kind: 'chosen', offered: undefined, chosen: 'md5' }
    return refuse(
      'bid-down',
      'bid-down attack: the nonce promises PASSWORD-ALGORITHMS, which somebody on the way has removed',
    )
  }
  for (const { algorithm } of get(response, passwordAlgorithms) ?? []) {
    const chosen = algorithmNames.get(algorithm)
    // A copy: the datagram's memory is not ours for the lifetime of a session.
    if (chosen) return { kind: 'chosen', offered: Uint8Array.from(raw.value), chosen }
  }
  return refuse('bad-challenge', 'the server offers no password algorithm that natcheck has (MD5 and SHA-256)')
}

/** Why a further challenge is not to be met, if so. */
function objectionTo(
  session: LongTermSession,
  next: Omit<LongTermSession, 'key'>,
  code: 401 | 438,
): Refusal | undefined {
  // The RFC leaves this to the server's comparison; but by then a stripped challenge would have had the weaker hash or
  // the name in the clear.
  if (session.offered && (!next.offered || (session.algorithm === 'sha-256' && next.algorithm === 'md5'))) {
    return refuse(
      'bid-down',
      `bid-down attack: error ${code} withdraws the password algorithms that the server offered before`,
    )
  }
  if (session.anonymous && !next.anonymous) {
    return refuse(
      'bid-down',
      `bid-down attack: error ${code} withdraws the username anonymity that the server offered before`,
    )
  }
  const changed =
    session.realm !== next.realm || session.anonymous !== next.anonymous || session.algorithm !== next.algorithm
  return code === 401 && !changed
    ? refuse('wrong-credentials', 'the server does not accept this username and password')
    : undefined
}

const algorithmNames: ReadonlyMap<number, LongTermSession['algorithm']> = new Map([
  [PasswordAlgorithmNumber.md5, 'md5'],
  [PasswordAlgorithmNumber.sha256, 'sha-256'],
])

const isChallenge = (code: number | undefined): code is 401 | 438 => code === 401 || code === 438

const promisesAlgorithms = (text: string | undefined): boolean =>
  text !== undefined && parseNonceCookie(text)?.passwordAlgorithms === true

type Refusal = ChallengeAnswer & { readonly kind: 'refuse' }

const refuse = (cause: RefusalCause, why: string): Refusal => ({ kind: 'refuse', cause, why })

const rejected = (why: string): ReplyCheck => ({ accepted: false, why })
