/**
 * One NAT for all of RFC 4787: packets and the time go in, packets come out. It opens nothing and keeps no timers, so the
 * same class stands on the virtual network and on a TUN device.
 */
import {
  after,
  type FilteringBehavior,
  familyOf,
  type Instant,
  type IpAddress,
  type MappingBehavior,
  NatcheckError,
  type Random,
  type TransportAddress,
} from '../core/index.ts'
import { rewritePayload } from './nat-alg.ts'
import type { NatBehavior } from './nat-behavior.ts'
import { PortAssigner } from './nat-ports.ts'
import type { IcmpError, Packet, TcpPacket, UdpPacket } from './packet.ts'

/** A packet and the side of the NAT on which it leaves. */
export interface RoutedPacket {
  readonly side: 'inside' | 'outside'
  readonly packet: Packet
}

/** An entry of the translation table. */
export interface Mapping {
  readonly protocol: 'udp' | 'tcp'
  readonly internal: TransportAddress
  readonly external: TransportAddress
  /** The part of the remote address the mapping depends on: empty, an address, or an address and port. */
  readonly remote: string
  readonly expiresAt: Instant
  /** Who may send in, as far as the filter cares (RFC 4787 §5), and until when. */
  readonly permitted: ReadonlyMap<string, Instant>
}

interface MutableMapping extends Mapping {
  expiresAt: Instant
  readonly permitted: Map<string, Instant>
}

type Transported = UdpPacket | TcpPacket

/** RFC 5382 REQ-5: an established TCP connection keeps its state for two hours and four minutes. */
const TCP_LIFETIME_MS = 7_440_000

const NOTHING: readonly RoutedPacket[] = []

export class Nat {
  readonly behavior: NatBehavior
  readonly externalIps: readonly IpAddress[]
  readonly #isInternal: (ip: IpAddress) => boolean
  readonly #random: Random
  readonly #ports: PortAssigner
  readonly #byInternal = new Map<string, MutableMapping>()
  readonly #byExternal = new Map<string, MutableMapping>()
  /** RFC 4787 REQ-2, paired pooling: the external address an internal one was given. */
  readonly #pairs = new Map<IpAddress, IpAddress>()

  constructor(options: {
    readonly behavior: NatBehavior
    /** Of one family or both; ignored when nothing is translated. */
    readonly externalIps: readonly IpAddress[]
    readonly isInternal: (ip: IpAddress) => boolean
    readonly random: Random
  }) {
    const translates = options.behavior.mapping !== 'none'
    if (translates && options.externalIps.length === 0) {
      throw new NatcheckError('USAGE', 'a NAT needs an external address', { fix: 'Give it one in externalIps.' })
    }
    this.behavior = options.behavior
    this.externalIps = translates ? options.externalIps : []
    this.#isInternal = options.isInternal
    this.#random = options.random
    this.#ports = new PortAssigner(options.behavior, options.random)
  }

