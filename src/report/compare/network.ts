/** What one diagnosis tells of its network to somebody who wants to connect to it. */
import {
  type AddressFamily,
  type FilteringBehavior,
  type IpAddress,
  type MappingBehavior,
  parseAddress,
  scopeOf,
} from '../../core/index.ts'
import type { IceReport } from '../ice-report.ts'
import { type RelayState, relayState } from '../relay-state.ts'
import { type AnalysedFamily, dependsOnDestination } from '../verdict.ts'

/** One host of a pair. */
export interface PeerNetwork {
  readonly families: readonly FamilyNetwork[]
  /** Its addresses are placeholders, so they can't be compared with another report's. */
  readonly redacted: boolean
  /** Transports over which its TURN servers gave a relay that works; null: none were asked. */
  readonly relays: RelayState['working'] | null
}

/** What one address family offers. Where a behaviour was not observed, all that it may be stand in its list. */
export interface FamilyNetwork {
  readonly family: AddressFamily
  /** `absent`: this host has no way out over this family. `untested`: nobody looked. */
  readonly udp: 'usable' | 'blocked' | 'absent' | 'untested' | 'unknown'
  /** Why UDP is not usable: one clause; null where it is. */
  readonly why: string | null
  /** Did TCP reach a server? null: not tried, because UDP worked or nothing could be asked. */
  readonly tcp: boolean | null
  readonly localIp: IpAddress | null
  readonly publicIp: IpAddress | null
  readonly mappings: readonly Mapping[]
  readonly filterings: readonly FilteringBehavior[]
  /** New mappings may get another public address. */
  readonly arbitraryPooling: boolean
  readonly predictablePorts: boolean
  readonly hairpinning: 'off' | 'internal-source' | 'external-source' | null
  readonly cgnat: 'none' | 'carrier-grade-nat' | 'double-nat' | null
}

export type Mapping = MappingBehavior | 'none'

const allFilterings = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const
const dependentMappings = ['address-dependent', 'address-and-port-dependent'] as const

/** `ice` is what gathering found beside the diagnosis, if it was done. */
export const peerNetwork = (
  families: readonly AnalysedFamily[],
  redacted: boolean = false,
  ice: IceReport | null = null,
): PeerNetwork => ({
  families: families.map(familyNetwork),
  redacted,
  relays: ice && relaysOf(ice),
})

function relaysOf(ice: IceReport): PeerNetwork['relays'] {
  const { tried, working } = relayState(ice)
  // What had no time to work has not failed.
  const untold = tried.length === 0 || (working.length === 0 && ice.error !== null)
  return untold ? null : working
}

function familyNetwork(analysed: AnalysedFamily): FamilyNetwork {
  const { finding, observations } = analysed
  const { streams, family, localIp } = observations
  return {
    family,
    ...reachOf(analysed),
    tcp: streams.length === 0 ? null : streams.some(({ connected }) => connected),
    localIp,
    publicIp: finding.mapped === null ? null : (parseAddress(finding.mapped)?.ip ?? null),
    mappings: mappingsOf(analysed),
    filterings: finding.filtering.value === null ? allFilterings : [finding.filtering.value],
    arbitraryPooling: finding.pooling.value === 'arbitrary',
    predictablePorts: finding.portAssignment.value?.predictable === true,
    hairpinning: finding.hairpinning.value,
    cgnat: finding.cgnat.value,
  }
}

function reachOf({ finding, observations }: AnalysedFamily): Pick<FamilyNetwork, 'udp' | 'why'> {
  const { family, localIp, servers } = observations
  if (finding.udpBlocked) return { udp: 'blocked', why: 'UDP is blocked' }
  if (finding.mapped !== null) {
    // Documentation addresses stand for public ones in redacted reports.
    const scope = scopeOf(parseAddress(finding.mapped)?.ip ?? '0.0.0.0')
    if (scope === 'global' || scope === 'reserved') return { udp: 'usable', why: null }
    return { udp: 'unknown', why: `it was measured from inside: the server saw ${finding.mapped}, no public address` }
  }
  if (localIp === null && servers.some(({ problem }) => problem?.code === 'NO_ROUTE')) {
    return { udp: 'absent', why: `it has no way to the internet over IPv${family}` }
  }
  return { udp: finding.mapping.kind === 'not-tested' ? 'untested' : 'unknown', why: finding.mapping.why }
}

function mappingsOf({ finding, observations }: AnalysedFamily): readonly Mapping[] {
  if (finding.mapping.value !== null) return [finding.mapping.value]
  if (finding.behindNat === false) return ['none']
  return dependsOnDestination(observations) ? dependentMappings : ['endpoint-independent', ...dependentMappings]
}
