/** The report on a terminal. */
export { renderCompare } from './compare.ts'
export { type TerminalStyle, wrap } from './layout.ts'
export { renderNat } from './nat.ts'
