/** The ranges that no public relay may send to: IANA's special-purpose registries (RFC 6890) and what hides IPv4 in IPv6. */
import { type IpRange, parseCidr } from './ranges.ts'
import { type CoturnVersion, isBefore } from './version.ts'

/** Why a range is dangerous. */
export type Danger = 'this-host' | 'metadata' | 'private' | 'embedded' | 'reserved' | 'seldom'

export interface SpecialRange {
  readonly danger: Danger
  readonly cidr: string
  readonly what: string
  readonly range: IpRange
}

const rows: readonly (readonly [Danger, string, string])[] = [
  ['this-host', '0.0.0.0/8', 'this network'],
  ['this-host', '127.0.0.0/8', 'loopback'],
  ['this-host', '::1/128', 'loopback'],
  ['metadata', '169.254.0.0/16', 'link-local; 169.254.169.254 is the metadata service of clouds'],
  ['metadata', 'fe80::/10', 'link-local'],
  ['private', '10.0.0.0/8', 'private, RFC 1918'],
  ['private', '172.16.0.0/12', 'private, RFC 1918'],
  ['private', '192.168.0.0/16', 'private, RFC 1918'],
  ['private', '100.64.0.0/10', 'carrier NAT, RFC 6598'],
  ['private', 'fc00::/7', 'unique local, RFC 4193'],
  ['embedded', '64:ff9b::/96', 'NAT64, RFC 6052'],
  ['embedded', '64:ff9b:1::/48', 'NAT64 of a network, RFC 8215'],
  ['embedded', '2001::/23', 'IETF protocols, with Teredo'],
  ['embedded', '2002::/16', '6to4'],
  ['reserved', '192.0.0.0/24', 'IETF protocols'],
  ['reserved', '192.0.2.0/24', 'documentation'],
  ['reserved', '192.88.99.0/24', '6to4 relays'],
  ['reserved', '198.18.0.0/15', 'benchmarks'],
  ['reserved', '198.51.100.0/24', 'documentation'],
  ['reserved', '203.0.113.0/24', 'documentation'],
  ['reserved', '240.0.0.0/4', 'future use, broadcast'],
  ['reserved', '100::/64', 'discard'],
  ['reserved', '2001:db8::/32', 'documentation'],
  // What no list of others has, and nobody is told to have: our own files deny them all the same.
  ['seldom', '168.63.129.16/32', 'services of Azure, public by number only'],
  ['seldom', '::/96', 'IPv4-compatible, RFC 4291 §2.5.5.1'],
  ['seldom', '::ffff:0:0:0/96', 'IPv4-translated, RFC 2765'],
  ['seldom', 'fec0::/10', 'site-local, once'],
  ['seldom', '3fff::/20', 'documentation, RFC 9637'],
  ['seldom', '5f00::/16', 'segment routing, RFC 9602'],
]

const special = ([danger, cidr, what]: readonly [Danger, string, string]): SpecialRange[] => {
  const range = parseCidr(cidr)
  return range ? [{ danger, cidr, what, range }] : []
}

const always: readonly SpecialRange[] = rows.flatMap(special)
/** Below 4.9 an IPv4 address written in IPv6 passes the IPv4 ranges; from 4.9 on this range would deny all of IPv4. */
const mapped: readonly SpecialRange[] = special(['embedded', '::ffff:0:0/96', 'IPv4-mapped, CVE-2026-27624'])

export const mappedSince: CoturnVersion = '4.9.0'

/** What a public relay of this version has to deny. */
export const specialRanges = (version: CoturnVersion): readonly SpecialRange[] =>
  isBefore(version, mappedSince) ? [...always, ...mapped] : always
