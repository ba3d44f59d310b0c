/** What the findings mean for somebody who wants to connect: one sentence, one word for scripts, and what to do next. */
import type { AddressFamily, ClassicNatType } from '../core/index.ts'
import type { FamilyFinding } from '../probe/nat/behaviors.ts'
import type { FamilyObservations } from '../probe/nat/observations.ts'
import { adviseOn } from './advice.ts'

/**
 * Can peers be reached directly?
 *   direct      yes, with all but the most restrictive peers: one public address serves all of them
 *   limited     only with peers that filter by address or not at all; everybody else needs a relay
 *   relay-only  the public address is another for each peer, so no peer can be told where to send
 *   blocked     UDP is proven blocked: only a relay over TCP or TLS connects
 *   unknown     not enough was seen
 */
export type PeerToPeer = 'direct' | 'limited' | 'relay-only' | 'blocked' | 'unknown'

export interface Verdict {
  readonly summary: string
  readonly p2p: PeerToPeer
  /** The family that decides: the better one. null where neither does. */
  readonly family: 'ipv4' | 'ipv6' | null
  /** What that means for WebRTC: who can be reached directly, and who needs a TURN relay. */
  readonly directWith: string
  readonly relayFor: string
  /** What to do, the most useful first: cause and fix. */
  readonly advice: readonly string[]
}

/** A family's observations and what the analysis concludes from them. */
export interface AnalysedFamily {
  readonly observations: FamilyObservations
  readonly finding: FamilyFinding
}

export interface FamilyVerdict extends AnalysedFamily {
  readonly family: AddressFamily
  readonly p2p: PeerToPeer
}

/** Each family by itself. */
export const verdictsOf = (families: readonly AnalysedFamily[]): readonly FamilyVerdict[] =>
  families.map((analysed) => ({ ...analysed, family: analysed.observations.family, p2p: peerToPeer(analysed) }))

export function reachVerdict(families: readonly AnalysedFamily[]): Verdict {
  const verdicts = verdictsOf(families)
  const best = decisive(verdicts)
  const others = verdicts.filter((verdict) => verdict !== best && verdict.p2p !== 'unknown')
  const summary = best ? summarise(best, others) : 'Nothing was measured.'
  const family = best && best.p2p !== 'unknown' ? (best.family === 4 ? 'ipv4' : 'ipv6') : null
  const reach = best ? reachOf(best) : unknownReach
  return { summary, p2p: best?.p2p ?? 'unknown', family, ...reach, advice: adviseOn(best, verdicts) }
}

/** One family's word. Filtering doesn't change it: hole punching opens any filter for the peers that can be named. */
export function peerToPeer({ finding, observations }: AnalysedFamily): PeerToPeer {
  if (finding.udpBlocked) return 'blocked'
  switch (finding.mapping.value) {
    case 'none':
    case 'endpoint-independent':
      return 'direct'
    case 'address-dependent':
    case 'address-and-port-dependent':
      return finding.pooling.value === 'arbitrary' ? 'relay-only' : 'limited'
    case null:
      // Which of the two it is may be open, but that the mapping depends on the destination is enough to know.
      return dependsOnDestination(observations) ? 'limited' : 'unknown'
  }
}

/** Did every address that was asked see another mapping of the mapping socket? */
export function dependsOnDestination({ exchanges }: FamilyObservations): boolean {
  const mappedBy = new Map<string, string>()
  for (const { test, to, replies } of exchanges) {
    const mapped = replies.find((reply) => reply.from === to && reply.mapped !== null)?.mapped
    if (test.startsWith('mapping-') && mapped) mappedBy.set(to, mapped)
  }
  return mappedBy.size > 1 && new Set(mappedBy.values()).size === mappedBy.size
}

interface Reach {
  readonly directWith: string
  readonly relayFor: string
}

const unknownReach: Reach = { directWith: 'not known', relayFor: 'not known; a TURN server makes sure' }

/**
 * Hole punching: both sides send to what the other's STUN server saw. A peer whose mapping depends on the destination
 * answers from an unforeseen port, which only a filter by port keeps out.
 */
function reachOf({ p2p, finding }: FamilyVerdict): Reach {
  switch (p2p) {
    case 'direct': {
      const { value } = finding.filtering
      return value === 'endpoint-independent' || value === 'address-dependent'
        ? { directWith: 'everyone, peers behind a symmetric NAT included', relayFor: 'peers whose network blocks UDP' }
        : {
            directWith: 'everyone except peers behind a symmetric NAT',
            relayFor: 'peers behind a symmetric NAT, and peers whose network blocks UDP',
          }
    }
    case 'limited':
      return {
        directWith: 'open hosts, and peers whose NAT filters by address or not at all (full or restricted cone)',
        relayFor: 'everyone else: most home, office and mobile networks',
      }
    case 'relay-only':
      return { directWith: 'open hosts and peers behind a full cone NAT, at best', relayFor: 'everyone else' }
    case 'blocked':
      return { directWith: 'nobody', relayFor: 'everyone, and only over TCP or TLS' }
    case 'unknown':
      return unknownReach
  }
}

