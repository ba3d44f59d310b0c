/** Every choice RFC 4787 leaves to a NAT, each independent of the others. */
import type { FilteringBehavior, MappingBehavior } from '../core/index.ts'

export interface NatBehavior {
  /** RFC 4787 §4.1. `none`: a stateful firewall that translates nothing. */
  readonly mapping: MappingBehavior | 'none'
  /** RFC 4787 §5. */
  readonly filtering: FilteringBehavior
  /** RFC 4787 §4.2. No choice ever overloads a port: one that is taken passes the turn to the next free one. */
  readonly portAssignment: PortAssignment
  /** RFC 4787 §4.1: does one internal address always get the same external address? Matters with two or more of them. */
  readonly pooling: 'paired' | 'arbitrary'
  /** RFC 4787 §6: whether inside hosts reach each other through the outside address, and what source they then see. */
  readonly hairpinning: 'off' | 'internal-source' | 'external-source'
  /** RFC 4787 §4.3: how long a mapping, and each permission of its filter, lives without a refresh. */
  readonly mappingLifetimeMs: number
  /** RFC 4787 §4.3, REQ-6: which packets refresh. With neither, state dies at its age whatever passes. */
  readonly refresh: { readonly outbound: boolean; readonly inbound: boolean }
  /** Which appearances of an address an application gateway rewrites in payloads (RFC 4787 §7). Default: none. */
  readonly alg?: readonly AlgTarget[]
  /** The ports given out, both ends included. Default: 1024–65535. */
  readonly externalPorts?: { readonly first: number; readonly last: number }
  /** What `sequential` adds from one mapping to the next. Default: 1. */
  readonly sequentialStep?: number
}

/**
 * `preserve`: the internal port when free, else the next free one above. `sequential`: one counter for all.
 * `random`: any. `parity`: any with the internal port's parity (RFC 4787 §4.2.2).
 */
export type PortAssignment = 'preserve' | 'sequential' | 'random' | 'parity'

/**
 * `binary`: the address in network byte order, as in MAPPED-ADDRESS (RFC 8489 §14.2 is why XOR-MAPPED-ADDRESS exists).
 * `text`: as printed, as a SIP gateway does. `stun-xored`: XORed with the magic cookie; for one that studied STUN (IPv4).
 */
export type AlgTarget = 'binary' | 'text' | 'stun-xored'

/** The home router most people sit behind; RFC 4787's recommendations except that few boxes hairpin. */
export const homeRouter: NatBehavior = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  portAssignment: 'preserve',
  pooling: 'paired',
  hairpinning: 'off',
  // RFC 4787 REQ-5 asks for two minutes or more.
  mappingLifetimeMs: 120_000,
  refresh: { outbound: true, inbound: false },
}

/** `homeRouter` with some choices made otherwise. */
export const natBehavior = (choices: Partial<NatBehavior> = {}): NatBehavior => ({ ...homeRouter, ...choices })

const behaviors = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const

/** All nine combinations of mapping and filtering, in RFC 4787's order. */
export const mappingsAndFilterings: readonly (readonly [MappingBehavior, FilteringBehavior])[] = behaviors.flatMap(
  (mapping) => behaviors.map((filtering) => [mapping, filtering] as const),
)
