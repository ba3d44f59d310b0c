/** Our peer rules as coturn has them: ranges from one address to another, of which the allowed ones beat the denied. */
import { type AddressFamily, bytesToIp, type IpAddress } from '../../core/index.ts'
import { deniedByDefault, parseRange } from '../../proto/turn-server/index.ts'
import { atLeast, type CoturnVersion } from './version.ts'

/** Both ends included. */
export interface PeerRange {
  readonly family: AddressFamily
  readonly first: bigint
  readonly last: bigint
}

/**
 * IPv6 addresses that hold an IPv4 one. Our own policy looks inside; coturn's ranges can't, so all of them are denied.
 * ISATAP's are in no range of their own.
 */
const embeddings: readonly string[] = [
  '64:ff9b::/96', // NAT64, RFC 6052 §2.1
  '::ffff:0:0:0/96', // IPv4-translated, RFC 2765 §2.1
  '2002::/16', // 6to4, RFC 3056 §2
  '2001::/32', // Teredo, RFC 4380 §4
]

const mapped = '::ffff:0:0/96'

/** What coturn denies whoever asks. Throws USAGE for what is no range. */
export function deniedRanges(version: CoturnVersion, deny: readonly string[]): PeerRange[] {
  // From 4.9 on coturn turns IPv4 addresses into mapped ones before it compares: this range would deny all of IPv4.
  const builtIn = [...deniedByDefault, ...embeddings].filter((range) => range !== mapped || !atLeast(version, 4, 9))
  return [...builtIn, ...deny].map(rangeOf)
}

/** What is left of the allowed ranges: in coturn allowed beats denied, here denied beats allowed. Throws USAGE. */
export function allowedRanges(allow: readonly string[], deny: readonly string[]): PeerRange[] {
  const holes = deny.map(rangeOf)
  return allow.map(rangeOf).flatMap((range) => holes.reduce<PeerRange[]>(without, [range]))
}

const loopback = ['127.0.0.0/8', '::1/128'].map(rangeOf)

/** Without an option of its own coturn refuses these, whatever is allowed. */
export const reachesLoopback = (ranges: readonly PeerRange[]): boolean =>
  ranges.some((range) => loopback.some((other) => overlap(range, other)))

/**
 * `10.0.0.0-10.255.255.255`: coturn up to 4.10 takes a CIDR for no rule at all, and starts. A range from `::` on holds
 * all of IPv4 for it, so ranges begin behind the unspecified address, which coturn never takes for a peer.
 */
export const formatRange = ({ family, first, last }: PeerRange): string =>
  `${addressOf(family, first === 0n ? 1n : first)}-${addressOf(family, last)}`

/** Throws USAGE. */
export function rangeOf(text: string): PeerRange {
  const { bytes, prefix } = parseRange(text)
  const bits = bytes.length * 8
  const low = (1n << BigInt(bits - prefix)) - 1n
  const first = bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n) & ~low
  return { family: bits === 32 ? 4 : 6, first, last: first | low }
}

const overlap = (a: PeerRange, b: PeerRange): boolean => a.family === b.family && a.first <= b.last && b.first <= a.last

const without = (ranges: readonly PeerRange[], hole: PeerRange): PeerRange[] =>
  ranges.flatMap((range) => {
    if (!overlap(range, hole)) return [range]
    const before = { ...range, last: hole.first - 1n }
    const behind = { ...range, first: hole.last + 1n }
    return [before, behind].filter(({ first, last }) => first <= last)
  })

function addressOf(family: AddressFamily, value: bigint): IpAddress {
  const length = family === 4 ? 4 : 16
  return bytesToIp(
    Uint8Array.from({ length }, (_, index) => Number((value >> BigInt(8 * (length - 1 - index))) & 255n)),
  )
}
