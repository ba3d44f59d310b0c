/** Routers: plain ones, and ones that translate. They form a tree whose root is the internet. */
import {
  after,
  type AddressFamily,
  type Clock,
  type DeliveryFailureReason,
  familyOf,
  type IpAddress,
} from '../core/index.ts'
import type { Capture } from './capture.ts'
import type { Link, LinkDirection } from './link.ts'
import type { Nat } from './nat.ts'
import { destinationIp, icmpErrorAbout, type Packet } from './packet.ts'

/** A firewall without memory: looks at one packet and lets it pass, drops it, or drops it and says so by ICMP. */
export type FirewallRule = (
  packet: Packet,
  direction: 'outbound' | 'inbound',
) => 'pass' | 'drop' | DeliveryFailureReason

/** What a node needs of the network it stands in. */
export interface Surroundings {
  readonly clock: Clock
  readonly capture: Capture
}

/** Anything at an end of a link. */
export interface Node {
  readonly name: string
  receive(packet: Packet, from: Node): void
}

/** Where a node hangs in the tree. */
export interface Uplink {
  readonly parent: Router
  readonly link: Link
}

export interface RouterOptions {
  readonly name: string
  readonly uplink?: Uplink | undefined
  /** Applies to everything that comes in from either side, before any translation. */
  readonly rule?: FirewallRule | undefined
  /** The address its ICMP errors come from. Default: the address that could not be reached. */
  readonly ip?: IpAddress | undefined
  /** What happens to packets for addresses nobody has. Default: silence, as on most of the internet. */
  readonly unroutable?: 'silent' | DeliveryFailureReason | undefined
  /** Translation for each family; a family without one is routed. */
  readonly nats?: { readonly 4?: Nat; readonly 6?: Nat } | undefined
}

export class Router implements Node {
  readonly name: string
  readonly #options: RouterOptions
  readonly #around: Surroundings
  readonly #children = new Map<IpAddress, { readonly node: Node; readonly link: Link }>()
  /** May be changed while the network runs: a link goes down, a firewall is switched on. */
  rule: FirewallRule | undefined

  constructor(options: RouterOptions, around: Surroundings) {
    this.name = options.name
    this.rule = options.rule
    this.#options = options
    this.#around = around
    for (const nat of Object.values(options.nats ?? {})) {
      for (const ip of nat.externalIps) options.uplink?.parent.attach(ip, this, options.uplink.link)
    }
  }

  /** The translator of a family, for tests to look into. */
  nat(family: AddressFamily): Nat | undefined {
    return this.#options.nats?.[family]
  }

  /** Is this address on the inside? */
  reaches(ip: IpAddress): boolean {
    return this.#children.has(ip)
  }

  /** Makes `ip` reachable through `node`, here and, up to the next translator, above. */
  attach(ip: IpAddress, node: Node, link: Link): void {
    this.#children.set(ip, { node, link })
    const { uplink, nats } = this.#options
    const nat = nats?.[familyOf(ip)]
    if (!nat || nat.behavior.mapping === 'none') uplink?.parent.attach(ip, this, uplink.link)
  }

  receive(packet: Packet, from: Node): void {
    const ip = destinationIp(packet)
    if (from === this.#options.uplink?.parent) this.#fromOutside(packet, ip)
    else if (this.#children.has(ip)) this.#down(packet)
    else if (this.#options.uplink) this.#toOutside(packet, ip)
    else this.#refuse(packet, this.#options.unroutable ?? 'silent', 'unroutable')
  }

  #toOutside(packet: Packet, ip: IpAddress): void {
    const verdict = this.rule?.(packet, 'outbound') ?? 'pass'
    if (verdict !== 'pass') return this.#refuse(packet, verdict === 'drop' ? 'silent' : verdict, 'firewall')
    const nat = this.#options.nats?.[familyOf(ip)]
    if (!nat) return this.#up(packet)
    const routed = nat.outbound(packet, this.#around.clock.now())
    if (routed.length === 0) this.#around.capture.dropped(this.name, packet, 'nat')
    for (const { side, packet: translated } of routed) {
      if (side === 'outside') this.#up(translated)
      else this.#down(translated)
    }
  }

  #fromOutside(packet: Packet, ip: IpAddress): void {
    const verdict = this.rule?.(packet, 'inbound') ?? 'pass'
    if (verdict !== 'pass') return this.#refuse(packet, verdict === 'drop' ? 'silent' : verdict, 'firewall')
    const nat = this.#options.nats?.[familyOf(ip)]
    if (!nat) return this.#down(packet)
    const routed = nat.inbound(packet, this.#around.clock.now())
    if (routed.length === 0) this.#around.capture.dropped(this.name, packet, 'nat')
    for (const { packet: inner } of routed) this.#down(inner)
  }

  #up(packet: Packet): void {
    const { uplink } = this.#options
    if (uplink) transmit(packet, { link: uplink.link, direction: 'up', from: this, to: uplink.parent }, this.#around)
  }

  #down(packet: Packet): void {
    const child = this.#children.get(destinationIp(packet))
    if (child) transmit(packet, { link: child.link, direction: 'down', from: this, to: child.node }, this.#around)
    else this.#refuse(packet, this.#options.unroutable ?? 'silent', 'unroutable')
  }

  #refuse(packet: Packet, reason: 'silent' | DeliveryFailureReason, why: 'firewall' | 'unroutable'): void {
    this.#around.capture.dropped(this.name, packet, why)
    if (reason === 'silent') return
    const error = icmpErrorAbout(packet, reason, this.#options.ip ?? destinationIp(packet))
    if (!error) return
    // An error about a packet from inside goes back inside without meeting our own translator.
    if (this.#children.has(error.to)) this.#down(error)
    else this.#up(error)
  }
}

export interface Passage {
  readonly link: Link
  readonly direction: LinkDirection
  readonly from: Node
  readonly to: Node
}

/**
 * Sends a packet over a link. Links without delay cost no event, so a chain of routers is one step; hosts pass
 * `always`, which keeps a handler from being called from inside the send that caused it.
 */
export function transmit(packet: Packet, passage: Passage, around: Surroundings, always = false): void {
  const { link, direction, from, to } = passage
  const delays = link.delays(packet, direction)
  if (delays.length === 0) around.capture.dropped(from.name, packet, 'loss')
  let duplicate = false
  for (const delay of delays) {
    const copy = duplicate && packet.kind === 'udp' ? { ...packet, payload: packet.payload.slice() } : packet
    duplicate = true
    if (delay === 0 && !always) to.receive(copy, from)
    else around.clock.schedule(after(around.clock.now(), delay), () => to.receive(copy, from))
  }
}
