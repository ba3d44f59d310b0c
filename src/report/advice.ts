/** What to do next: each piece of advice names its cause and a fix that somebody can carry out. */
import type { FamilyFinding, ServerFinding } from '../probe/nat/behaviors.ts'
import { adviseOnSilence } from './unreachable.ts'
import type { FamilyVerdict } from './verdict.ts'

/** A mapping that closes sooner needs keepalives. RFC 4787 REQ-5 asks NATs for at least two minutes. */
const shortLifetimeSeconds = 120

/** Enough relays for every network: what to offer beside the direct way, and why each transport. */
const relayRecipe =
  'run a TURN server on UDP 3478, with TCP 3478 and TLS 443 (turns:HOST:443?transport=tcp) for networks that block UDP'

/** The most useful first. Each is one string: `cause: fix`. */
export function adviseOn(best: FamilyVerdict | undefined, all: readonly FamilyVerdict[]): string[] {
  if (!best) return []
  if (all.every(({ finding, p2p }) => finding.mapped === null && p2p === 'unknown')) return adviseOnSilence(all)
  const advice = [
    ...onVerdict(best),
    ...onFamilies(best, all),
    ...onTranslators(best.finding),
    ...onMapping(best.finding),
    ...onServers(all),
  ]
  return advice.length > 0
    ? [...new Set(advice)]
    : ['Nothing to change: this network does all that direct connections need.']
}

function onVerdict({ p2p, finding }: FamilyVerdict): string[] {
  switch (p2p) {
    case 'direct':
      return onDirect(finding)
    case 'limited':
      return [
        `Your NAT's mapping depends on the destination (${finding.mapping.value}), so peers behind ordinary home routers can't answer you: ${relayRecipe}.`,
        `If the router is yours, it may be changed: look for "endpoint-independent", "full cone" or "static port" NAT in its settings (with nftables: masquerade without "random" or "fully-random").`,
      ]
    case 'relay-only':
      return [
        `Your NAT picks another public address and port for each destination, so no peer can be told where to send: ${relayRecipe}.`,
        'Ask whoever runs the NAT for paired address pooling (RFC 4787 REQ-2) and endpoint-independent mapping (REQ-1).',
      ]
    case 'blocked':
      return [
        'UDP does not leave this network: use a TURN server over TLS on TCP port 443 (turns:HOST:443?transport=tcp), which passes where web browsing does.',
        'For direct connections ask for outbound UDP to be opened in the firewall: port 3478 for STUN and TURN, 1024-65535 for media between peers.',
      ]
    case 'unknown':
      return finding.mapped === null ? [] : onUnclear(finding)
  }
}

function onDirect({ mapping, filtering }: FamilyFinding): string[] {
  if (
    mapping.value === 'none' ||
    filtering.value === 'endpoint-independent' ||
    filtering.value === 'address-dependent'
  ) {
    return []
  }
  return [
    "Peers behind a symmetric NAT or without UDP still can't reach you directly: keep a TURN server as a fallback, on UDP 3478 and TLS 443.",
  ]
}

function onUnclear({ mapping, filtering, servers }: FamilyFinding): string[] {
  const capable = servers.some(({ rfc5780 }) => rfc5780 === true)
  const fix = capable
    ? 'run the check again, with more time (--timeout) if the way is lossy'
    : 'add a second server on another address, or one that offers RFC 5780 (coturn with "rfc5780" and two addresses), with --server'
  return [`${capitalise(trimDot(mapping.why || filtering.why))}: ${fix}.`]
}

/** When only the other family is direct, peers without it are left out. */
function onFamilies(best: FamilyVerdict, all: readonly FamilyVerdict[]): string[] {
  const v4 = all.find(({ family }) => family === 4)
  if (best.family !== 6 || !v4 || v4.p2p === best.p2p || best.p2p === 'unknown') return []
  return [
    `This verdict holds over IPv6, and over IPv4 it is "${v4.p2p}": peers without IPv6 need a TURN server, so ${relayRecipe}.`,
  ]
}

/** Who else translates on the way. */
function onTranslators({ cgnat, alg }: FamilyFinding): string[] {
  const advice: string[] = []
  if (cgnat.value === 'carrier-grade-nat') {
    advice.push(
      "Your provider's NAT shares one public address among customers, so port forwarding in your router has no effect: ask the provider for a public IPv4 address, or use IPv6.",
    )
  }
  if (cgnat.value === 'double-nat') {
    advice.push(
      'Two NATs in a row translate your packets: put the inner router into bridge (access point) mode, or forward ports in both.',
    )
  }
  if (alg.value === true) {
    advice.push(
      'Something rewrites addresses inside packets (an ALG), which breaks STUN and SIP: turn off "SIP ALG" or "NAT helper" in the router.',
    )
  }
  return advice
}

function onMapping({ lifetime, fragments, behindNat, hairpinning }: FamilyFinding): string[] {
  const advice: string[] = []
  if (lifetime.value !== null && lifetime.value < shortLifetimeSeconds) {
    const every = Math.max(1, Math.floor(lifetime.value / 2))
    advice.push(
      `The NAT forgets an idle mapping after ${lifetime.value} s (RFC 4787 asks for 120 s at least): send keepalives every ${every} s or oftener.`,
    )
  }
  if (fragments.value === 'blocked') {
    advice.push(
      'IP fragments are dropped on the way: keep UDP datagrams under 1200 bytes (for SIP over UDP, use TCP or TLS).',
    )
  }
  if (behindNat === true && hairpinning.value === 'off') {
    advice.push(
      "The NAT does not hairpin, so hosts behind it can't reach each other by the public address: let ICE offer host candidates, or give local names local addresses (split DNS).",
    )
  }
  return advice
}

/** Servers that misbehave cost accuracy; one that this machine merely can't reach is said elsewhere. */
function onServers(all: readonly FamilyVerdict[]): string[] {
  const faulty = all
    .flatMap(({ finding }) => finding.servers)
    .filter((server): server is ServerFinding & { problem: string } => server.ok && server.problem !== null)
  return faulty.map(
    ({ uri, problem }) => `${uri}: ${trimDot(problem)}: use another server with --server, or mend this one.`,
  )
}

const trimDot = (text: string): string => text.replace(/[.\s]+$/, '')
const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
