/** RFC 7050: on a network with NAT64, its resolver makes up AAAA records for ipv4only.arpa, which tell the prefix. */
import { bytesToIp, familyOf, type IpAddress, ipToBytes, type Network } from '../../core/index.ts'

const wellKnownName = 'ipv4only.arpa'
/** 192.0.0.170 and 192.0.0.171, the only A records that the name has. */
const wellKnownHead = [192, 0, 0]
const wellKnownTails = [170, 171]

/** A lookup that takes longer is no answer: it must not hold up the verdict. */
const lookupMs = 1500

/** RFC 6052 §2.2: where the four bytes of the IPv4 address stand for each prefix length; byte 8 is always zero. */
const positions: ReadonlyMap<number, readonly number[]> = new Map([
  [96, [12, 13, 14, 15]],
  [64, [9, 10, 11, 12]],
  [56, [7, 9, 10, 11]],
  [48, [6, 7, 9, 10]],
  [40, [5, 6, 7, 9]],
  [32, [4, 5, 6, 7]],
])

/** The prefix in CIDR form; null: the network has no NAT64; undefined: the resolver didn't say. Never rejects. */
export async function findNat64Prefix(network: Network): Promise<string | null | undefined> {
  try {
    const addresses = await network.resolveHost(wellKnownName, lookupMs)
    return addresses.map(prefixOf).find((prefix) => prefix !== undefined) ?? null
  } catch {
    return undefined
  }
}

function prefixOf(ip: IpAddress): string | undefined {
  if (familyOf(ip) !== 6) return undefined
  const bytes = ipToBytes(ip)
  for (const [length, places] of positions) {
    const embedded = places.map((place) => bytes[place] ?? 0)
    if (!wellKnownHead.every((byte, index) => embedded[index] === byte)) continue
    if (!wellKnownTails.includes(embedded[3] ?? 0)) continue
    const prefix = bytes.map((byte, index) => (index < length / 8 ? byte : 0))
    return `${bytesToIp(prefix)}/${length}`
  }
  return undefined
}
