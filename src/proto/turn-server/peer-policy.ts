/** Which peers a client may reach: by default only those that anybody on the internet could. RFC 8656 §21.4 */
import { bytesToIp, type IpAddress, ipToBytes, NatcheckError, parseIp } from '../../core/index.ts'

export interface PeerRules {
  /** Ranges such as `10.1.0.0/16`, or single addresses, that may be reached although they are denied by default. */
  readonly allow?: readonly string[] | undefined
  /** Ranges that may not be reached, whatever is allowed. */
  readonly deny?: readonly string[] | undefined
}

/**
 * Denied unless allowed. Who can make the relay send there reaches what trusts the relay's place in the network: its own
 * loopback, its neighbours, the metadata service of its cloud.
 */
export const deniedByDefault: readonly string[] = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT; Alibaba's metadata service
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's wire server, public by number only
  '169.254.0.0/16', // link-local; the metadata service of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments; Oracle's metadata service
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  '::/96', // unspecified, loopback, and IPv4-compatible: nobody's any more
  '::ffff:0:0/96', // IPv4-mapped: would leave as IPv4, past the rules for it
  '64:ff9b:1::/48', // a network's own NAT64: where the IPv4 address stands is its secret
  '100::/64', // discard
  '2001:2::/48', // benchmarking
  '2001:10::/28', // ORCHID
  '2001:20::/28', // ORCHIDv2
  '2001:db8::/32', // documentation
  '3fff::/20', // documentation
  '5f00::/16', // segment routing
  'fc00::/7', // unique local; Amazon's metadata service
  'fe80::/10', // link-local
  'fec0::/10', // site-local, once
  'ff00::/8', // multicast
]

/** Throws USAGE for what is no address range. */
export class PeerPolicy {
  readonly #allow: readonly AddressRange[]
  readonly #deny: readonly AddressRange[]

  constructor(rules: PeerRules = {}) {
    this.#allow = (rules.allow ?? []).map(parseRange)
    this.#deny = (rules.deny ?? []).map(parseRange)
  }

  /** Deny beats allow; allow speaks of the very address, never of an IPv4 one inside. */
  permits(ip: IpAddress): boolean {
    const bytes = ipToBytes(ip)
    const forms = [bytes, ...embeddedIpv4(bytes)]
    if (forms.some((form) => isIn(form, this.#deny))) return false
    return isIn(bytes, this.#allow) || !forms.some((form) => isIn(form, defaults))
  }

  /** Whether `allow` names this one address, and not merely a range that it lies in. */
  names(ip: IpAddress): boolean {
    const bytes = ipToBytes(ip)
    return isIn(
      bytes,
      this.#allow.filter(({ prefix }) => prefix === bytes.length * 8),
    )
  }
}

/** The IPv4 addresses that packets to this IPv6 address may end up at. */
export const embeddedAddresses = (ip: IpAddress): IpAddress[] => embeddedIpv4(ipToBytes(ip)).map(bytesToIp)

function embeddedIpv4(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === 4) return []
  const found: Uint8Array[] = []
  const startsWith = (...prefix: number[]): boolean => prefix.every((byte, index) => bytes[index] === byte)
  const zeros = (from: number, to: number): boolean => bytes.subarray(from, to).every((byte) => byte === 0)
  // RFC 4291 §2.5.5: compatible and mapped; RFC 6052 §2.1: NAT64's well-known prefix.
  const mapped = zeros(0, 10) && bytes[10] === 0xff && bytes[11] === 0xff
  if (zeros(0, 12) || mapped || (startsWith(0x00, 0x64, 0xff, 0x9b) && zeros(4, 12))) found.push(bytes.slice(12))
  // RFC 2765 §2.1: IPv4-translated, ::ffff:0:0:0/96.
  if (zeros(0, 8) && bytes[8] === 0xff && bytes[9] === 0xff && zeros(10, 12)) found.push(bytes.slice(12))
  // RFC 3056 §2: 6to4.
  if (startsWith(0x20, 0x02)) found.push(bytes.slice(2, 6))
  // RFC 4380 §4: Teredo's server, and its client with every bit turned.
  if (startsWith(0x20, 0x01, 0, 0))
    found.push(
      bytes.slice(4, 8),
      bytes.slice(12).map((byte) => byte ^ 0xff),
    )
  // RFC 5214 §6.1: ISATAP.
  const universal = bytes[8] === 0 || bytes[8] === 2
  if (universal && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe) found.push(bytes.slice(12))
  return found
}

/** Leading `prefix` bits of an address of 4 or 16 bytes. */
export interface AddressRange {
  readonly bytes: Uint8Array
  readonly prefix: number
}

/** `10.1.0.0/16`, or a single address. Throws USAGE. */
export function parseRange(text: string): AddressRange {
  const [address = '', prefixText, ...rest] = text.split('/')
  const ip = parseIp(address)
  const bytes = ip === undefined || ip.includes('%') ? undefined : ipToBytes(ip)
  const max = (bytes?.length ?? 0) * 8
  const prefix = prefixText === undefined ? max : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1
  if (!bytes || prefix < 0 || prefix > max || rest.length > 0) {
    throw new NatcheckError('USAGE', `${text} is no address range`, {
      fix: 'Write ranges like 10.1.0.0/16 or 2001:db8::/32.',
    })
  }
  return { bytes, prefix }
}

const defaults: readonly AddressRange[] = deniedByDefault.map(parseRange)

const isIn = (bytes: Uint8Array, ranges: readonly AddressRange[]): boolean =>
  ranges.some((range) => matches(bytes, range))

function matches(bytes: Uint8Array, range: AddressRange): boolean {
  if (bytes.length !== range.bytes.length) return false
  const whole = range.prefix >> 3
  for (let i = 0; i < whole; i++) if (bytes[i] !== range.bytes[i]) return false
  const mask = 0xff00 >> (range.prefix & 7)
  return (((bytes[whole] ?? 0) ^ (range.bytes[whole] ?? 0)) & mask & 0xff) === 0
}
