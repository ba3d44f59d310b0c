/** The way from here to the servers, hop by hop, with the addresses that were observed. */
import { parseAddress } from '../core/index.ts'
import type { FamilyObservations } from '../probe/nat/observations.ts'
import type { IceReport, IceServerReport } from './ice-report.ts'
import type { FamilyReport, NatReport } from './nat-report.ts'

export interface PathHop {
  readonly kind: 'host' | 'nat' | 'carrier-nat' | 'firewall' | 'internet' | 'stun' | 'turn'
  /** `you`, `NAT`, `internet`, `STUN/TURN` … */
  readonly name: string
  /** This machine's own, a NAT's public ones, a server's. */
  readonly addresses: readonly string[]
}

/** In the family that decides. Without a server that answered there is no way to draw: empty. */
export function drawPath(nat: NatReport, ice: IceReport): readonly PathHop[] {
  const key = nat.verdict.family ?? (nat.nat.ipv4?.mapped ? 'ipv4' : nat.nat.ipv6?.mapped ? 'ipv6' : 'ipv4')
  const family = nat.nat[key]
  const ends = serverHops(nat, ice, key === 'ipv4' ? 4 : 6)
  if (ends.length === 0) return []
  const answering = ice.servers.filter(isAnswering)
  const local = family?.local ?? answering.find((server) => server.local !== null)?.local ?? null
  return [
    { kind: 'host', name: 'you', addresses: local === null ? [] : [ipOf(local)] },
    ...translators(family, nat.observations),
    ...(family?.mapped ? [] : unseenBy(answering, local)),
    ...(nat.verdict.p2p === 'blocked' ? [{ kind: 'firewall', name: 'firewall', addresses: [] } as const] : []),
    { kind: 'internet', name: 'internet', addresses: [] },
    ...ends,
  ]
}

const ipOf = (address: string): string => parseAddress(address)?.ip ?? address

const distinct = (values: readonly string[]): readonly string[] => [...new Set(values)]

const isAnswering = ({ rttMs, address }: IceServerReport): boolean => rttMs !== null && address !== null

function translators(family: FamilyReport | null, observations: readonly FamilyObservations[]): readonly PathHop[] {
  if (!family?.mapped || family.behindNat !== true) return []
  const mapped = ipOf(family.mapped)
  const outer = { 'carrier-grade-nat': 'carrier NAT', 'double-nat': 'second NAT' }
  const { value } = family.cgnat
  if (value === null || value === 'none') return [{ kind: 'nat', name: 'NAT', addresses: [mapped] }]
  const wan = observations.flatMap(({ router }) => router.flatMap(({ externalIp }) => externalIp ?? []))
  return [
    { kind: 'nat', name: 'NAT', addresses: distinct(wan) },
    { kind: value === 'double-nat' ? 'nat' : 'carrier-nat', name: outer[value], addresses: [mapped] },
  ]
}

/** What servers saw over TCP and TLS, where nothing was measured over UDP. */
function unseenBy(answering: readonly IceServerReport[], local: string | null): readonly PathHop[] {
  const mapped = distinct(answering.flatMap((server) => (server.mapped === null ? [] : [ipOf(server.mapped)])))
  const own = new Set(answering.flatMap((server) => (server.local === null ? [] : [ipOf(server.local)])))
  const translated = mapped.filter((ip) => !own.has(ip) && ip !== (local === null ? null : ipOf(local)))
  return translated.length > 0 ? [{ kind: 'nat', name: 'NAT', addresses: translated }] : []
}

/** Those that answered; where some did in the family that decides, only these. */
function serverHops(nat: NatReport, ice: IceReport, family: 4 | 6): readonly PathHop[] {
  const all = ice.servers.filter(isAnswering)
  const own = all.filter((server) => server.family === family)
  const answering = own.length > 0 ? own : all
  const of = (turn: boolean): readonly string[] =>
    distinct(
      answering.flatMap(({ scheme, address }) =>
        scheme.startsWith('turn') === turn && address !== null ? [ipOf(address)] : [],
      ),
    )
  const turn = of(true)
  const asStun = of(false)
  const stun = asStun.filter((ip) => !turn.includes(ip))
  const name = stun.length < asStun.length ? 'STUN/TURN' : 'TURN'
  if (turn.length + stun.length === 0) {
    const asked = nat.servers.filter(({ ok }) => ok).map(({ uri }) => uri.replace(/^\w+:/, ''))
    return asked.length > 0 ? [{ kind: 'stun', name: 'STUN', addresses: asked }] : []
  }
  return [
    ...(stun.length > 0 ? [{ kind: 'stun', name: 'STUN', addresses: stun } as const] : []),
    ...(turn.length > 0 ? [{ kind: 'turn', name, addresses: turn } as const] : []),
  ]
}

/** `you 192.168.77.2 → NAT 203.0.113.65 → internet → STUN 198.51.100.10`; servers beside each other share the last place. */
export function pathLine(hops: readonly PathHop[]): string {
  const isServer = ({ kind }: PathHop): boolean => kind === 'stun' || kind === 'turn'
  const ends = hops.filter(isServer).map(wordsOf)
  return [...hops.filter((hop) => !isServer(hop)).map(wordsOf), ...(ends.length > 0 ? [ends.join(' and ')] : [])].join(
    ' → ',
  )
}

/** More than two addresses make no line; the report has them all. */
function wordsOf({ name, addresses }: PathHop): string {
  const rest = addresses.length - 2
  const shown = rest > 0 ? [...addresses.slice(0, 2), `and ${rest} more`] : addresses
  return [name, shown.join(', ')].join(' ').trimEnd().replace(', and', ' and')
}
