/** Whom a configuration lets clients reach, and which peers show whether coturn keeps to it. */
import { bytesToIp, type IpAddress, ipToBytes, parseIp, scopeOf } from '../../core/index.ts'
import type { Conf } from '../conf.ts'
import { covers, firstOf, type IpRange, lastOf, parseCidr, parseRange, rangeOfIp } from '../ranges.ts'
import { mappedSince } from '../special.ts'
import { isSince } from '../version.ts'

const ranges = (conf: Conf, name: string): IpRange[] => conf.all(name).flatMap(({ value }) => parseRange(value) ?? [])

/** `external-ip=PUBLIC/PRIVATE` lets clients reach PRIVATE. */
const whitelisted = (conf: Conf): IpRange[] =>
  conf.all('external-ip').flatMap(({ value }) => {
    const inside = parseIp(value.split('/')[1] ?? '')
    return inside === undefined ? [] : [rangeOfIp(inside)]
  })

/** As the file says it: allowed beats denied, and loopback and multicast have options of their own. */
export function permits(conf: Conf, ip: IpAddress): boolean {
  const peer = isSince(conf.version, mappedSince) ? unmapped(ip) : ip
  const scope = scopeOf(peer)
  if (scope === 'loopback' && !conf.isOn('allow-loopback-peers')) return false
  if (scope === 'multicast' && conf.isOn('no-multicast-peers')) return false
  const single = rangeOfIp(peer)
  if (covers([...ranges(conf, 'allowed-peer-ip'), ...whitelisted(conf)], single)) return true
  return !covers(ranges(conf, 'denied-peer-ip'), single)
}

function unmapped(ip: IpAddress): IpAddress {
  const bytes = ipToBytes(ip)
  const isMapped = bytes.length === 16 && bytes.subarray(0, 12).every((byte, at) => byte === (at < 10 ? 0 : 0xff))
  return isMapped ? bytesToIp(bytes.subarray(12)) : ip
}

/**
 * Both ends of each range that is meant to be denied, as far as nothing allows them: what coturn takes for no range (CIDR,
 * a comment behind it) is a range here. The unspecified address is no peer.
 */
export function deniedSamples(conf: Conf): IpAddress[] {
  const allowed = [...ranges(conf, 'allowed-peer-ip'), ...whitelisted(conf)]
  const ends = conf.all('denied-peer-ip').flatMap(({ value }) => {
    const text = value.replace(/[\s;#].*$/, '')
    const range = parseRange(text) ?? parseCidr(text)
    return range ? [firstOf(range), lastOf(range)] : []
  })
  return [...new Set(ends)].filter((ip) => ip !== '0.0.0.0' && ip !== '::' && !covers(allowed, rangeOfIp(ip)))
}

type Form = (ip: Uint8Array) => readonly number[]

/** Ways to write an IPv4 address as an IPv6 one, that every system or a translator knows. */
const forms: readonly Form[] = [
  (ip) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...ip], // IPv4-mapped, RFC 4291 §2.5.5.2
  (ip) => [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ...ip], // NAT64, RFC 6052 §2.1
  (ip) => [0, 0x64, 0xff, 0x9b, 0, 1, 0, 0, 0, 0, 0, 0, ...ip], // NAT64 of a network, RFC 8215
  (ip) => [0x20, 0x02, ...ip, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], // 6to4, RFC 3056 §2
  (ip) => [0x20, 0x01, 0, 0, 8, 8, 8, 8, 0, 0, 0, 0, ...ip.map((byte) => byte ^ 0xff)], // Teredo, RFC 4380 §4
  (ip) => [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0x5e, 0xfe, ...ip], // ISATAP, RFC 5214 §6.1
]

/** Those that hardly any network takes any more. */
const rare: readonly Form[] = [
  (ip) => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...ip], // IPv4-compatible, RFC 4291 §2.5.5.1
  (ip) => [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, ...ip], // IPv4-translated, RFC 2765 §2.1
]

const inForms =
  (all: readonly Form[]) =>
  (ip: IpAddress): IpAddress[] =>
    all.map((form) => bytesToIp(Uint8Array.from(form(ipToBytes(ip)))))

/** An IPv4 address in each form that hides it in IPv6. */
export const embeddedForms: (ip: IpAddress) => IpAddress[] = inForms(forms)
export const rareForms: (ip: IpAddress) => IpAddress[] = inForms(rare)
