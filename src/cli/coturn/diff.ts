/** The difference of two texts, by lines, as diff -u shows it. */

interface Step {
  readonly sign: ' ' | '-' | '+'
  readonly line: string
}

const context = 2

/** Lines around changes only; `…` where lines are left out. */
export function diffLines(before: string, after: string): string[] {
  const steps = compare(before.split('\n'), after.split('\n'))
  const near = (index: number): boolean =>
    steps.slice(Math.max(0, index - context), index + context + 1).some(({ sign }) => sign !== ' ')
  const shown: string[] = []
  for (const [index, { sign, line }] of steps.entries()) {
    if (near(index)) shown.push(`${sign} ${line}`)
    else if (shown.length > 0 && shown.at(-1) !== '…') shown.push('…')
  }
  return shown.at(-1) === '…' ? shown.slice(0, -1) : shown
}

/** By the longest common subsequence. What both begin and end with is left out first, or large files would take gigabytes. */
function compare(a: readonly string[], b: readonly string[]): Step[] {
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++
  const same = (lines: readonly string[]): Step[] => lines.map((line) => ({ sign: ' ', line }))
  return [
    ...same(a.slice(0, start)),
    ...changed(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...same(a.slice(a.length - end)),
  ]
}

/** Above this many cells the two are shown one after the other. */
const mostCells = 4_000_000

function changed(a: readonly string[], b: readonly string[]): Step[] {
  const steps: Step[] = []
  const removed = (line: string): void => void steps.push({ sign: '-', line })
  const added = (line: string): void => void steps.push({ sign: '+', line })
  if (a.length * b.length > mostCells) {
    a.forEach(removed)
    b.forEach(added)
    return steps
  }
  const width = b.length + 1
  const common = new Uint32Array((a.length + 1) * width)
  const at = (i: number, j: number): number => common[i * width + j] ?? 0
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      steps.push({ sign: ' ', line: a[i] ?? '' })
      i++
      j++
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) removed(a[i++] ?? '')
    else added(b[j++] ?? '')
  }
  return steps
}
