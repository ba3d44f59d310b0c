/**
 * When two hosts behind NATs or firewalls get through to each other, and how. Each side is what RFC 4787 says of it:
 * which port a packet leaves from (mapping), and which packets come in (filtering).
 */
import type { FilteringBehavior } from '../../core/index.ts'
import type { Mapping } from './network.ts'

export interface Side {
  /** What the sentences call it. */
  readonly name: 'A' | 'B'
  readonly mapping: Mapping
  readonly filtering: FilteringBehavior
  readonly arbitraryPooling: boolean
  readonly predictablePorts: boolean
}

/** What the peer sees a host as: which of its candidates the winning pair has. */
export type WinningType = 'host' | 'srflx' | 'prflx'

export interface Punching {
  /** `chance`: it depends on which of several public addresses the NAT happens to pick. */
  readonly works: 'yes' | 'no' | 'chance'
  readonly candidates: { readonly A: WinningType; readonly B: WinningType }
  /** Who has to send before the other's packets come in. */
  readonly first: 'either' | 'A' | 'B' | 'both'
  readonly steps: readonly string[]
}

/** One public address for everybody, so that the peer can be told where to send. */
const isKnown = ({ mapping }: Side): boolean => mapping === 'none' || mapping === 'endpoint-independent'

const openFilter = (side: Side): boolean => side.filtering === 'endpoint-independent'

export function punch(a: Side, b: Side): Punching {
  if (isKnown(a) && isKnown(b)) return bothKnown(a, b)
  if (isKnown(a)) return oneKnown(a, b)
  if (isKnown(b)) return oneKnown(b, a)
  return noneKnown(a, b)
}

const knownType = ({ mapping }: Side): WinningType => (mapping === 'none' ? 'host' : 'srflx')

const describeKnown = ({ name, mapping }: Side): string =>
  mapping === 'none'
    ? `No NAT translates ${name}: its own address is public.`
    : `${name}'s NAT gives one public address and port to all destinations (endpoint-independent mapping), so what a STUN server saw is where everybody can send.`

const describeUnknown = ({ name, mapping }: Side): string =>
  mapping === 'address-dependent'
    ? `${name}'s NAT takes another port for each destination address (address-dependent mapping): what a STUN server saw is not what a peer sees.`
    : `${name}'s NAT takes another port for each destination address and port (address-and-port-dependent mapping, "symmetric"): what a STUN server saw is not what a peer sees.`

function bothKnown(a: Side, b: Side): Punching {
  const found = { A: typeOf('A', a, b, knownType), B: typeOf('B', a, b, knownType) }
  const steps = [describeKnown(a), describeKnown(b)]
  if (openFilter(a) && openFilter(b)) {
    return {
      works: 'yes',
      candidates: found,
      first: 'either',
      steps: [...steps, 'Neither filters: either may send first.'],
    }
  }
  if (openFilter(a) || openFilter(b)) {
    const [open, closed] = openFilter(a) ? [a, b] : [b, a]
    const how = `${open.name} lets everybody in; ${closed.name} lets in only whom it has sent to, so ${closed.name} has to send first, and ${open.name}'s packets come in from then on.`
    return { works: 'yes', candidates: found, first: closed.name, steps: [...steps, how] }
  }
  const how =
    'Each lets in only whom it has sent to, so both have to send (UDP hole punching): the first packet of one may be dropped, and opens the way for the other.'
  return { works: 'yes', candidates: found, first: 'both', steps: [...steps, how] }
}

