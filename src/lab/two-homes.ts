/** Two homes that want to reach each other, and the servers that help them. */
import type { IpAddress } from '../core/index.ts'
import { VirtualClock } from './clock.ts'
import type { Host } from './host.ts'
import type { LinkOptions } from './link.ts'
import { type NatBehavior, natBehavior } from './nat-behavior.ts'
import { VirtualNetwork } from './network.ts'
import { SeededRandom } from './random.ts'
import type { FirewallRule, Router } from './router.ts'

export interface HomeOptions {
  /** The router's IPv4 choices over `homeRouter`; `open`: a public address; `none`: no IPv4. */
  readonly ipv4?: Partial<NatBehavior> | 'open' | 'none'
  /** Default: no IPv6. With choices a firewall as home routers have it (RFC 6092). */
  readonly ipv6?: Partial<NatBehavior> | 'open'
  /** What the router, or without one the access line, does not let through. */
  readonly rule?: FirewallRule
  /** The router's public addresses. Default: one. */
  readonly externalIps?: readonly IpAddress[]
}

export interface TwoHomesOptions {
  readonly seed?: number | string
  readonly a?: HomeOptions
  /** `same`: the second host is in the first home. */
  readonly b?: HomeOptions | 'same'
  /** A carrier's NAT, 70.0.0.1, in front of both homes, whose routers then have addresses of RFC 6598. */
  readonly carrier?: Partial<NatBehavior>
  /** Both access lines. Round trip from host to server: 20 ms unless told otherwise. */
  readonly link?: LinkOptions
}

export interface TwoHomes {
  readonly clock: VirtualClock
  readonly network: VirtualNetwork
  /** 192.168.1.10 behind a translator, else 80.0.0.10; over IPv6 2a00:80::10. */
  readonly a: Host
  /** 192.168.2.10, or 90.0.0.10; over IPv6 2a00:90::10. In the same home as `a`: the address after it. */
  readonly b: Host
  /** 50.0.0.1, 50.0.0.2, 2a00:50::1 and 2a00:50::2: for STUN. */
  readonly server: Host
  /** 60.0.0.1 and 2a00:60::1: for TURN. */
  readonly relay: Host
  readonly routers: { readonly a: Router; readonly b: Router }
}

export function twoHomes(options: TwoHomesOptions = {}): TwoHomes {
  const { seed = 1, a: homeA = {}, b: homeB = {}, link = { latencyMs: 10 } } = options
  const network = new VirtualNetwork({ clock: new VirtualClock(), random: new SeededRandom(seed) })
  const carrier =
    options.carrier &&
    network.addRouter({ name: 'carrier-nat', ipv4: natBehavior(options.carrier), externalIps: ['70.0.0.1'] })
  const a = addHome(network, 'a', 1, homeA, link, carrier)
  const b = homeB === 'same' ? a : addHome(network, 'b', 2, homeB, link, carrier)
  return {
    clock: network.clock,
    network,
    a: a.addHost('a', 10),
    b: b.addHost('b', homeB === 'same' ? 11 : 10),
    server: network.addHost({ name: 'server', addresses: ['50.0.0.1', '50.0.0.2', '2a00:50::1', '2a00:50::2'] }),
    relay: network.addHost({ name: 'relay', addresses: ['60.0.0.1', '2a00:60::1'] }),
    routers: { a: a.router, b: b.router },
  }
}

interface Home {
  readonly router: Router
  addHost(name: string, last: number): Host
}

function addHome(
  network: VirtualNetwork,
  name: string,
  number: 1 | 2,
  { ipv4, ipv6, rule, externalIps }: HomeOptions,
  link: LinkOptions,
  carrier: Router | undefined,
): Home {
  const behavior = ipv4 === 'open' || ipv4 === 'none' ? undefined : natBehavior(ipv4)
  const outside = number === 1 ? '80' : '90'
  const router = network.addRouter({
    name: `router-${name}`,
    parent: carrier ?? network.internet,
    link,
    ipv4: behavior,
    ipv6: ipv6 === undefined || ipv6 === 'open' ? undefined : natBehavior({ mapping: 'none', ...ipv6 }),
    externalIps: externalIps ?? [carrier ? `100.64.0.${number}` : `${outside}.0.0.1`],
    ...(rule && { rule }),
  })
  const prefix = behavior && behavior.mapping !== 'none' ? `192.168.${number}` : `${outside}.0.0`
  const addHost = (hostName: string, last: number): Host => {
    const addresses: IpAddress[] = ipv4 === 'none' ? [] : [`${prefix}.${last}`]
    if (ipv6 !== undefined) addresses.push(`2a00:${outside}::${last}`)
    return network.addHost({ name: hostName, parent: router, addresses })
  }
  return { router, addHost }
}
