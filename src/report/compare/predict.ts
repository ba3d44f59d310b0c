/** Will two hosts connect, and how? Reasoned from two diagnoses alone: nothing is sent, nothing is simulated. */
import { type FamilyPath, predictFamily } from './family-path.ts'
import type { WinningType } from './hole-punching.ts'
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
  const relay = { a: relayPath(a), b: relayPath(b) }
  const direct = paths.find(({ works }) => works === 'yes')
  if (direct) return directVerdict(direct, relay)
  return relayVerdict(paths, relay, judgeRelay(a, b, relay, options.relay ?? true))
}

function directVerdict({ family, candidates, first, steps }: FamilyPath, relay: PairVerdict['relay']): PairVerdict {
  const pair = candidates ? `: A's ${candidates.A} candidate with B's ${candidates.B} one` : ''
  const punching = first === 'both' ? ', by hole punching from both sides' : ''
  const order = first === 'A' || first === 'B' ? `, when ${first} sends first` : ''
  return {
    outcome: 'direct',
    connects: true,
    summary: `They connect directly over IPv${family}${pair}${punching}${order}.`,
    family: family === 4 ? 'ipv4' : 'ipv6',
    candidates: candidates && { a: candidates.A, b: candidates.B },
    first: first === 'A' ? 'a' : first === 'B' ? 'b' : first,
    relay,
    reasoning: steps,
  }
}

function relayVerdict(paths: readonly FamilyPath[], relay: PairVerdict['relay'], relayed: RelayedPath): PairVerdict {
  const tested = paths.filter(({ works }) => works !== 'untested')
  const untested = paths.filter(({ works }) => works === 'untested')
  const reasoning = [
    ...tested.flatMap(({ steps }) => steps),
    ...relayed.steps,
    ...untested.flatMap(({ steps }) => steps),
  ]
  const common = { family: null, candidates: null, first: null, relay, reasoning } as const
  if (tested.length === 0 || tested.some(({ works }) => works === 'unknown') || relayed.works === null) {
    const summary =
      relayed.works === true
        ? "Whether they connect directly can't be told from these reports; through a TURN relay they do."
        : "Whether they connect can't be told from these reports."
    return { outcome: 'unknown', connects: relayed.works === true ? true : null, summary, ...common }
  }
  return relayed.works
    ? { outcome: 'relay', connects: true, summary: 'They connect only through a TURN relay.', ...common }
    : { outcome: 'none', connects: false, summary: "They don't connect.", ...common }
}

function relayPath({ families, relays }: PeerNetwork): RelayPath {
  // What a relay really did comes before what the network makes likely.
  if (relays?.includes('udp')) return 'udp'
  if (relays?.length) return 'tcp'
  if (families.some(({ udp }) => udp === 'usable')) return 'udp'
  // Where an ICMP error proved that UDP is blocked TCP was not tried; it passes nearly everywhere.
  if (families.some(({ udp, tcp }) => tcp === true || (udp === 'blocked' && tcp === null))) return 'tcp'
  const isCut = ({ udp, tcp }: FamilyNetwork): boolean => udp === 'absent' || tcp === false
  return families.length > 0 && families.every(isCut) ? 'none' : 'unknown'
}

interface RelayedPath {
  /** null: can't be told. */
  readonly works: boolean | null
  readonly steps: readonly string[]
}

function judgeRelay(a: PeerNetwork, b: PeerNetwork, relay: PairVerdict['relay'], available: boolean): RelayedPath {
  if (!available) return { works: false, steps: ['There is no TURN server to help them.'] }
  const sides = [['A', relay.a] as const, ['B', relay.b] as const]
  const cut = sides.filter(([, path]) => path === 'none').map(([name]) => name)
  if (cut.length > 0) {
    const step = `${cut.join(' and ')} got through neither by UDP nor by TCP, so no TURN server can be reached from there.`
    return { works: false, steps: [step] }
  }
  const tested = judgeTested([
    { name: 'A', path: relay.a, relays: a.relays },
    { name: 'B', path: relay.b, relays: b.relays },
  ])
  if (tested) return tested
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

interface TestedSide {
  readonly name: 'A' | 'B'
  readonly path: RelayPath
  readonly relays: PeerNetwork['relays']
}

/** From what the TURN servers of the two did when they were asked. Undefined: that does not decide it. */
function judgeTested(sides: readonly TestedSide[]): RelayedPath | undefined {
  const working = sides.filter(({ relays }) => relays?.length)
  const failed = sides.filter(({ relays }) => relays?.length === 0).map(({ name }) => name)
  // One relay is enough for a peer that has UDP; without, the peer needs one of its own.
  const needy = sides.filter((side) => !working.includes(side) && side.path !== 'udp')
  if (working.length > 0 && needy.length === 0) {
    const words = working.map(
      ({ name, relays }) => `${name}'s TURN server gave it a relay over ${spoken(relays ?? [])}`,
    )
    const rest = working.length === sides.length ? '' : ', and the other reaches that by UDP'
    return { works: true, steps: [`${words.join(', and ')}${rest}.`] }
  }
  if (failed.length === 0) return undefined
  const step = `The TURN servers of ${failed.join(' and ')} were asked and gave no relay that works (natcheck ice says why).`
  return { works: failed.length === sides.length ? false : null, steps: [step] }
}

const spoken = (transports: readonly string[]): string => transports.map((each) => each.toUpperCase()).join(' and ')
