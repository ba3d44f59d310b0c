/** Our peer rules as coturn has them: ranges from one address to another, of which the allowed ones beat the denied. */
import { bytesToIp, NatcheckError } from '../../core/index.ts'
import { bytewise, formatRange, type IpRange, overlaps, parseCidr } from '../../coturn/ranges.ts'
import { specialRanges } from '../../coturn/special.ts'
import type { CoturnVersion } from '../../coturn/version.ts'
import { parseRange } from '../../proto/turn-server/index.ts'

/** What coturn denies whoever asks; multicast has an option of its own. Throws USAGE for what is no range. */
export const deniedRanges = (version: CoturnVersion, deny: readonly string[]): IpRange[] => [
  ...specialRanges(version).map(({ range }) => range),
  ...deny.map(rangeOf),
]

/** What is left of the allowed ranges: in coturn allowed beats denied, here denied beats allowed. Throws USAGE. */
export function allowedRanges(allow: readonly string[], deny: readonly string[]): IpRange[] {
  const holes = deny.map(rangeOf)
  return allow.map(rangeOf).flatMap((range) => holes.reduce<IpRange[]>(without, [range]))
}

const loopback = ['127.0.0.0/8', '::1/128'].map(rangeOf)

/** Without an option of its own coturn refuses these, whatever is allowed. */
export const reachesLoopback = (ranges: readonly IpRange[]): boolean =>
  ranges.some((range) => loopback.some((other) => overlaps(range, other)))

/** As lines have it. None begins at an unspecified address, which coturn takes for every one, and never for a peer. */
export const peerRanges = (range: IpRange): string[] =>
  bytewise({ ...range, first: range.first || 1n }).map(formatRange)

/** Throws USAGE. */
export function rangeOf(text: string): IpRange {
  const { bytes, prefix } = parseRange(text)
  const range = parseCidr(`${bytesToIp(bytes)}/${prefix}`)
  if (!range) throw new NatcheckError('USAGE', `${text} is no address range`, { fix: 'write 10.0.0.0/8' })
  return range
}

const without = (ranges: readonly IpRange[], hole: IpRange): IpRange[] =>
  ranges.flatMap((range) => {
    if (!overlaps(range, hole)) return [range]
    const before = { ...range, last: hole.first - 1n }
    const behind = { ...range, first: hole.last + 1n }
    return [before, behind].filter(({ first, last }) => first <= last)
  })
