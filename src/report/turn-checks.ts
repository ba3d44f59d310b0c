/** What each check of a TURN server is called, how much it matters, and what to do when it is not as it should be. */
import type { CheckObservation, CheckResult, TurnCheckId } from '../probe/turn/index.ts'

export type TurnCheckGroup = 'Security' | 'Protocol' | 'Relaying' | 'Features'

interface Rule {
  readonly group: TurnCheckGroup
  readonly title: string
  /** What a `no` is worth; null: the server need not have it. A `warning` is always one. */
  readonly no: 'error' | 'warning' | null
  /** One imperative sentence; null: there is nothing to change. */
  readonly fix: string | null
}

const security = (title: string, no: Rule['no'], fix: string): Rule => ({ group: 'Security', title, no, fix })
const protocol = (title: string, no: Rule['no'], fix: string | null): Rule => ({ group: 'Protocol', title, no, fix })
const relaying = (title: string, no: Rule['no'], fix: string | null): Rule => ({ group: 'Relaying', title, no, fix })
const feature = (title: string): Rule => ({ group: 'Features', title, no: null, fix: null })

const upgrade = 'report it to the maker of the server, or upgrade it'
const openRange = "open the relay's port range (UDP 49152-65535) both ways in the server's firewall"
const peerRules =
  'deny loopback, private, link-local and metadata ranges as peers (coturn: denied-peer-ip=10.0.0.0-10.255.255.255 and so on; no allow-loopback-peers)'

export const turnCheckRules: Readonly<Record<TurnCheckId, Rule>> = {
  certificate: security(
    'certificate',
    'error',
    'install one for the name that clients use, by a public authority, chain included, and reload the server',
  ),
  authentication: security(
    'asks for credentials',
    'error',
    'demand credentials (coturn: lt-cred-mech and user, or use-auth-secret): strangers use an open relay at once',
  ),
  'forbidden-peers': security('own network is shut', 'error', peerRules),
  'forbidden-peers-ipv6': security('same over IPv6', 'error', peerRules),
  permissions: security('permissions hold', 'error', `${upgrade}: it lets anybody write to its clients`),
  amplification: security(
    'no amplifier',
    'warning',
    'answer strangers in fewer bytes (coturn: no-software-attribute), or limit the rate of 401s',
  ),
  software: security('keeps its version', 'warning', 'turn SOFTWARE off (coturn: no-software-attribute)'),
  'password-algorithms': feature('PASSWORD-ALGORITHMS'),
  'sha-256': feature('SHA-256 passwords'),
  userhash: feature('USERHASH'),
  'stale-nonce': protocol(
    'stale nonce (438)',
    'error',
    `${upgrade}: calls end when a nonce does. Several servers behind one address need one nonce key`,
  ),
  'nonce-lifetime': protocol('nonce lifetime', null, null),
  idempotence: protocol('retransmitted Allocate', 'warning', `${upgrade}: on lossy lines its clients see 437`),
  'unknown-attribute': protocol(
    'unknown attributes',
    'warning',
    `${upgrade}: clients with newer attributes get no answer`,
  ),
  lifetime: protocol('lifetime', 'warning', 'grant 600 s at least, so that a few lost packets end no call'),
  release: protocol('gives ports back', 'warning', `${upgrade}: allocations of ended calls keep their ports`),
  quota: protocol('quota', 'warning', 'raise user-quota, total-quota or the port range if calls need more at once'),
  'relayed-address': relaying(
    'relayed address',
    'error',
    'set external-ip=PUBLIC/PRIVATE on the server (natcheck relay: --external-ip)',
  ),
  'relay-ports': relaying('relay ports', 'warning', 'relay from 49152 to 65535 (coturn: min-port and max-port)'),
  data: relaying('data both ways', 'error', openRange),
  hairpin: relaying(
    'relay to relay',
    'warning',
    "allow the relay's own address as a peer: two clients of the same relay meet there",
  ),
  'relay-latency': relaying('delay it adds', 'warning', 'look at the load of the server, and at its distance'),
  mtu: relaying('payload', 'error', 'let packets of 1500 bytes through on the way to the server, or lower its tunnels'),
  throughput: relaying('throughput', 'error', 'look at max-bps and bps-capacity, and at the line of the server'),
  hold: relaying('kept open', 'error', 'look at allocation and permission lifetimes, and at NATs on the way'),
  'dual-family': feature('IPv4 and IPv6 at once'),
  'even-port': feature('EVEN-PORT'),
  reservation: feature('RESERVATION-TOKEN'),
  'dont-fragment': feature('DONT-FRAGMENT'),
  mobility: feature('mobility (RFC 8016)'),
  'behavior-discovery': feature('NAT discovery (RFC 5780)'),
}

/** In the order of the document. */
export const turnCheckGroups: readonly TurnCheckGroup[] = ['Security', 'Protocol', 'Relaying', 'Features']

export interface TurnCheck extends CheckObservation {
  readonly group: TurnCheckGroup
  readonly title: string
  /** null: nothing to act on. */
  readonly severity: 'error' | 'warning' | null
  readonly fix: string | null
}

export function judgeCheck(check: CheckObservation): TurnCheck {
  const { group, title, no, fix } = turnCheckRules[check.id]
  const severity = severityOf(check.result, no)
  return { ...check, group, title, severity, fix: severity === null ? null : fix }
}

function severityOf(result: CheckResult, no: Rule['no']): TurnCheck['severity'] {
  if (result === 'no') return no
  return result === 'warning' ? 'warning' : null
}
