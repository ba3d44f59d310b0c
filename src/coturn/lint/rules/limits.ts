/** Quotas, lifetimes and ports. */
import type { Conf } from '../../conf.ts'
import type { Problem, Rule } from '../rule.ts'
import { append, remove, rewrite, sample } from '../problems.ts'

const ports = (conf: Conf): { min: number; max: number } => ({ min: conf.port('min-port'), max: conf.port('max-port') })

/** Lifetimes, their defaults, and what breaks below them. */
function* tooShort(conf: Conf, name: string, seconds: number): Generator<Problem> {
  const value = conf.number(name)
  const at = conf.last(name)
  if (value !== undefined && at?.value !== '' && value < seconds)
    yield { at, message: `${name} is ${value}, below ${seconds}`, edits: conf.all(name).flatMap(remove) }
}

/** Fewer bytes a second than these carry no video, so bits were meant. */
const leastVideoBytes = 30_000

/** Ports of the server itself. */
const listeners = [
  'listening-port',
  'tls-listening-port',
  'alt-listening-port',
  'alt-tls-listening-port',
  'cli-port',
  'web-admin-port',
  'prometheus-port',
  'multiplex-peer-port',
] as const

export const limitRules: readonly Rule[] = [
  {
    id: 'quota-missing',
    severity: 'warning',
    why: 'One user, or one leaked pair of credentials, can take every port of the relay.',
    fix: 'set user-quota and total-quota',
    reference: 'RFC 8656 §5',
    *check(conf) {
      if (!conf.relays) return
      for (const name of ['user-quota', 'total-quota'])
        if (!conf.number(name)) yield { at: conf.last(name), message: `${name} is not set: no limit` }
    },
    bad: sample('user-quota=10\n'),
    good: sample('user-quota=10\ntotal-quota=1000\n'),
  },
  {
    id: 'bandwidth-missing',
    severity: 'warning',
    why: 'One session can take the whole bandwidth, and you pay for it.',
    fix: 'set max-bps, in bytes a second',
    reference: 'turnserver(1), max-bps',
    *check(conf) {
      if (conf.relays && !conf.number('max-bps'))
        yield { at: conf.last('max-bps'), message: 'max-bps is not set: no limit' }
    },
    bad: sample('user-quota=10\n'),
    good: sample('max-bps=3000000\n'),
  },
  {
    id: 'bps-are-bytes',
    severity: 'warning',
    why: 'max-bps counts bytes, not bits: this is too little for video.',
    fix: 'write bytes a second: 3 Mbit/s are 375000',
    reference: 'turnserver(1), max-bps',
    *check(conf) {
      const value = conf.number('max-bps') ?? 0
      if (value > 0 && value < leastVideoBytes)
        yield { at: conf.last('max-bps'), message: `${value} bytes a second are ${value * 8} bits a second` }
    },
    bad: sample('max-bps=3000\n'),
    good: sample('max-bps=375000\n'),
  },
  {
    id: 'bps-capacity-alone',
    severity: 'error',
    why: 'coturn ends at the start when bps-capacity is set and max-bps is not.',
    fix: 'set max-bps too',
    reference: 'coturn mainrelay.c, “CONFIG ERROR”',
    *check(conf) {
      if (conf.number('bps-capacity') && !conf.number('max-bps'))
        yield { at: conf.last('bps-capacity'), message: 'bps-capacity without max-bps: coturn ends' }
    },
    bad: sample('bps-capacity=100000000\n'),
    good: sample('bps-capacity=100000000\nmax-bps=3000000\n'),
  },
  {
    id: 'stale-nonce',
    severity: 'warning',
    why: 'A nonce that never expires lets recorded requests be sent again for ever.',
    fix: 'set stale-nonce=600',
    reference: 'RFC 8656 §5',
    *check(conf) {
      const at = conf.last('stale-nonce')
      if (at && at.value !== '' && !conf.number('stale-nonce'))
        yield { at, message: 'nonces do not expire', edits: rewrite(at.line, { name: 'stale-nonce', value: '600' }) }
    },
    bad: sample('stale-nonce=0\n'),
    good: sample('stale-nonce=600\n'),
  },
  {
    id: 'stale-nonce-unsaid',
    severity: 'hint',
    why: 'Without the line nonces live as long as this release thinks right, 600 seconds at present.',
    fix: 'add stale-nonce=600',
    reference: 'RFC 8656 §5',
    *check(conf) {
      if (conf.relays && !conf.has('stale-nonce'))
        yield { message: 'stale-nonce is left to the default', edits: append('stale-nonce=600') }
    },
    bad: sample('user-quota=10\n'),
    good: sample('stale-nonce\n'),
  },
  {
    id: 'channel-lifetime',
    severity: 'error',
    why: 'Clients rely on the 600 seconds of the RFC (Chromium refreshes every 240 s or later): a shorter channel dies under a call.',
    fix: 'remove the line',
    reference: 'RFC 8656 §12',
    check: (conf) => tooShort(conf, 'channel-lifetime', 600),
    bad: sample('channel-lifetime=120\n'),
    good: sample('channel-lifetime=600\n'),
  },
  {
    id: 'permission-lifetime',
    severity: 'error',
    why: 'Clients rely on the 300 seconds of the RFC (Chromium refreshes every 240 s): a shorter permission dies under a call.',
    fix: 'remove the line',
    reference: 'RFC 8656 §9',
    check: (conf) => tooShort(conf, 'permission-lifetime', 300),
    bad: sample('permission-lifetime=60\n'),
    good: sample('permission-lifetime=300\n'),
  },
  {
    id: 'allocate-lifetime',
    severity: 'error',
    why: 'Below its default of an hour coturn cuts the lifetime that clients ask for.',
    fix: 'remove the line',
    reference: 'RFC 8656 §7.2',
    check: (conf) => tooShort(conf, 'max-allocate-lifetime', 3600),
    bad: sample('max-allocate-lifetime=300\n'),
    good: sample('max-allocate-lifetime=3600\n'),
  },
  {
    id: 'ports-reversed',
    severity: 'error',
    why: 'coturn accepts a range that ends before it begins, and crashes at the first allocation.',
    fix: 'exchange min-port and max-port',
    reference: 'seen with coturn 4.6.1',
    *check(conf) {
      const { min, max } = ports(conf)
      const at = conf.first('max-port', 'min-port')
      if (min > max) yield { at, message: `min-port ${min} lies above max-port ${max}` }
    },
    bad: sample('min-port=65535\nmax-port=49152\n'),
    good: sample('min-port=49152\nmax-port=65535\n'),
  },
  {
    id: 'ports-privileged',
    severity: 'warning',
    why: 'Peers see ports of the relay; those below 1024 look like services, and firewalls stop them.',
    fix: 'take ports from 49152 on',
    reference: 'RFC 8656 §7.2',
    *check(conf) {
      const { min } = ports(conf)
      if (min < 1024) yield { at: conf.last('min-port'), message: `relayed addresses begin at port ${min}` }
    },
    bad: sample('min-port=80\n'),
    good: sample('min-port=10000\n'),
  },
  {
    id: 'ports-too-few',
    severity: 'warning',
    why: 'Each allocation takes a port of each relay address: with fewer ports than the quota clients get 508.',
    fix: 'widen the range, or lower total-quota',
    reference: 'RFC 8656 §7.2',
    *check(conf) {
      const { min, max } = ports(conf)
      const count = (max - min + 1) * Math.max(1, conf.all('relay-ip').length)
      const quota = conf.number('total-quota') ?? 0
      if (min <= max && quota > count)
        yield { at: conf.last('total-quota'), message: `${count} ports for a quota of ${quota}` }
    },
    bad: sample('min-port=50000\nmax-port=50099\ntotal-quota=200\n'),
    good: sample('min-port=50000\nmax-port=50299\ntotal-quota=200\n'),
  },
  {
    id: 'ports-overlap',
    severity: 'warning',
    why: 'A port of the server lies among the relayed ones: after a restart of one service an allocation may hold it.',
    fix: 'move the port or the range',
    reference: 'RFC 8656 §7.2',
    *check(conf) {
      const { min, max } = ports(conf)
      for (const name of listeners) {
        const port = conf.number(name)
        if (port !== undefined && port >= min && port <= max)
          yield { at: conf.last(name), message: `${name} ${port} lies between min-port and max-port` }
      }
    },
    bad: sample('listening-port=50000\n'),
    good: sample('listening-port=3478\n'),
  },
  {
    id: 'port-invalid',
    severity: 'error',
    why: 'Up to 4.12 coturn takes the number modulo 65536, from 4.13 on it ends.',
    fix: 'write a port from 1 to 65535',
    reference: 'coturn 4.13.0',
    *check(conf) {
      for (const at of conf.settings)
        if (at.spec.type === 'port' && at.value !== '' && !(/^\d{1,5}$/.test(at.value) && Number(at.value) <= 65_535))
          yield { at, message: `${at.spec.name} is "${at.value}", no port` }
    },
    bad: sample('listening-port=34780000\n'),
    good: sample('listening-port=3478\n'),
  },
  {
    id: 'port-shared',
    severity: 'hint',
    why: 'coturn tells TLS from plain text on every port; the same port for both only opens it twice.',
    fix: 'leave tls-listening-port out, or give it a port of its own, such as 443',
    reference: 'turnserver(1), tls-listening-port',
    *check(conf) {
      if (!conf.isOn('no-tls') && conf.port('listening-port') === conf.port('tls-listening-port')) {
        const at = conf.first('tls-listening-port', 'listening-port')
        yield { at, message: `listening-port and tls-listening-port are both ${conf.port('listening-port')}` }
      }
    },
    bad: sample('listening-port=443\ntls-listening-port=443\n'),
    good: sample('listening-port=3478\ntls-listening-port=443\n'),
  },
  {
    id: 'port-needs-capability',
    severity: 'warning',
    why: 'Distributions start coturn as an ordinary user, who may not open ports below 1024: the listener silently fails.',
    fix: 'AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit (systemctl edit coturn)',
    reference: 'capabilities(7)',
    *check(conf) {
      for (const name of ['listening-port', 'tls-listening-port'] as const) {
        const port = conf.number(name) ?? 0
        if (port > 0 && port < 1024) yield { at: conf.last(name), message: `port ${port} needs CAP_NET_BIND_SERVICE` }
      }
    },
    bad: sample('tls-listening-port=443\n'),
    good: sample('tls-listening-port=5349\n'),
  },
]
