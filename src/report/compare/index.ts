/** The pair verdict: will two hosts connect, from their two reports alone. */
export type { WinningType } from './hole-punching.ts'
export * from './network.ts'
export * from './predict.ts'
export * from './report.ts'
export { pairTable } from './table.ts'
