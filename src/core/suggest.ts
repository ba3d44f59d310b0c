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

/** Levenshtein's: insertions, deletions and replacements. Any number above `limit` stands for all that are. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const distance = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, replaced)
      current.push(distance)
      least = Math.min(least, distance)
    }
    // Further rows only grow.
    if (least > limit) return least
    previous = current
  }
  return previous[b.length] ?? 0
}
