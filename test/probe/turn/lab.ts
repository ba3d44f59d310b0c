/** A TURN server looked into over the virtual network. */
import { type Host, SeededRandom, type VirtualClock } from '../../../src/lab/index.ts'
import {
  type CheckObservation,
  probeTurn,
  type TurnCheckId,
  type TurnObservations,
  type TurnOptions,
} from '../../../src/probe/turn/index.ts'
import { buildTurnReport, type TurnReport } from '../../../src/report/index.ts'
import { parseServerUri } from '../../../src/wire/index.ts'

export interface Place {
  readonly client: Host
  readonly clock: VirtualClock
}

/** Runs the probe on the lab's client. The first of `uris` is the one that was named. */
export async function look(
  { client, clock }: Place,
  uris: readonly string[],
  options: Partial<TurnOptions> & { readonly user?: { readonly username: string; readonly password: string } } = {},
): Promise<TurnObservations> {
  const { user: { username, password: credential } = { username: 'alice', password: 'wonderland' }, ...rest } = options
  const [uri = ''] = uris
  const candidates = uris.map((text, index) => ({
    server: { uri: parseServerUri(text), username, credential },
    named: index === 0,
  }))
  const ports = { network: client.network, clock, random: new SeededRandom('probe') }
  return await clock.run(probeTurn(ports, { uri, candidates, families: [4, 6], timeoutMs: 10_000, ...rest }))
}

export function checkOf({ checks }: TurnObservations, id: TurnCheckId): CheckObservation {
  const found = checks.find((each) => each.id === id)
  if (!found) throw new Error(`no check ${id}`)
  return found
}

export const reportOn = (observations: TurnObservations): TurnReport =>
  buildTurnReport({ startedAt: '2026-01-01T00:00:00.000Z', observations })

/** `check: result: detail`, of those whose result is one of these. */
export const told = ({ checks }: TurnObservations, ...results: readonly string[]): string[] =>
  checks.filter(({ result }) => results.includes(result)).map(({ id, result, detail }) => `${id}: ${result}: ${detail}`)
