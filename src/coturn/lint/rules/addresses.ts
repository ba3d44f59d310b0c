/** Addresses: where coturn listens, relays, and what it tells clients. */
import { familyOf, parseAddress, parseIp, scopeOf } from '../../../core/index.ts'
import type { Setting } from '../../conf.ts'
import type { Rule } from '../rule.ts'
import { recent, remove, sample } from '../problems.ts'

const isWildcard = (value: string): boolean => value === '0.0.0.0' || value === '::'

/** What DNS could know: letters somewhere, and no all-numeric end. */
const isName = (text: string): boolean => /^(?=.*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text)

/** The hosts that a setting names, without ports. */
function hostsOf({ spec, value }: Setting): string[] {
  if (spec.type === 'ip') return [value]
  if (spec.type === 'mapping') return value.split('/')
  return spec.type === 'ip-port' ? [value.replace(/:\d{1,5}$/, '')] : []
}

export const addressRules: readonly Rule[] = [
  {
    id: 'address-invalid',
    severity: 'error',
    why: 'It is neither an address nor a name that could be looked up: coturn ignores the line.',
    fix: 'write an IP address',
    reference: 'coturn make_ioa_addr()',
    *check(conf) {
      for (const at of conf.settings)
        if (at.spec.type === 'ip' && at.value !== '' && !parseIp(at.value) && !isName(at.value))
          yield { at, message: `${at.spec.name}: "${at.value}" is no address` }
    },
    bad: sample('listening-ip=192.0.2.1:3478\n'),
    good: sample('listening-ip=192.0.2.1\n'),
  },
  {
    id: 'address-name',
    severity: 'warning',
    why: 'coturn looks the name up once, at its start, and takes the first answer: without DNS at that moment the line is gone.',
    fix: 'write the IP address',
    reference: 'coturn make_ioa_addr()',
    *check(conf) {
      for (const at of conf.settings) {
        const host = hostsOf(at).find((each) => parseIp(each) === undefined && isName(each))
        if (host !== undefined) yield { at, message: `${at.spec.name} names ${host} instead of its address` }
      }
    },
    bad: sample('external-ip=turn.example.org\n'),
    good: sample('external-ip=203.0.113.10\n'),
  },
  {
    id: 'external-ip-invalid',
    severity: 'error',
    why: 'coturn logs “Wrong address format” and tells clients the private address.',
    fix: 'write PUBLIC or PUBLIC/PRIVATE, two IP addresses of one family',
    reference: 'turnserver(1), external-ip',
    *check(conf) {
      for (const at of conf.all('external-ip')) {
        const parts = at.value.split('/')
        const ips = parts.flatMap((part) => parseIp(part) ?? [])
        const isMapping = parts.length <= 2 && parts.every((part) => parseIp(part) !== undefined || isName(part))
        if (!isMapping || new Set(ips.map(familyOf)).size > 1)
          yield { at, message: `"${at.value}" is no mapping of addresses` }
      }
    },
    bad: sample('external-ip=203.0.113.10/24\n'),
    good: sample('external-ip=203.0.113.10/192.0.2.1\n'),
  },
  {
    id: 'external-ip-twice',
    severity: 'error',
    why: 'Only the first external-ip without private part counts: “You cannot define external IP more than once”.',
    fix: 'write each as PUBLIC/PRIVATE',
    reference: 'coturn set_option()',
    *check(conf) {
      const alone = conf.all('external-ip').filter(({ value }) => !value.includes('/'))
      for (const at of alone.slice(1)) yield { at, message: `${at.value} is ignored` }
    },
    bad: sample('external-ip=203.0.113.10\nexternal-ip=203.0.113.11\n'),
    good: sample('external-ip=203.0.113.10/192.0.2.1\nexternal-ip=203.0.113.11/192.0.2.2\n'),
  },
  {
    id: 'external-ip-private',
    severity: 'warning',
    why: 'This is the address that clients are told; nobody outside reaches a private one.',
    fix: 'write the public address',
    reference: 'RFC 1918',
    *check(conf) {
      for (const at of conf.all('external-ip')) {
        const ip = parseIp(at.value.split('/')[0] ?? '')
        if (ip && ['private', 'shared', 'link-local', 'loopback'].includes(scopeOf(ip)))
          yield { at, message: `${ip} is not a public address` }
      }
    },
    bad: sample('external-ip=10.0.0.5\n'),
    good: sample('external-ip=203.0.113.10\n'),
  },
  {
    id: 'external-ip-missing',
    severity: 'warning',
    why: 'All relay addresses are private and no external-ip is set: clients are told addresses that nobody outside reaches.',
    fix: 'set external-ip=PUBLIC/PRIVATE',
    reference: 'turnserver(1), external-ip',
    *check(conf) {
      const relays = conf.all(conf.has('relay-ip') ? 'relay-ip' : 'listening-ip')
      const ips = relays.map(({ value }) => parseIp(value))
      const isPrivate =
        ips.length > 0 && ips.every((ip) => ip !== undefined && ['private', 'shared'].includes(scopeOf(ip)))
      if (conf.relays && isPrivate && !conf.has('external-ip'))
        yield { at: relays[0], message: 'only private addresses relay' }
    },
    bad: sample('relay-ip=10.0.0.5\n'),
    good: sample('relay-ip=10.0.0.5\nexternal-ip=203.0.113.10/10.0.0.5\n'),
  },
  {
    id: 'relay-wildcard',
    severity: 'error',
    why: 'Without relay-ip a wildcard in listening-ip becomes the relay address, and clients are told 127.0.0.1; only external-ip=PUBLIC alone covers that up.',
    fix: 'name the address, or leave listening-ip and relay-ip out',
    reference: 'RFC 8656 §7.2, seen with coturn 4.6.1',
    *check(conf) {
      const relays = conf.has('relay-ip') ? conf.all('relay-ip') : conf.all('listening-ip')
      const isCovered = conf.all('external-ip').some(({ value }) => !value.includes('/'))
      for (const at of relays)
        if (conf.relays && isWildcard(at.value) && !isCovered)
          yield { at, message: `${at.value} is no address to relay from` }
    },
    bad: sample('listening-ip=0.0.0.0\n'),
    good: sample('listening-ip=0.0.0.0\nrelay-ip=192.0.2.1\n'),
  },
  {
    id: 'device',
    severity: 'warning',
    why: 'Binding to an interface needs root, works on Linux only, and upstream advises against it.',
    fix: 'name addresses: listening-ip, relay-ip',
    reference: 'turnserver(1), listening-device',
    *check(conf) {
      for (const name of ['listening-device', 'relay-device'])
        for (const at of conf.all(name)) yield { at, message: `${name} binds to ${at.value}` }
    },
    bad: sample('listening-device=eth0\n'),
    good: sample('listening-ip=192.0.2.1\n'),
  },
  {
    id: 'address-port-invalid',
    severity: 'error',
    why: 'It is no IP:PORT: coturn ignores the line.',
    fix: 'write 192.0.2.1:3478 or [2001:db8::1]:3478',
    reference: 'turnserver(1), aux-server',
    *check(conf) {
      for (const at of conf.settings) {
        const { value } = at
        if (
          at.spec.type === 'ip-port' &&
          value !== '' &&
          !parseAddress(value) &&
          !hostsOf(at).some((host) => parseIp(host) || isName(host))
        )
          yield { at, message: `${at.spec.name}: "${value}" is no IP:PORT` }
      }
    },
    bad: sample('alternate-server=turn:192.0.2.1:3478\n'),
    good: sample('alternate-server=192.0.2.1:3478\n'),
  },
  {
    id: 'alternate-self',
    severity: 'error',
    why: 'It sends clients on to itself, for ever.',
    fix: 'name another server',
    reference: 'RFC 8489 §10',
    *check(conf) {
      const own = conf.all('listening-ip').map(({ value }) => value)
      for (const name of ['alternate-server', 'udp-alternate-server', 'tcp-alternate-server'])
        for (const at of conf.all(name)) {
          const to = parseAddress(at.value)
          if (to && own.includes(to.ip) && to.port === conf.port('listening-port'))
            yield { at, message: `${at.value} is this server` }
        }
    },
    bad: sample('listening-ip=192.0.2.1\nalternate-server=192.0.2.1:3478\n'),
    good: sample('listening-ip=192.0.2.1\nalternate-server=192.0.2.2:3478\n'),
  },
  {
    id: 'nothing-listens',
    severity: 'error',
    why: 'No client can reach it.',
    fix: 'remove no-udp',
    reference: 'turnserver(1), no-udp',
    *check(conf) {
      if (conf.isOn('no-udp') && conf.isOn('no-tcp') && !conf.hasTls && !conf.isOn('dtls'))
        yield { at: conf.last('no-tcp'), message: 'UDP, TCP and TLS are all off' }
    },
    bad: sample('no-udp\nno-tcp\n'),
    good: sample('no-tcp\n'),
  },
  {
    id: 'udp-off',
    severity: 'warning',
    why: 'Over TCP a lost packet holds up all after it: calls stutter. UDP is what nearly all clients use.',
    fix: 'remove no-udp',
    reference: 'RFC 8656 §3.1',
    *check(conf) {
      if (conf.isOn('no-udp')) yield { at: conf.last('no-udp'), message: 'clients can’t use UDP' }
    },
    bad: sample('no-udp\n'),
    good: sample('no-tcp\n'),
  },
  {
    id: 'nothing-relays',
    severity: 'error',
    why: 'coturn ends at the start with both no-udp-relay and no-tcp-relay.',
    fix: 'remove no-udp-relay',
    reference: 'coturn mainrelay.c, “CONFIG ERROR”',
    *check(conf) {
      if (conf.isOn('no-udp-relay') && conf.isOn('no-tcp-relay'))
        yield {
          at: conf.last('no-udp-relay'),
          message: 'neither UDP nor TCP is relayed: coturn ends',
          edits: conf.all('no-udp-relay').flatMap(remove),
        }
    },
    bad: sample('no-udp-relay\nno-tcp-relay\n'),
    good: sample('no-tcp-relay\n'),
  },
  {
    id: 'udp-relay-off',
    severity: 'error',
    why: 'WebRTC relays UDP: without it browsers get 442 for every allocation.',
    fix: 'remove no-udp-relay',
    reference: 'RFC 8656 §7.2',
    *check(conf) {
      if (conf.isOn('no-udp-relay')) yield { at: conf.last('no-udp-relay'), message: 'UDP is not relayed' }
    },
    bad: sample('no-udp-relay\n'),
    good: sample('no-tcp-relay\n'),
  },
  {
    id: 'stun-contradiction',
    severity: 'error',
    why: 'stun-only answers no TURN and no-stun no STUN: nothing is left.',
    fix: 'remove one of them',
    reference: 'turnserver(1), stun-only',
    *check(conf) {
      if (conf.isOn('stun-only') && conf.isOn('no-stun'))
        yield { at: conf.last('no-stun'), message: 'neither STUN nor TURN' }
    },
    bad: sample('stun-only\nno-stun\n'),
    good: sample('stun-only\n'),
  },
  {
    id: 'rfc5780-addresses',
    severity: 'error',
    why: 'NAT behaviour discovery needs two listening addresses of one family; with fewer coturn leaves it off.',
    fix: 'add a second listening-ip of the same family',
    reference: 'RFC 5780 §6',
    *check(conf) {
      if (!conf.isOn('rfc5780')) return
      const families = conf
        .all('listening-ip')
        .flatMap(({ value }) => (parseIp(value) ? [familyOf(parseIp(value) ?? '')] : []))
      if (conf.has('listening-ip') && new Set(families).size === families.length)
        yield { at: conf.last('rfc5780'), message: 'rfc5780 with one listening address of a family' }
    },
    bad: recent('rfc5780\nlistening-ip=192.0.2.1\n'),
    good: recent('rfc5780\nlistening-ip=192.0.2.1\nlistening-ip=192.0.2.2\n'),
  },
]
