/** How long help takes to appear, beside an empty Node process in the same run: it must stay below 2.5 times that. */
import { spawnSync } from 'node:child_process'
import { bench, describe } from 'vitest'
import { launcher } from '../cli/natcheck.ts'

/** Interleaved by hand: the machine's speed drifts more between two benches than the two differ. */
const pairs = 20

function run(args: readonly string[]): number {
  const startedAt = performance.now()
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' })
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}`)
  return performance.now() - startedAt
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN

describe('startup', () => {
  bench(
    `natcheck --help beside node -e 0, ${pairs} pairs`,
    () => {
      const ratios: number[] = []
      for (let i = 0; i < pairs; i++) ratios.push(run([launcher, '--help']) / run(['-e', '0']))
      console.log(
        `natcheck --help takes ${median(ratios).toFixed(2)} × the time of node -e 0 (median of ${pairs} pairs)`,
      )
    },
    { iterations: 1, time: 0, warmupIterations: 0, warmupTime: 0 },
  )
})
