/** The NAT measurement of a command: the probe, and the self-test where no server could be reached. */
import { analyseFamily, type NatProgress } from '../../probe/nat/index.ts'
import { bounded } from '../bounded.ts'
import type { RunRecord } from './conclude.ts'
import type { NatSettings } from './settings.ts'
import type { NatWorld } from './world.ts'

/** How much longer than the tests' own bound anything may take: name lookups, opening sockets, stragglers. */
const graceMs = 8000
/** The lifetime search waits for real: RFC 4787 mappings live for minutes, some for hours; the probe has its own bounds. */
const lifetimeGraceMs = 3_600_000

/** Rejects as the probe does, and with TIMEOUT. Ends early, with what is known, when `abort` is. */
export async function measureNat(
  world: NatWorld,
  settings: NatSettings,
  abort: AbortController,
  onProgress: (event: NatProgress) => void = () => undefined,
): Promise<Pick<RunRecord, 'observations' | 'selfTest'>> {
  const limitMs = settings.timeoutMs + graceMs + (settings.lifetime ? lifetimeGraceMs : 0)
  const exclusive = settings.serversFrom !== 'public'
  const { signal } = abort
  const observations = await bounded(world.probe({ ...settings, exclusive, onProgress, signal }), abort, limitMs)
  const answered = observations.some((family) => analyseFamily(family).servers.some(({ ok }) => ok))
  const needsProof = settings.serversFrom !== 'flag' && !signal.aborted && !answered
  return { observations, selfTest: needsProof ? await world.selfTest(signal) : null }
}
