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
import type { TurnCause, TurnFailure } from '../../proto/turn-client/index.ts'
import type { IceServer } from './ice-servers.ts'
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
  UNSUPPORTED: 'unsupported',
}

/** Why a name was not resolved, or a connection not opened. */
export function causeOfError(error: unknown, stage: StageName): Cause {
  if (error instanceof TlsError) return causeOfTls(error.problem, error.chain)
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
  timeout: 'tls-failed',
  handshake: 'tls-failed',
  'bad-ca': 'certificate-untrusted',
}

function causeOfTls(problem: TlsProblem, chain: readonly CertificateInfo[]): Cause {
  const [own] = chain
  const day = (time: WallTime): string => new Date(time).toISOString().slice(0, 10)
  const date = own && day(problem === 'not-yet-valid' ? own.validFrom : own.validTo)
  const names = own && (own.names.length > 0 ? own.names : [own.subject])
  const issuer = own?.issuer
  return cause(tlsCodes[problem], 'tls', {
    problem,
    ...(date && { date }),
    ...(names && { names, issuer: issuer ?? '' }),
  })
}

const deliveryCodes: Readonly<Partial<Record<DeliveryFailureReason, CauseCode>>> = {
  'port-unreachable': 'refused',
  'admin-prohibited': 'blocked',
  'local-firewall': 'blocked',
}

/** Nobody answered as asked. What is there instead? */
const silence = (stage: StageName, stray: TransportAddress | undefined, foreign: boolean): Cause => {
  if (stray) return cause('other-source', stage, { from: formatAddress(stray) })
  return cause(foreign ? 'not-stun' : 'no-answer', stage)
}

const undelivered = (stage: StageName, reason: DeliveryFailureReason | undefined, detail: string): Cause =>
  cause(deliveryCodes[reason ?? 'other'] ?? 'no-route', stage, { reason: reason ?? 'other', detail })

/** Why a Binding request got no mapped address; `stray` answered instead of the server, `foreign` is what it sent instead. */
export function causeOfBinding(outcome: RequestOutcome, stray: TransportAddress | undefined, foreign: boolean): Cause {
  switch (outcome.kind) {
    case 'timeout':
      return silence('binding', stray, foreign)
    case 'unreachable':
      return undelivered('binding', outcome.failure.reason, outcome.failure.detail)
    case 'closed':
      return cause(foreign ? 'not-stun' : 'closed', 'binding')
    case 'error-response': {
      const { code, reason } = outcome.error
      return code === 300 ? cause('redirect', 'binding', { to: 'nowhere' }) : errorResponse('binding', code, reason)
    }
    case 'cancelled':
      return cause('cancelled', 'binding')
    case 'success':
      return cause('error-response', 'binding', { code: '', reason: 'success without an address in it' })
    // An answer that could not be believed.
    case 'invalid-response':
    case 'integrity-violated':
      return cause('error-response', 'binding', { code: '', reason: outcome.why })
  }
}

const errorResponse = (stage: StageName, code: number, reason: string): Cause =>
  cause('error-response', stage, { code, reason })

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

/** What else is known of a server that did not do what it was asked. */
export interface TurnContext {
  readonly server: Pick<IceServer, 'username' | 'credential'>
  readonly now: WallTime
  /** Whoever answered instead of it. */
  readonly stray?: TransportAddress | undefined
  /** The same port answers Binding requests: it is there, and a STUN server. */
  readonly answersBinding?: boolean | undefined
  /** It sends what is no STUN. */
  readonly foreign?: boolean | undefined
  /** It has asked who we are: it knows Allocate. */
  readonly challenged?: boolean | undefined
  /** Where its 300 led to. */
  readonly redirectedTo?: string | undefined
}

