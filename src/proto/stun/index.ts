/** STUN as state machines and pure functions; StunClient and its connections run them over the ports in core. */
export * from './binding-responder.ts'
export * from './client-transaction.ts'
export * from './connection.ts'
export * from './credentials.ts'
export * from './request.ts'
export * from './rtt-estimator.ts'
export * from './server-auth.ts'
