/** ICE without sockets: candidates and their lines, priorities, foundations, and an agent that checks every pair. RFC 8445 */
export * from './candidate.ts'
export * from './candidate-line.ts'
export * from './foundation.ts'
export * from './priority.ts'
