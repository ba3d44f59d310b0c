/** The TURN server as a state machine: allocations, permissions, channels, who may use them and for how long. RFC 8656 */
export * from './forwarding.ts'
export * from './keys.ts'
export * from './options.ts'
export * from './peer-policy.ts'
export * from './server.ts'
export { sourceLimitMemory } from './source-limit.ts'
export type { TurnCounts } from './table.ts'
export * from './types.ts'
