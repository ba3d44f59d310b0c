/** What the check-up measures with: this machine, or whatever a test puts in its place. */
import { type IceWorld, machine as iceMachine } from '../ice/world.ts'
import { machine as natMachine, type NatWorld } from '../nat/world.ts'
import { machine as turnMachine, type TurnWorld } from '../turn/world.ts'

export interface CheckupWorld extends NatWorld, IceWorld {
  readonly probeTurn: TurnWorld['probe']
}

export function machine(): CheckupWorld {
  const turn = turnMachine()
  return { ...natMachine(), ...iceMachine(), probeTurn: (options) => turn.probe(options) }
}
