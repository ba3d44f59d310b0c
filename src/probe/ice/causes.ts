/** From what failed to why: one cause for each way in which a server can be of no use. */
import {
  type CertificateInfo,
  type DeliveryFailureReason,
  type ErrorCode,
  formatAddress,
  type IpAddress,
  NatcheckError,
  scopeOf,
  TlsError,
  type TlsProblem,
  type TransportAddress,
  type WallTime,
} from '../../core/index.ts'
import type { RequestOutcome } from '../../proto/stun/index.ts'
import type { TurnFailure } from '../../proto/turn-client/index.ts'
import type { AttemptObservation, Cause, CauseCode, StageName } from './observations.ts'

export const cause = (
  code: CauseCode,
  stage: StageName,
  facts: Cause['facts'] = {},
  severity: Cause['severity'] = 'error',
): Cause => ({ code, stage, severity, facts })

const errorCauses: Readonly<Partial<Record<ErrorCode, CauseCode>>> = {
  UNKNOWN_HOST: 'unknown-host',
  NO_ADDRESS: 'unknown-host',
  DNS_FAILED: 'dns-failed',
  NO_ROUTE: 'no-route',
  UNREACHABLE: 'no-route',
  CONNECTION_REFUSED: 'refused',
  CONNECTION_CLOSED: 'closed',
  TIMEOUT: 'connect-timeout',
}

/** Why a name was not resolved, or a connection not opened. */
export function causeOfError(error: unknown, stage: StageName): Cause {
  if (error instanceof TlsError) return causeOfTls(error.problem, error.chain, error.message)
  if (!(error instanceof NatcheckError)) throw error
  const code = errorCauses[error.code]
  if (code === undefined) return cause('error-response', stage, { code: error.code, reason: error.message })
  return cause(code, code === 'unknown-host' || code === 'dns-failed' ? 'dns' : stage, { detail: error.message })
}

const tlsCodes: Readonly<Record<TlsProblem, CauseCode>> = {
  expired: 'certificate-expired',
  'not-yet-valid': 'certificate-not-yet-valid',
  'self-signed': 'certificate-self-signed',
  untrusted: 'certificate-untrusted',
  'wrong-name': 'certificate-wrong-name',
  'not-tls': 'not-tls',
  closed: 'closed',
  timeout: 'connect-timeout',
  handshake: 'certificate-untrusted',
  'bad-ca': 'certificate-untrusted',
}

function causeOfTls(problem: TlsProblem, chain: readonly CertificateInfo[], detail: string): Cause {
  const [own] = chain
  const day = (time: WallTime): string => new Date(time).toISOString().slice(0, 10)
  const date = own && (problem === 'not-yet-valid' ? day(own.validFrom) : day(own.validTo))
  const names = own && (own.names.length > 0 ? own.names : [own.subject])
  return cause(tlsCodes[problem], 'tls', { detail, ...(date && { date }), ...(names && { names }) })
}

const deliveryCodes: Readonly<Partial<Record<DeliveryFailureReason, CauseCode>>> = {
  'port-unreachable': 'refused',
  'admin-prohibited': 'blocked',
  'local-firewall': 'blocked',
}

/** Why a Binding request got no mapped address; `stray` answered instead of the server. */
export function causeOfBinding(outcome: RequestOutcome, stray: TransportAddress | undefined): Cause {
  switch (outcome.kind) {
    case 'timeout':
      return stray ? cause('other-source', 'binding', { from: formatAddress(stray) }) : cause('no-answer', 'binding')
    case 'unreachable':
      return cause(deliveryCodes[outcome.failure.reason] ?? 'no-route', 'binding', { detail: outcome.failure.detail })
    case 'closed':
      return cause('not-stun', 'binding', { detail: outcome.why })
    case 'error-response':
      return cause('error-response', 'binding', { code: outcome.error.code, reason: outcome.error.reason })
    case 'cancelled':
      return cause('cancelled', 'binding')
    // An answer without an address in it, or none that could be believed.
    case 'success':
    case 'invalid-response':
    case 'integrity-violated':
      return cause('not-stun', 'binding')
  }
}

const errorCodes: Readonly<Record<number, CauseCode>> = {
  403: 'forbidden',
  437: 'allocation-mismatch',
  486: 'quota',
  508: 'no-capacity',
}

const stages: Readonly<Partial<Record<TurnFailure['stage'], StageName>>> = {
  connect: 'connect',
  tls: 'tls',
  '401': 'challenge',
  permission: 'permission',
  channel: 'channel',
}

