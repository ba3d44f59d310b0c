/** NAT diagnosis: what was observed (`probeNat`), and what that means (`analyseFamily`). */
export { analyseFamily } from './analyse.ts'
export type * from './behaviors.ts'
export type * from './observations.ts'
export type { RouterObservation } from './port-mapping/index.ts'
export type * from './options.ts'
export { probeNat } from './probe.ts'
