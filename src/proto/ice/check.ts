/** Connectivity checks on the wire: our requests, and the peer's. RFC 8445 §7 */
import { formatAddress, type TransportAddress } from '../../core/index.ts'
import {
  attribute,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  errorReason,
  fingerprint,
  get,
  has,
  iceControlled,
  iceControlling,
  messageIntegrity,
  Method,
  priority,
  shortTermKey,
  type StunMessage,
  unknownAttributes,
  unknownComprehensionRequired,
  useCandidate,
  username,
  verifyFingerprint,
  verifyIntegrity,
  xorMappedAddress,
} from '../../wire/index.ts'
import { type ShortTermCredentials, signRequest, type TransactionOutcome } from '../stun/index.ts'
import type { IceCredentials } from './credentials.ts'
import type { IceRole } from './pair.ts'

export interface CheckRequest {
  readonly transactionId: Uint8Array
  readonly credentials: ShortTermCredentials
  /** What a peer-reflexive candidate found by this check would have. RFC 8445 §7.1.1 */
  readonly priority: number
  readonly role: IceRole
  readonly tieBreaker: bigint
  readonly nominate: boolean
}

/** A check's bytes. RFC 8445 §7.2.2 */
export function encodeCheck(check: CheckRequest): Uint8Array {
  const attributes = [
    attribute(priority, check.priority),
    attribute(check.role === 'controlling' ? iceControlling : iceControlled, check.tieBreaker),
    ...(check.nominate ? [attribute(useCandidate, true)] : []),
  ]
  const { transactionId, credentials } = check
  const signed = signRequest(attributes, credentials, undefined)
  return encodeMessage({ class: 'request', method: Method.binding, transactionId, ...signed, fingerprint: true })
}

/** What a check of the peer's says, or which error it gets. */
export type IncomingCheck =
  | {
      readonly kind: 'check'
      readonly priority: number
      readonly nominates: boolean
      /** The peer's role and tie-breaker; undefined when it says neither, as agents before RFC 5245 did. */
      readonly role: IceRole | undefined
      readonly tieBreaker: bigint
    }
  | { readonly kind: 'refused'; readonly reply: Uint8Array }

/**
 * Whether a Binding request may be acted on. The name's second half is not looked at: checks come before the peer's
 * description does. RFC 8445 §7.3, RFC 8489 §9.1.3; undefined: no check at all, so it deserves no answer.
 */
export function readCheck(request: StunMessage, local: IceCredentials): IncomingCheck | undefined {
  if (request.method !== Method.binding || !has(request, fingerprint) || !verifyFingerprint(request)) return undefined
  const name = get(request, username)
  if (name === undefined || !has(request, messageIntegrity)) return refused(request, 400)
  const key = shortTermKey(local.password)
  if (!name.startsWith(`${local.ufrag}:`) || !verifyIntegrity(request, key)) return refused(request, 401)
  const unknown = unknownComprehensionRequired(request)
  if (unknown.length > 0) return refused(request, 420, key, [attribute(unknownAttributes, unknown)])
  const value = get(request, priority)
  if (value === undefined || value === 0) return refused(request, 400, key)
  const controlling = get(request, iceControlling)
  const controlled = get(request, iceControlled)
  return {
    kind: 'check',
    priority: value,
    nominates: has(request, useCandidate),
    role: controlling !== undefined ? 'controlling' : controlled !== undefined ? 'controlled' : undefined,
    tieBreaker: controlling ?? controlled ?? 0n,
  }
}

/** The answer to a good check. RFC 8445 §7.3.1.2 */
export const acceptCheck = (request: StunMessage, from: TransportAddress, local: IceCredentials): Uint8Array =>
  reply(request, 'success', [attribute(xorMappedAddress, from)], shortTermKey(local.password))

/** 487: the peer has to change its role. RFC 8445 §7.3.1.1 */
export const refuseRole = (request: StunMessage, local: IceCredentials): Uint8Array =>
  errorReply(request, 487, shortTermKey(local.password))

const refused = (
  request: StunMessage,
  code: number,
  key?: Uint8Array,
  more: readonly EncodableAttribute[] = [],
): IncomingCheck => ({ kind: 'refused', reply: errorReply(request, code, key, more) })

const errorReply = (
  request: StunMessage,
  code: number,
  key?: Uint8Array,
  more: readonly EncodableAttribute[] = [],
): Uint8Array => reply(request, 'error', [attribute(errorCode, { code, reason: errorReason(code) }), ...more], key)

const reply = (
  { method, transactionId }: StunMessage,
  messageClass: 'success' | 'error',
  attributes: readonly EncodableAttribute[],
  key: Uint8Array | undefined,
): Uint8Array =>
  encodeMessage({
    class: messageClass,
    method,
    transactionId,
    attributes,
    integrity: key && { key, algorithm: 'sha1' },
    fingerprint: true,
  })

/** Why a check failed, as a clause. `received`: how many of the peer's own checks have come in on the pair. */
export function failureOf(outcome: TransactionOutcome, received: number): string {
  switch (outcome.kind) {
    case 'timeout': {
      const times = outcome.transmissions === 1 ? '1 check' : `${outcome.transmissions} checks`
      const silence = `no answer to ${times} in ${(outcome.elapsedMs / 1000).toFixed(1)} s`
      return received === 0 ? silence : `${silence}, though ${received} of the peer's arrived: one direction only`
    }
    case 'error-response':
      return `the peer answered with error ${outcome.error.code} ${outcome.error.reason}`.trim()
    case 'unreachable':
      return `${formatAddress(outcome.failure.to ?? { ip: '0.0.0.0', port: 0 })} is not to be reached: ${outcome.failure.reason} (${outcome.failure.detail})`
    case 'invalid-response':
    case 'integrity-violated':
    case 'closed':
      return outcome.why
    case 'cancelled':
      return 'the check was called off'
    case 'success':
      return 'the answer names no address of ours'
  }
}
