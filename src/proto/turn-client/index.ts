/** The TURN client: a state machine for one 5-tuple, and a session that runs it over the ports in core. RFC 8656 */
export * from './client.ts'
export type { CallOptions, TurnHandlers, TurnPorts } from './connection.ts'
export * from './session.ts'
export * from './types.ts'
