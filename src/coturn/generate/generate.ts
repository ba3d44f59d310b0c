/** A turnserver.conf from a plan: every line with its reason, none that its release does not know. */
import { isKnownIn } from '../options/spec.ts'
import { findOption } from '../options/table.ts'
import { bytewise, formatRange } from '../ranges.ts'
import { type Danger, specialRanges } from '../special.ts'
import { type CoturnVersion, isBefore, isSince, securityFloor } from '../version.ts'
import type { CoturnPlan } from './plan.ts'
import { accessSection, tlsSection } from './sections.ts'
import { comment, type Entry, note, option, renderSection, type Section } from './text.ts'

/** The file as text, with Unix line ends. It lints clean, by its own comments where a finding is meant to be. */
export function generateConf(plan: CoturnPlan): string {
  const sections: Section[] = [
    { title: 'Listeners and relayed addresses', entries: addresses(plan) },
    accessSection(plan),
    { title: 'Peers: whom clients may reach', entries: peers(plan) },
    { title: 'Limits', entries: limits(plan) },
    tlsSection(plan),
    { title: 'Protocol', entries: protocol(plan) },
    { title: 'Service', entries: service(plan) },
  ]
  return [header(plan), ...sections.map(renderSection)].join('')
}

const purposes: Readonly<Record<CoturnPlan['profile'], string>> = {
  public: 'a relay for the internet',
  internal: 'a relay for an internal network',
  lab: 'a relay with NAT behaviour tests, for a lab',
}

function header({ version, profile, container }: CoturnPlan): string {
  const lines = [
    `turnserver.conf for coturn ${version}: ${purposes[profile]}${container ? ', in a container' : ''}.`,
    'Made by natcheck coturn init. coturn knows no comments behind values: each has its line.',
    '',
    `Check it after every change: npx natcheck coturn lint turnserver.conf --coturn-version ${version}`,
  ]
  if (isBefore(version, securityFloor)) {
    lines.push('', `natcheck-disable version-floor: ${menders(version)}`)
  }
  return comment(lines)
}

const menders = (version: CoturnVersion): string =>
  version === '4.6.1'
    ? 'Debian and Ubuntu mend 4.6.1 without a new number; watch their security tracker.'
    : `some distributions mend ${version} without a new number; where yours does not, update.`

function addresses({ relayIps, externalIps, ports, profile, version, container }: CoturnPlan): Entry[] {
  const entries: Entry[] = [
    note('The registered port of STUN and TURN, UDP and TCP (RFC 8656 §3.1).', option('listening-port', '3478')),
  ]
  const isInternal = profile !== 'public'
  if (relayIps.length > 0) {
    entries.push(
      note(
        'The addresses that clients reach.',
        ...(isInternal && externalIps.length === 0
          ? [comment(['natcheck-disable-next-line external-ip-missing: clients are in the same network.'])]
          : []),
        ...relayIps.map((ip) => option('listening-ip', ip)),
      ),
      note(
        'The addresses that packets to peers leave from.',
        ...(isInternal && externalIps.length === 0
          ? [comment(['natcheck-disable-next-line external-ip-missing: clients are in the same network.'])]
          : []),
        ...relayIps.map((ip) => option('relay-ip', ip)),
      ),
    )
  }
  for (const { external, internal } of externalIps) {
    const why = 'Behind 1:1 NAT: clients are told the public address.'
    if (internal === undefined) entries.push(note(why, option('external-ip', external)))
    else {
      entries.push(
        note(
          `${why} coturn allows ${internal} as a peer with it, which two clients of this relay need to reach each other.` +
            (container ? ' Give the container that address: docker run --ip, on a network of your own.' : ''),
          comment([
            'natcheck-disable-next-line external-ip-allows-private: nothing but coturn may listen there, or the firewall closes it.',
          ]),
          option('external-ip', `${external}/${internal}`),
        ),
      )
    }
  }
  entries.push(
    note(
      container
        ? 'UDP ports of relayed addresses: publish exactly these, or use the network of the host.'
        : 'UDP ports of relayed addresses: open them in the firewall.',
      option('min-port', String(ports.min)),
      option('max-port', String(ports.max)),
    ),
  )
  if (profile === 'lab' && isBefore(version, '4.7.0') && relayIps.length < 2)
    entries.push(note('NAT behaviour tests need a second listening-ip.'))
  return entries
}

const reasons: Readonly<Record<Danger, string>> = {
  'this-host': 'This machine.',
  metadata: 'Link-local, with the metadata service of clouds.',
  private: 'Private networks, and those between carriers and their customers.',
  embedded: 'IPv6 addresses that carry IPv4 ones past the ranges above.',
  reserved: 'Addresses that belong to nobody on the internet.',
  seldom: 'The same, and rarer still: services of a cloud under a public number, forms that nobody uses any more.',
}

