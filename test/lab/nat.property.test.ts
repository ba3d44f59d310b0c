/** The NAT against an oracle that keeps no tables: it looks at the whole history of packets for every question. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAddress, sameAddress, type TransportAddress } from '../../src/core/index.ts'
import type { NatBehavior, RoutedPacket } from '../../src/lab/index.ts'
import { at, LoneNat, udp } from './helpers.ts'

const LIFETIME = 100

const insides = [at('10.0.0.10', 40000), at('10.0.0.10', 40001), at('10.0.0.11', 40000)]
const remotes = [at('50.0.0.1', 1), at('50.0.0.1', 2), at('50.0.0.2', 1), at('50.0.0.2', 2)]

const kind = fc.constantFrom('endpoint-independent', 'address-dependent', 'address-and-port-dependent')

const behaviors: fc.Arbitrary<NatBehavior> = fc.record({
  mapping: fc.oneof(kind, fc.constant('none' as const)),
  filtering: kind,
  portAssignment: fc.constantFrom('preserve', 'sequential', 'random', 'parity'),
  pooling: fc.constantFrom('paired', 'arbitrary'),
  hairpinning: fc.constantFrom('off', 'internal-source', 'external-source'),
  mappingLifetimeMs: fc.constant(LIFETIME),
  refresh: fc.record({ outbound: fc.boolean(), inbound: fc.boolean() }),
  // Small enough that ports collide and are used again.
  externalPorts: fc.constantFrom({ first: 40000, last: 40011 }, { first: 1024, last: 65535 }),
})

const index = (length: number): fc.Arbitrary<number> => fc.nat(length - 1)
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('out' as const), inside: index(3), remote: index(4) }) },
    // `mapped`: which of the external addresses seen so far.
    { weight: 3, arbitrary: fc.record({ do: fc.constant('in' as const), mapped: fc.nat(20), remote: index(4) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(LIFETIME) }) },
  ),
  { minLength: 1, maxLength: 60 },
)

/** One packet that passed. */
interface Passed {
  readonly at: number
  readonly direction: 'out' | 'in'
  readonly inside: TransportAddress
  readonly external: TransportAddress
  readonly remote: TransportAddress
}

class Oracle {
  readonly history: Passed[] = []
  readonly #behavior: NatBehavior

  constructor(behavior: NatBehavior) {
    this.#behavior = behavior
  }

  /** The inside endpoint that owns `external` at `now`. */
  owner(external: TransportAddress, now: number): TransportAddress | undefined {
    return this.#life(external, () => true, now)?.inside
  }

  permits(external: TransportAddress, remote: TransportAddress, now: number): boolean {
    const { filtering } = this.#behavior
    if (filtering === 'endpoint-independent') return true
    const matches = (other: TransportAddress): boolean =>
      filtering === 'address-dependent' ? other.ip === remote.ip : sameAddress(other, remote)
    // Permissions die with their mapping, even when a new one gets the same external address.
    const birth = this.#life(external, () => true, now)
    return birth !== undefined && this.#life(external, matches, now, this.history.indexOf(birth)) !== undefined
  }

  /** Do both remotes share one mapping of an inside endpoint? */
  shareMapping(a: TransportAddress, b: TransportAddress): boolean {
    const { mapping } = this.#behavior
    if (mapping === 'address-dependent') return a.ip === b.ip
    return mapping === 'address-and-port-dependent' ? sameAddress(a, b) : true
  }

  /** Replays what concerns `external`: state starts with a packet out and ends a lifetime after its last refresh. */
  #life(
    external: TransportAddress,
    matches: (remote: TransportAddress) => boolean,
    now: number,
    since = 0,
  ): Passed | undefined {
    let alive: Passed | undefined
    let until = -1
    for (const packet of this.history.slice(since)) {
      if (!sameAddress(packet.external, external) || !matches(packet.remote)) continue
      const running = packet.at < until
      if (packet.direction === 'out' && !running) alive = packet
      const refreshes = packet.direction === 'out' ? this.#behavior.refresh.outbound : this.#behavior.refresh.inbound
      if (refreshes || (packet.direction === 'out' && !running)) until = packet.at + LIFETIME
    }
    return now < until ? alive : undefined
  }
}

