/** Is there a direct way between two hosts over one address family? */
import { type AddressFamily, ipToBytes } from '../../core/index.ts'
import { type Punching, punch, type Side } from './hole-punching.ts'
import type { FamilyNetwork, PeerNetwork } from './network.ts'

export interface FamilyPath {
  readonly family: AddressFamily
  /** `untested`: no part of the verdict, but said beside it. */
  readonly works: 'yes' | 'no' | 'unknown' | 'untested'
  readonly candidates: Punching['candidates'] | null
  readonly first: Punching['first'] | null
  readonly steps: readonly string[]
}

/** Undefined: a family that neither report speaks of. */
export function predictFamily(family: AddressFamily, a: PeerNetwork, b: PeerNetwork): FamilyPath | undefined {
  const [hereA, hereB] = [a, b].map(({ families }) => families.find((found) => found.family === family))
  if (!hereA && !hereB) return undefined
  const closed = { family, candidates: null, first: null } as const
  const obstacles = [obstacleOf('A', hereA), obstacleOf('B', hereB)].filter((it) => it !== undefined)
  // What one of them does not have is closed, whatever is known of the other.
  for (const works of ['no', 'untested', 'unknown'] as const) {
    const clauses = obstacles.flatMap((obstacle) => (obstacle.works === works ? [obstacle.clause] : []))
    if (clauses.length === 0) continue
    const verdict = { no: 'is closed', untested: 'was not looked at', unknown: 'is not known' }[works]
    return { ...closed, works, steps: [`IPv${family} ${verdict} (${clauses.join('; ')}).`] }
  }
  if (!hereA || !hereB) return undefined
  // Placeholders of two reports mean nothing to each other.
  if (family === 4 && !a.redacted && !b.redacted && hereA.publicIp !== null && hereA.publicIp === hereB.publicIp) {
    return { family, ...sameAddress(hereA, hereB) }
  }
  const path = acrossNats(hereA, hereB)
  return family === 4 && (a.redacted || b.redacted)
    ? { family, ...path, steps: [...path.steps, hidden] }
    : { family, ...path }
}

const hidden =
  "Addresses are redacted, so whether one NAT stands before both can't be seen: it is supposed that none does."

/** Why a family is no way to this host, and how sure that is; undefined where it is one. */
function obstacleOf(
  name: string,
  network: FamilyNetwork | undefined,
): { readonly works: 'no' | 'untested' | 'unknown'; readonly clause: string } | undefined {
  if (!network) return { works: 'untested', clause: `${name}: its report is of the other family only` }
  if (network.udp === 'usable') return undefined
  const works = network.udp === 'unknown' || network.udp === 'untested' ? network.udp : 'no'
  return { works, clause: `${name}: ${network.why ?? 'nothing is known'}` }
}

type Path = Omit<FamilyPath, 'family'>

/** Every behaviour that is possible is tried: only where all lead to the same end is it one. */
function acrossNats(a: FamilyNetwork, b: FamilyNetwork): Path {
  const results = sidesOf('A', a).flatMap((sideA) => sidesOf('B', b).map((sideB) => punch(sideA, sideB)))
  const [first] = results
  // The strictest stands last, so what is said of it holds for all.
  const last = results.at(-1)
  if (!first || !last) return { works: 'unknown', candidates: null, first: null, steps: [] }
  const differs = results.some(({ works }) => works !== first.works)
  const unobserved = [...doubts('A', a), ...doubts('B', b)]
  if (differs) {
    const steps = [`${unobserved.join(' and ')} not observed, and it depends on that whether packets get through.`]
    return { works: 'unknown', candidates: null, first: null, steps }
  }
  const sameTypes = results.every(
    ({ candidates }) => candidates.A === last.candidates.A && candidates.B === last.candidates.B,
  )
  const aside =
    unobserved.length === 0 ? [] : [`${unobserved.join(' and ')} not observed, which makes no difference here.`]
  return {
    works: last.works === 'chance' ? 'unknown' : last.works,
    candidates: sameTypes ? last.candidates : null,
    first: last.first,
    steps: [...last.steps, ...aside],
  }
}

const sidesOf = (name: 'A' | 'B', network: FamilyNetwork): Side[] =>
  network.mappings.flatMap((mapping) =>
    network.filterings.map((filtering) => ({
      name,
      mapping,
      filtering,
      arbitraryPooling: network.arbitraryPooling,
      predictablePorts: network.predictablePorts,
    })),
  )

function doubts(name: string, { mappings, filterings }: FamilyNetwork): string[] {
  const unobserved = [...(mappings.length > 1 ? ['mapping'] : []), ...(filterings.length > 1 ? ['filtering'] : [])]
  if (unobserved.length === 0) return []
  return [`${name}'s ${unobserved.join(' and ')} ${unobserved.length > 1 ? 'were' : 'was'}`]
}

/** Both come from one public address: the same router's, or the same carrier's. */
function sameAddress(a: FamilyNetwork, b: FamilyNetwork): Path {
  const seen = `Both have the public address ${a.publicIp}, so the same NAT stands before both.`
  const host = { A: 'host', B: 'host' } as const
  if (a.cgnat === 'none' || b.cgnat === 'none') {
    const how =
      "It is the router's own address, not a carrier's: both are in the network behind it, where they reach each other by their local addresses (unless it isolates its clients, as guest networks do)."
    return { works: 'yes', candidates: host, first: 'either', steps: [seen, how] }
  }
  if (a.hairpinning === 'external-source' || b.hairpinning === 'external-source') {
    const inner = acrossNats(a, b)
    const how = 'It hairpins: packets from inside to its public address come back in.'
    // In one local network host candidates come first, and nobody can tell from here whether it is one.
    const candidates = sameSubnet(a, b) ? null : inner.candidates
    return { ...inner, candidates, steps: [seen, how, ...inner.steps] }
  }
  const apart = a.cgnat === 'carrier-grade-nat' && b.cgnat === 'carrier-grade-nat' && !sameSubnet(a, b)
  if (apart && a.hairpinning === 'off' && b.hairpinning === 'off') {
    const how =
      "It is the carrier's, each is behind a router of its own, and it does not hairpin: nothing comes back in."
    return { works: 'no', candidates: null, first: null, steps: [seen, how] }
  }
  const how =
    "Where they share a local network, host candidates connect them; behind a carrier's NAT it would have to hairpin (natcheck nat --hairpin tells)."
  return { works: 'unknown', candidates: null, first: null, steps: [seen, how] }
}

/** As home networks are: by their first three bytes. */
function sameSubnet(a: FamilyNetwork, b: FamilyNetwork): boolean {
  if (a.localIp === null || b.localIp === null) return false
  const [bytesA, bytesB] = [ipToBytes(a.localIp), ipToBytes(b.localIp)]
  return bytesA.subarray(0, 3).every((byte, index) => byte === bytesB[index])
}
