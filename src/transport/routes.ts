/** What this machine knows about its own network: interface addresses and default routers. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import {
  type AddressFamily,
  bytesToIp,
  familyOf,
  type InterfaceAddress,
  type IpAddress,
  parseIp,
} from '../core/index.ts'

/** The addresses of all interfaces that are up. Link-local IPv6 addresses carry their zone: without it they lead nowhere. */
export function interfaces(): readonly InterfaceAddress[] {
  const temporary = temporaryAddresses()
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ address, internal }) => {
      const zoned = /^fe[89ab]/i.test(address) && !address.includes('%') ? `${address}%${name}` : address
      const ip = parseIp(zoned)
      return ip === undefined
        ? []
        : [{ name, ip, internal, ...(familyOf(ip) === 6 && temporary && { temporary: temporary.has(ip) }) }]
    }),
  )
}

/** IFA_F_TEMPORARY, linux/if_addr.h */
const temporaryFlag = 0x01

/** Linux lists its IPv6 addresses with their flags: `address index prefix scope flags name`, all in hexadecimal. */
function temporaryAddresses(): ReadonlySet<string> | undefined {
  if (process.platform !== 'linux') return undefined
  let table: string
  try {
    table = readFileSync('/proc/net/if_inet6', 'utf8')
  } catch {
    return undefined
  }
  const addresses = table.split('\n').flatMap((line) => {
    const [hex = '', , , , flags = '0'] = line.trim().split(/\s+/)
    const ip = parseIp(hex.match(/.{4}/g)?.join(':') ?? '')
    return ip !== undefined && Number.parseInt(flags, 16) & temporaryFlag ? [ip] : []
  })
  return new Set(addresses)
}

/** The default router of a family: the one with the lowest metric. Undefined where there is none, or no way to ask. */
export async function defaultGateway(family: AddressFamily): Promise<IpAddress | undefined> {
  if (process.platform === 'linux') {
    const table = await readFile(family === 4 ? '/proc/net/route' : '/proc/net/ipv6_route', 'utf8').catch(() => '')
    return family === 4 ? parseRouteTable(table) : parseIpv6RouteTable(table)
  }
  if (process.platform === 'darwin') return parseRouteGet(await routeGet(family))
  return undefined
}

const RTF_UP = 0x1
const RTF_GATEWAY = 0x2

interface Route {
  readonly gateway: IpAddress
  readonly metric: number
}

const best = (routes: readonly Route[]): IpAddress | undefined =>
  routes.reduce<Route | undefined>((first, route) => (first && first.metric <= route.metric ? first : route), undefined)
    ?.gateway

/** `/proc/net/route`: Iface Destination Gateway Flags RefCnt Use Metric Mask …; addresses as hex in host byte order. */
export function parseRouteTable(table: string, littleEndian: boolean = isLittleEndian()): IpAddress | undefined {
  const routes = table.split('\n').flatMap((line): Route[] => {
    const [, destination, gateway = '', flags = '', , , metric = '', mask] = line.split('\t')
    if (destination !== '00000000' || mask !== '00000000' || !/^[0-9A-F]{8}$/.test(gateway)) return []
    if (!hasGateway(flags)) return []
    const bytes = hexBytes(gateway)
    return [{ gateway: bytesToIp(littleEndian ? bytes.toReversed() : bytes), metric: Number(metric) }]
  })
  return best(routes)
}

/** `/proc/net/ipv6_route`: destination prefix source prefix next-hop metric refcnt use flags device; all hex. */
export function parseIpv6RouteTable(table: string): IpAddress | undefined {
  const routes = table.split('\n').flatMap((line): Route[] => {
    const [destination, prefix, , , nextHop = '', metric = '', , , flags = '', device] = line.trim().split(/\s+/)
    if (destination !== '0'.repeat(32) || prefix !== '00' || !/^[0-9a-f]{32}$/.test(nextHop)) return []
    if (!hasGateway(flags)) return []
    const gateway = bytesToIp(hexBytes(nextHop))
    return [{ gateway: gateway.startsWith('fe80:') ? `${gateway}%${device}` : gateway, metric: Number(`0x${metric}`) }]
  })
  return best(routes)
}

/** macOS `route -n get default`: a line `gateway: 192.168.1.1`. */
export function parseRouteGet(output: string): IpAddress | undefined {
  const gateway = /^\s*gateway:\s*(\S+)$/m.exec(output)?.[1]
  return gateway === undefined ? undefined : parseIp(gateway)
}

/** Two seconds: the routing table is local, so anything longer means that it will not answer. */
const routeGetTimeoutMs = 2000

function routeGet(family: AddressFamily): Promise<string> {
  const options = family === 4 ? ['-n', 'get', 'default'] : ['-n', 'get', '-inet6', 'default']
  return new Promise((resolve) => {
    execFile('/sbin/route', options, { timeout: routeGetTimeoutMs }, (error, stdout) => resolve(error ? '' : stdout))
  })
}

function hasGateway(flags: string): boolean {
  const bits = Number.parseInt(flags, 16)
  return (bits & RTF_UP) !== 0 && (bits & RTF_GATEWAY) !== 0
}

const hexBytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

const isLittleEndian = (): boolean => new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
