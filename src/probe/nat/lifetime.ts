/** Binding lifetime (RFC 5780 §4.6): how long a mapping survives without traffic. Opt-in: it takes minutes. */
import { attribute, responsePort } from '../../wire/index.ts'
import { type Finding, inconclusive, notTested, observed } from './behaviors.ts'
import { answer } from './evidence.ts'
import type { FamilyObservations, LifetimeTrial } from './observations.ts'
import { addressOf, type Requester } from './requester.ts'

/** Seconds. RFC 4787 §4.3 asks for at least 120 and recommends 300; 30 is common, beyond 480 nobody has to care. */
const firstTrials: readonly number[] = [15, 30, 60, 120, 240, 480]
/** Side by side, each on a fresh socket, so that a search takes a few times the lifetime, not its logarithm. */
const trialsInParallel = 4
/** Good enough to choose a keepalive interval. */
const precise = (alive: number, dead: number): boolean => dead - alive <= Math.max(1, dead * 0.05)

/** A search for the longest silence that a mapping survives. Idle time 0 first: the control that the method works here. */
export async function probeLifetime(requester: Requester): Promise<readonly LifetimeTrial[]> {
  const trials: LifetimeTrial[] = []
  const { clock, signal, onProgress } = requester.context
  const started = clock.now()
  const run = async (idleSeconds: readonly number[], from: number, to: number): Promise<void> => {
    const results = await Promise.all(
      idleSeconds.map(async (idle) => ({ idleSeconds: idle, alive: await trial(requester, idle) })),
    )
    trials.push(...results)
    const spent = Math.round((clock.now() - started) / 1000)
    onProgress((from + to) / 2, `binding lifetime: ${range(trials)} after ${spent} s`)
  }
  await run([0], 0, 0.05)
  if (trials[0]?.alive !== true) return trials
  // Each of the first trials starts now; the first dead one makes the longer ones pointless.
  await untilFirstDead(requester, trials, firstTrials)
  for (let round = 1; round <= 4; round++) {
    const { alive, dead } = bounds(trials)
    if (dead === undefined || precise(alive, dead) || signal?.aborted) break
    const step = (dead - alive) / (trialsInParallel + 1)
    const points = Array.from({ length: trialsInParallel }, (_, i) => alive + step * (i + 1))
    await run(points, 0.3 + 0.15 * round, 0.45 + 0.15 * round)
  }
  return trials
}

/** One socket creates a mapping and falls silent; another then has the server answer to that mapping's port. */
async function trial(
  requester: Requester,
  idleSeconds: number,
  stop: () => boolean = () => false,
): Promise<boolean | null> {
  const name = `${idleSeconds}-${requester.exchanges.length}`
  const silent = `lifetime-${name}`
  const prober = `lifetime-probe-${name}`
  await requester.open(silent)
  try {
    const mapped = addressOf(answer(await requester.ask('lifetime-create', silent))?.mapped)
    if (!mapped) return null
    await requester.wait(idleSeconds * 1000, stop)
    if (stop() || requester.context.signal?.aborted) return null
    await requester.open(prober)
    const attributes = [attribute(responsePort, mapped.port)]
    const probe = await requester.ask('lifetime-probe', prober, { attributes, answerOn: silent })
    return probe.replies.some(({ errorCode }) => errorCode === null)
  } finally {
    requester.close(silent)
    requester.close(prober)
  }
}

async function untilFirstDead(requester: Requester, trials: LifetimeTrial[], idle: readonly number[]): Promise<void> {
  const longest = idle[idle.length - 1] ?? 0
  let deadAt = Number.POSITIVE_INFINITY
  await Promise.all(
    idle.map(async (idleSeconds) => {
      const alive = await trial(requester, idleSeconds, () => idleSeconds > deadAt)
      if (alive === null) return
      trials.push({ idleSeconds, alive })
      if (!alive) deadAt = Math.min(deadAt, idleSeconds)
      requester.wake()
      requester.context.onProgress(0.3 * (idleSeconds / longest), `binding lifetime: ${range(trials)}`)
    }),
  )
}

function bounds(trials: readonly LifetimeTrial[]): { alive: number; dead: number | undefined } {
  const dead = trials.filter(({ alive }) => alive === false).map(({ idleSeconds }) => idleSeconds)
  const firstDead = dead.length > 0 ? Math.min(...dead) : undefined
  const alive = trials.filter((it) => it.alive && (firstDead === undefined || it.idleSeconds < firstDead))
  return { alive: Math.max(0, ...alive.map(({ idleSeconds }) => idleSeconds)), dead: firstDead }
}

const seconds = (value: number): string => `${Math.round(value * 10) / 10} s`

function range(trials: readonly LifetimeTrial[]): string {
  const { alive, dead } = bounds(trials)
  return dead === undefined ? `longer than ${seconds(alive)}` : `between ${seconds(alive)} and ${seconds(dead)}`
}

export function judgeLifetime({ lifetime }: FamilyObservations, behindNat: boolean | null): Finding<number> {
  if (lifetime.length === 0)
    return notTested(behindNat === false ? 'there is no mapping to expire' : 'opt in with --lifetime')
  const control = lifetime.find(({ idleSeconds }) => idleSeconds === 0)
  if (control?.alive !== true) {
    return inconclusive(
      'the server does not answer to RESPONSE-PORT (RFC 5780 §7.5), or the NAT gave the probe another address',
    )
  }
  const { alive, dead } = bounds(lifetime)
  if (dead === undefined && alive === 0) return inconclusive('the search was ended before anything was known')
  if (dead === undefined)
    return observed(alive, `a mapping survived ${seconds(alive)} of silence, the longest that was tried`)
  if (alive === 0)
    return observed(0, `a mapping was gone after ${seconds(dead)} of silence, the shortest that was tried`)
  return observed(
    Math.floor(alive * 10) / 10,
    `a mapping survived ${seconds(alive)} of silence and was gone after ${seconds(dead)}`,
  )
}
