/** Ranges of IP addresses as denied-peer-ip and allowed-peer-ip have them: `IP` or `IP-IP`, both ends included. */
import { type AddressFamily, familyOf, type IpAddress, ipToBytes, bytesToIp, parseIp } from '../core/index.ts'

export interface IpRange {
  readonly family: AddressFamily
  readonly first: bigint
  readonly last: bigint
}

/** As coturn reads it; undefined for CIDR, names, two families and ranges that end before they begin. */
export function parseRange(text: string): IpRange | undefined {
  const [from = '', to, ...rest] = text.split('-')
  const first = parsePlainIp(from)
  const last = to === undefined ? first : parsePlainIp(to)
  if (rest.length > 0 || first === undefined || last === undefined) return undefined
  const range = { family: familyOf(first), first: ipNumber(first), last: ipNumber(last) }
  return familyOf(last) === range.family && range.first <= range.last ? range : undefined
}

/** `10.0.0.0/8` as the range it stands for; undefined when it is no CIDR. */
export function parseCidr(text: string): IpRange | undefined {
  const match = /^(\S+)\s*\/\s*(\d{1,3})$/.exec(text)
  const ip = parsePlainIp(match?.[1] ?? '')
  if (!match || ip === undefined) return undefined
  const family = familyOf(ip)
  const free = BigInt((family === 4 ? 32 : 128) - Number(match[2]))
  if (free < 0n) return undefined
  const first = (ipNumber(ip) >> free) << free
  return { family, first, last: first + (1n << free) - 1n }
}

/** An address without zone: coturn knows none. */
function parsePlainIp(text: string): IpAddress | undefined {
  const ip = parseIp(text)
  return ip?.includes('%') ? undefined : ip
}

export const rangeOfIp = (ip: IpAddress): IpRange => ({ family: familyOf(ip), first: ipNumber(ip), last: ipNumber(ip) })

export const firstOf = ({ family, first }: IpRange): IpAddress => ipOf(family, first)
export const lastOf = ({ family, last }: IpRange): IpAddress => ipOf(family, last)

/** `10.0.0.0-10.255.255.255`, or a single address. */
export function formatRange(range: IpRange): string {
  return range.first === range.last ? firstOf(range) : `${firstOf(range)}-${lastOf(range)}`
}

export const overlaps = (a: IpRange, b: IpRange): boolean =>
  a.family === b.family && a.first <= b.last && b.first <= a.last

/** Whether the ranges together hold all of `whole`. */
export function covers(ranges: readonly IpRange[], whole: IpRange): boolean {
  let next = whole.first
  const sorted = ranges
    .filter((range) => overlaps(range, whole))
    .toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
  for (const { first, last } of sorted) {
    if (first > next) return false
    if (last >= next) next = last + 1n
  }
  return next > whole.last
}

/**
 * The ranges that coturn takes for this one, together. It compares IPv6 addresses byte by byte: each byte has to be between
 * those of FIRST and LAST. So FIRST and LAST have to differ in one byte, and be all zeros and all ones behind it. A range from
 * `::` on holds all of IPv4 too, so none begins there; the unspecified address is no peer.
 */
export function bytewise(range: IpRange): IpRange[] {
  if (range.family === 4) return [range]
  const from = range.first <= 1n ? { ...range, first: 0n } : range
  if (!isBox(from))
    return cidrsOf(range)
      .flatMap((block) => parseCidr(block) ?? [])
      .flatMap(bytewise)
  return from.first > 0n ? [range] : withoutZero(range.last)
}

/** Whether coturn takes it for the range it is. */
export const isBytewise = (range: IpRange): boolean => range.family === 4 || (range.first > 0n && isBox(range))

function isBox({ first, last }: IpRange): boolean {
  const [low, high] = [bytesOf(first, 16), bytesOf(last, 16)]
  const differing = low.findIndex((byte, at) => byte !== high[at])
  const behind = differing < 0 ? 16 : differing + 1
  return low.subarray(behind).every((byte) => byte === 0) && high.subarray(behind).every((byte) => byte === 255)
}

/** `::` to `last` without `::`: by the first byte that is not 0. */
function withoutZero(last: bigint): IpRange[] {
  const ranges: IpRange[] = []
  for (let first = 1n; first <= last; first <<= 8n) {
    const end = (first << 8n) - 1n
    ranges.push({ family: 6, first, last: end < last ? end : last })
  }
  return ranges
}

/** The blocks that together are the range, largest possible ones, in order. */
export function cidrsOf({ family, first, last }: IpRange): string[] {
  const bits = family === 4 ? 32 : 128
  const blocks: string[] = []
  for (let next = first; next <= last; ) {
    let free = 0
    while (free < bits && next % (2n << BigInt(free)) === 0n && next + (2n << BigInt(free)) - 1n <= last) free++
    blocks.push(`${formatRange({ family, first: next, last: next })}/${bits - free}`)
    next += 1n << BigInt(free)
  }
  return blocks
}

const ipNumber = (ip: IpAddress): bigint => ipToBytes(ip).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)

const ipOf = (family: AddressFamily, value: bigint): IpAddress => bytesToIp(bytesOf(value, family === 4 ? 4 : 16))

function bytesOf(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let rest = value
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return bytes
}
