/** What the command asks with: this machine, or whatever a test puts in its place. */
import type { Clock } from '../../core/index.ts'
import { probeTurn, type TurnObservations, type TurnOptions } from '../../probe/turn/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../transport/index.ts'

export interface TurnWorld {
  readonly clock: Clock
  probe(options: TurnOptions): Promise<TurnObservations>
}

export function machine(): TurnWorld {
  const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
  return { clock: systemClock, probe: (options) => probeTurn(ports, options) }
}
