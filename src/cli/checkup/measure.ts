/** The measurements of the check-up: the NAT beside the candidates, and then a look into the relays. */
import { elapsed, NatcheckError } from '../../core/index.ts'
import type { IceObservations, IceProgress } from '../../probe/ice/index.ts'
import type { NatProgress } from '../../probe/nat/index.ts'
import type { TurnObservations } from '../../probe/turn/index.ts'
import { bounded } from '../bounded.ts'
import type { CliIo } from '../io.ts'
import type { RunRecord } from '../nat/conclude.ts'
import { LiveLine } from '../nat/live.ts'
import { measureNat } from '../nat/measure.ts'
import type { CheckupSettings } from './settings.ts'
import { lookIntoRelays } from './turn.ts'
import type { CheckupWorld } from './world.ts'

export interface Measured {
  readonly nat: RunRecord
  readonly ice: IceObservations
  readonly turn: readonly TurnObservations[]
  readonly durationMs: number
}

/** A line of --jsonl: what tells it from the report, the last line, is `event`. */
export type CheckupEvent = { readonly event: string; readonly command: 'nat' | 'ice' } & Readonly<
  Record<string, unknown>
>

/** How much longer than its own bound gathering may take. */
const graceMs = 1000

/**
 * Rejects as the probes do, and with CANCELLED or TIMEOUT. Ends early, with what is known, when `signal` is aborted.
 * `known`: a look into the relays that need not be taken again.
 */
export async function measure(
  settings: CheckupSettings,
  world: CheckupWorld,
  io: CliIo,
  signal: AbortSignal,
  onEvent: (event: CheckupEvent) => void,
  known?: Measured['turn'],
): Promise<Measured> {
  const startedAt = new Date(world.clock.wallTime()).toISOString()
  const began = world.clock.now()
  const live = new LiveLine(io)
  const abort = following(signal)
  const tellNat = (progress: NatProgress): void => {
    live.show(progress)
    onEvent(asEvent('nat', progress))
  }
  try {
    const elapsedMs = (): number => Math.round(elapsed(began, world.clock.now()))
    const gatherAndLook = async (): Promise<Pick<Measured, 'ice' | 'turn'>> => {
      const ice = await gather(settings, world, following(abort.signal), (event) => onEvent(asEvent('ice', event)))
      const look = (): Promise<Measured['turn']> =>
        lookIntoRelays(settings.ice, ice, elapsedMs(), world, following(abort.signal))
      return { ice, turn: known ?? (await look()) }
    }
    const [nat, rest] = await Promise.all([
      measureNatPart(settings, world, following(abort.signal), tellNat),
      gatherAndLook(),
    ])
    const record = { startedAt, ...nat, interrupted: signal.aborted, redacted: false }
    return { nat: record, ...rest, durationMs: elapsedMs() }
  } catch (error) {
    if (!signal.aborted) throw error
    throw new NatcheckError('CANCELLED', 'interrupted before anything was known', { cause: error })
  } finally {
    // When one of them can't be done, the other must not go on.
    abort.abort()
    live.clear()
  }
}

function asEvent(command: 'nat' | 'ice', { kind, ...details }: NatProgress | IceProgress): CheckupEvent {
  return { event: kind, command, ...details }
}

/** One that is aborted with `signal`, and may be by itself. */
function following(signal: AbortSignal): AbortController {
  const own = new AbortController()
  if (signal.aborted) own.abort()
  signal.addEventListener('abort', () => own.abort(), { once: true, signal: own.signal })
  return own
}

type NatPart = Pick<RunRecord, 'observations' | 'selfTest'>

async function measureNatPart(
  { nat }: CheckupSettings,
  world: CheckupWorld,
  abort: AbortController,
  onProgress: (event: NatProgress) => void,
): Promise<NatPart> {
  return nat ? await measureNat(world, nat, abort, onProgress) : { observations: [], selfTest: null }
}

async function gather(
  { ice }: CheckupSettings,
  world: CheckupWorld,
  abort: AbortController,
  onProgress: (event: IceProgress) => void,
): Promise<IceObservations> {
  const { servers, policy, families, timeoutMs, prove, ca } = ice
  const { signal } = abort
  const gathering = world.gather({ servers, policy, families, timeoutMs, prove, ca, onProgress, signal })
  return await bounded(gathering, abort, timeoutMs + graceMs)
}
