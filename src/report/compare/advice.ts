/** What would bring two hosts together, or closer: tried out with the very reasoning that gave the verdict. */
import type { PeerNetwork } from './network.ts'
import type { PairOptions, PairVerdict } from './predict.ts'

type Predict = (a: PeerNetwork, b: PeerNetwork, options: PairOptions) => Pick<PairVerdict, 'outcome'>

export function adviseOnPair(
  { outcome, relay }: Pick<PairVerdict, 'outcome' | 'relay'>,
  a: PeerNetwork,
  b: PeerNetwork,
  predict: Predict,
): string[] {
  if (outcome === 'direct') return []
  const sides = [
    { name: 'A', path: relay.a, relays: a.relays, helps: (change: Change) => predict(change(a), b, { relay: false }) },
    { name: 'B', path: relay.b, relays: b.relays, helps: (change: Change) => predict(a, change(b), { relay: false }) },
  ] as const
  const advice: string[] = []
  const failed = sides.filter(({ relays }) => relays?.length === 0)
  if (outcome !== 'relay') {
    for (const { name } of failed) advice.push(`Mend ${name}'s TURN servers: natcheck ice says there what is wrong.`)
  }
  const wanting = sides.every(({ relays }) => relays === null)
  const reachable = wanting && relay.a !== 'none' && relay.b !== 'none'
  if (reachable && outcome !== 'unknown') {
    const transports = sides.some(({ path }) => path === 'tcp') ? ' with TLS on TCP port 443' : ''
    advice.push(`Put a TURN server${transports} into the iceServers of both (natcheck relay runs one).`)
  }
  for (const { name, path, helps } of sides) {
    if (path === 'none') advice.push(`Mend ${name}'s network first: natcheck nat says there what is wrong.`)
    for (const { change, words } of changes) {
      if (outcome === 'unknown' || helps(change).outcome !== 'direct') continue
      advice.push(`They would connect directly if ${name}'s ${words}.`)
      break
    }
  }
  if (outcome === 'unknown' && failed.length === 0) {
    advice.push(
      'Measure again what is not known: natcheck nat --save FILE, with a server that offers RFC 5780, and with --hairpin where both share a public address.',
    )
  }
  return advice
}

type Change = (network: PeerNetwork) => PeerNetwork

/** The smaller change first: a setting of the router before the filter before the firewall. */
const changes: readonly { readonly change: Change; readonly words: string }[] = [
  {
    change: mapFamilies((family) =>
      family.mappings.includes('none') ? family : { ...family, mappings: ['endpoint-independent'] as const },
    ),
    words: 'NAT gave one public port to all destinations (endpoint-independent mapping, "full cone", "static port")',
  },
  {
    change: mapFamilies((family) => ({ ...family, filterings: ['address-dependent'] as const })),
    words: 'NAT or firewall let in every port of an address it has sent to (address-dependent filtering)',
  },
  {
    change: mapFamilies((family) => ({ ...family, filterings: ['endpoint-independent'] as const })),
    words: 'NAT or firewall let in packets from everybody on ports in use (endpoint-independent filtering)',
  },
  {
    change: mapFamilies((family) =>
      family.udp !== 'blocked'
        ? family
        : { ...family, udp: 'usable', why: null, mappings: ['endpoint-independent'] as const, publicIp: null },
    ),
    words: 'network let UDP out, and its NAT gave one public port to all destinations',
  },
]

function mapFamilies(change: (family: PeerNetwork['families'][number]) => PeerNetwork['families'][number]): Change {
  return (network) => ({ ...network, families: network.families.map(change) })
}
