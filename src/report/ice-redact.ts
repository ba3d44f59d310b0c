/** What `--redact` hides of a gathering run and of a TURN server, besides addresses: the names in certificates, and whose realm and authority it is. */
import type { AttemptObservation, IceObservations } from '../probe/ice/index.ts'
import type { TurnObservations } from '../probe/turn/index.ts'
import type { Redactor } from './redact.ts'

const hidden = 'redacted'

/** Candidate lines stay what they are: an address becomes another address. */
export function redactIce(observations: IceObservations, redactor: Redactor): IceObservations {
  hideNames(observations.attempts, redactor)
  return redactor.value({ ...observations, attempts: observations.attempts.map(withoutOwners) })
}

export function redactTurn(observations: TurnObservations, redactor: Redactor): TurnObservations {
  hideNames(observations.transports, redactor)
  return redactor.value({ ...observations, transports: observations.transports.map(withoutOwners) })
}

function hideNames(attempts: readonly AttemptObservation[], redactor: Redactor): void {
  for (const { tls, realm, causes } of attempts) {
    const names = causes.flatMap(({ facts }) => facts['names'] ?? [])
    for (const name of [...(tls?.names ?? []), ...names, realm ?? '']) {
      // A word without a dot may stand anywhere; a realm that is one is hidden where it stands.
      if (typeof name === 'string' && name.includes('.')) redactor.hide(name)
    }
  }
}

function withoutOwners<T extends AttemptObservation>(attempt: T): T {
  const { realm, tls, causes } = attempt
  return {
    ...attempt,
    realm: realm && hidden,
    tls: tls && { ...tls, issuer: hidden },
    causes: causes.map((cause) => ({
      ...cause,
      facts: Object.fromEntries(
        Object.entries(cause.facts).map(([name, fact]) => [name, owners.includes(name) ? hidden : fact]),
      ),
    })),
  }
}

const owners = ['realm', 'issuer']
