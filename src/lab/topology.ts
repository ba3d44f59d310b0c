/** Ready-made networks for tests. All addresses are public ones where the real thing would have public ones. */
import type { IpAddress } from '../core/index.ts'
import { VirtualClock } from './clock.ts'
import type { Host } from './host.ts'
import type { LinkOptions } from './link.ts'
import { type NatBehavior, natBehavior } from './nat-behavior.ts'
import { VirtualNetwork } from './network.ts'
import { SeededRandom } from './random.ts'
import type { FirewallRule, Router } from './router.ts'

export interface HomeNetworkOptions {
  readonly seed?: number | string
  /** The home router's IPv4 choices over `homeRouter`; `open`: no router, the client has a public address. */
  readonly behavior?: Partial<NatBehavior> | 'open'
  /** A second NAT in front of the first. */
  readonly cgnat?: Partial<NatBehavior>
  /** Gives everybody IPv6; behind the router it is filtered so. */
  readonly ipv6?: Partial<NatBehavior> | 'open'
  /** Round trip between client and server. Default: 20 ms. */
  readonly rttMs?: number
  /** On the client's access line, where lines are bad. */
  readonly jitter?: number
  readonly loss?: LinkOptions['loss']
  readonly duplication?: number
  readonly reordering?: number
  /** What the home router, or without one the access line, does not let through. */
  readonly rule?: FirewallRule
  /** The NAT's outside addresses. Default: one. */
  readonly externalIps?: readonly IpAddress[]
  /** The server's second address is announced, and silent. */
  readonly deadAlternate?: boolean
}

export interface HomeNetwork {
  readonly clock: VirtualClock
  readonly network: VirtualNetwork
  /** 192.168.1.10 behind a translator, else 80.0.0.10. */
  readonly client: Host
  /** A second machine in the same home, 192.168.1.11 or 80.0.0.11. */
  readonly neighbour: Host
  /** Two addresses of each family: 50.0.0.1 and 50.0.0.2, 2a00:50::1 and 2a00:50::2. */
  readonly server: Host
  /** The home router; `router.nat(4)` is the NAT. It only routes when the home is open. */
  readonly router: Router
  /** The home router's own inside address, 192.168.1.1 or 80.0.0.1, where port-mapping servers would listen. */
  readonly gateway: Host
}

/** The addresses of `homeNetwork` where a translating router stands. */
export const homeAddresses = {
  gateway: '192.168.1.1',
  servers: ['50.0.0.1', '50.0.0.2'],
  servers6: ['2a00:50::1', '2a00:50::2'],
  external: '80.0.0.1',
  cgnatExternal: '90.0.0.1',
  shared: '100.64.0.7',
} as const

/** client, neighbour — home router — [carrier NAT] — internet — server. */
export function homeNetwork(options: HomeNetworkOptions = {}): HomeNetwork {
  const { seed = 1, rttMs = 20, jitter = 0, loss = 0, duplication = 0, reordering = 0 } = options
  const network = new VirtualNetwork({ clock: new VirtualClock(), random: new SeededRandom(seed) })
  const access: LinkOptions = { latencyMs: rttMs / 2, jitter, loss, duplication, reordering }
  const carrier = options.cgnat && carrierNat(network, options.cgnat)
  const ipv4 = options.behavior === 'open' ? undefined : natBehavior(options.behavior)
  const translates = ipv4 !== undefined && ipv4.mapping !== 'none'
  const router = network.addRouter({
    name: 'home-router',
    parent: carrier ?? network.internet,
    link: access,
    ipv4,
    ipv6: options.ipv6 === undefined || options.ipv6 === 'open' ? undefined : firewall6(options.ipv6),
    externalIps: options.externalIps ?? [carrier ? homeAddresses.shared : homeAddresses.external],
    ...(options.rule && { rule: options.rule }),
  })
  const prefix = translates ? '192.168.1' : carrier ? '100.64.1' : '80.0.0'
  const gatewayIp = `${prefix}.1`
  const inside = (last: number): IpAddress[] => [
    `${prefix}.${last}`,
    ...(options.ipv6 === undefined ? [] : [`2a00:80::${last}`]),
  ]
  const gateway = network.addHost({ name: 'gateway', parent: router, addresses: [gatewayIp] })
  const machine = (name: string, last: number): Host =>
    network.addHost({ name, parent: router, addresses: inside(last), gateway: { 4: gatewayIp } })
  const client = machine('client', 10)
  const neighbour = machine('neighbour', 11)
  const server = homeServer(network, options)
  return { clock: network.clock, network, client, neighbour, server, router, gateway }
}

function homeServer(network: VirtualNetwork, options: HomeNetworkOptions): Host {
  const [primary, alternate] = homeAddresses.servers
  const ipv6 = options.ipv6 === undefined ? [] : homeAddresses.servers6
  return network.addHost({
    name: 'server',
    addresses: options.deadAlternate ? [primary, ...ipv6] : [primary, alternate, ...ipv6],
    deadAddresses: options.deadAlternate ? [alternate] : [],
  })
}

const carrierNat = (network: VirtualNetwork, choices: Partial<NatBehavior>): Router =>
  network.addRouter({
    name: 'carrier-nat',
    ipv4: natBehavior(choices),
    externalIps: [homeAddresses.cgnatExternal],
  })

/** What home routers do to IPv6: nobody is translated, and only answers come in (RFC 6092). */
const firewall6 = (choices: Partial<NatBehavior>): NatBehavior => natBehavior({ mapping: 'none', ...choices })