function peers({ profile, version }: CoturnPlan): Entry[] {
  const dangers: readonly Danger[] = ['this-host', 'metadata', 'private', 'embedded', 'reserved', 'seldom']
  const ranges = specialRanges(version)
  const entries = dangers.map((danger) => {
    if (danger === 'private' && profile !== 'public')
      return note(
        'Private networks stay open: that is where the peers are. Deny those that hold nothing but servers.',
        comment(['natcheck-disable deny-private: an internal relay reaches private peers.']),
      )
    const lines = ranges.filter((range) => range.danger === danger)
    return note(
      reasons[danger],
      ...lines.flatMap(({ range }) => bytewise(range).map((each) => option('denied-peer-ip', formatRange(each)))),
    )
  })
  return [
    note('coturn knows no CIDR here: each range is FIRST-LAST. allowed-peer-ip would beat all of them.'),
    ...entries,
    note('No packets to many at once.', option('no-multicast-peers')),
    note('No TCP connections to peers (RFC 6062): WebRTC relays UDP.', option('no-tcp-relay')),
  ]
}

/** Enough for a call with a screen share: 8 Mbit/s each way. */
const bytesASecond = 1_000_000
/** A user on three devices, with some to spare for ICE restarts. */
const allocationsOfUser = 12
const mostAllocations = 4000

function limits({ ports, version, auth }: CoturnPlan): Entry[] {
  const total = Math.min(mostAllocations, ports.max - ports.min + 1)
  const entries = [
    note('Allocations of one user, and of all: one leaked credential does not take the whole relay.'),
    note(
      undefined,
      option('user-quota', String(Math.min(allocationsOfUser, total))),
      option('total-quota', String(total)),
    ),
    note(
      `Bytes, not bits, a second of one session: ${(bytesASecond * 8) / 1e6} Mbit/s each way.`,
      option('max-bps', String(bytesASecond)),
    ),
    note('A nonce is good for ten minutes: recorded requests are worthless after that.', option('stale-nonce', '600')),
  ]
  if (isSince(version, '4.14.0')) {
    entries.push(note('Nobody gets floods of 401 responses by forged requests.', option('unauthorized-ratelimit')))
  }
  if (auth.kind === 'rest' && isSince(version, '4.17.0'))
    entries.push(
      note('A fleet sets stateless-nonce-secret too, the same on every node, so that nonces move with clients.'),
    )
  return entries
}

/** What the releases before 4.7 do unless told not to. */
const switchedOff: readonly (readonly [string, string])[] = [
  ['no-stun-backward-compatibility', 'No answers to clients from before 2008.'],
  ['response-origin-only-with-rfc5780', 'No RESPONSE-ORIGIN where nobody asks for it: smaller answers.'],
  ['no-software-attribute', 'The version is nobody’s business.'],
]

function protocol({ version, profile }: CoturnPlan): Entry[] {
  const fingerprint = note('FINGERPRINT tells STUN from media on the same port.', option('fingerprint'))
  const isNew = isSince(version, '4.7.0')
  if (isNew && profile !== 'lab') return [fingerprint]
  if (isNew) {
    const why = comment(['natcheck-disable-next-line rfc5780: this lab measures NATs.'])
    return [fingerprint, note('NAT behaviour discovery (RFC 5780), between two listening-ips.', why, option('rfc5780'))]
  }
  const discovery: readonly (readonly [string, string])[] = [
    ['no-rfc5780', 'No NAT behaviour discovery: its answers amplify.'],
  ]
  const off = [...(profile === 'lab' ? [] : discovery), ...switchedOff].filter(([name]) => {
    const spec = findOption(name)
    return spec !== undefined && isKnownIn(spec, version)
  })
  const lab = note(
    'NAT behaviour discovery (RFC 5780) is on, between two listening-ips.',
    comment(['natcheck-disable rfc5780: this lab measures NATs.']),
  )
  return [fingerprint, ...(profile === 'lab' ? [lab] : []), ...off.map(([name, why]) => note(why, option(name)))]
}

function service({ version, redis, metrics, container }: CoturnPlan): Entry[] {
  const entries = [
    note('The log goes to stdout: to the journal, or to the container’s log.', option('log-file', 'stdout')),
  ]
  if (!container)
    entries.push(
      note(
        'In the directory that the service of Debian and Ubuntu makes.',
        option('pidfile', '/run/turnserver/turnserver.pid'),
      ),
    )
  if (isBefore(version, '4.10.0')) entries.push(note('No telnet console.', option('no-cli')))
  if (redis !== undefined) {
    entries.push(
      note('Who is connected, for every node: keys turn/realm/…/allocation/…/status.', option('redis-statsdb', redis)),
    )
  }
  if (metrics) {
    entries.push(
      note(
        'Metrics for Prometheus, where only it can read them.',
        option('prometheus'),
        option('prometheus-address', metrics.ip),
        option('prometheus-port', String(metrics.port)),
      ),
    )
  }
  return entries
}
