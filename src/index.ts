/** natcheck's public API: measure with `probeNat`, conclude with `analyseFamily`, report with `buildReport`. */
import type { TSchema } from 'typebox'

export * from './core/index.ts'
export * from './probe/nat/index.ts'
export * from './relay/index.ts'
export * from './report/index.ts'
export { nodeNetwork, systemClock, systemRandom } from './transport/index.ts'
export { formatServerUri, parseServerUri, type ServerUri } from './wire/index.ts'

/** The codec: STUN and TURN messages. A namespace of its own, because the RFCs' names (`ErrorCode`) mean attributes there. */
export * as wire from './wire/index.ts'

/** The protocol as state machines: client transaction, credentials, Binding responder. */
export * as stun from './proto/stun/index.ts'

/** The JSON Schema of NatReport (draft 2020-12). Loaded on demand: typebox costs more than a whole check-up. */
export async function loadNatReportSchema(): Promise<TSchema> {
  return (await import('./report/schema.ts')).natReportSchema
}
