/** One TURN server in depth: transports side by side, what it offers, how it behaves, and what crosses it. */
export * from './observations.ts'
export * from './options.ts'
export { probeTurn } from './probe.ts'
