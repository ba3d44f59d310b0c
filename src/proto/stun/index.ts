/** STUN as state machines: the client transaction, credentials, and the Binding responder. No sockets, no timers. */
export * from './binding-responder.ts'
export * from './client-transaction.ts'
export * from './connection.ts'
export * from './credentials.ts'
export * from './request.ts'
export * from './rtt-estimator.ts'
