/** coturn's version numbers: 4.6.1, 4.17.2, and 4.5.1.3 with four parts. */

/** As coturn prints it, such as `4.6.1`. Compare with `compareVersions`. */
export type CoturnVersion = string

/** The releases whose options the table knows. */
export const oldestKnown: CoturnVersion = '4.4.0'
export const newestKnown: CoturnVersion = '4.18'

/** The first release that drains: on SIGUSR1 it refuses new allocations, and ends with the last one. */
export const drainSince: CoturnVersion = '4.6.3'

/** The first release without a known vulnerability, and without the TTL bug of 4.17.0 and 4.17.1. */
export const securityFloor: CoturnVersion = '4.17.2'

/** The version in a text such as `4.6.1`, `v4.17` or `Coturn-4.6.1 'Gorst'`; undefined when it is none that is known. */
export function parseVersion(text: string): CoturnVersion | undefined {
  const found = /^(?:coturn-|v)?(\d{1,3}(?:\.\d{1,3}){1,3})(?![\d.])/i.exec(text.trim())?.[1]
  if (found === undefined) return undefined
  const minor = found.split('.').slice(0, 2).join('.')
  return isBefore(found, oldestKnown) || isBefore(newestKnown, minor) ? undefined : found
}

/** The first number with dots in what a program prints, known or not: `Version Coturn-4.17.2 'Gorst'`. */
export const findVersion = (text: string): CoturnVersion | undefined => /\d{1,3}(?:\.\d{1,3}){1,3}/.exec(text)?.[0]

/** Below 0: `a` is older. Missing parts count as 0. */
export function compareVersions(a: CoturnVersion, b: CoturnVersion): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (let i = 0; i < 4; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

export const isBefore = (a: CoturnVersion, b: CoturnVersion): boolean => compareVersions(a, b) < 0
export const isSince = (a: CoturnVersion, b: CoturnVersion): boolean => compareVersions(a, b) >= 0
