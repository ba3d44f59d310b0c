/** "Did you mean …?" */

/** The nearest of `words`, when it is near enough to have been meant. */
export function nearest(typed: string, words: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const word of words) {
    const limit = Math.min(least - 1, farthest(word))
    const distance = editDistance(typed.toLowerCase(), word.toLowerCase(), limit)
    if (distance <= limit) [best, least] = [word, distance]
  }
  return best
}

const farthest = (word: string): number => Math.max(1, Math.floor(word.length / 3))

/**
 * Damerau's, of restricted transpositions: letters inserted, left out, replaced, or swapped with the next. Any number
 * above `limit` stands for all that are.
 */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  let leastBefore = 0
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? (beforePrevious[j - 2] ?? 0) + 1 : replaced
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, replaced, swapped))
    }
    const least = Math.min(...current)
    // A row grows out of the two above it: beyond the limit both, no row comes back.
    if (least > limit && leastBefore > limit) return least
    leastBefore = least
    beforePrevious = previous
    previous = current
  }
  return previous[b.length] ?? 0
}