/** One side can be named; the other has to come to it. */
function oneKnown(known: Side, unknown: Side): Punching {
  const candidates = {
    A: known.name === 'A' ? knownType(known) : 'prflx',
    B: known.name === 'B' ? knownType(known) : 'prflx',
  } as const
  const steps = [describeKnown(known), describeUnknown(unknown)]
  const arrival = `${known.name} learns the port from the packet (a peer-reflexive candidate) and answers there.`
  switch (known.filtering) {
    case 'endpoint-independent': {
      const first = openFilter(unknown) ? 'either' : unknown.name
      const order = openFilter(unknown) ? 'Neither filters: either may send first.' : `${unknown.name} sends first.`
      const how = `${known.name} lets everybody in. ${order} ${arrival}`
      return { works: 'yes', candidates, first, steps: [...steps, how] }
    }
    case 'address-dependent': {
      const how = `${known.name}'s filter looks at the address only: once ${known.name} has sent to any port of ${unknown.name}'s address, ${unknown.name}'s packets come in whatever their port, and ${arrival}`
      return byPooling(unknown, { works: 'yes', candidates, first: known.name, steps: [...steps, how] })
    }
    case 'address-and-port-dependent': {
      const how = `${known.name} lets in only the exact address and port it has sent to, and nobody can tell it which port ${unknown.name} will have towards it: ${unknown.name}'s packets are dropped, and ${known.name}'s go to a port that ${unknown.name}'s NAT keeps for the STUN server.`
      return { works: 'no', candidates, first: 'both', steps: [...steps, how, ...guessing([unknown])] }
    }
  }
}

/**
 * Neither side can be named. A first packet gets in only where nothing is filtered; from then on both must come to a pair
 * of ports that stays, which two mappings that change with the port never do.
 */
function noneKnown(a: Side, b: Side): Punching {
  const candidates = { A: 'prflx', B: 'prflx' } as const
  const steps = [describeUnknown(a), describeUnknown(b)]
  const no = (...why: readonly string[]): Punching => ({
    works: 'no',
    candidates,
    first: 'both',
    steps: [...steps, ...why, ...guessing([a, b])],
  })
  if (!openFilter(a) && !openFilter(b)) {
    return no(
      'The first packet of each arrives from a port that the other has never sent to, at a port that is kept for the STUN server: both filters drop it.',
    )
  }
  const [opener, other] =
    openFilter(a) && b.filtering !== 'address-and-port-dependent' ? [a, b] : openFilter(b) ? [b, a] : [a, b]
  const arrives = `${opener.name} lets everybody in, so ${other.name}'s first packet arrives and shows where it comes from.`
  if (other.filtering === 'address-and-port-dependent') {
    return no(
      `${arrives} But ${opener.name} answers from another port than the one ${other.name} has sent to, and ${other.name}'s filter drops that.`,
    )
  }
  if (a.mapping === 'address-and-port-dependent' && b.mapping === 'address-and-port-dependent') {
    return no(
      `${arrives} But each answer goes to a new port and so leaves from a new one, for ever: the two never agree on a pair of ports.`,
    )
  }
  const steady = a.mapping === 'address-dependent' ? a : b
  const how = `${arrives} ${opener.name} answers from another port, which ${other.name} lets in as well. ${steady.name}'s port stays the same for all ports of the other's address, so from then on both keep theirs (two peer-reflexive candidates).`
  const first = openFilter(other) ? 'either' : other.name
  return byPooling(a, byPooling(b, { works: 'yes', candidates, first, steps: [...steps, how] }))
}

/** A filter that looks at the address is right only as long as the address stays. */
function byPooling({ name, arbitraryPooling }: Side, punching: Punching): Punching {
  if (!arbitraryPooling || punching.works === 'no') return punching
  const doubt = `But ${name}'s NAT has several public addresses and picks any of them for a new mapping (arbitrary pooling): this holds only when it picks the same again.`
  return { ...punching, works: 'chance', steps: [...punching.steps, doubt] }
}

/** Port prediction is not part of ICE. */
function guessing(sides: readonly Side[]): string[] {
  const names = sides.filter(({ predictablePorts }) => predictablePorts).map(({ name }) => `${name}'s`)
  return names.length === 0 ? [] : [`${names.join(' and ')} next port could be guessed, but ICE does not guess ports.`]
}

const typeOf = (name: 'A' | 'B', a: Side, b: Side, type: (side: Side) => WinningType): WinningType =>
  type(a.name === name ? a : b)
