/** Which coturn is installed: options came, went and changed their meaning. */
export interface CoturnVersion {
  readonly major: number
  readonly minor: number
  readonly patch: number
}

/** What `turnserver --version` prints; undefined when there is no version in it. */
export function parseVersion(text: string): CoturnVersion | undefined {
  const [, major, minor, patch = '0'] = /(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?/.exec(text) ?? []
  if (major === undefined || minor === undefined) return undefined
  return { major: Number(major), minor: Number(minor), patch: Number(patch) }
}

/** `atLeast(version, 4, 6, 3)` */
export function atLeast(version: CoturnVersion, major: number, minor: number, patch = 0): boolean {
  const differences = [version.major - major, version.minor - minor, version.patch - patch]
  return (differences.find((difference) => difference !== 0) ?? 0) >= 0
}

export const formatVersion = ({ major, minor, patch }: CoturnVersion): string => `${major}.${minor}.${patch}`
