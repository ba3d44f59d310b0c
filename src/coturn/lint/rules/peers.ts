/** Whom clients may reach through the relay. */
import { familyOf, parseIp, scopeOf } from '../../../core/index.ts'
import type { Conf, Setting } from '../../conf.ts'
import {
  bytewise,
  covers,
  formatRange,
  type IpRange,
  overlaps,
  parseCidr,
  parseRange,
  rangeOfIp,
} from '../../ranges.ts'
import { type Danger, mappedSince, type SpecialRange, specialRanges } from '../../special.ts'
import { isSince } from '../../version.ts'
import type { Problem, Rule } from '../rule.ts'
import { append, missingFlag, recent, remove, sample, unwantedFlag } from '../problems.ts'

interface PeerRange {
  readonly at: Setting
  readonly range: IpRange
}

type PeerOption = 'denied-peer-ip' | 'allowed-peer-ip'

/** Many rules ask for the same ranges, of which there may be thousands. */
const read: Record<PeerOption, WeakMap<Conf, PeerRange[]>> = {
  'denied-peer-ip': new WeakMap(),
  'allowed-peer-ip': new WeakMap(),
}

function rangesOf(conf: Conf, name: PeerOption): readonly PeerRange[] {
  const known = read[name].get(conf)
  if (known) return known
  const ranges = conf.all(name).flatMap((at) => {
    const range = parseRange(at.value)
    return range ? [{ at, range }] : []
  })
  read[name].set(conf, ranges)
  return ranges
}

const denied = (conf: Conf): IpRange[] => rangesOf(conf, 'denied-peer-ip').map(({ range }) => range)

function notDenied(conf: Conf, danger: Danger): SpecialRange[] {
  const ranges = denied(conf)
  return specialRanges(conf.version).filter((special) => special.danger === danger && !covers(ranges, special.range))
}

/** One finding for all ranges that share a danger. */
function* undenied(conf: Conf, danger: Danger, isSafe: boolean): Generator<Problem> {
  if (!conf.relays) return
  const missing = notDenied(conf, danger)
  if (missing.length === 0) return
  yield {
    message: `no denied-peer-ip for ${missing.map(({ cidr }) => cidr).join(', ')}`,
    edits: isSafe
      ? append(...missing.flatMap(({ range }) => bytewise(range).map((each) => `denied-peer-ip=${formatRange(each)}`)))
      : [],
  }
}

/** Some private IPv4 network, such as the one a machine behind NAT is in. */
const deniesPrivate = (conf: Conf): boolean =>
  specialRanges(conf.version).some(
    ({ danger, range }) => danger === 'private' && range.family === 4 && covers(denied(conf), range),
  )

const denyAll = (...dangers: readonly Danger[]): string =>
  specialRanges('4.6.1')
    .filter(({ danger }) => dangers.includes(danger))
    .map(({ range }) => `denied-peer-ip=${formatRange(range)}\n`)
    .join('')

const everything = [parseCidr('0.0.0.0/0'), parseCidr('::/0')]

/** Addresses of this host that the file names and that no relayed address needs; loopback has a rule of its own. */
function ownAddresses(conf: Conf): Setting[] {
  const relayed = conf.all(conf.has('relay-ip') ? 'relay-ip' : 'listening-ip').map(({ value }) => parseIp(value))
  return ['listening-ip', 'prometheus-address', 'cli-ip', 'web-admin-ip']
    .flatMap((name) => conf.all(name))
    .filter(({ value }) => {
      const ip = parseIp(value)
      return ip !== undefined && !['unspecified', 'loopback'].includes(scopeOf(ip)) && !relayed.includes(ip)
    })
}

