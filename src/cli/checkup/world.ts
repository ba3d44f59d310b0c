/** What the check-up measures with: this machine, or whatever a test puts in its place. */
import { type IceWorld, machine as iceMachine } from '../ice/world.ts'
import { machine as natMachine, type NatWorld } from '../nat/world.ts'

export type CheckupWorld = NatWorld & IceWorld

export const machine = (): CheckupWorld => ({ ...natMachine(), ...iceMachine() })
