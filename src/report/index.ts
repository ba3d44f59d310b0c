/** Reports: what the findings mean, as one document, and how it looks on a terminal. */
export * from './compare/index.ts'
export * from './expectations.ts'
export * from './nat-report.ts'
export * from './redact.ts'
export type { ServerReport } from './servers.ts'
export * from './terminal/index.ts'
export { unmeasuredError, unreachableServers } from './unreachable.ts'
export { type AnalysedFamily, type PeerToPeer, peerToPeer, type Verdict } from './verdict.ts'
