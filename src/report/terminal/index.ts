/** The report on a terminal. */
export { type TerminalStyle, wrap } from './layout.ts'
export { renderNat } from './nat.ts'
