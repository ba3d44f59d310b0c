/** The reports on a terminal. */
export { renderCandidate, renderIce } from './ice.ts'
export { renderCompare } from './compare.ts'
export { type TerminalStyle, wrap } from './layout.ts'
export { renderNat } from './nat.ts'
export { renderTurn } from './turn.ts'
