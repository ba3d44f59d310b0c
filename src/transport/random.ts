/** The machine's cryptographic randomness as a port: transaction ids must not be guessable (RFC 8489 §5). */
import { randomBytes, randomInt } from 'node:crypto'
import type { Random } from '../core/index.ts'

export const systemRandom: Random = {
  // A plain Uint8Array of its own: randomBytes may return a view of Node's shared pool.
  bytes: (length: number): Uint8Array => new Uint8Array(randomBytes(length)),
  integer: (min: number, max: number): number => randomInt(min, max + 1),
}
