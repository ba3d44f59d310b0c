/** Which addresses of this machine become host candidates, in which order, and what a browser makes of them. RFC 8445 §5.1.1.1 */
import { familyOf, type InterfaceAddress, type IpAddress, scopeOf } from '../../core/index.ts'
import type { InterfaceKind } from './observations.ts'

export interface HostAddress {
  readonly ip: IpAddress
  readonly interface: string
  readonly kind: InterfaceKind
  readonly temporary: boolean | null
  /** Why a browser would not gather it; null: it would. */
  readonly browserOmits: string | null
}

/** Names that systems and programs give, as far as they are usual. */
const kinds: readonly (readonly [InterfaceKind, RegExp])[] = [
  ['vpn', /^(?:tun|tap|utun|wg|ppp|ipsec|zt|tailscale|nordlynx|proton|gpd|cscotun|vpn)/i],
  ['container', /^(?:docker|br-|veth|cni|flannel|cali|cilium|virbr|vmnet|vboxnet|podman|lxc|lxdbr|vEthernet)/i],
  ['physical', /^(?:eth|en[opsx\d]|em\d|wl|wwan|rmnet|usb|bond|team|ib|Ethernet|Wi-?Fi|WLAN)/i],
]

/** A guess from the name, which is all that every system has. */
export function interfaceKind({ name, internal }: Pick<InterfaceAddress, 'name' | 'internal'>): InterfaceKind {
  if (internal) return 'loopback'
  return kinds.find(([, pattern]) => pattern.test(name))?.[0] ?? 'unknown'
}

/**
 * Best first: physical before VPN before container, temporary IPv6 addresses before those that identify the machine.
 * Loopback is left out (RFC 8445 §5.1.1.1), and so are IPv4-mapped and site-local addresses.
 */
export function hostAddresses(interfaces: readonly InterfaceAddress[], families: readonly (4 | 6)[]): HostAddress[] {
  const usable = interfaces.filter(
    ({ ip, internal }) =>
      !internal && families.includes(familyOf(ip)) && !['loopback', 'unspecified', 'multicast'].includes(scopeOf(ip)),
  )
  const hosts = usable.map((address) => describe(address, interfaces))
  return hosts.toSorted((a, b) => rank(a) - rank(b))
}

function describe(address: InterfaceAddress, all: readonly InterfaceAddress[]): HostAddress {
  const { name, ip, temporary } = address
  const shadowed =
    temporary === false &&
    scopeOf(ip) !== 'link-local' &&
    all.some((other) => other.name === name && other.temporary === true)
  const linkLocal = scopeOf(ip) === 'link-local'
  const browserOmits = linkLocal
    ? 'browsers leave link-local addresses out'
    : shadowed
      ? 'browsers take the temporary address of this interface instead (RFC 8981)'
      : null
  return { ip, interface: name, kind: interfaceKind(address), temporary: temporary ?? null, browserOmits }
}

const kindRanks: Readonly<Record<InterfaceKind, number>> = {
  physical: 0,
  unknown: 1,
  vpn: 2,
  container: 3,
  loopback: 4,
}

const rank = ({ ip, kind, temporary }: HostAddress): number =>
  kindRanks[kind] * 4 + (scopeOf(ip) === 'link-local' ? 2 : 0) + (temporary === false ? 1 : 0)
