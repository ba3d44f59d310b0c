/** What to do next: each piece of advice names its cause and a fix that somebody can carry out. */
import type { FamilyFinding, ServerFinding } from '../probe/nat/behaviors.ts'
import { adviseOnSilence } from './unreachable.ts'
import type { FamilyVerdict } from './verdict.ts'

/** A mapping that closes sooner needs keepalives. RFC 4787 REQ-5 asks NATs for at least two minutes. */
const shortLifetimeSeconds = 120

/** Enough relays for every network: what to offer beside the direct way, and why each transport. */
const relayRecipe =
  'run a TURN server on UDP 3478, with TCP 3478 and TLS 443 (turns:HOST:443?transport=tcp) for networks that block UDP'

/** One piece of advice: what is so, and what to do about it. */
export interface Advice {
  /** A stable word for scripts. */
  readonly code: string
  /** The server that it is about, where it is one. */
  readonly subject?: string
  readonly message: string
  /** One imperative sentence, or several after a colon. */
  readonly fix: string
}

const item = (code: string, message: string, fix: string): Advice => ({ code, message, fix })

/** The most useful first. Each is one string: `cause: fix`. */
export function adviseOn(best: FamilyVerdict | undefined, all: readonly FamilyVerdict[]): string[] {
  if (!best) return []
  const texts = adviceItems(best, all).map(({ subject, message, fix }) =>
    subject === undefined ? `${message}: ${fix}.` : `${subject}: ${message}: ${fix}.`,
  )
  return texts.length > 0
    ? [...new Set(texts)]
    : ['Nothing to change: this network does all that direct connections need.']
}

/** The same as data. */
export function adviceItems(best: FamilyVerdict, all: readonly FamilyVerdict[]): Advice[] {
  if (all.every(({ finding, p2p }) => finding.mapped === null && p2p === 'unknown')) return adviseOnSilence(all)
  return [
    ...onVerdict(best),
    ...onFamilies(best, all),
    ...onTranslators(best.finding),
    ...onMapping(best.finding),
    ...onServers(all),
  ]
}

function onVerdict({ p2p, finding }: FamilyVerdict): Advice[] {
  switch (p2p) {
    case 'direct':
      return onDirect(finding)
    case 'limited':
      return [
        item(
          'symmetric',
          `Your NAT's mapping depends on the destination (${finding.mapping.value}), so peers behind ordinary home routers can't answer you`,
          relayRecipe,
        ),
        item(
          'symmetric-router',
          'If the router is yours, it may be changed',
          'look for "endpoint-independent", "full cone" or "static port" NAT in its settings (with nftables: masquerade without "random" or "fully-random")',
        ),
      ]
    case 'relay-only':
      return [
        item(
          'arbitrary-pooling',
          'Your NAT picks another public address and port for each destination, so no peer can be told where to send',
          relayRecipe,
        ),
        item(
          'arbitrary-pooling-carrier',
          'Direct connections need another NAT',
          'ask whoever runs it for paired address pooling (RFC 4787 REQ-2) and endpoint-independent mapping (REQ-1)',
        ),
      ]
    case 'blocked':
      return [
        item(
          'udp-blocked',
          'UDP does not leave this network',
          'use a TURN server over TLS on TCP port 443 (turns:HOST:443?transport=tcp), which passes where web browsing does',
        ),
        item(
          'udp-blocked-firewall',
          'For direct connections the firewall would have to let UDP out',
          'ask whoever runs it for port 3478 (STUN and TURN) and ports 1024-65535 (media between peers)',
        ),
      ]
    case 'unknown':
      return finding.mapped === null ? [] : onUnclear(finding)
  }
}

function onDirect({ mapping, filtering }: FamilyFinding): Advice[] {
  if (
    mapping.value === 'none' ||
    filtering.value === 'endpoint-independent' ||
    filtering.value === 'address-dependent'
  ) {
    return []
  }
  return [
    item(
      'fallback',
      "Peers behind a symmetric NAT or without UDP still can't reach you directly",
      'keep a TURN server as a fallback, on UDP 3478 and TLS 443',
    ),
  ]
}

function onUnclear({ mapping, filtering, servers }: FamilyFinding): Advice[] {
  const capable = servers.some(({ rfc5780 }) => rfc5780 === true)
  const fix = capable
    ? 'run the check again, with more time (--timeout) if the way is lossy'
    : 'add a second server on another address, or one that offers RFC 5780 (coturn with "rfc5780" and two addresses), with --server'
  return [item('inconclusive', capitalise(trimDot(mapping.why || filtering.why)), fix)]
}

/** When only the other family is direct, peers without it are left out. */
function onFamilies(best: FamilyVerdict, all: readonly FamilyVerdict[]): Advice[] {
  const v4 = all.find(({ family }) => family === 4)
  if (best.family !== 6 || !v4 || v4.p2p === best.p2p || best.p2p === 'unknown') return []
  const message = `This verdict holds over IPv6, and over IPv4 it is "${v4.p2p}"`
  return [item('ipv6-only', message, `peers without IPv6 need a TURN server, so ${relayRecipe}`)]
}

/** Who else translates on the way. */
function onTranslators({ cgnat, alg }: FamilyFinding): Advice[] {
  const advice: Advice[] = []
  if (cgnat.value === 'carrier-grade-nat') {
    const message =
      "Your provider's NAT shares one public address among customers, so port forwarding in your router has no effect"
    advice.push(item('cgnat', message, 'ask the provider for a public IPv4 address, or use IPv6'))
  }
  if (cgnat.value === 'double-nat') {
    const fix = 'put the inner router into bridge (access point) mode, or forward ports in both'
    advice.push(item('double-nat', 'Two NATs in a row translate your packets', fix))
  }
  if (alg.value === true) {
    const message = 'Something rewrites addresses inside packets (an ALG), which breaks STUN and SIP'
    advice.push(item('alg', message, 'turn off "SIP ALG" or "NAT helper" in the router'))
  }
  return advice
}

function onMapping({ lifetime, fragments, behindNat, hairpinning }: FamilyFinding): Advice[] {
  const advice: Advice[] = []
  if (lifetime.value !== null && lifetime.value < shortLifetimeSeconds) {
    const every = Math.max(1, Math.floor(lifetime.value / 2))
    const message = `The NAT forgets an idle mapping after ${lifetime.value} s (RFC 4787 asks for 120 s at least)`
    advice.push(item('short-lifetime', message, `send keepalives every ${every} s or oftener`))
  }
  if (fragments.value === 'blocked') {
    const fix = 'keep UDP datagrams under 1200 bytes (for SIP over UDP, use TCP or TLS)'
    advice.push(item('fragments', 'IP fragments are dropped on the way', fix))
  }
  if (behindNat === true && hairpinning.value === 'off') {
    const message = "The NAT does not hairpin, so hosts behind it can't reach each other by the public address"
    const fix = 'let ICE offer host candidates, or give local names local addresses (split DNS)'
    advice.push(item('no-hairpinning', message, fix))
  }
  return advice
}

/** Servers that misbehave cost accuracy; one that this machine merely can't reach is said elsewhere. */
function onServers(all: readonly FamilyVerdict[]): Advice[] {
  const faulty = all
    .flatMap(({ finding }) => finding.servers)
    .filter((server): server is ServerFinding & { problem: string } => server.ok && server.problem !== null)
  return faulty.map(({ uri, problem }) => ({
    ...item('server', trimDot(problem), 'use another server with --server, or mend this one'),
    subject: uri,
  }))
}

const trimDot = (text: string): string => text.replace(/[.\s]+$/, '')
const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
