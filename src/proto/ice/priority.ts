/** Priorities of candidates and of pairs. RFC 8445 §5.1.2, §6.1.2.3, RFC 8421, RFC 6544 §4.2 */
import { familyOf, type IpAddress } from '../../core/index.ts'
import type { CandidateTransport, CandidateType, TcpType } from './candidate.ts'

/** What a priority is made of. */
export interface PriorityOrigin {
  readonly type: CandidateType
  readonly transport?: CandidateTransport | undefined
  readonly tcpType?: TcpType | undefined
  /** How a relayed candidate's server was reached. Default: udp. */
  readonly serverTransport?: 'udp' | 'tcp' | 'tls' | undefined
  /** 0–65535. Default: 65535. */
  readonly localPreference?: number | undefined
  /** 1–256. Default: 1. */
  readonly component?: number | undefined
}

/** The one preference of a host that has one address. RFC 8445 §5.1.2.1 */
export const onlyLocalPreference = 65535

/** RFC 8445 §5.1.2.1: type preference, local preference and component, in this order of weight. 1–2³¹−1. */
export function candidatePriority(origin: PriorityOrigin): number {
  const { localPreference = onlyLocalPreference, component = 1 } = origin
  // By multiplication: the shift would be into the sign.
  return typePreference(origin) * 2 ** 24 + localPreference * 2 ** 8 + (256 - component)
}

/** What a peer-reflexive candidate over the base of this one has: the PRIORITY of a check. RFC 8445 §7.1.1 */
export const peerReflexivePriority = (priority: number): number => udpPreferences.prflx * 2 ** 24 + (priority % 2 ** 24)

/**
 * RFC 8445 §5.1.2.2's for UDP. TCP comes after all direct UDP (RFC 6544 §4.2 leaves the numbers open): 90 and 80 are
 * browsers'. Relays are told apart by how their server is reached, as browsers do, where the RFC has 0 for all: two
 * candidates of one agent may not have the same priority.
 */
export function typePreference({ type, transport = 'udp', serverTransport = 'udp' }: PriorityOrigin): number {
  if (type === 'relay') return relayPreferences[serverTransport]
  return transport === 'udp' ? udpPreferences[type] : tcpPreferences[type]
}

const udpPreferences = { host: 126, prflx: 110, srflx: 100 } as const
const tcpPreferences = { host: 90, prflx: 80, srflx: 70 } as const
const relayPreferences = { udp: 2, tcp: 1, tls: 0 } as const

/**
 * Local preferences of addresses that are given best first, one for each: 65535 downwards, the two families interleaved
 * by how many there are of each, IPv6 first, so that neither waits for the end of the other. RFC 8421 §4
 */
export function localPreferences(ips: readonly IpAddress[]): number[] {
  const v4 = [...ips.keys()].filter((index) => familyOf(ips[index] ?? '') === 4)
  const v6 = [...ips.keys()].filter((index) => familyOf(ips[index] ?? '') === 6)
  // RFC 8421 §4: every Hi-th place is an IPv4 address's, where Hi = (N4 + N6) / N4. Rounded up, so IPv6 begins.
  const v4Count = v4.length
  const preferences: number[] = []
  let placedV4 = 0
  for (let place = 0; place < ips.length; place++) {
    const v4IsDue = place + 1 >= Math.ceil(((placedV4 + 1) * ips.length) / v4Count)
    const index = (v4IsDue ? (v4.shift() ?? v6.shift()) : (v6.shift() ?? v4.shift())) ?? place
    if (familyOf(ips[index] ?? '') === 4) placedV4++
    preferences[index] = onlyLocalPreference - place
  }
  return preferences
}

/**
 * The local preference of a TCP candidate: its direction in the upper three bits, `otherPreference` (0–8191) below.
 * RFC 6544 §4.2
 */
export function tcpLocalPreference(type: CandidateType, tcpType: TcpType, otherPreference: number = 8191): number {
  // Simultaneous open is what passes a NAT, and the least likely to work without one.
  const reflexive = type === 'srflx' || type === 'prflx'
  const direction = reflexive ? { so: 6, active: 4, passive: 2 } : { active: 6, passive: 4, so: 2 }
  return direction[tcpType] * 2 ** 13 + otherPreference
}

/**
 * A pair's priority, from the controlling agent's candidate G and the controlled one's D: 2³² min(G, D) + 2 max(G, D),
 * and 1 when G > D, so that both agents sort alike. RFC 8445 §6.1.2.3
 */
export function pairPriority(controlling: number, controlled: number): bigint {
  const [low, high] = controlling < controlled ? [controlling, controlled] : [controlled, controlling]
  return 2n ** 32n * BigInt(low) + 2n * BigInt(high) + (controlling > controlled ? 1n : 0n)
}