export const peerRules: readonly Rule[] = [
  {
    id: 'deny-this-host',
    severity: 'error',
    why: 'Whoever may use the relay reaches services of this machine that listen on loopback only.',
    fix: 'deny 0.0.0.0/8, 127.0.0.0/8 and ::1 as ranges',
    reference: 'CVE-2020-26262',
    check: (conf) => undenied(conf, 'this-host', true),
    bad: sample('use-auth-secret\n'),
    good: sample(denyAll('this-host')),
  },
  {
    id: 'deny-metadata',
    severity: 'error',
    why: 'The metadata service of clouds at 169.254.169.254 hands out the keys of the machine, here to every TURN user.',
    fix: 'deny 169.254.0.0/16 and fe80::/10 as ranges',
    reference: 'RFC 3927, CWE-918',
    check: (conf) => undenied(conf, 'metadata', true),
    bad: sample('denied-peer-ip=10.0.0.0-10.255.255.255\n'),
    good: sample(denyAll('metadata')),
  },
  {
    id: 'deny-private',
    severity: 'error',
    why: 'Every TURN user reaches the networks that this machine is in, databases and all.',
    fix: 'deny 10/8, 172.16/12, 192.168/16, 100.64/10 and fc00::/7 as ranges; an internal relay says so with a disable comment',
    reference: 'RFC 1918, RFC 4193, CWE-918',
    // Which private network clients must reach is for the operator to say, so nothing is denied by itself.
    check: (conf) => undenied(conf, 'private', false),
    bad: sample(denyAll('this-host', 'metadata')),
    good: sample(denyAll('private')),
  },
  {
    id: 'deny-embedded',
    severity: 'error',
    why: 'An IPv4 address can be written in IPv6 (NAT64, 6to4, Teredo, IPv4-mapped), past all IPv4 ranges.',
    fix: 'deny 64:ff9b::/96, 64:ff9b:1::/48, 2001::/23 and 2002::/16, below 4.9 also ::ffff:0:0/96',
    reference: 'CVE-2026-27624',
    check: (conf) => undenied(conf, 'embedded', true),
    bad: sample(denyAll('private')),
    good: sample(denyAll('embedded')),
  },
  {
    id: 'deny-reserved',
    severity: 'error',
    why: 'Addresses for documentation, benchmarks and future use belong to nobody on the internet; networks use them internally.',
    fix: 'deny the reserved ranges of RFC 6890',
    reference: 'RFC 6890',
    check: (conf) => undenied(conf, 'reserved', true),
    bad: sample(denyAll('private')),
    good: sample(denyAll('reserved')),
  },
  {
    id: 'deny-all-ipv4',
    severity: 'error',
    why: 'From 4.9 on IPv4-mapped addresses are compared as IPv4, and this range denies every IPv4 peer.',
    fix: 'remove it: coturn sees through mapped addresses now',
    reference: 'coturn 4.9.0, CVE-2026-27624',
    *check(conf) {
      if (!isSince(conf.version, mappedSince)) return
      const mapped = parseCidr('::ffff:0:0/96')
      for (const { at, range } of rangesOf(conf, 'denied-peer-ip'))
        if (mapped && overlaps(range, mapped) && covers([range], mapped))
          yield { at, message: `${at.value} denies all IPv4 peers`, edits: remove(at) }
    },
    bad: recent('denied-peer-ip=::ffff:0.0.0.0-::ffff:255.255.255.255\n'),
    good: sample('denied-peer-ip=::ffff:0.0.0.0-::ffff:255.255.255.255\n'),
  },
  {
    id: 'own-address',
    severity: 'error',
    why: 'Through the relay clients reach this host from inside, past its firewall. Addresses that relay are left out: two clients of one relay talk over them.',
    fix: 'deny the address',
    reference: 'hardening: deny the host’s own addresses',
    *check(conf) {
      for (const at of ownAddresses(conf)) {
        const ip = parseIp(at.value)
        if (ip !== undefined && conf.relays && !covers(denied(conf), rangeOfIp(ip)))
          yield { at, message: `${ip} is this host’s own and not denied`, edits: append(`denied-peer-ip=${ip}`) }
      }
    },
    bad: sample('listening-ip=192.0.2.1\nrelay-ip=192.0.2.2\n'),
    good: sample('listening-ip=192.0.2.1\nrelay-ip=192.0.2.2\ndenied-peer-ip=192.0.2.1\n'),
  },
  {
    id: 'allow-over-deny',
    severity: 'error',
    why: 'allowed-peer-ip beats denied-peer-ip, whatever their order: the overlap is open.',
    fix: 'take the overlap out of one of them',
    reference: 'turnserver(1), allowed-peer-ip',
    *check(conf) {
      for (const { at, range } of rangesOf(conf, 'allowed-peer-ip')) {
        const closed = rangesOf(conf, 'denied-peer-ip').find((deny) => overlaps(deny.range, range))
        if (closed) yield { at, message: `${at.value} opens denied-peer-ip=${closed.at.value} again` }
      }
    },
    bad: sample('denied-peer-ip=10.0.0.0-10.255.255.255\nallowed-peer-ip=10.1.2.3\n'),
    good: sample('denied-peer-ip=10.0.0.0-10.255.255.255\nallowed-peer-ip=192.0.2.3\n'),
  },
  {
    id: 'allow-everything',
    severity: 'error',
    why: 'It makes all denied-peer-ip lines useless.',
    fix: 'remove it: what is not denied is allowed',
    reference: 'turnserver(1), allowed-peer-ip',
    *check(conf) {
      for (const { at, range } of rangesOf(conf, 'allowed-peer-ip'))
        if (everything.some((all) => all && covers([range], all)))
          yield { at, message: `${at.value} allows every peer` }
    },
    bad: sample('allowed-peer-ip=0.0.0.0-255.255.255.255\n'),
    good: sample('allowed-peer-ip=192.0.2.0-192.0.2.255\n'),
  },
  {
    id: 'allow-loopback',
    severity: 'error',
    why: 'Every TURN user reaches the services of this machine.',
    fix: 'remove it',
    reference: 'CVE-2020-26262',
    check: (conf) => unwantedFlag(conf, 'allow-loopback-peers', 'peers on loopback are allowed'),
    bad: sample('allow-loopback-peers\n'),
    good: sample('allow-loopback-peers=0\n'),
  },
  {
    id: 'loopback-needs-cli-password',
    severity: 'error',
    why: 'With allow-loopback-peers and the console on, coturn ends at the start while cli-password is empty.',
    fix: 'remove allow-loopback-peers, or switch the console off',
    reference: 'coturn mainrelay.c, “empty cli password”',
    *check(conf) {
      const hasConsole = isSince(conf.version, '4.10.0') ? conf.isOn('cli') : !conf.isOn('no-cli')
      if (conf.isOn('allow-loopback-peers') && hasConsole && !conf.value('cli-password'))
        yield {
          at: conf.last('allow-loopback-peers'),
          message: 'loopback peers and an empty cli-password: coturn ends',
        }
    },
    bad: sample('allow-loopback-peers\n'),
    good: sample('allow-loopback-peers\nno-cli\n'),
  },
  {
    id: 'multicast-peers',
    severity: 'error',
    why: 'One packet of a client becomes many on the network of the relay.',
    fix: 'add no-multicast-peers',
    reference: 'RFC 8656 §21.2.4',
    *check(conf) {
      if (conf.relays) yield* missingFlag(conf, 'no-multicast-peers', 'multicast peers are allowed')
    },
    bad: sample('use-auth-secret\n'),
    good: sample('no-multicast-peers\n'),
  },
  {
    id: 'tcp-relay',
    severity: 'error',
    why: 'RFC 6062 lets clients open TCP connections from this host, to web servers and databases. WebRTC does not use it.',
    fix: 'add no-tcp-relay, unless your clients speak RFC 6062',
    reference: 'RFC 6062 §7',
    *check(conf) {
      if (conf.relays) yield* missingFlag(conf, 'no-tcp-relay', 'clients may open TCP connections to peers')
    },
    bad: sample('use-auth-secret\n'),
    good: sample('no-tcp-relay\n'),
  },
  {
    id: 'server-relay',
    severity: 'error',
    why: 'It lets everybody send to relayed addresses without a permission: your users’ firewalls are open.',
    fix: 'remove it',
    reference: 'RFC 8656 §9',
    check: (conf) => unwantedFlag(conf, 'server-relay', 'permissions are not checked'),
    bad: sample('server-relay\n'),
    good: sample('no-tcp-relay\n'),
  },
  {
    id: 'mobility',
    severity: 'error',
    why: 'A mobility ticket moves an allocation to another client; below 4.15 whoever has it takes the allocation over.',
    fix: 'remove it, unless your clients speak RFC 8016',
    reference: 'RFC 8016 §6, coturn 4.15.0',
    check: (conf) => unwantedFlag(conf, 'mobility', 'allocations can move to other clients'),
    bad: sample('mobility\n'),
    good: sample('mobility=no\n'),
  },
  {
    id: 'external-ip-allows-private',
    severity: 'error',
    why: 'external-ip=PUB/PRIV puts PRIV on the list of allowed peers, which beats denied-peer-ip: clients reach services of this machine at PRIV.',
    fix: 'let the firewall protect PRIV, and disable this rule on the line; or write PUB alone with one relay-ip',
    reference: 'coturn mainrelay.c, “Whitelisting external-ip private part”',
    *check(conf) {
      for (const at of conf.all('external-ip')) {
        const inside = at.value.split('/')[1]
        if (inside !== undefined && parseIp(inside) !== undefined)
          yield { at, message: `${inside} becomes an allowed peer` }
      }
    },
    bad: sample('external-ip=203.0.113.10/10.0.0.5\n'),
    good: sample('external-ip=203.0.113.10\n'),
  },
  {
    id: 'external-ip-hairpin',
    severity: 'error',
    why: 'With external-ip=PUB alone a packet to PUB is sent to the private address inside. When that is denied, two clients of this relay can’t talk: 403.',
    fix: 'write external-ip=PUB/PRIV, or allow the private relay address',
    reference: 'RFC 8656 §9.2',
    *check(conf) {
      const inside = conf.all(conf.has('relay-ip') ? 'relay-ip' : 'listening-ip')
      const allowed = rangesOf(conf, 'allowed-peer-ip').map(({ range }) => range)
      for (const at of conf.all('external-ip')) {
        if (at.value.includes('/')) continue
        const shut = inside.find(({ value }) => {
          const ip = parseIp(value)
          return (
            ip !== undefined &&
            ip !== at.value &&
            // coturn maps addresses of one family only.
            familyOf(ip) === familyOf(at.value) &&
            covers(denied(conf), rangeOfIp(ip)) &&
            !covers(allowed, rangeOfIp(ip))
          )
        })
        if (shut) yield { at, message: `relay to relay fails: ${shut.value} is denied` }
        else if (inside.length === 0 && familyOf(at.value) === 4 && deniesPrivate(conf))
          yield { at, message: 'relay to relay fails where the machine’s own private address is denied' }
      }
    },
    bad: sample('external-ip=203.0.113.10\nrelay-ip=10.0.0.5\ndenied-peer-ip=10.0.0.0-10.255.255.255\n'),
    good: sample('external-ip=203.0.113.10/10.0.0.5\nrelay-ip=10.0.0.5\ndenied-peer-ip=10.0.0.0-10.255.255.255\n'),
  },
]