const only = (routed: readonly RoutedPacket[]): RoutedPacket | undefined => {
  expect(routed.length).toBeLessThanOrEqual(1)
  return routed[0]
}

describe('any NAT, any traffic', () => {
  test('gets every packet in and out exactly as the history says', () => {
    let delivered = 0
    let refused = 0
    fc.assert(
      fc.property(behaviors, steps, fc.integer(), (behavior, traffic, seed) => {
        const lone = new LoneNat(behavior, ['80.0.0.1', '80.0.0.2'], seed)
        const oracle = new Oracle(behavior)
        for (const step of traffic) {
          if (step.do === 'wait') lone.now += step.ms
          else if (step.do === 'out') sendOut(lone, oracle, insides[step.inside], remotes[step.remote])
          else if (sendIn(lone, oracle, step.mapped, remotes[step.remote])) delivered++
          else refused++
        }
      }),
      { numRuns: 3000, seed: 4787 },
    )
    // The traffic must exercise both answers for the property to mean anything.
    expect(delivered).toBeGreaterThan(2000)
    expect(refused).toBeGreaterThan(2000)
  })
})

function sendOut(lone: LoneNat, oracle: Oracle, inside?: TransportAddress, remote?: TransportAddress): void {
  if (!inside || !remote) throw new Error('no such endpoint')
  const routed = only(lone.out(udp(inside, remote)))
  if (!routed) {
    // Only a full range may refuse service: 12 ports on one of the two addresses.
    expect(lone.nat.behavior.externalPorts).toEqual({ first: 40000, last: 40011 })
    return
  }
  if (routed.packet.kind !== 'udp') throw new Error('not a datagram')
  expect(routed).toEqual({ side: 'outside', packet: udp(routed.packet.source, remote) })
  const external = routed.packet.source
  // No external address is ever shared by two inside endpoints, or by two mappings of one.
  const owner = oracle.owner(external, lone.now)
  if (owner) expect(formatAddress(owner)).toBe(formatAddress(inside))
  for (const earlier of oracle.history) {
    if (!sameAddress(earlier.inside, inside) || earlier.direction !== 'out') continue
    const stillItsOwn = oracle.owner(earlier.external, lone.now)
    if (!stillItsOwn || !sameAddress(stillItsOwn, inside)) continue
    if (lone.nat.behavior.mapping === 'none') expect(external).toEqual(inside)
    // Without address reuse in between, same mapping key ⇔ same external address.
    else if (oracle.shareMapping(earlier.remote, remote) && isCurrent(oracle, earlier, lone.now)) {
      expect(formatAddress(external)).toBe(formatAddress(earlier.external))
    }
  }
  oracle.history.push({ at: lone.now, direction: 'out', inside, external, remote })
}

/** The packet belongs to the mapping that holds its external address now, not to one that expired before. */
function isCurrent(oracle: Oracle, packet: Passed, now: number): boolean {
  const later = oracle.history.filter((other) => other.at >= packet.at && sameAddress(other.external, packet.external))
  const sameMapping = later.every(
    (other) =>
      sameAddress(other.inside, packet.inside) &&
      (other.direction === 'in' || oracle.shareMapping(other.remote, packet.remote)),
  )
  return sameMapping && oracle.owner(packet.external, now) !== undefined
}

function sendIn(lone: LoneNat, oracle: Oracle, mapped: number, remote?: TransportAddress): boolean {
  if (!remote) throw new Error('no such remote')
  const seen = oracle.history.map((packet) => packet.external)
  const external = seen[mapped % Math.max(1, seen.length)] ?? at('80.0.0.1', 40000)
  const owner = oracle.owner(external, lone.now)
  const expected =
    owner && oracle.permits(external, remote, lone.now) ? [{ side: 'inside', packet: udp(remote, owner) }] : []
  expect(lone.in(udp(remote, external))).toEqual(expected)
  if (!owner || expected.length === 0) return false
  oracle.history.push({ at: lone.now, direction: 'in', inside: owner, external, remote })
  return true
}
