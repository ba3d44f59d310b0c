/** Values and ports that everything else is written in terms of. */
export * from './address.ts'
export * from './driver.ts'
export * from './errors.ts'
export * from './ip.ts'
export * from './ports.ts'
export * from './time.ts'
export * from './tls.ts'
export * from './nat.ts'
