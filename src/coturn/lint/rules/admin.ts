/** Consoles, metrics, databases, logs and the process. */
import { parseIp, scopeOf } from '../../../core/index.ts'
import type { Conf, Setting } from '../../conf.ts'
import { isBefore, isSince } from '../../version.ts'
import type { Rule } from '../rule.ts'
import { missingFlag, recent, sample, unwantedFlag } from '../problems.ts'

/** An address that others than this machine, or than its private network, reach. */
function isExposed(at: Setting | undefined, allowed: readonly string[]): boolean {
  const ip = parseIp(at?.value ?? '')
  return ip !== undefined && !allowed.includes(scopeOf(ip))
}

const usesCli = (conf: Conf): boolean => (isSince(conf.version, '4.10.0') ? conf.isOn('cli') : !conf.isOn('no-cli'))
const databases = ['userdb', 'psql-userdb', 'mysql-userdb', 'mongo-userdb', 'redis-userdb'] as const

/** `host` of `ip=… dbname=…`, `host=…` or `redis://host`. */
const hostOf = (connection: string): string =>
  /(?:^|\s)(?:ip|host)=(\S+)/.exec(connection)?.[1] ?? /\/\/(?:[^@/]*@)?([^:/]+)/.exec(connection)?.[1] ?? '127.0.0.1'

const isHere = (host: string): boolean =>
  host === 'localhost' || host.startsWith('/') || scopeOf(parseIp(host) ?? '192.0.2.1') === 'loopback'

