/** Is there another NAT beyond the router? A pure function of what the router said and what a STUN server saw. */
import { familyOf, type IpAddress, scopeOf } from '../../../core/index.ts'
import { type Finding, inconclusive, notTested, observed } from '../behaviors.ts'
import { noWanAddress } from './nat-pmp.ts'
import type { RouterObservation } from './observation.ts'

/** `carrier-grade-nat`: the carrier's own address space shows. `double-nat`: another NAT, whoever runs it. */
export type WanTranslation = 'none' | 'carrier-grade-nat' | 'double-nat'

export interface WanContext {
  /** Our address as a STUN server saw it; null: none answered. */
  readonly reflexiveIp: IpAddress | null
  /** The address the tests left from. */
  readonly localIp: IpAddress | null
  /** Name of the interface that holds `localIp`: tells an overlay network's tunnel from a link to the carrier. */
  readonly localInterface?: string | undefined
}

/** Compares the router's WAN address with the reflexive one. */
export function analyseWan(observations: readonly RouterObservation[], context: WanContext): Finding<WanTranslation> {
  const { localIp } = context
  const reflexiveIp = context.reflexiveIp !== null && familyOf(context.reflexiveIp) === 4 ? context.reflexiveIp : null
  if (localIp !== null && localIp === reflexiveIp) {
    return observed('none', `the server sees this host's own address ${localIp}: nothing translates it`)
  }
  if (localIp !== null && isCarrierAddress(localIp)) return analyseLocalCarrierAddress(localIp, context.localInterface)
  const claims = new Map<IpAddress, string[]>()
  for (const { externalIp, protocol } of observations) {
    if (externalIp !== undefined) claims.set(externalIp, [...(claims.get(externalIp) ?? []), protocolNames[protocol]])
  }
  const findings = [...claims.keys()].map((wanIp) => compare(wanIp, reflexiveIp))
  const [first] = findings
  if (first === undefined) return withoutWanAddress(observations, reflexiveIp)
  if (claims.size === 1) return first
  const disagreement = `the router's protocols disagree on its WAN address: ${[...claims]
    .map(([wanIp, names]) => `${names.join(' and ')} ${names.length > 1 ? 'say' : 'says'} ${wanIp}`)
    .join(', ')}`
  const agreed = findings.every((finding) => finding.kind === 'observed' && finding.value === first.value)
  return agreed && first.kind === 'observed'
    ? observed(first.value, `${first.why} (${disagreement}, but each means the same)`)
    : inconclusive(disagreement)
}

const protocolNames = { upnp: 'UPnP', 'nat-pmp': 'NAT-PMP', pcp: 'PCP' } as const

/** 100.64.0.0/10 (RFC 6598), and 192.0.0.0/29 of DS-Lite and 464XLAT, whose NAT is the carrier's too (RFC 6333 §5.7, RFC 7335). */
const isCarrierAddress = (ip: IpAddress): boolean => scopeOf(ip) === 'shared' || /^192\.0\.0\.[0-7]$/.test(ip)

/** Tunnels by the names their programs give them: Tailscale, WireGuard, ZeroTier, NetBird, Nebula, OpenVPN and other VPNs. */
const isTunnel = (name: string): boolean => /^(?:tailscale|utun|tun|tap|wg|zt|wt|nebula|ppp|vpn)/i.test(name)

function analyseLocalCarrierAddress(localIp: IpAddress, localInterface: string | undefined): Finding<WanTranslation> {
  const range = scopeOf(localIp) === 'shared' ? '100.64.0.0/10' : '192.0.0.0/29'
  const fact = `this host's own address ${localIp} is in ${range}`
  if (localInterface !== undefined && isTunnel(localInterface)) {
    return inconclusive(`${fact}, on ${localInterface}: an overlay network, which hides what the carrier does`)
  }
  return observed(
    'carrier-grade-nat',
    `${fact}: a carrier's NAT stands before it (or an overlay network, such as Tailscale)`,
  )
}

function compare(wanIp: IpAddress, reflexiveIp: IpAddress | null): Finding<WanTranslation> {
  const scope = scopeOf(wanIp)
  if (isCarrierAddress(wanIp)) {
    const range = scope === 'shared' ? '100.64.0.0/10' : '192.0.0.0/29'
    return observed(
      'carrier-grade-nat',
      `the router's WAN address ${wanIp} is in ${range}, the carrier's side of a NAT`,
    )
  }
  if (scope === 'private') {
    if (wanIp === reflexiveIp) {
      return inconclusive(`the server sees the router's private WAN address ${wanIp}: it stands before any further NAT`)
    }
    return observed('double-nat', `the router's WAN address ${wanIp} is private: another NAT stands beyond it`)
  }
  if (scope !== 'global' && scope !== 'reserved') {
    return inconclusive(`the router reports the WAN address ${wanIp}, which can't be one (${scope})`)
  }
  if (reflexiveIp === null) {
    return inconclusive(`the router's WAN address is ${wanIp}, but no server told our address to compare it with`)
  }
  if (wanIp === reflexiveIp) return observed('none', `the router's WAN address ${wanIp} is the one the server sees`)
  const seenFrom = scopeOf(reflexiveIp)
  if (seenFrom !== 'global' && seenFrom !== 'reserved') {
    return inconclusive(`the server sees ${reflexiveIp}, which is no public address: it can't tell what lies beyond`)
  }
  return observed(
    'double-nat',
    `the router's WAN address is ${wanIp}, but the server sees ${reflexiveIp}: another NAT stands beyond the router` +
      ' (or it uses several uplinks)',
  )
}

function withoutWanAddress(observations: readonly RouterObservation[], reflexiveIp: IpAddress | null): Finding<never> {
  const asked = observations.filter(({ outcome }) => outcome !== 'not-sent')
  if (asked.length === 0) return notTested(observations[0]?.detail ?? 'the router was not asked')
  if (asked.some(({ protocol, outcome }) => protocol !== 'pcp' && outcome === 'answered')) {
    // miniupnpd, and so OpenWrt, hides a private or carrier address this way. It would fit a second uplink too,
    // so this stays a hint.
    const hint = 'as routers do that hide a private one because they stand behind another NAT'
    return inconclusive(
      reflexiveIp === null
        ? `${noWanAddress}, ${hint}`
        : `${noWanAddress}, though the server sees ${reflexiveIp}: ${hint}`,
    )
  }
  const told = asked.map(({ protocol, outcome }) => `${protocolNames[protocol]} ${outcomeWords[outcome]}`)
  return inconclusive(`the router did not tell its WAN address: ${told.join(', ')}`)
}

const outcomeWords = {
  answered: 'answered without it',
  'no-answer': 'did not answer',
  unsupported: 'is not supported',
  refused: 'was refused',
  malformed: 'answered nonsense',
  'not-sent': 'was not asked',
} as const
