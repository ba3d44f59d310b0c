/** Stages over time as rows of letters: readable without colour, and in a log. */
import type { StageName, StageObservation } from '../../probe/ice/index.ts'

/** One letter a stage, and the words of the legend. */
const letters: Readonly<Record<StageName, readonly [letter: string, words: string]>> = {
  dns: ['n', 'name'],
  connect: ['c', 'connect'],
  tls: ['t', 'TLS'],
  binding: ['b', 'binding'],
  challenge: ['4', '401'],
  allocate: ['a', 'allocate'],
  permission: ['p', 'permission'],
  channel: ['h', 'channel'],
  data: ['d', 'data'],
}

/**
 * `width` characters from 0 to `endMs`: each stage covers its time with its letter, and at least one place, so that what
 * took no time is seen too. A stage that failed ends in `x`.
 */
export function waterfall(stages: readonly StageObservation[], endMs: number, width: number): string {
  const cells = Array.from({ length: width }, () => '.')
  const place = (ms: number): number => Math.min(width - 1, Math.floor((ms / Math.max(endMs, 1)) * width))
  let free = 0
  for (const { stage, startMs, endMs: ended, ok } of stages) {
    const first = Math.min(width - 1, Math.max(free, place(startMs)))
    const last = Math.max(first, place(ended ?? endMs))
    cells.fill(letters[stage][0], first, last + 1)
    if (!ok) cells[last] = 'x'
    free = last + 1
  }
  return cells.join('')
}

/** `n name, c connect, …`: of the stages that occur. */
export function legend(stages: readonly StageObservation[]): string {
  const seen = new Set(stages.map(({ stage }) => stage))
  const words = Object.entries(letters).flatMap(([stage, [letter, name]]) =>
    seen.has(stage as StageName) ? [`${letter} ${name}`] : [],
  )
  return [...words, ...(stages.some(({ ok }) => !ok) ? ['x failed'] : [])].join(', ')
}
