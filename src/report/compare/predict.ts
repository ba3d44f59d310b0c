/** Will two hosts connect, and how? Reasoned from two diagnoses alone: nothing is sent, nothing is simulated. */
import { type AddressFamily, ipToBytes } from '../../core/index.ts'
import { type Punching, punch, type Side, type WinningType } from './hole-punching.ts'
import type { FamilyNetwork, PeerNetwork } from './network.ts'

/**
 *   direct   without a relay
 *   relay    only through a TURN relay
 *   none     not at all
 *   unknown  the reports don't tell
 */
export type PairOutcome = 'direct' | 'relay' | 'none' | 'unknown'

export interface PairVerdict {
  readonly outcome: PairOutcome
  /** Do they connect in one way or the other? null: can't be told. A relay may be certain where direct is not. */
  readonly connects: boolean | null
  readonly summary: string
  /** The family of the direct pair; null: none. */
  readonly family: 'ipv4' | 'ipv6' | null
  /** The types of the pair that wins, as each peer sees the other. */
  readonly candidates: { readonly a: WinningType; readonly b: WinningType } | null
  /** Who has to send before the other's packets come in; null where there is no direct pair. */
  readonly first: 'either' | 'a' | 'b' | 'both' | null
  /** How each side reaches a TURN server. */
  readonly relay: { readonly a: RelayPath; readonly b: RelayPath }
  /** One sentence a step. */
  readonly reasoning: readonly string[]
}

/** `tcp`: UDP is blocked, so over TCP or TLS. */
export type RelayPath = 'udp' | 'tcp' | 'none' | 'unknown'

export interface PairOptions {
  /** Is there a TURN server for them? Default: yes. */
  readonly relay?: boolean | undefined
}

export function predictPair(a: PeerNetwork, b: PeerNetwork, options: PairOptions = {}): PairVerdict {
  // RFC 8421 §4: IPv6 first.
  const paths = ([6, 4] as const).flatMap((family) => {
    const path = predictFamily(family, a, b)
    return path ? [path] : []
  })
  const tested = paths.filter(({ works }) => works !== 'untested')
  const aside = paths.flatMap(({ works, steps }) => (works === 'untested' ? steps : []))
  const relay = { a: relayPath(a), b: relayPath(b) }
  const direct = paths.find(({ works }) => works === 'yes')
  if (direct) {
    const { family, candidates, first } = direct
    return {
      outcome: 'direct',
      connects: true,
      summary: `They connect directly over IPv${family}: ${pairWords(candidates)}${punchWords(first)}.`,
      family: family === 4 ? 'ipv4' : 'ipv6',
      candidates: candidates && { a: candidates.A, b: candidates.B },
      first: first === 'A' ? 'a' : first === 'B' ? 'b' : first,
      relay,
      reasoning: direct.steps,
    }
  }
  const relayed = judgeRelay(relay, options.relay ?? true)
  const reasoning = [...tested.flatMap(({ steps }) => steps), ...relayed.steps, ...aside]
  const open = tested.length === 0 || tested.some(({ works }) => works === 'unknown')
  const outcome = open ? 'unknown' : relayed.works === null ? 'unknown' : relayed.works ? 'relay' : 'none'
  const connects = relayed.works === true ? true : outcome === 'none' ? false : null
  const none = { family: null, candidates: null, first: null } as const
  return { outcome, connects, summary: summaries[outcome](connects), ...none, relay, reasoning }
}

const summaries = {
  relay: () => 'They connect only through a TURN relay.',
  none: () => "They don't connect.",
  unknown: (connects: boolean | null) =>
    connects === true
      ? "Whether they connect directly can't be told from these reports; through a TURN relay they do."
      : "Whether they connect can't be told from these reports.",
  direct: () => 'They connect directly.',
} as const

const pairWords = (candidates: Punching['candidates'] | null): string =>
  candidates ? `A's ${candidates.A} candidate with B's ${candidates.B} one` : 'by host candidates'

function punchWords(first: FamilyPath['first']): string {
  if (first === 'either' || first === null) return ''
  return first === 'both' ? ', by hole punching from both sides' : `, when ${first} sends first`
}

interface FamilyPath {
  readonly family: AddressFamily
  /** `untested`: no part of the verdict, but said beside it. */
  readonly works: 'yes' | 'no' | 'unknown' | 'untested'
  readonly candidates: Punching['candidates'] | null
  readonly first: Punching['first'] | null
  readonly steps: readonly string[]
}

/** Undefined: a family that neither report speaks of. */
function predictFamily(family: AddressFamily, a: PeerNetwork, b: PeerNetwork): FamilyPath | undefined {
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
  if (family === 4 && !a.redacted && !b.redacted && hereA.publicIp !== null && hereA.publicIp === hereB.publicIp) {
    return { family, ...sameAddress(hereA, hereB) }
  }
  return { family, ...acrossNats(hereA, hereB) }
}

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
    return { ...inner, steps: [seen, how, ...inner.steps] }
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

function relayPath({ families }: PeerNetwork): RelayPath {
  if (families.some(({ udp }) => udp === 'usable')) return 'udp'
  // Where an ICMP error proved that UDP is blocked TCP was not tried; it passes nearly everywhere.
  if (families.some(({ udp, tcp }) => tcp === true || (udp === 'blocked' && tcp === null))) return 'tcp'
  const isCut = ({ udp, tcp }: FamilyNetwork): boolean => udp === 'absent' || tcp === false
  return families.length > 0 && families.every(isCut) ? 'none' : 'unknown'
}

function judgeRelay(
  relay: PairVerdict['relay'],
  available: boolean,
): { readonly works: boolean | null; readonly steps: readonly string[] } {
  if (!available) return { works: false, steps: ['There is no TURN server to help them.'] }
  const sides = [['A', relay.a] as const, ['B', relay.b] as const]
  const cut = sides.filter(([, path]) => path === 'none').map(([name]) => name)
  if (cut.length > 0) {
    const step = `${cut.join(' and ')} got through neither by UDP nor by TCP, so no TURN server can be reached from there.`
    return { works: false, steps: [step] }
  }
  const unclear = sides.filter(([, path]) => path === 'unknown').map(([name]) => name)
  if (unclear.length > 0) {
    return { works: null, steps: [`Whether ${unclear.join(' and ')} can reach a TURN server is not known.`] }
  }
  const overTcp = sides.filter(([, path]) => path === 'tcp').map(([name]) => name)
  const step =
    overTcp.length === 0
      ? 'Both have UDP, so one TURN server, of either side, relays between them.'
      : `A TURN server relays between them; ${overTcp.join(' and ')} must reach it over TCP or TLS (turns:HOST:443?transport=tcp).`
  return { works: true, steps: [step] }
}
