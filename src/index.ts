/**
 * natcheck's public API: measure with `probeNat`, conclude with `analyseFamily`, report with `buildReport`; gather with
 * `gatherIce`, report with `buildIceReport`; look into one TURN server with `probeTurn`; relay with `createRelay`.
 */
import type { TSchema } from 'typebox'
import type { RelayOptions } from './relay/options.ts'
import type { Relay, RelayCallbacks, RelayPorts } from './relay/relay.ts'
import { nodeNetwork, nodeProcesses, systemClock, systemRandom } from './transport/index.ts'

export * from './core/index.ts'
export {
  type AttemptObservation,
  type CandidateObservation,
  type Cause,
  type CauseCode,
  gatherIce,
  type IceObservations,
  type IceOptions,
  type IcePorts,
  type IceProgress,
  // The relay's own IceServer is the entry to paste; this one is a URL of it, read.
  type IceServer as IceServerToAsk,
  type ReachabilityObservation,
  readIceServers,
  type StageObservation,
} from './probe/ice/index.ts'
export * from './probe/nat/index.ts'
export { probeTurn, type TurnObservations, type TurnOptions } from './probe/turn/index.ts'
export * from './relay/index.ts'
export * from './report/index.ts'
export { nodeNetwork, nodeProcesses, systemClock, systemRandom } from './transport/index.ts'
export { formatServerUri, parseServerUri, type ServerUri } from './wire/index.ts'

/** The codec: STUN and TURN messages. A namespace of its own, because the RFCs' names (`ErrorCode`) mean attributes there. */
export * as wire from './wire/index.ts'

/** The protocol as state machines: client transaction, credentials, Binding responder. */
export * as stun from './proto/stun/index.ts'

/** ICE as state machines: candidates and their lines, and an agent that checks every pair. */
export * as ice from './proto/ice/index.ts'

/** turnserver.conf: `lint`, `fix`, `generateConf`, `migrate`, `convert`, `explainConf`. */
export * as coturn from './coturn/index.ts'

/** The TURN client: a state machine, and `openTurnSession`, which runs it. */
export * as turn from './proto/turn-client/index.ts'

/** The JSON Schema of NatReport (draft 2020-12). Loaded on demand: typebox costs more than a whole check-up. */
export async function loadNatReportSchema(): Promise<TSchema> {
  return (await import('./report/schema.ts')).natReportSchema
}

/**
 * Starts a STUN/TURN relay on this machine, or on the given ports. Rejects, with nothing left open, with a NatcheckError:
 * USAGE or BAD_FILE for options that make no sense; UNSUPPORTED for an engine that can't run here; ADDRESS_IN_USE, BAD_ADDRESS or PERMISSION_DENIED where an address
 * can't be had. Close it when done.
 */
export async function createRelay(
  { hooks, onEvent, ...options }: RelayOptions & RelayCallbacks,
  ports: RelayPorts = { network: nodeNetwork(), clock: systemClock, random: systemRandom, processes: nodeProcesses() },
): Promise<Relay> {
  const { startRelay } = await import('./relay/start.ts')
  return await startRelay(ports, options, { hooks, onEvent })
}
