/** Running servers over core's Network port: the STUN/TURN relay, and the STUN server that the self-test uses. */
export * from './certificate.ts'
export * from './credentials.ts'
export * from './options.ts'
export * from './relay.ts'
export * from './stats.ts'
export * from './stun-server.ts'
