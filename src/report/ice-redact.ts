/** What `--redact` hides of a gathering run, besides addresses: the names in certificates, and whose realm and authority it is. */
import type { AttemptObservation, IceObservations } from '../probe/ice/index.ts'
import type { Redactor } from './redact.ts'

const hidden = 'redacted'

/** Candidate lines stay what they are: an address becomes another address. */
export function redactIce(observations: IceObservations, redactor: Redactor): IceObservations {
  for (const { tls, realm, causes } of observations.attempts) {
    const names = causes.flatMap(({ facts }) => facts['names'] ?? [])
    for (const name of [...(tls?.names ?? []), ...names, realm ?? '']) {
      // A word without a dot may stand anywhere; a realm that is one is hidden where it stands.
      if (typeof name === 'string' && name.includes('.')) redactor.hide(name)
    }
  }
  return redactor.value({ ...observations, attempts: observations.attempts.map(withoutOwners) })
}

function withoutOwners(attempt: AttemptObservation): AttemptObservation {
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