/** The better family decides, IPv4 among equals: it is the one that most peers have. */
export function decisive(verdicts: readonly FamilyVerdict[]): FamilyVerdict | undefined {
  const rank = ({ p2p, finding }: FamilyVerdict): number => {
    // A silent family hides what it allows, so it outranks one that is proven blocked, unless there was nothing to ask.
    if (p2p === 'unknown') return finding.servers.some(({ asked }) => asked) ? 1.5 : 0
    return { direct: 4, limited: 3, 'relay-only': 2, blocked: 1 }[p2p]
  }
  return verdicts.toSorted((a, b) => rank(b) - rank(a) || a.family - b.family)[0]
}

/** The classic names that people search for. Cone and symmetric appear here and nowhere else. */
const glosses: Record<ClassicNatType, string> = {
  'udp-blocked': 'UDP blocked',
  'open-internet': 'open internet',
  'symmetric-udp-firewall': 'symmetric UDP firewall',
  'full-cone': 'full cone NAT',
  'restricted-cone': 'restricted cone NAT',
  'port-restricted-cone': 'port restricted cone NAT',
  symmetric: 'symmetric NAT',
}

/** ` [symmetric NAT]`, or nothing where even that is not known. */
function gloss({ rfc3489, mapping }: FamilyFinding): string {
  const { value } = mapping
  // The classic flowchart calls it full cone when test II comes in, but what counts for a peer is the mapping.
  if (value === 'address-dependent' || value === 'address-and-port-dependent') return ' [symmetric NAT]'
  // The sentence itself says blocked.
  if (rfc3489.value === 'udp-blocked') return ''
  // The flowchart says symmetric when a mapping changed between its tests; where mappings were compared, they decide.
  if (rfc3489.value === 'symmetric' && value !== null) return value === 'none' ? '' : ' [cone NAT]'
  if (rfc3489.value !== null) return ` [${glosses[rfc3489.value]}]`
  return value === 'endpoint-independent' ? ' [cone NAT]' : ''
}

function summarise(best: FamilyVerdict, others: readonly FamilyVerdict[]): string {
  const { finding, family, p2p } = best
  const over = `IPv${family}`
  // When the other family is worse, a peer that has only that one sees the worse verdict.
  const worse = others.find((other) => other.p2p !== p2p)
  const but = worse ? `; over IPv${worse.family} ${briefly[worse.p2p]}` : ''
  return `${sentence(finding, p2p, over)}${but}${gloss(finding)}.`
}

const briefly: Record<PeerToPeer, string> = {
  direct: 'they work too',
  limited: 'only with open peers',
  'relay-only': 'only through a relay',
  blocked: 'UDP is blocked',
  unknown: 'nothing is known',
}

function sentence(finding: FamilyFinding, p2p: PeerToPeer, over: string): string {
  switch (p2p) {
    case 'direct':
      if (finding.mapping.value === 'none') {
        if (finding.filtering.value === null)
          return `Direct connections work: over ${over} there is no NAT in front of you`
        return finding.filtering.value === 'endpoint-independent'
          ? `Direct connections work with everyone: over ${over} there is no NAT and no filter in front of you`
          : `Direct connections work: over ${over} there is no NAT in front of you, only a firewall that lets answers in`
      }
      return finding.filtering.value === 'address-and-port-dependent' || finding.filtering.value === null
        ? `Direct connections work with most peers: over ${over} your NAT shows one public address to all of them`
        : `Direct connections work with everyone: over ${over} your NAT shows one public address to all peers`
    case 'limited':
      return `Direct connections work only with open peers: over ${over} your NAT takes another public port for each destination, so most calls need a TURN relay`
    case 'relay-only':
      return `Expect to need a TURN relay: over ${over} your NAT takes another public address and port for each destination`
    case 'blocked':
      return `UDP is blocked over ${over}: only a TURN relay over TCP or TLS will connect`
    case 'unknown':
      return finding.mapped === null
        ? `Your network could not be measured: ${finding.servers.some(({ asked }) => asked) ? 'no STUN server answered' : 'no STUN server could be asked'}`
        : `Your public address over ${over} is ${finding.mapped}, but how your NAT treats other destinations could not be told`
  }
}
