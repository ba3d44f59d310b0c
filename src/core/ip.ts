/** IP addresses: canonical text, bytes, and the special ranges that matter to a NAT diagnosis. */
import { isIPv4, isIPv6 } from 'node:net'

export type AddressFamily = 4 | 6

/** Canonical text of an IP address: dotted quad, or RFC 5952 for IPv6. Compare with `===`. */
export type IpAddress = string

/** Reads an address in any textual form and returns the canonical one; undefined when it is none. Zones (`%eth0`) are kept. */
export function parseIp(text: string): IpAddress | undefined {
  if (isIPv4(text)) return text
  // node:net knows no zone with an underscore, and its versions differ on others: an interface name is any printable text.
  const [address = '', zone, ...rest] = text.split('%')
  if (!isIPv6(address) || rest.length > 0) return undefined
  const canonical = bytesToIp(parseIpv6Bytes(address))
  if (zone === undefined) return canonical
  return /^(?:(?![/[\]])[!-~])+$/.test(zone) ? `${canonical}%${zone}` : undefined
}

export const familyOf = (ip: IpAddress): AddressFamily => (ip.includes(':') ? 6 : 4)

/** The 4 or 16 bytes of a canonical address. A zone is ignored. */
export function ipToBytes(ip: IpAddress): Uint8Array {
  if (familyOf(ip) === 6) return parseIpv6Bytes(ip.split('%')[0] ?? ip)
  const bytes = new Uint8Array(4)
  let index = 0
  for (const part of ip.split('.')) bytes[index++] = Number(part)
  return bytes
}

/** Canonical text of 4 or 16 address bytes. Throws RangeError on any other length. */
export function bytesToIp(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  if (bytes.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`)
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0))
  // RFC 5952 §5: only the well-known mapped prefix keeps its dotted tail.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`
  }
  return compress(groups)
}

/** RFC 5952 §4.2: the longest run of two or more zero groups becomes `::`, the first of equals. */
function compress(groups: readonly number[]): string {
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
    start += length
  }
  const hex = groups.map((group) => group.toString(16))
  if (best.start < 0) return hex.join(':')
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`
}

function parseIpv6Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16)
  const [head = '', tail] = text.split('::')
  const left = groupBytes(head)
  const right = tail === undefined ? [] : groupBytes(tail)
  bytes.set(left, 0)
  bytes.set(right, 16 - right.length)
  return bytes
}

function groupBytes(groups: string): number[] {
  const bytes: number[] = []
  if (groups === '') return bytes
  for (const group of groups.split(':')) {
    if (group.includes('.')) bytes.push(...ipToBytes(group))
    else {
      const value = Number.parseInt(group, 16)
      bytes.push(value >> 8, value & 0xff)
    }
  }
  return bytes
}

/** What kind of address this is to somebody outside: only `global` can be reached from the internet. */
export type AddressScope =
  | 'global'
  | 'private' // RFC 1918, unique local IPv6 (RFC 4193), and a network's own NAT64 prefix (RFC 8215)
  | 'shared' // 100.64.0.0/10, between a carrier's NAT and its customers (RFC 6598)
  | 'link-local'
  | 'loopback'
  | 'multicast'
  | 'unspecified'
  | 'reserved' // documentation, benchmarking, future use (RFC 6890)

const scopes: readonly (readonly [AddressScope, readonly string[]])[] = [
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', '64:ff9b:1::/48']],
  ['shared', ['100.64.0.0/10']],
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['multicast', ['224.0.0.0/4', 'ff00::/8']],
  ['unspecified', ['0.0.0.0/8', '::/128']],
  [
    'reserved',
    [
      '192.0.0.0/24',
      '192.0.2.0/24',
      '198.18.0.0/15',
      '198.51.100.0/24',
      '203.0.113.0/24',
      '240.0.0.0/4',
      '100::/64',
      '2001:2::/48',
      '2001:db8::/32',
      '3fff::/20',
    ],
  ],
]

/** A range as its leading bytes, and the bits of the byte after them. Compared by hand: BlockList takes 30 µs a look. */
interface Range {
  readonly scope: AddressScope
  readonly whole: Uint8Array
  readonly mask: number
  readonly bits: number
}

const ranges: Readonly<Record<AddressFamily, readonly Range[]>> = { 4: rangesOf(4), 6: rangesOf(6) }

function rangesOf(family: AddressFamily): readonly Range[] {
  return scopes.flatMap(([scope, texts]) =>
    texts.flatMap((text) => {
      const [network = '', length] = text.split('/')
      if (familyOf(network) !== family) return []
      const bytes = ipToBytes(network)
      const whole = Number(length) >> 3
      const mask = (0xff00 >> (Number(length) & 7)) & 0xff
      return [{ scope, whole: bytes.slice(0, whole), mask, bits: (bytes[whole] ?? 0) & mask }]
    }),
  )
}

/** The scope of a canonical address. IPv4-mapped IPv6 addresses have the scope of the address inside. */
export function scopeOf(ip: IpAddress): AddressScope {
  const inner = ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice('::ffff:'.length) : ip
  const bytes = ipToBytes(inner)
  for (const { scope, whole, mask, bits } of ranges[familyOf(inner)]) {
    if (((bytes[whole.length] ?? 0) & mask) === bits && whole.every((byte, index) => byte === bytes[index]))
      return scope
  }
  return 'global'
}
