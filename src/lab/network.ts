/** The virtual network: builds nodes and links over one clock and one seed. */
import type { AddressFamily, Cancel, IpAddress } from '../core/index.ts'
import { Capture, type CapturedPacket } from './capture.ts'
import { VirtualClock } from './clock.ts'
import { Host, type HostOptions } from './host.ts'
import { Link, type LinkOptions } from './link.ts'
import { VirtualNames } from './names.ts'
import { Nat } from './nat.ts'
import type { NatBehavior } from './nat-behavior.ts'
import { SeededRandom } from './random.ts'
import { Router, type RouterOptions, type Uplink } from './router.ts'

interface Attachment {
  readonly name: string
  /** Default: the internet. */
  readonly parent?: Router
  /** The line to the parent. Default: perfect and without delay. */
  readonly link?: LinkOptions
}

export interface NatRouterOptions extends Attachment, Pick<RouterOptions, 'rule' | 'ip' | 'unroutable'> {
  /** IPv4 behaviour. Absent: IPv4 is routed. */
  readonly ipv4?: NatBehavior | undefined
  /** IPv6 behaviour, mostly a firewall (`mapping: 'none'`). Absent: IPv6 is routed. */
  readonly ipv6?: NatBehavior | undefined
  /** The addresses outside, of either family. */
  readonly externalIps?: readonly IpAddress[]
}

export class VirtualNetwork {
  readonly clock: VirtualClock
  readonly names: VirtualNames
  /** The root of the tree: every public address is reached through it. */
  readonly internet: Router
  readonly #random: SeededRandom
  readonly #capture: Capture

  constructor(
    options: {
      readonly clock?: VirtualClock
      readonly random?: SeededRandom
      /** What happens to packets for addresses nobody has. Default: silence. */
      readonly unroutable?: RouterOptions['unroutable']
    } = {},
  ) {
    this.clock = options.clock ?? new VirtualClock()
    this.#random = options.random ?? new SeededRandom(0)
    this.#capture = new Capture(this.clock)
    this.names = new VirtualNames(this.clock)
    this.internet = this.#router({ name: 'internet', unroutable: options.unroutable })
  }

  /** A router that may also filter, translate, or both. */
  addRouter(options: NatRouterOptions): Router {
    const { name, ipv4, ipv6, externalIps = [], rule, ip, unroutable } = options
    const nats: { 4?: Nat; 6?: Nat } = {}
    const build = (behavior: NatBehavior, family: AddressFamily): Nat =>
      new Nat({
        behavior,
        externalIps: externalIps.filter((external) => external.includes(':') === (family === 6)),
        isInternal: (internal) => router.reaches(internal),
        random: this.#random.fork(`${name}/nat${family}`),
      })
    if (ipv4) nats[4] = build(ipv4, 4)
    if (ipv6) nats[6] = build(ipv6, 6)
    const router: Router = this.#router({ name, uplink: this.#uplink(options), rule, ip, unroutable, nats })
    return router
  }

  addHost(options: Omit<HostOptions, 'uplink'> & Attachment & { readonly offline?: boolean }): Host {
    const { parent: _, link: __, offline, ...host } = options
    const around = { clock: this.clock, capture: this.#capture }
    const uplink = offline ? undefined : this.#uplink(options)
    return new Host({ ...host, uplink }, around, this.names, this.#random.fork(`${options.name}/host`))
  }

  /** Shows every packet as it is sent, received and dropped. Returns what ends it. */
  capture(observer: (captured: CapturedPacket) => void): Cancel {
    return this.#capture.watch(observer)
  }

  #uplink({ name, parent = this.internet, link = {} }: Attachment): Uplink {
    return { parent, link: new Link(link, this.#random.fork(`${name}/link`)) }
  }

  #router(options: RouterOptions): Router {
    return new Router(options, { clock: this.clock, capture: this.#capture })
  }
}
