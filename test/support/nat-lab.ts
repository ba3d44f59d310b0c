/**
 * The network of most NAT tests, made of three namespaces:
 *
 *   client ── inside ── router ── outside ── server
 *   192.168.77.2        203.0.113.2          203.0.113.1, and the STUN servers' addresses 198.51.100.x
 *   fd00:77::2          2001:db8:203::2      2001:db8:203::1, and 2001:db8:198::x
 *
 * The server namespace stands for the internet. The router is whatever the test asks for, and can be changed.
 */
import { fileURLToPath } from 'node:url'
import type { FilteringBehavior, MappingBehavior } from '../../src/core/index.ts'
import { type NatBehavior, natBehavior } from '../../src/lab/nat-behavior.ts'
import { type Coturn, startCoturn } from './coturn.ts'
import { isRouted, type KernelNatKind, type RouterAddresses, ruleset, tunRuleset } from './kernel-nat.ts'
import { type Namespace, Namespaces } from './netns.ts'
import { type Daemon, printed, type RunOptions, type RunResult } from './process.ts'
import { environment, type Requirement } from './requirements.ts'

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const natcheck = file('../../bin/natcheck.js')

export type NatSpec =
  | { readonly kind: KernelNatKind }
  | ({
      readonly kind: 'tun'
      readonly mapping: MappingBehavior | 'none'
      readonly filtering: FilteringBehavior
      /** How many of `tunExternal` it gives out. Default 1. */
      readonly externalIps?: number
      /** For its random choices. */
      readonly seed?: number
    } & Partial<Omit<NatBehavior, 'mapping' | 'filtering'>>)

export type StunServerKind = 'coturn' | 'ours' | 'none'

export interface NatLabOptions {
  readonly nat: NatSpec
  readonly server: StunServerKind
}

/** What `describeIf` has to ask for before a lab can be made. */
export const natLabRequirements = (nat: 'kernel' | 'tun', server: StunServerKind): readonly Requirement[] => [
  'netns',
  'nft',
  ...(nat === 'tun' ? (['tun', 'koffi'] as const) : []),
  ...(server === 'coturn' ? (['turnserver'] as const) : []),
]

export const client = { ip4: '192.168.77.2', ip6: 'fd00:77::2' } as const
export const router = { ip4: '192.168.77.1', ip6: 'fd00:77::1', wan4: '203.0.113.2', wan6: '2001:db8:203::2' } as const
/** The first two of each family are the STUN server's primary and alternate address; the others are free. */
export const servers = {
  ip4: ['198.51.100.10', '198.51.100.11', '198.51.100.12', '198.51.100.13'],
  ip6: ['2001:db8:198::10', '2001:db8:198::11', '2001:db8:198::12', '2001:db8:198::13'],
} as const
/** The external addresses of the NAT on the TUN device: routed to the router, configured nowhere. */
export const tunExternal = {
  ip4: ['203.0.113.65', '203.0.113.66', '203.0.113.67', '203.0.113.68'],
  ip6: ['2001:db8:65::1', '2001:db8:65::2', '2001:db8:65::3', '2001:db8:65::4'],
} as const
export const stunPort = 3478
export const alternateStunPort = 3479

const addresses: RouterAddresses = {
  inside: 'inside',
  outside: 'outside',
  client4: client.ip4,
  client6: client.ip6,
  external4: router.wan4,
  external6: router.wan6,
}

export class NatLab {
  readonly stunUri: string = `stun:${servers.ip4[0]}`
  readonly stunUri6: string = `stun:[${servers.ip6[0]}]`
  readonly namespaces: Namespaces
  #tunNat: Daemon | undefined
  #coturn: Coturn | undefined

  private constructor(namespaces: Namespaces) {
    this.namespaces = namespaces
  }

