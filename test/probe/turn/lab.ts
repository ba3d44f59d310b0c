/** A TURN server looked into over the virtual network. */
import { SeededRandom } from '../../../src/lab/index.ts'
import {
  type CheckObservation,
  probeTurn,
  type TurnCheckId,
  type TurnObservations,
  type TurnOptions,
} from '../../../src/probe/turn/index.ts'
import { parseServerUri } from '../../../src/wire/index.ts'
import { alice, type TurnLab } from '../../proto/turn-client/lab.ts'

/** Runs the probe on the lab's client. `uris`: the first is the named one. */
export async function look(
  lab: TurnLab,
  uris: readonly string[],
  options: Partial<TurnOptions> = {},
): Promise<TurnObservations> {
  const { client, clock } = lab
  const [uri = ''] = uris
  const candidates = uris.map((text, index) => ({
    server: { uri: parseServerUri(text), username: alice.username, credential: alice.password },
    named: index === 0,
  }))
  const ports = { network: client.network, clock, random: new SeededRandom('probe') }
  return await clock.run(probeTurn(ports, { uri, candidates, families: [4, 6], timeoutMs: 10_000, ...options }))
}

export function checkOf({ checks }: TurnObservations, id: TurnCheckId): CheckObservation {
  const found = checks.find((each) => each.id === id)
  if (!found) throw new Error(`no check ${id}`)
  return found
}

/** `id: result (detail)` of each check. */
export const told = ({ checks }: TurnObservations): string[] =>
  checks.map(({ id, result, detail }) => `${id}: ${result}: ${detail}`)
