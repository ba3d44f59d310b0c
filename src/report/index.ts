/** Reports: what the findings mean, as one document, and how it looks on a terminal. */
export * from './expectations.ts'
export { unmeasuredError } from './measurement-error.ts'
export * from './nat-report.ts'
export * from './redact.ts'
export { type ServerReport, unreachableServers } from './servers.ts'
export * from './terminal/index.ts'
export { type AnalysedFamily, type PeerToPeer, peerToPeer, type Verdict } from './verdict.ts'
