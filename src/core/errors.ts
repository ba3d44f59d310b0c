/** Errors a person can act on. Each has a stable code; the command line prints `message` and `fix`, never a stack. */

/**
 * What went wrong, as a stable word scripts may match on.
 * Usage errors are the caller's to mend; measuring errors are the world's.
 */
export type ErrorCode =
  | 'USAGE' // arguments that make no sense
  | 'BAD_URI' // not a stun:, stuns:, turn: or turns: URI (RFC 7064, RFC 7065)
  | 'BAD_FILE' // unreadable, not JSON, or of another schema version
  | 'BAD_ADDRESS' // not an address of this machine
  | 'ADDRESS_IN_USE'
  | 'PERMISSION_DENIED'
  | 'UNKNOWN_HOST' // the name does not exist
  | 'NO_ADDRESS' // the name exists, but has no address of the family asked for
  | 'DNS_FAILED' // the resolver did not answer, or refused
  | 'NO_ROUTE' // no network, or none towards this address
  | 'UNREACHABLE' // ICMP said so
  | 'CONNECTION_REFUSED'
  | 'CONNECTION_CLOSED'
  | 'TIMEOUT'
  | 'TLS_FAILED' // handshake or certificate; the message names which
  | 'NOT_STUN' // the other side answers, but not with STUN
  | 'STUN_ERROR' // an error response that ends the transaction
  | 'UNSUPPORTED' // this platform or build can't do it
  | 'CANCELLED'

/** An error with a stable code and, where there is one, the thing to do about it. */
export class NatcheckError extends Error {
  readonly code: ErrorCode
  /** What the user can do about it: one imperative sentence. */
  readonly fix: string | undefined

  constructor(code: ErrorCode, message: string, options: { fix?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'NatcheckError'
    this.code = code
    this.fix = options.fix
  }
}

/** A decoder's answer: bad packets are values, never exceptions. `where` names the field, `why` the rule it breaks. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly where: string; readonly why: string }