export const adminRules: readonly Rule[] = [
  {
    id: 'cli',
    severity: 'warning',
    why: 'The telnet console shows sessions and changes settings. Up to 4.9 it is on unless switched off; a relay does not need it.',
    fix: 'below 4.10 add no-cli, from 4.10 on remove cli',
    reference: 'coturn 4.10.0',
    *check(conf) {
      if (isBefore(conf.version, '4.10.0')) yield* missingFlag(conf, 'no-cli', 'the telnet console is on')
      else yield* unwantedFlag(conf, 'cli', 'the telnet console is on')
    },
    bad: recent('cli\n'),
    good: sample('no-cli\n'),
  },
  {
    id: 'cli-exposed',
    severity: 'error',
    why: 'The console speaks plain telnet: on this address others can reach it.',
    fix: 'write cli-ip=127.0.0.1, or remove the line',
    reference: 'turnserver(1), cli-ip',
    *check(conf) {
      const at = conf.last('cli-ip')
      if (usesCli(conf) && isExposed(at, ['loopback'])) yield { at, message: `the console listens on ${at?.value}` }
    },
    bad: sample('cli-ip=0.0.0.0\n'),
    good: sample('cli-ip=127.0.0.1\n'),
  },
  {
    id: 'cli-without-password',
    severity: 'warning',
    why: 'Without cli-password coturn switches the console off again: the line does nothing.',
    fix: 'set cli-password (turnadmin -P hashes it), or remove cli',
    reference: 'coturn mainrelay.c, “Empty cli-password”',
    *check(conf) {
      const at = conf.first('cli', 'cli-port', 'cli-ip')
      if (at && usesCli(conf) && !conf.value('cli-password'))
        yield { at, message: 'a console without password does not start' }
    },
    bad: recent('cli\n'),
    good: recent('cli\ncli-password=x\n'),
  },
  {
    id: 'cli-unused',
    severity: 'hint',
    why: 'The console is off, so these lines do nothing.',
    fix: 'remove them',
    reference: 'turnserver(1), no-cli',
    *check(conf) {
      if (usesCli(conf)) return
      for (const name of ['cli-ip', 'cli-port', 'cli-password'])
        for (const at of conf.all(name)) yield { at, message: `${name} without a console` }
    },
    bad: sample('no-cli\ncli-port=5766\n'),
    good: sample('cli-port=5766\ncli-password=x\n'),
  },
  {
    id: 'web-admin',
    severity: 'warning',
    why: 'The web administration is one more way in, and had vulnerabilities.',
    fix: 'remove it, or keep it on loopback behind a tunnel',
    reference: 'CVE-2020-4067, CVE-2026-40613',
    check: (conf) => unwantedFlag(conf, 'web-admin', 'the web administration is on'),
    bad: sample('web-admin\n'),
    good: sample('no-cli\n'),
  },
  {
    id: 'web-admin-exposed',
    severity: 'error',
    why: 'Others can reach the web administration.',
    fix: 'write web-admin-ip=127.0.0.1 and remove web-admin-listen-on-workers',
    reference: 'turnserver(1), web-admin-ip',
    *check(conf) {
      const at = conf.last('web-admin-ip')
      if (conf.isOn('web-admin') && isExposed(at, ['loopback']))
        yield { at, message: `the web administration listens on ${at?.value}` }
      yield* unwantedFlag(conf, 'web-admin-listen-on-workers', 'the web administration answers on the TURN ports')
    },
    bad: sample('web-admin\nweb-admin-ip=0.0.0.0\n'),
    good: sample('web-admin\nweb-admin-ip=127.0.0.1\n'),
  },
  {
    id: 'prometheus-exposed',
    severity: 'error',
    why: 'Metrics tell everybody who talks when and how much; they have no password.',
    fix: 'from 4.6.3 on set prometheus-address to a private address; below, close the port in the firewall',
    reference: 'coturn 4.6.3',
    *check(conf) {
      const isOn = conf.isOn('prometheus') || conf.isOn('prometheus-tls')
      const at = conf.last('prometheus-address')
      if (isOn && (at === undefined || isExposed(at, ['loopback', 'private', 'shared', 'link-local'])))
        yield {
          at: at ?? conf.first('prometheus', 'prometheus-tls'),
          message: `metrics are served on ${at?.value ?? 'all addresses'}`,
        }
    },
    bad: recent('prometheus\n'),
    good: recent('prometheus\nprometheus-address=127.0.0.1\n'),
  },
  {
    id: 'prometheus-off',
    severity: 'error',
    why: 'Without prometheus no metrics are served, and these lines do nothing.',
    fix: 'add prometheus',
    reference: 'turnserver(1), prometheus',
    *check(conf) {
      const at = conf.first('prometheus-port', 'prometheus-address', 'prometheus-path', 'prometheus-username-labels')
      if (at && !conf.isOn('prometheus') && !conf.isOn('prometheus-tls'))
        yield { at, message: `${at.spec.name} without prometheus` }
    },
    bad: recent('prometheus-address=127.0.0.1\n'),
    good: recent('prometheus\nprometheus-address=127.0.0.1\n'),
  },
  {
    id: 'prometheus-usernames',
    severity: 'warning',
    why: 'Each user name makes time series of its own; names that expire make new ones for ever.',
    fix: 'remove it',
    reference: 'turnserver(1), prometheus-username-labels',
    check: (conf) => unwantedFlag(conf, 'prometheus-username-labels', 'a series for each user name'),
    bad: sample('prometheus-username-labels\n'),
    good: sample('prometheus\n'),
  },
  {
    id: 'databases',
    severity: 'error',
    why: 'coturn uses one database of users: the last line counts.',
    fix: 'keep one',
    reference: 'coturn set_option()',
    *check(conf) {
      const set = databases.flatMap((name) => conf.all(name).slice(-1))
      const counts = conf.settings.findLast((setting) => set.includes(setting))
      for (const at of set)
        if (at !== counts) yield { at, message: `${at.spec.name} is ignored: ${counts?.spec.name} comes later` }
    },
    bad: sample('userdb=/var/lib/turn/turndb\nredis-userdb="ip=127.0.0.1"\n'),
    good: sample('redis-userdb="ip=127.0.0.1"\nredis-statsdb="ip=127.0.0.1"\n'),
  },
  {
    id: 'redis-open',
    severity: 'warning',
    why: 'A Redis without password, on the network, lets others read users and secrets.',
    fix: 'set a password in the connection string, and requirepass in Redis',
    reference: 'redis.io/docs, security',
    *check(conf) {
      for (const name of ['redis-userdb', 'redis-statsdb'])
        for (const at of conf.all(name))
          if (!isHere(hostOf(at.value)) && !/password=\S/.test(at.value))
            yield { at, message: `${name} at ${hostOf(at.value)} without password` }
    },
    bad: sample('redis-userdb="ip=10.0.0.9 dbname=0 port=6379"\n'),
    good: sample('redis-userdb="ip=10.0.0.9 dbname=0 password=kX9vq2LmPd70 port=6379"\n'),
  },
  {
    id: 'log-contradiction',
    severity: 'error',
    why: 'With syslog nothing goes to the log file.',
    fix: 'keep syslog or log-file',
    reference: 'turnserver(1), syslog',
    *check(conf) {
      if (conf.isOn('syslog') && conf.has('log-file') && conf.value('log-file') !== 'syslog')
        yield { at: conf.last('log-file'), message: 'log-file next to syslog' }
    },
    bad: sample('syslog\nlog-file=/var/log/turnserver.log\n'),
    good: sample('log-file=/var/log/turnserver.log\n'),
  },
  {
    id: 'log-timestamp-format',
    severity: 'error',
    why: 'Below 4.17 the format counts only together with new-log-timestamp.',
    fix: 'add new-log-timestamp',
    reference: 'turnserver(1), new-log-timestamp-format',
    *check(conf) {
      const at = conf.last('new-log-timestamp-format')
      if (at && isBefore(conf.version, '4.17.0')) {
        for (const { message, edits } of missingFlag(conf, 'new-log-timestamp', 'the format has no effect'))
          yield { at, message, edits: edits ?? [] }
      }
    },
    bad: sample('new-log-timestamp-format="%FT%T"\n'),
    good: sample('new-log-timestamp\nnew-log-timestamp-format="%FT%T"\n'),
  },
  {
    id: 'log-everything',
    severity: 'warning',
    why: 'It logs every packet with addresses: slow, and more than you may keep.',
    fix: 'remove it',
    reference: 'turnserver(1), Verbose',
    *check(conf) {
      yield* unwantedFlag(conf, 'Verbose', 'every packet is logged')
      yield* unwantedFlag(conf, 'log-binding', 'every Binding request is logged')
    },
    bad: sample('Verbose\n'),
    good: sample('verbose\n'),
  },
  {
    id: 'daemon',
    severity: 'warning',
    why: 'systemd and Docker take a process that goes to the background for one that has ended.',
    fix: 'remove it',
    reference: 'systemd.service(5), Type=notify',
    check: (conf) => unwantedFlag(conf, 'daemon', 'coturn goes to the background'),
    bad: sample('', { command: 'turnserver -o' }),
    good: sample('', { command: 'turnserver -v' }),
  },
  {
    id: 'runs-as-root',
    severity: 'warning',
    why: 'A defect in coturn is then a defect of the whole machine.',
    fix: 'write proc-user=turnserver, or let systemd set User=',
    reference: 'CWE-250',
    *check(conf) {
      const at = conf.last('proc-user')
      if (at?.value === 'root') yield { at, message: 'coturn runs as root' }
    },
    bad: sample('proc-user=root\n'),
    good: sample('proc-user=turnserver\n'),
  },
  {
    id: 'secret-file-in-public',
    severity: 'warning',
    why: 'Everybody may write to /tmp: others can read, replace or delete the file.',
    fix: 'take a directory of coturn’s own, such as /run/turnserver',
    reference: 'CWE-377',
    *check(conf) {
      for (const name of ['pidfile', 'log-file', 'userdb', 'pkey']) {
        const at = conf.last(name)
        if (at && /^\/(?:var\/)?tmp\//.test(at.value)) yield { at, message: `${name} lies in ${at.value}` }
      }
    },
    bad: sample('pidfile=/var/tmp/turnserver.pid\n'),
    good: sample('pidfile=/run/turnserver/turnserver.pid\n'),
  },
  {
    id: 'multiplex-needs',
    severity: 'error',
    why: 'Without multiplex-peer these lines do nothing.',
    fix: 'add multiplex-peer, or remove them',
    reference: 'coturn 4.12.0',
    *check(conf) {
      for (const name of ['udp-gso', 'multiplex-peer-port', 'multiplex-peer-max-peers', 'udp-sendmmsg-log']) {
        const at = conf.last(name)
        if (at && !conf.isOn('multiplex-peer')) yield { at, message: `${name} without multiplex-peer` }
      }
    },
    bad: recent('udp-gso\n'),
    good: recent('multiplex-peer\nudp-gso\n'),
  },
]
