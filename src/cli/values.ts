/** The values of settings, read from what a person or a file wrote. All throw USAGE or BAD_ADDRESS. */
import {
  type AddressFamily,
  familyOf,
  type IpAddress,
  NatcheckError,
  parseAddress,
  parseIp,
  type TransportAddress,
} from '../core/index.ts'
import type { ExternalIp, PortRange } from '../relay/options.ts'
import { usage } from './io.ts'
import { nearest } from '../core/suggest.ts'

const badAddress = (message: string, fix: string): NatcheckError => new NatcheckError('BAD_ADDRESS', message, { fix })

/** A list from a file or repeated flags, or words parted by commas or spaces. */
export function readList(value: unknown, where: string): string[] {
  const values: unknown[] = Array.isArray(value) ? value : [value]
  if (!values.every((item) => typeof item === 'string')) throw usage(`${where} is not a list of texts`)
  const list = values.flatMap((item) => item.split(/[\s,]+/)).filter((word) => word !== '')
  if (list.length === 0) throw usage(`${where} is empty`, 'name at least one, or leave it out')
  return list
}

export function readInteger(value: unknown, where: string, min: number, max: number): number {
  const text = String(value)
  const number = Number(text)
  if (/^\d{1,15}$/.test(text) && number >= min && number <= max) return number
  throw usage(`${where} is "${text}"`, `write a whole number from ${min} to ${max}`)
}

export function readBoolean(value: unknown, where: string): boolean {
  const word = String(value).toLowerCase()
  if (['true', '1', 'yes', 'on'].includes(word)) return true
  if (['false', '0', 'no', 'off'].includes(word)) return false
  throw usage(`${where} is "${word}"`, 'write true or false')
}

/** One of `words`, with a guess at which was meant. */
export function readWord<T extends string>(value: unknown, where: string, words: readonly T[]): T {
  const text = String(value)
  const known = words.find((word) => word === text)
  if (known !== undefined) return known
  const meant = nearest(text, words)
  throw usage(
    `${where}: there is no "${text}"`,
    `${meant ? `did you mean ${meant}? ` : ''}It takes ${words.join(', ')}`,
  )
}

export function readIp(value: unknown, where: string): IpAddress {
  const ip = parseIp(String(value))
  if (ip !== undefined) return ip
  throw badAddress(`${where} is "${String(value)}", which is no IP address`, 'give an address of this machine')
}

export function readFamilies(value: unknown, where: string): AddressFamily[] {
  const word = String(value)
  if (word === 'both') return [4, 6]
  if (word === '4' || word === '6') return [word === '4' ? 4 : 6]
  throw usage(`${where} is "${word}"`, 'write 4, 6 or both')
}

/** `ADDR:PORT`, or `ADDR` with the default port. */
export function readListener(text: string, where: string, defaultPort: number): TransportAddress {
  const bare = parseIp(text.replace(/^\[(.*)\]$/, '$1'))
  const address = bare === undefined ? parseAddress(text) : { ip: bare, port: defaultPort }
  if (address) return address
  throw badAddress(
    `${where} is "${text}", which is no ADDR:PORT`,
    `write 0.0.0.0:${defaultPort} or [::]:${defaultPort}, with a port from 0 to 65535`,
  )
}

/** `49152-65535` */
export function readPorts(value: unknown, where: string): PortRange {
  const text = String(value)
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(text)
  const min = Number(match?.[1])
  const max = Number(match?.[2])
  if (!match || min < 1 || max > 65_535) throw usage(`${where} is "${text}"`, 'write MIN-MAX, such as 49152-65535')
  if (min > max) throw usage(`${where} is "${text}", which ends before it begins`, `write ${max}-${min}`)
  return { min, max }
}

/** `PUB` or `PUB/PRIV` */
export function readExternalIp(text: string, where: string): ExternalIp {
  const [external = '', internal, ...rest] = text.split('/')
  const publicIp = parseIp(external)
  const privateIp = internal === undefined ? undefined : parseIp(internal)
  if (rest.length > 0 || publicIp === undefined || (internal !== undefined && privateIp === undefined)) {
    throw badAddress(`${where} is "${text}"`, 'write PUBLIC or PUBLIC/PRIVATE, two IP addresses')
  }
  if (privateIp !== undefined && familyOf(publicIp) !== familyOf(privateIp)) {
    throw badAddress(`${where} is "${text}": an IPv4 and an IPv6 address`, 'give two addresses of one family')
  }
  return { external: publicIp, internal: privateIp }
}

/** An address or `network/prefix`, in canonical form. */
export function readCidr(text: string, where: string): string {
  const [network = '', prefix, ...rest] = text.split('/')
  const ip = parseIp(network)
  const bits = ip === undefined || familyOf(ip) === 4 ? 32 : 128
  if (ip === undefined || ip.includes('%') || rest.length > 0) {
    throw badAddress(`${where} is "${text}", which is no CIDR`, 'write 10.0.0.0/8, fd00::/8 or a single address')
  }
  if (prefix === undefined) return `${ip}/${bits}`
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) {
    throw badAddress(`${where} is "${text}": the prefix is no number from 0 to ${bits}`, `write ${ip}/${bits}`)
  }
  return `${ip}/${Number(prefix)}`
}