  /** A packet from inside. It leaves on the outside, comes back in (hairpinning), or is dropped. */
  outbound(packet: Packet, now: Instant): readonly RoutedPacket[] {
    if (packet.kind === 'icmp-error') return this.#outboundError(packet, now)
    if (!this.#isInternal(packet.source.ip)) return NOTHING
    const hairpin = this.externalIps.includes(packet.destination.ip)
    if (hairpin && this.behavior.hairpinning === 'off') return NOTHING
    const mapping = this.#mappingFor(packet, now)
    if (!mapping) return NOTHING
    this.#permit(mapping, packet.destination, now)
    const translated = this.#rewrite({ ...packet, source: mapping.external }, mapping.internal.ip, mapping.external.ip)
    if (!hairpin) return [{ side: 'outside', packet: translated }]
    // RFC 4787 §6. The filter judges the mapped source whichever source is shown: a host can only have sent to the
    // mapped address of its peer, so judging the internal one would let nobody in.
    const [back] = this.inbound(translated, now)
    if (back?.packet.kind !== packet.kind || this.behavior.hairpinning === 'external-source') return back ? [back] : []
    return [{ side: 'inside', packet: { ...back.packet, source: packet.source } }]
  }

  /** A packet from outside. It is let in when a live mapping and its filter allow, else silently dropped. */
  inbound(packet: Packet, now: Instant): readonly RoutedPacket[] {
    if (packet.kind === 'icmp-error') return this.#inboundError(packet, now)
    const mapping = this.#liveExternal(packet.kind, packet.destination, now)
    if (!mapping || !this.#isPermitted(mapping, packet.source, now)) return NOTHING
    if (this.behavior.refresh.inbound) this.#refresh(mapping, packet.source, now)
    const inside = { ...packet, destination: mapping.internal }
    return [{ side: 'inside', packet: this.#rewrite(inside, mapping.external.ip, mapping.internal.ip) }]
  }

  /** The mappings alive at `now`, oldest first. */
  mappings(now: Instant): readonly Mapping[] {
    return [...this.#byExternal.values()].filter((mapping) => mapping.expiresAt > now)
  }

  /** RFC 5508 §4.2: an error from outside about a packet we sent: the inner addresses are translated back too. */
  #inboundError(packet: IcmpError, now: Instant): readonly RoutedPacket[] {
    const mapping = this.#liveExternal(packet.about.protocol ?? 'udp', packet.about.source, now)
    // Only errors about places that were written to are believed; they refresh nothing (RFC 5508 REQ-6).
    if (!mapping || !this.#isPermitted(mapping, packet.about.destination, now)) return NOTHING
    const about = { ...packet.about, source: mapping.internal }
    return [{ side: 'inside', packet: { ...packet, to: mapping.internal.ip, about } }]
  }

  /** RFC 5508 §4.3: an error from inside about a packet that was let in. */
  #outboundError(packet: IcmpError, now: Instant): readonly RoutedPacket[] {
    const { source, destination, protocol = 'udp' } = packet.about
    const mapping =
      this.#liveInternal(protocol, destination, source, now) ?? this.#anyMappingOf(protocol, destination, now)
    if (!mapping) return NOTHING
    const about = { ...packet.about, destination: mapping.external }
    const from = packet.from === mapping.internal.ip ? mapping.external.ip : packet.from
    const translated = { ...packet, from, about }
    // The packet it is about was a hairpinned one.
    if (this.externalIps.includes(packet.to)) return this.#inboundError(translated, now)
    return this.#isInternal(packet.to)
      ? [{ side: 'inside', packet: translated }]
      : [{ side: 'outside', packet: translated }]
  }

  #mappingFor(packet: Transported, now: Instant): MutableMapping | undefined {
    const { kind: protocol, source, destination } = packet
    const live = this.#liveInternal(protocol, source, destination, now)
    if (live) {
      if (this.behavior.refresh.outbound) live.expiresAt = this.#expiry(protocol, now)
      return live
    }
    const external = this.#assignExternal(protocol, source, now)
    if (!external) return undefined
    const mapping: MutableMapping = {
      protocol,
      internal: source,
      external,
      remote: remotePart(this.#mappingBehavior, destination),
      expiresAt: this.#expiry(protocol, now),
      permitted: new Map(),
    }
    this.#byInternal.set(internalKey(mapping.protocol, source, mapping.remote), mapping)
    this.#byExternal.set(externalKey(protocol, external), mapping)
    return mapping
  }

  #assignExternal(protocol: 'udp' | 'tcp', internal: TransportAddress, now: Instant): TransportAddress | undefined {
    if (this.behavior.mapping === 'none') return internal
    const ip = this.#externalIpFor(internal.ip)
    if (ip === undefined) return undefined
    const port = this.#ports.assign(
      internal.port,
      (candidate) => !this.#liveExternal(protocol, { ip, port: candidate }, now),
    )
    return port === undefined ? undefined : { ip, port }
  }

  #externalIpFor(internalIp: IpAddress): IpAddress | undefined {
    const paired = this.#pairs.get(internalIp)
    if (paired !== undefined && this.behavior.pooling === 'paired') return paired
    const pool = this.externalIps.filter((ip) => familyOf(ip) === familyOf(internalIp))
    const chosen = pool.length <= 1 ? pool[0] : pool[this.#random.integer(0, pool.length - 1)]
    if (chosen !== undefined) this.#pairs.set(internalIp, chosen)
    return chosen
  }

  #permit(mapping: MutableMapping, remote: TransportAddress, now: Instant): void {
    const key = remotePart(this.behavior.filtering, remote)
    const until = mapping.permitted.get(key)
    if (until !== undefined && until > now && !this.behavior.refresh.outbound) return
    mapping.permitted.set(key, this.#expiry(mapping.protocol, now))
  }

  #isPermitted(mapping: MutableMapping, remote: TransportAddress, now: Instant): boolean {
    // With endpoint-independent filtering the mapping itself is the permission (RFC 4787 §5).
    if (this.behavior.filtering === 'endpoint-independent') return true
    const until = mapping.permitted.get(remotePart(this.behavior.filtering, remote))
    return until !== undefined && until > now
  }

  #refresh(mapping: MutableMapping, remote: TransportAddress, now: Instant): void {
    mapping.expiresAt = this.#expiry(mapping.protocol, now)
    mapping.permitted.set(remotePart(this.behavior.filtering, remote), mapping.expiresAt)
  }

