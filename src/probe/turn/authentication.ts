/** Who may allocate, and how the server knows them: challenge, algorithms, nonces, retransmissions. RFC 8489 §9, RFC 8656 §5 */
import { formatAddress, sameAddress } from '../../core/index.ts'
import type { TurnFailure } from '../../proto/turn-client/index.ts'
import {
  findAttribute,
  get,
  has,
  Method,
  nonce,
  parseNonceCookie,
  passwordAlgorithms,
  PasswordAlgorithmNumber,
  rawAttribute,
  realm,
  type StunMessage,
  unknownAttributes,
  xorRelayedAddress,
} from '../../wire/index.ts'
import { limitOf, saidBy, type Subject } from './examination.ts'

/** Comprehension-required, and not assigned to anything. RFC 8489 §18.3 */
const strangeAttribute = 0x7f7f

/** One after the other: each needs the server's state as the one before left it. */
export async function checkAuthentication(subject: Subject): Promise<void> {
  noteChallenge(subject)
  await checkIdempotence(subject)
  await checkUnknownAttribute(subject)
  await checkStaleNonce(subject)
}

function noteChallenge({ session, notes }: Subject): void {
  const { challenge } = session
  if (!challenge) {
    notes.note('authentication', 'no', 'it gives an allocation to whoever asks, without credentials')
    for (const id of ['password-algorithms', 'sha-256', 'userhash', 'stale-nonce'] as const)
      notes.note(id, 'not-tested', 'it asks for no credentials')
    return
  }
  notes.note('authentication', 'yes', 'strangers get 401')
  const offered = session.observations.flatMap((each) =>
    each.kind === 'request' ? (each.passwordAlgorithms ?? []) : [],
  )
  const names = [...new Set(offered)].map((number) => algorithmNames.get(number) ?? `0x${number.toString(16)}`)
  if (names.length > 0) {
    notes.note('password-algorithms', 'yes', names.join(', '), { algorithms: names })
  } else notes.note('password-algorithms', 'no', 'MD5 and SHA-1 only, as before RFC 8489')
  const isSha256 = challenge.algorithm === 'sha-256'
  notes.note('sha-256', isSha256 ? 'yes' : 'no', isSha256 ? 'used for this run' : 'passwords are hashed with MD5')
  const anonymous = parseNonceCookie(challenge.nonce)?.usernameAnonymity === true
  notes.note(
    'userhash',
    anonymous ? 'yes' : 'no',
    anonymous ? 'used for this run' : 'the user name is sent in the clear',
  )
}

const algorithmNames: ReadonlyMap<number, string> = new Map([
  [PasswordAlgorithmNumber.md5, 'MD5'],
  [PasswordAlgorithmNumber.sha256, 'SHA-256'],
])

/** A success that was lost is asked for again with the same transaction id. RFC 8656 §7.2 */
async function checkIdempotence({ session, notes, relayed, seen, ...subject }: Subject): Promise<void> {
  const again = await session.exchange({ method: Method.allocate, repeat: true }, limitOf(subject))
  if (!again.ok) return notes.note('idempotence', unanswered(again.failure), withoutAnswer(again.failure))
  const { error, message } = again.value
  if (error) {
    return notes.note('idempotence', 'no', `the same Allocate again is answered ${error.code} ${error.reason}`.trim(), {
      code: error.code,
    })
  }
  const other = get(message, xorRelayedAddress)
  if (other && sameAddress(other, relayed)) return notes.note('idempotence', 'yes', 'the same success again')
  if (other) seen.push(other)
  const what = other ? `another relayed address, ${formatAddress(other)}` : 'a success without a relayed address'
  notes.note('idempotence', 'no', `the same Allocate again is answered with ${what}`)
}

/** RFC 8489 §6.3.1 */
async function checkUnknownAttribute({ session, notes, ...subject }: Subject): Promise<void> {
  const attributes = [rawAttribute(strangeAttribute, new Uint8Array(4))]
  const answer = await session.exchange({ method: Method.refresh, attributes }, limitOf(subject))
  if (!answer.ok) return notes.note('unknown-attribute', 'no', `the request is dropped: ${answer.failure.why}`)
  const { error, message } = answer.value
  if (!error)
    return notes.note('unknown-attribute', 'no', 'an attribute that it has to know and does not is passed over')
  const named = get(message, unknownAttributes)?.includes(strangeAttribute) ?? false
  if (error.code === 420 && named) return notes.note('unknown-attribute', 'yes', '420, which names it', { code: 420 })
  const detail = error.code === 420 ? '420 without the attribute in UNKNOWN-ATTRIBUTES' : `${error.code} instead of 420`
  notes.note('unknown-attribute', 'warning', detail, { code: error.code })
}

/**
 * A nonce that is not the server's any more: 438 with what it takes to go on, and then it goes on. Clients that lose
 * their call at a 438 are many, and most of them lose it because REALM or NONCE is missing there.
 */
async function checkStaleNonce({ session, notes, ...subject }: Subject): Promise<void> {
  const { challenge } = session
  if (!challenge) return
  const stale = changed(challenge.nonce)
  const answer = await session.exchange({ method: Method.refresh, nonce: stale }, limitOf(subject))
  if (!answer.ok) return notes.note('stale-nonce', unanswered(answer.failure), withoutAnswer(answer.failure))
  const { error, message } = answer.value
  if (!error) {
    return notes.note('stale-nonce', 'warning', 'a nonce that it never gave is accepted: requests can be replayed')
  }
  const facts = { code: error.code, realm: has(message, realm), nonce: has(message, nonce) }
  if (error.code !== 438) {
    return notes.note(
      'stale-nonce',
      'warning',
      `${error.code} instead of 438: clients take that for wrong credentials`,
      facts,
    )
  }
  const missing = missingOf(message)
  if (missing.length > 0) return notes.note('stale-nonce', 'no', `438 without ${missing.join(' and ')}`, facts)
  const recovered = await session.refresh(undefined, limitOf(subject))
  if (recovered.ok) return notes.note('stale-nonce', 'yes', '438 with REALM and a fresh NONCE, which works', facts)
  notes.note('stale-nonce', 'no', `438, and its fresh nonce does not work: ${saidBy(recovered.failure)}`, facts)
}

function missingOf(message: StunMessage): readonly string[] {
  const missing = [...(has(message, realm) ? [] : ['REALM']), ...(has(message, nonce) ? [] : ['NONCE'])]
  const promised = parseNonceCookie(get(message, nonce) ?? '')?.passwordAlgorithms === true
  return promised && !findAttribute(message, passwordAlgorithms.type) ? [...missing, 'PASSWORD-ALGORITHMS'] : missing
}

/** Of the same length and the same promises (the first 13 characters), and with another end. */
function changed(value: string): string {
  const kept = value.slice(0, -1)
  return `${kept}${value.endsWith('0') ? '1' : '0'}`
}

const unanswered = ({ cause }: TurnFailure): 'no' | 'inconclusive' | 'not-tested' =>
  cause === 'cancelled' ? 'not-tested' : cause === 'timeout' ? 'no' : 'inconclusive'

const withoutAnswer = ({ cause, why }: TurnFailure): string =>
  cause === 'timeout' ? 'it does not answer' : cause === 'cancelled' ? 'the run ended first' : why
