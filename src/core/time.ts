/** Time as values. A monotonic instant and a calendar time can never be mixed up. */

declare const instantBrand: unique symbol
declare const wallTimeBrand: unique symbol

/** Milliseconds on a monotonic clock whose zero means nothing. Only differences carry meaning. */
export type Instant = number & { readonly [instantBrand]: true }

/** Milliseconds since the Unix epoch. For reports only: never compute a timeout from it. */
export type WallTime = number & { readonly [wallTimeBrand]: true }

export const instant = (milliseconds: number): Instant => milliseconds as Instant
export const wallTime = (milliseconds: number): WallTime => milliseconds as WallTime

/** The instant `milliseconds` after `from`. */
export const after = (from: Instant, milliseconds: number): Instant => (from + milliseconds) as Instant

/** Milliseconds from `from` to `to`. */
export const elapsed = (from: Instant, to: Instant): number => to - from

/** The earliest of the given instants; `undefined` entries (idle) do not count. */
export const earliest = (...instants: readonly (Instant | undefined)[]): Instant | undefined => {
  let first: Instant | undefined
  for (const candidate of instants) {
    if (candidate !== undefined && (first === undefined || candidate < first)) first = candidate
  }
  return first
}