  #expiry(protocol: 'udp' | 'tcp', now: Instant): Instant {
    return after(now, protocol === 'tcp' ? TCP_LIFETIME_MS : this.behavior.mappingLifetimeMs)
  }

  get #mappingBehavior(): MappingBehavior {
    return this.behavior.mapping === 'none' ? 'endpoint-independent' : this.behavior.mapping
  }

  #liveInternal(
    protocol: 'udp' | 'tcp',
    internal: TransportAddress,
    remote: TransportAddress,
    now: Instant,
  ): MutableMapping | undefined {
    const key = internalKey(protocol, internal, remotePart(this.#mappingBehavior, remote))
    return this.#live(this.#byInternal.get(key), now)
  }

  #liveExternal(protocol: 'udp' | 'tcp', external: TransportAddress, now: Instant): MutableMapping | undefined {
    return this.#live(this.#byExternal.get(externalKey(protocol, external)), now)
  }

  /** A packet from a stranger came in through a mapping made for somebody else: find it by its inside alone. */
  #anyMappingOf(protocol: 'udp' | 'tcp', internal: TransportAddress, now: Instant): Mapping | undefined {
    return this.mappings(now).find(
      (mapping) =>
        mapping.protocol === protocol && mapping.internal.port === internal.port && mapping.internal.ip === internal.ip,
    )
  }

  /** Expired state is removed when it is met: there is no timer to do it, and ports bound how much there can be. */
  #live(mapping: MutableMapping | undefined, now: Instant): MutableMapping | undefined {
    if (!mapping || mapping.expiresAt > now) return mapping
    this.#remove(mapping)
    return undefined
  }

  #remove(mapping: MutableMapping): void {
    this.#byInternal.delete(internalKey(mapping.protocol, mapping.internal, mapping.remote))
    this.#byExternal.delete(externalKey(mapping.protocol, mapping.external))
  }

  #rewrite<T extends Transported>(packet: T, from: IpAddress, to: IpAddress): T {
    if (!this.behavior.alg || packet.kind !== 'udp' || from === to) return packet
    const payload = rewritePayload(packet.payload, from, to, this.behavior.alg)
    return payload === packet.payload ? packet : { ...packet, payload }
  }
}

/** What of a remote address a behaviour depends on. */
function remotePart(behavior: MappingBehavior | FilteringBehavior, remote: TransportAddress): string {
  if (behavior === 'endpoint-independent') return ''
  return behavior === 'address-dependent' ? remote.ip : `${remote.ip}|${remote.port}`
}

const internalKey = (protocol: 'udp' | 'tcp', internal: TransportAddress, remote: string): string =>
  `${protocol}|${internal.ip}|${internal.port}>${remote}`

const externalKey = (protocol: 'udp' | 'tcp', external: TransportAddress): string =>
  `${protocol}|${external.ip}|${external.port}`
