/** Trickle gathering (RFC 8445 §5.1.1, RFC 8838), and proof that what was gathered can be reached. */
export { gatherIce } from './gather.ts'
export * from './ice-servers.ts'
export * from './observations.ts'
export * from './options.ts'
