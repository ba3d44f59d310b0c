/** natcheck's public API. */
export * from './core/index.ts'
