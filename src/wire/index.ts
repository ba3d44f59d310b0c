/** Bytes on the wire: STUN and TURN messages, and the URIs that name their servers. No sockets, no time. */
export * from './stun/index.ts'
export * from './turn/index.ts'
export * from './uri.ts'
