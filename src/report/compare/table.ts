/** Every pair of NATs in one Markdown table, as README has it: from the code that gives the verdicts. */
import type { FilteringBehavior, MappingBehavior } from '../../core/index.ts'
import type { FamilyNetwork, PeerNetwork } from './network.ts'
import { type PairVerdict, predictPair } from './predict.ts'

const behaviors = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const
const short = {
  'endpoint-independent': 'EI',
  'address-dependent': 'AD',
  'address-and-port-dependent': 'APD',
} as const satisfies Record<MappingBehavior & FilteringBehavior, string>

interface Nat {
  readonly mapping: MappingBehavior
  readonly filtering: FilteringBehavior
}

const nats: readonly Nat[] = behaviors.flatMap((mapping) => behaviors.map((filtering) => ({ mapping, filtering })))

/** `EI/APD`: mapping, then filtering. */
const nameOf = ({ mapping, filtering }: Nat): string => `${short[mapping]}/${short[filtering]}`

export function pairTable(): string {
  const header = ['A \\ B', ...nats.map(nameOf)]
  const rows = nats.map((a) => [`**${nameOf(a)}**`, ...nats.map((b) => cell(predictPair(behind(a), behind(b))))])
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

function cell({ outcome, candidates }: PairVerdict): string {
  return outcome === 'direct' && candidates ? `${candidates.a}–${candidates.b}` : outcome
}

function behind({ mapping, filtering }: Nat): PeerNetwork {
  const family: FamilyNetwork = {
    family: 4,
    udp: 'usable',
    why: null,
    tcp: null,
    localIp: null,
    publicIp: null,
    mappings: [mapping],
    filterings: [filtering],
    arbitraryPooling: false,
    predictablePorts: false,
    hairpinning: null,
    cgnat: null,
  }
  return { families: [family], redacted: false, relays: null }
}
