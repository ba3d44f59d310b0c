/** STUN as state machines: the client transaction, credentials, and the Binding responder. No sockets, no timers. */
export * from './binding-responder.ts'
export * from './client-transaction.ts'
export * from './rtt-estimator.ts'
