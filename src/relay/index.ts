/** Running servers over core's Network port: the embedded STUN server, and later the relay. */
export * from './stun-server.ts'
