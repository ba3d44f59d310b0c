/** The way from here to the servers, hop by hop, with the addresses that were observed. */
import { parseAddress } from '../core/index.ts'
import type { IceReport } from './ice-report.ts'
import type { FamilyReport, NatReport } from './nat-report.ts'

export interface PathHop {
  readonly kind: 'host' | 'nat' | 'carrier-nat' | 'internet' | 'stun' | 'turn'
  /** `you`, `NAT`, `internet`, `TURN` … */
  readonly name: string
  readonly addresses: readonly string[]
}

/** The family that decides; both where neither does. Servers that answered only. */
export function drawPath(nat: NatReport, ice: IceReport): readonly PathHop[] {
  const family = nat.verdict.family === null ? (nat.nat.ipv4 ?? nat.nat.ipv6) : nat.nat[nat.verdict.family]
  return [
    { kind: 'host', name: 'you', addresses: family?.local ? [ipOf(family.local)] : hostAddresses(ice) },
    ...translators(family),
    { kind: 'internet', name: 'internet', addresses: [] },
    ...servers(nat, ice),
  ]
}

const ipOf = (address: string): string => parseAddress(address)?.ip ?? address

const hostAddresses = ({ candidates }: IceReport): readonly string[] => [
  ...new Set(candidates.filter(({ type, browserOmits }) => type === 'host' && browserOmits === null).map(({ ip }) => ip)),
]

function translators(family: FamilyReport | null): readonly PathHop[] {
  if (!family?.mapped || family.behindNat !== true) return []
  const mapped = ipOf(family.mapped)
  if (family.cgnat.value === 'carrier-grade-nat') {
    return [
      { kind: 'nat', name: 'NAT', addresses: [] },
      { kind: 'carrier-nat', name: 'carrier NAT', addresses: [mapped] },
    ]
  }
  if (family.cgnat.value === 'double-nat') {
    return [
      { kind: 'nat', name: 'NAT', addresses: [] },
      { kind: 'nat', name: 'second NAT', addresses: [mapped] },
    ]
  }
  return [{ kind: 'nat', name: 'NAT', addresses: [mapped] }]
}

function servers(nat: NatReport, ice: IceReport): readonly PathHop[] {
  const answering = ice.servers.filter(({ rttMs, address }) => rttMs !== null && address !== null)
  const of = (schemes: readonly string[]): readonly string[] => [
    ...new Set(answering.filter(({ scheme }) => schemes.includes(scheme)).map(({ address }) => ipOf(address ?? ''))),
  ]
  const stun = of(['stun', 'stuns'])
  const turn = of(['turn', 'turns'])
  const asked = nat.servers.filter(({ ok }) => ok).map(({ uri }) => uri.replace(/^\w+:/, ''))
  return [
    ...(stun.length > 0 ? [{ kind: 'stun', name: 'STUN', addresses: stun } as const] : []),
    ...(turn.length > 0 ? [{ kind: 'turn', name: 'TURN', addresses: turn } as const] : []),
    ...(stun.length + turn.length === 0 && asked.length > 0
      ? [{ kind: 'stun', name: 'STUN', addresses: asked.slice(0, 1) } as const]
      : []),
  ]
}

/** `you 192.168.77.2 → NAT 203.0.113.65 → internet → STUN 198.51.100.10`; servers that stand beside each other share the last place. */
export function pathLine(hops: readonly PathHop[]): string {
  const words = (hop: PathHop): string => [hop.name, ...shorten(hop.addresses)].join(' ')
  const way = hops.filter(({ kind }) => kind !== 'stun' && kind !== 'turn').map(words)
  const ends = hops.filter(({ kind }) => kind === 'stun' || kind === 'turn').map(words)
  return [...way, ...(ends.length > 0 ? [ends.join(', ')] : [])].join(' → ')
}

/** More than two addresses make no line; the table has them all. */
const shorten = (addresses: readonly string[]): readonly string[] =>
  addresses.length > 2 ? [...addresses.slice(0, 2), `and ${addresses.length - 2} more`] : addresses
