/** What became of a request, as a failure with its stage and cause. */
import { type DeliveryFailure, formatAddress, type TransportAddress } from '../../core/index.ts'
import {
  alternateDomain,
  alternateServer,
  type ErrorCode,
  errorReason,
  get,
  has,
  messageIntegrity,
  messageIntegritySha256,
  methodName,
  type StunMessage,
  unknownAttributes,
} from '../../wire/index.ts'
import type { EndedRequest } from './requests.ts'
import type { AlternateServer, TurnCause, TurnFailure, TurnStage } from './types.ts'

/** A request that is no success; `stage` is what it was for. */
export function failureOf(ended: EndedRequest, stage: TurnStage, to: TransportAddress): TurnFailure {
  const { outcome, refusal } = ended
  const server = formatAddress(to)
  const fail = (cause: TurnCause, why: string, rest: Partial<TurnFailure> = {}): TurnFailure => ({
    ...rest,
    // Until a request was signed the server has not told us apart from anybody: that step is called after its code.
    stage: stage === 'allocate' && isAboutIdentity(ended, cause) ? '401' : stage,
    cause,
    why,
  })
  switch (outcome.kind) {
    case 'success':
      return fail('invalid-answer', 'the success response lacks what it has to say')
    case 'error-response': {
      const { error, message } = outcome
      const said = { error, unknownAttributes: get(message, unknownAttributes) }
      if (refusal) return fail(refusal.cause, refusal.why, said)
      if (error.code === 401) return fail('credentials-missing', `${server} asks for a username and a password`, said)
      const alternate = error.code === 300 ? alternateOf(message) : undefined
      if (alternate) {
        return fail('redirected', `${server} sends its clients to ${formatAddress(alternate.server)}`, {
          ...said,
          alternate,
        })
      }
      return fail('error', `${server} answered ${describe(error)}`, said)
    }
    case 'invalid-response':
      return fail('invalid-answer', `the answer of ${server} makes no sense: ${outcome.why}`)
    case 'integrity-violated': {
      const [first] = ended.discarded
      const cause = first && isProtected(first.message) ? 'wrong-integrity' : 'unprotected-answer'
      return fail(cause, `the answer can't be believed to be the server's: ${outcome.why}`)
    }
    case 'timeout':
      return silence(ended, server, fail)
    case 'unreachable':
      return fail('unreachable', `${server} can't be reached: ${deliveryWords(outcome.failure)}`, {
        delivery: outcome.failure,
      })
    case 'closed':
      return fail(ended.foreign ? 'not-turn' : 'closed', outcome.why)
    case 'cancelled':
      return fail('cancelled', 'the caller waits no longer')
  }
}

function silence(
  { outcome, strays }: EndedRequest,
  server: string,
  fail: (cause: TurnCause, why: string) => TurnFailure,
): TurnFailure {
  const [stray] = strays
  if (stray) {
    return fail(
      'other-address',
      `${formatAddress(stray)} answered what ${server} was asked: clients take that for no answer`,
    )
  }
  const often = outcome.transmissions === 1 ? 'a request' : `a request sent ${outcome.transmissions} times`
  return fail('timeout', `${server} did not answer ${often} in ${Math.round(outcome.elapsedMs)} ms`)
}

/** Whether a failed Allocate failed at proving who we are. */
function isAboutIdentity({ outcome, signed, refusal }: EndedRequest, cause: TurnCause): boolean {
  if (refusal || cause === 'credentials-missing') return true
  return !signed && outcome.kind !== 'error-response' && outcome.kind !== 'success'
}

const isProtected = (message: StunMessage): boolean =>
  has(message, messageIntegrity) || has(message, messageIntegritySha256)

function alternateOf(message: StunMessage): AlternateServer | undefined {
  const server = get(message, alternateServer)
  return server && { server, domain: get(message, alternateDomain) }
}

function describe({ code, reason }: ErrorCode): string {
  const registered = errorReason(code)
  return `${code} ${reason || registered}`.trim()
}

const deliveryWords = ({ reason, detail }: DeliveryFailure): string => `${reason.replaceAll('-', ' ')} (${detail})`

/** A success that lacks what makes it one. */
export const incomplete = (stage: TurnStage, method: number, missing: readonly string[]): TurnFailure => ({
  stage,
  cause: 'invalid-answer',
  why: `the ${methodName(method)} success response has no usable ${missing.join(' and no usable ')}`,
})