  static async create(options: NatLabOptions): Promise<NatLab> {
    const namespaces = await Namespaces.create('client', 'router', 'server')
    const lab = new NatLab(namespaces)
    try {
      await lab.#wire()
      // The server needs nothing of the router's NAT, nor the other way round.
      const starts = await Promise.allSettled([lab.setNat(options.nat), lab.#startServer(options.server)])
      for (const start of starts) if (start.status === 'rejected') throw start.reason
      return lab
    } catch (error) {
      await lab.close()
      throw error
    }
  }

  get client(): LabHost {
    return new LabHost(this.namespaces.get('client'))
  }

  get router(): LabHost {
    return new LabHost(this.namespaces.get('router'))
  }

  get server(): LabHost {
    return new LabHost(this.namespaces.get('server'))
  }

  /** Another NAT in the same place. State of the one before is not carried over, but conntrack's is: use new ports. */
  async setNat(nat: NatSpec): Promise<void> {
    await this.#tunNat?.stop()
    this.#tunNat = undefined
    const routed = isRouted(nat.kind) || (nat.kind === 'tun' && nat.mapping === 'none')
    const { namespace } = this.server
    await Promise.all(
      routed
        ? [
            namespace.ip(`route replace 192.168.77.0/24 via ${router.wan4}`),
            namespace.ip6(`route replace fd00:77::/64 via ${router.wan6}`),
          ]
        : [namespace.ip('route flush 192.168.77.0/24'), namespace.ip6('route flush fd00:77::/64')],
    )
    if (nat.kind === 'tun') await this.#startTunNat(nat)
    else await this.router.namespace.nft(ruleset(nat.kind, addresses))
  }

  /** Removes everything. Safe to call twice. */
  async close(): Promise<void> {
    await this.#coturn?.stop()
    await this.namespaces.remove()
  }

  async #wire(): Promise<void> {
    const { namespaces } = this
    const [inside, outside, internet] = ['client', 'router', 'server'].map((name) => namespaces.get(name)) as [
      Namespace,
      Namespace,
      Namespace,
    ]
    // Without rp_filter: the NAT on the TUN device sends from addresses that are routed elsewhere.
    const forwarding = 'net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0'
    await outside.check(['sysctl', '-q', '-w', ...forwarding.split(' '), 'net.ipv4.conf.default.rp_filter=0'])
    await namespaces.link(
      { in: 'client', as: 'eth0', addresses: [`${client.ip4}/24`, `${client.ip6}/64`] },
      { in: 'router', as: 'inside', addresses: [`${router.ip4}/24`, `${router.ip6}/64`] },
    )
    await namespaces.link(
      { in: 'server', as: 'eth0', addresses: ['203.0.113.1/24', '2001:db8:203::1/64'] },
      { in: 'router', as: 'outside', addresses: [`${router.wan4}/24`, `${router.wan6}/64`] },
    )
    await inside.ip(`route add default via ${router.ip4}`)
    await inside.ip6(`route add default via ${router.ip6}`)
    await outside.ip('route add default via 203.0.113.1', ...policyRules(['udp', 'icmp']))
    await outside.ip6('route add default via 2001:db8:203::1', ...policyRules(['udp', 'ipv6-icmp']))
    await internet.ip(
      ...servers.ip4.map((ip) => `addr add ${ip}/32 dev lo`),
      ...servers.ip6.map((ip) => `addr add ${ip}/128 dev lo nodad`),
      `route add 203.0.113.64/26 via ${router.wan4}`,
      `route add 2001:db8:65::/64 via ${router.wan6}`,
    )
  }

  async #startTunNat({
    kind: _,
    seed = 1,
    externalIps: count = 1,
    ...choices
  }: NatSpec & { kind: 'tun' }): Promise<void> {
    const behavior: NatBehavior = natBehavior(choices)
    const configuration = {
      device: 'nat0',
      behavior,
      externalIps: [...tunExternal.ip4.slice(0, count), ...tunExternal.ip6.slice(0, count)],
      internal: ['192.168.77.0/24', 'fd00:77::/64'],
      seed,
    }
    const namespace = this.router.namespace
    const daemon = namespace.start([process.execPath, file('./tun-nat-main.mjs'), JSON.stringify(configuration)])
    this.#tunNat = daemon
    await namespace.nft(tunRuleset(addresses, tunExternal.ip4[0], tunExternal.ip6[0]))
    await printed(daemon, /^ready nat0$/m)
    await namespace.ip('link set nat0 up', `route add default dev nat0 table ${natTable}`)
    await namespace.ip6(`route add default dev nat0 table ${natTable}`)
  }

  async #startServer(kind: StunServerKind): Promise<void> {
    const namespace = this.server.namespace
    const [primary4, alternate4] = servers.ip4
    const [primary6, alternate6] = servers.ip6
    if (kind === 'coturn') {
      this.#coturn = await startCoturn(namespace, { ips: [primary4, alternate4, primary6, alternate6] })
    }
    if (kind === 'ours') {
      const ports = { primaryPort: stunPort, alternatePort: alternateStunPort }
      const configuration = [
        { primaryIp: primary4, alternateIp: alternate4, ...ports },
        { primaryIp: primary6, alternateIp: alternate6, ...ports },
      ]
      const daemon = namespace.start([process.execPath, file('./stun-server-main.mjs'), JSON.stringify(configuration)])
      await printed(daemon, /^ready$/m)
    }
  }
}

/** A host of the lab. */
export class LabHost {
  readonly namespace: Namespace

  constructor(namespace: Namespace) {
    this.namespace = namespace
  }

  /** Runs a program here to its end, whatever its exit code. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return await this.namespace.run(argv, options)
  }

  /** Runs `natcheck` here as a user would, without a terminal and without the tester's own NATCHECK_* settings. */
  async natcheck(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const inherited = Object.entries(environment()).filter(
      ([name]) => !/^(NATCHECK_|CI$|GITHUB_|FORCE_COLOR$|NO_COLOR$|NODE_OPTIONS$|VITEST)/.test(name),
    )
    return await this.namespace.run([process.execPath, natcheck, ...args], {
      timeoutMs: 30_000,
      env: Object.fromEntries(inherited),
      ...options,
    })
  }
}

/** Empty while no NAT runs on a TUN device: then the lookup goes on in the main table. */
const natTable = 100

/** UDP and ICMP that pass through go to the NAT; what is for the router itself is decided before, by the local table. */
const policyRules = (protocols: readonly string[]): string[] =>
  protocols.flatMap((protocol, index) =>
    ['inside', 'outside'].map(
      (side, sideIndex) =>
        `rule add iif ${side} ipproto ${protocol} lookup ${natTable} pref ${100 + 2 * index + sideIndex}`,
    ),
  )

/** Makes the network, the NAT and the STUN server. Close it in afterAll. */
export const natLab = (options: NatLabOptions): Promise<NatLab> => NatLab.create(options)