/** Why a TURN server did not do what it was asked. */
export function causeOfTurn(failure: TurnFailure, context: TurnContext): Cause {
  const stage = stages[failure.stage] ?? 'allocate'
  const { redirectedTo } = context
  if (failure.tls) return causeOfTls(failure.tls.problem, failure.tls.chain)
  const led = redirectedTo !== undefined && deadEnds.includes(failure.cause)
  if (led) return cause('redirect', stage, { to: redirectedTo })
  switch (failure.cause) {
    case 'timeout':
      // coturn 4.6 with stun-only leaves Allocate unanswered.
      if (context.answersBinding && !context.challenged) return cause('not-turn', 'allocate')
      return stage === 'connect'
        ? cause('connect-timeout', stage)
        : silence(stage, context.stray, context.foreign === true)
    case 'other-address':
      return silence(stage, context.stray, false)
    case 'unreachable':
      return undelivered(stage, failure.delivery?.reason, failure.why)
    case 'refused':
      return cause('refused', stage)
    case 'closed':
      return cause('closed', stage)
    case 'not-turn':
      return cause('not-stun', stage)
    case 'cancelled':
      return cause('cancelled', stage)
    case 'tls':
      return cause('certificate-untrusted', 'tls', { problem: failure.why })
    case 'credentials-missing':
      return cause('no-credentials', 'challenge')
    case 'wrong-credentials':
      return refused(context)
    case 'bid-down':
    case 'bad-challenge':
    case 'unprotected-answer':
    case 'wrong-integrity':
      return cause('bad-integrity', stage, { detail: failure.why })
    case 'stale-nonce-loop':
      return cause('stale-nonce-loop', stage)
    case 'invalid-answer':
      return cause('error-response', stage, { code: '', reason: failure.why })
    case 'redirected':
    case 'redirect-loop':
    case 'too-many-redirects':
      return cause('redirect', stage, { to: failure.alternate ? formatAddress(failure.alternate.server) : failure.why })
    case 'error':
      return causeOfCode(failure, stage, context.challenged === true)
  }
}

/** After a 300, these are failures of where it led. */
const deadEnds: readonly TurnCause[] = ['timeout', 'unreachable', 'refused', 'closed', 'not-turn']

function causeOfCode({ error }: TurnFailure, stage: StageName, challenged: boolean): Cause {
  const { code, reason } = error ?? { code: 0, reason: '' }
  if (code === 300) return cause('redirect', stage, { to: 'nowhere: it names no other server' })
  if (code === 403 && (stage === 'permission' || stage === 'channel')) {
    return cause('peer-denied', stage, { code, reason }, 'warning')
  }
  // RFC 8489 §6.3.1: a STUN server has no such method. coturn with stun-only says 404 or 400, others 405 and 500.
  const unknownMethod = stage === 'allocate' && !challenged && [400, 404, 405, 500].includes(code)
  if (unknownMethod) return cause('not-turn', stage, { code, reason })
  return cause(errorCodes[code] ?? 'error-response', stage, { code, reason })
}

/** Base64 of an HMAC by SHA-1 or SHA-256. */
const hmac = /^(?:[\w+/]{27}|[\w+/]{43})=$/

/**
 * The user name of TURN REST credentials begins with the second in which they expire. Where it is nothing else, it may as
 * well be a telephone number, unless the password is one of theirs.
 */
function refused({ server: { username = '', credential = '' }, now }: TurnContext): Cause {
  const shape = hmac.test(credential) ? /^(\d{9,11})(?::|$)/ : /^(\d{9,11}):/
  const expiry = Number(shape.exec(username)?.[1] ?? Number.NaN)
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
export function concludeBlocks(attempts: readonly AttemptObservation[], controls: Controls): AttemptObservation[] {
  return attempts.map((attempt, index) => ({
    ...attempt,
    causes: attempt.causes.map((each) => {
      if (each.code === 'no-answer' && controls.answersBinding.has(index)) return cause('not-turn', 'allocate')
      if (!isSilence(attempt, each)) return each
      // Systems send only so many ICMP errors: the one that another attempt got counts for this one too.
      if (attempts.some((other) => isRefusalOf(attempt, other))) return { ...each, code: 'refused', facts: {} }
      return { ...each, ...blockedBeside(attempt, attempts, controls.open) }
    }),
  }))
}

/** What was tried beside attempts that were silent. */
export interface Controls {
  /** What a connection got through to, by the address of the attempt. */
  readonly open: ReadonlyMap<string, string>
  /** The attempts whose server answered Binding over the same transport, and no Allocate. */
  readonly answersBinding: ReadonlySet<number>
}

/**
 * Nothing at all came back from the port, or an ICMP error instead: a stream that connected and then is silent was let
 * through.
 */
const isSilence = ({ transport, rttMs }: AttemptObservation, { code }: Cause): boolean =>
  rttMs === null && ((code === 'no-answer' && transport === 'udp') || code === 'connect-timeout' || code === 'no-route')

const isRefusalOf = ({ address, transport }: AttemptObservation, other: AttemptObservation): boolean =>
  other.address === address && other.transport === transport && other.causes.some(({ code }) => code === 'refused')

const ipOf = ({ address }: AttemptObservation): string => (address ?? '').replace(/:\d+$/, '')

const portOf = ({ address }: AttemptObservation): string => /:(\d+)$/.exec(address ?? '')?.[1] ?? ''

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
