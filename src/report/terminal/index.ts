/** The reports on a terminal. */
export { renderCheckup, renderVerdict } from './checkup.ts'
export { renderCompare } from './compare.ts'
export { renderCandidate, renderIce } from './ice.ts'
export { type TerminalStyle, wrap } from './layout.ts'
export { renderNat } from './nat.ts'
export { renderTurn } from './turn.ts'