/** Why a TURN server did not do what it was asked. `now` and `username` tell credentials that have expired. */
export function causeOfTurn(failure: TurnFailure, username: string | undefined, now: WallTime): Cause {
  const stage = stages[failure.stage] ?? 'allocate'
  if (failure.tls) return causeOfTls(failure.tls.problem, failure.tls.chain, failure.why)
  switch (failure.cause) {
    case 'timeout':
      return cause(stage === 'connect' ? 'connect-timeout' : 'no-answer', stage)
    case 'other-address':
      return cause('other-source', stage, { from: /^\S+/.exec(failure.why)?.[0] ?? '' })
    case 'unreachable':
      return cause(deliveryCodes[failure.delivery?.reason ?? 'other'] ?? 'no-route', stage, { detail: failure.why })
    case 'refused':
      return cause('refused', stage)
    case 'closed':
      return cause('closed', stage)
    case 'not-turn':
      return cause('not-stun', stage)
    case 'cancelled':
      return cause('cancelled', stage)
    case 'tls':
      return cause('certificate-untrusted', 'tls', { detail: failure.why })
    case 'credentials-missing':
      return cause('no-credentials', 'challenge')
    case 'wrong-credentials':
      return refused(username, now)
    case 'bid-down':
    case 'bad-challenge':
      return cause('bad-integrity', 'challenge', { detail: failure.why })
    case 'stale-nonce-loop':
      return cause('stale-nonce-loop', stage)
    case 'unprotected-answer':
    case 'wrong-integrity':
      return cause('bad-integrity', stage, { detail: failure.why })
    case 'invalid-answer':
      return cause('not-turn', stage, { detail: failure.why })
    case 'redirected':
    case 'redirect-loop':
    case 'too-many-redirects':
      return cause('redirect', stage, {
        to: failure.alternate ? formatAddress(failure.alternate.server) : failure.why,
      })
    case 'error':
      return causeOfCode(failure, stage)
  }
}

function causeOfCode({ error }: TurnFailure, stage: StageName): Cause {
  const { code, reason } = error ?? { code: 0, reason: '' }
  if (stage === 'permission' || stage === 'channel') return cause('peer-denied', stage, { code, reason }, 'warning')
  // RFC 8489 §6.3.1: a STUN server that has no such method. coturn with stun-only says 404 or 400, others 405 and 500.
  if ([400, 404, 405].includes(code)) return cause('not-turn', stage, { code, reason })
  return cause(errorCodes[code] ?? 'error-response', stage, { code, reason })
}

/** The user name of TURN REST credentials begins with the second in which they expire. */
function refused(username: string | undefined, now: WallTime): Cause {
  const expiry = Number(/^(\d{9,11})(?::|$)/.exec(username ?? '')?.[1] ?? Number.NaN)
  const seconds = Math.round(now / 1000 - expiry)
  return seconds > 0 ? cause('expired-credentials', 'challenge', { seconds }) : cause('wrong-credentials', 'challenge')
}

/** A relayed address that peers can't use. Where the server itself is private, so may its relay be. */
export function causeOfRelayed(relayed: TransportAddress, server: IpAddress): Cause | undefined {
  const scope = scopeOf(relayed.ip)
  const own = scopeOf(server)
  if (scope === own) return undefined
  const facts = { ip: relayed.ip }
  if (scope === 'loopback' || scope === 'unspecified') return cause('relay-address-loopback', 'allocate', facts)
  const isPrivate = scope === 'private' || scope === 'shared' || scope === 'link-local'
  return isPrivate && own !== 'loopback' ? cause('relay-address-private', 'allocate', facts) : undefined
}

/**
 * Silence of one port says nothing; silence beside answers from the same address over another transport is a block. An
 * attempt that reached the server is one that got any answer.
 */
export function concludeBlocks(
  attempts: readonly AttemptObservation[],
  open: ReadonlyMap<string, string>,
): AttemptObservation[] {
  return attempts.map((attempt) => ({
    ...attempt,
    causes: attempt.causes.map((each) =>
      isSilence(each) ? { ...each, ...blockedBeside(attempt, attempts, open) } : each,
    ),
  }))
}

const isSilence = ({ code }: Cause): boolean => code === 'no-answer' || code === 'connect-timeout'

const ipOf = ({ address }: AttemptObservation): string => (address ?? '').replace(/:\d+$/, '')

const portOf = ({ address }: AttemptObservation): string => /:(\d+)$/.exec(address ?? '')?.[1] ?? ''

/** `open`: what a control connection got through to, by the address of the attempt that was silent. */
function blockedBeside(
  attempt: AttemptObservation,
  all: readonly AttemptObservation[],
  open: ReadonlyMap<string, string>,
): Partial<Cause> {
  const answered = all.find((other) => other !== attempt && ipOf(other) === ipOf(attempt) && other.rttMs !== null)
  const worksOver = answered
    ? `${answered.transport === 'udp' ? 'UDP' : 'TCP'} ${portOf(answered)}`
    : attempt.transport === 'udp'
      ? open.get(attempt.address ?? '')
      : undefined
  return worksOver === undefined ? {} : { code: 'blocked', facts: { worksOver } }
}
