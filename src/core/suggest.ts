/** "Did you mean …?" */

/** The nearest of `words`, when it is near enough to have been meant. */
export function nearest(typed: string, words: readonly string[]): string | undefined {
  const ranked = words
    // Words of another length are further away than that.
    .filter((word) => Math.abs(word.length - typed.length) <= farthest(word))
    .map((word) => ({ word, distance: editDistance(typed.toLowerCase(), word.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance)
  const best = ranked[0]
  return best && best.distance <= farthest(best.word) ? best.word : undefined
}

const farthest = (word: string): number => Math.max(1, Math.floor(word.length / 3))

/** Levenshtein's: insertions, deletions and replacements. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, replaced))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
