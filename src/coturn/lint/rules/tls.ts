/** TLS: certificates, keys and ciphers. */
import type { Conf } from '../../conf.ts'
import { isSince } from '../../version.ts'
import type { Problem, Rule } from '../rule.ts'
import type { ObservedCertificate } from '../observations.ts'
import { beyond0640, recent, sample, unwantedFlag } from '../problems.ts'

const day = 86_400_000
/** ACME clients renew 30 days before the end: with less than these something went wrong. */
const renewalDays = 14
const on = (date: string): Date => new Date(date)
const now = on('2026-11-21T00:00:00Z')

const certificate = (change: Partial<ObservedCertificate> = {}): ObservedCertificate => ({
  notBefore: on('2026-10-01'),
  notAfter: on('2026-12-31'),
  names: ['turn.example.org'],
  keyMatches: true,
  ...change,
})

function* tlsOf(
  conf: Conf,
  observed: ObservedCertificate | undefined,
  problem: (seen: ObservedCertificate) => string | undefined,
): Generator<Problem> {
  const message = observed && conf.hasTls && observed.malformed !== true ? problem(observed) : undefined
  if (message !== undefined) yield { at: conf.last('cert'), message }
}

const both = 'cert=/etc/turnserver/cert.pem\npkey=/etc/turnserver/key.pem\n'
const fileOptions = ['cert', 'pkey', 'CA-file', 'dh-file'] as const

/** Words of an OpenSSL cipher list that take broken ciphers in. */
const brokenCiphers = /^(?:ALL|COMPLEMENTOFALL|e?NULL|aNULL|EXP(?:ORT)?\w*|LOW|RC4.*|3?DES.*|MD5|ADH|AECDH|IDEA|SEED)$/i

const covers = (names: readonly string[], host: string): boolean =>
  names.some(
    (name) =>
      name.toLowerCase() === host ||
      (name.startsWith('*.') && host.split('.').slice(1).join('.') === name.slice(2).toLowerCase()),
  )

export const tlsRules: readonly Rule[] = [
  {
    id: 'tls-without-certificate',
    severity: 'warning',
    why: 'Without certificate and key coturn starts in plain text only: turns: URLs fail, and nothing says so but the log.',
    fix: 'set cert and pkey, or no-tls if that is meant',
    reference: 'RFC 7065',
    *check(conf) {
      if (conf.isOn('no-tls') || conf.value('cert') || conf.value('pkey')) return
      yield { message: 'no certificate: TLS does not start' }
    },
    bad: sample('listening-port=3478\n'),
    good: sample(both),
  },
  {
    id: 'tls-port-dead',
    severity: 'error',
    why: 'A TLS port is set and no certificate: coturn ignores the port, and the turns: URLs that lead there fail.',
    fix: 'set cert and pkey, or remove the port',
    reference: 'RFC 7065',
    *check(conf) {
      const at = conf.first('tls-listening-port', 'alt-tls-listening-port')
      if (at && !conf.isOn('no-tls') && !conf.value('cert') && !conf.value('pkey'))
        yield { at, message: `${at.spec.name} ${at.value} without a certificate` }
    },
    bad: sample('tls-listening-port=443\n'),
    good: sample(`tls-listening-port=443\n${both}`),
  },
  {
    id: 'tls-half',
    severity: 'error',
    why: 'A certificate without its key, or a key without certificate: TLS does not start.',
    fix: 'set both cert and pkey',
    reference: 'turnserver(1), cert',
    *check(conf) {
      const [cert, key] = [conf.value('cert'), conf.value('pkey')]
      if (!conf.isOn('no-tls') && Boolean(cert) !== Boolean(key))
        yield { at: conf.first('cert', 'pkey'), message: cert ? 'cert without pkey' : 'pkey without cert' }
    },
    bad: sample('cert=/etc/turnserver/cert.pem\n'),
    good: sample(both),
  },
  {
    id: 'tls-unused',
    severity: 'error',
    why: 'no-tls is set, so these lines do nothing.',
    fix: 'remove no-tls, or the TLS lines',
    reference: 'turnserver(1), no-tls',
    *check(conf) {
      const at = conf.first('cert', 'pkey', 'tls-listening-port', 'alt-tls-listening-port')
      if (conf.isOn('no-tls') && at && !conf.isOn('dtls') && (isSince(conf.version, '4.17.0') || conf.isOn('no-dtls')))
        yield { at, message: `${at.spec.name} next to no-tls` }
    },
    bad: recent('no-tls\ntls-listening-port=443\n'),
    good: recent('tls-listening-port=5349\n'),
  },
  {
    id: 'file-unreadable',
    severity: 'error',
    why: 'coturn can’t read the file: TLS does not start, it goes on in plain text.',
    fix: 'copy the file to where the user of coturn may read it (0640, its group)',
    reference: 'coturn adjust_key_file_name()',
    *check(conf, { files = {} }) {
      for (const name of fileOptions) {
        const at = conf.last(name)
        const file = at ? files[at.value] : undefined
        if (file?.kind === 'missing') yield { at, message: `${name}: ${at?.value} does not exist` }
        if (file?.kind === 'unreadable') yield { at, message: `${name}: ${at?.value} can’t be read (${file.why})` }
      }
    },
    bad: sample('cert=/nowhere.pem\n', { observed: { files: { '/nowhere.pem': { kind: 'missing' } } } }),
    good: sample('cert=/here.pem\n', { observed: { files: { '/here.pem': { kind: 'readable', mode: 0o644 } } } }),
  },
  {
    id: 'key-mode',
    severity: 'error',
    why: 'Others than coturn may read or change the private key.',
    fix: 'chmod 0640, and chgrp to the group that coturn runs as',
    reference: 'CWE-732',
    *check(conf, { files = {} }) {
      const at = conf.last('pkey')
      const file = at ? files[at.value] : undefined
      if (file?.kind === 'readable' && beyond0640(file.mode))
        yield { at, message: `the key has mode 0${(file.mode & 0o777).toString(8)}` }
    },
    bad: sample('pkey=/key.pem\n', { observed: { files: { '/key.pem': { kind: 'readable', mode: 0o644 } } } }),
    good: sample('pkey=/key.pem\n', { observed: { files: { '/key.pem': { kind: 'readable', mode: 0o640 } } } }),
  },
  {
    id: 'certificate-malformed',
    severity: 'error',
    why: 'It is no certificate in PEM: TLS does not start.',
    fix: 'give the full chain in PEM (fullchain.pem)',
    reference: 'RFC 7468',
    *check(conf, { certificate: seen }) {
      if (conf.hasTls && seen?.malformed === true) yield { at: conf.last('cert'), message: 'no certificate in it' }
    },
    bad: sample(both, { observed: { certificate: certificate({ malformed: true }) } }),
    good: sample(both, { observed: { certificate: certificate() } }),
  },
  {
    id: 'certificate-expired',
    severity: 'error',
    why: 'Browsers refuse it without a word to the user.',
    fix: 'renew it, and reload coturn with SIGUSR2',
    reference: 'RFC 5280 §4.1.2.5',
    check: (conf, { certificate: seen, now: at }) =>
      tlsOf(conf, seen, ({ notBefore, notAfter }) => {
        if (!at) return undefined
        if (notAfter <= at) return `the certificate expired on ${notAfter.toISOString().slice(0, 10)}`
        return notBefore > at ? `the certificate begins on ${notBefore.toISOString().slice(0, 10)}` : undefined
      }),
    bad: sample(both, { observed: { now, certificate: certificate({ notAfter: on('2026-11-01') }) } }),
    good: sample(both, { observed: { now, certificate: certificate() } }),
  },
  {
    id: 'certificate-expires-soon',
    severity: 'warning',
    why: 'Renewal should have happened. coturn reads a new certificate on SIGUSR2; SIGHUP only opens the log anew.',
    fix: 'check the renewal and its deploy hook',
    reference: 'coturn reload_ssl_certs()',
    check: (conf, { certificate: seen, now: at }) =>
      tlsOf(conf, seen, ({ notAfter }) => {
        const days = at ? Math.floor((notAfter.getTime() - at.getTime()) / day) : renewalDays
        return days >= 0 && days < renewalDays ? `the certificate expires in ${days} days` : undefined
      }),
    bad: sample(both, { observed: { now, certificate: certificate({ notAfter: on('2026-11-25') }) } }),
    good: sample(both, { observed: { now, certificate: certificate() } }),
  },
  {
    id: 'certificate-key-mismatch',
    severity: 'error',
    why: 'The key is not the certificate’s: every handshake fails.',
    fix: 'give the key that the certificate was made with',
    reference: 'RFC 8446 §4.4.3',
    check: (conf, { certificate: seen }) =>
      tlsOf(conf, seen, ({ keyMatches }) =>
        keyMatches === false ? 'the key belongs to another certificate' : undefined,
      ),
    bad: sample(both, { observed: { certificate: certificate({ keyMatches: false }) } }),
    good: sample(both, { observed: { certificate: certificate() } }),
  },
  {
    id: 'certificate-name',
    severity: 'warning',
    why: 'Clients compare the name of the turns: URL with the certificate; it covers nothing under the realm.',
    fix: 'get a certificate for the name in your iceServers',
    reference: 'RFC 8656 §3.1, RFC 9525',
    check: (conf, { certificate: seen }) =>
      tlsOf(conf, seen, ({ names }) => {
        const realm = (conf.value('server-name') ?? conf.value('realm') ?? '').toLowerCase()
        if (!realm.includes('.') || covers(names, realm)) return undefined
        const isUnder = names.some(
          (name) => name.toLowerCase().replace(/^\*\./, '').endsWith(realm) || realm.endsWith(name.toLowerCase()),
        )
        return isUnder ? undefined : `the certificate is for ${names.join(', ') || 'no name'}, the realm is ${realm}`
      }),
    bad: sample(`${both}realm=example.net\n`, { observed: { certificate: certificate() } }),
    good: sample(`${both}realm=example.org\n`, { observed: { certificate: certificate() } }),
  },
  {
    id: 'letsencrypt-path',
    severity: 'warning',
    why: 'Only root may read /etc/letsencrypt/live, and coturn runs as turnserver; after a renewal it goes on with the old certificate.',
    fix: 'let a deploy hook copy the files (0640, group turnserver) and send SIGUSR2',
    reference: 'certbot --deploy-hook',
    *check(conf) {
      const at = conf
        .all('cert')
        .concat(conf.all('pkey'))
        .find(({ value }) => value.startsWith('/etc/letsencrypt/'))
      if (at && !conf.isOn('no-tls')) yield { at, message: `${at.value} is root’s` }
    },
    bad: sample('cert=/etc/letsencrypt/live/turn.example.org/fullchain.pem\n'),
    good: sample(both),
  },
  {
    id: 'file-relative',
    severity: 'warning',
    why: 'coturn looks for a relative name in the working directory and in a dozen others, and takes the first.',
    fix: 'write the full path',
    reference: 'coturn find_config_file()',
    *check(conf) {
      for (const name of fileOptions) {
        const at = conf.last(name)
        if (at && at.value !== '' && !at.value.startsWith('/')) yield { at, message: `${name}=${at.value} is relative` }
      }
    },
    bad: sample('cert=turn_server_cert.pem\n'),
    good: sample(both),
  },
  {
    id: 'client-certificates',
    severity: 'error',
    why: 'CA-file asks every client for a certificate; browsers have none, and no call gets through.',
    fix: 'remove it, unless all your clients have certificates',
    reference: 'turnserver(1), CA-file',
    *check(conf) {
      if (conf.value('CA-file')) yield { at: conf.last('CA-file'), message: 'clients need certificates' }
    },
    bad: sample('CA-file=/etc/ssl/ca.pem\n'),
    good: sample(both),
  },
  {
    id: 'cipher-list',
    severity: 'warning',
    why: 'It takes ciphers in that are broken or authenticate nobody.',
    fix: 'remove the line: the default is good',
    reference: 'RFC 9325 §4',
    *check(conf) {
      const at = conf.last('cipher-list')
      const broken = at?.value.split(/[:, ]+/).find((word) => brokenCiphers.test(word))
      if (broken !== undefined) yield { at, message: `the ciphers of ${broken}` }
    },
    bad: sample('cipher-list=ALL:!aNULL\n'),
    good: sample('cipher-list=ECDHE+AESGCM:!aNULL\n'),
  },
  {
    id: 'tls-1-2-off',
    severity: 'error',
    why: 'Without TLS 1.2 clients that don’t speak 1.3 are turned away, and up to 4.6 only 1.0 and 1.1 may be left.',
    fix: 'remove no-tlsv1_2',
    reference: 'RFC 9325 §3.1',
    check: (conf) => unwantedFlag(conf, 'no-tlsv1_2', 'TLS 1.2 is off'),
    bad: sample('no-tlsv1_2\n'),
    good: sample('no-tlsv1\n'),
  },
  {
    id: 'weak-dh',
    severity: 'warning',
    why: 'Diffie-Hellman groups of this size are broken (Logjam).',
    fix: 'remove it',
    reference: 'CVE-2015-4000',
    *check(conf) {
      for (const name of ['dh566', 'dh1066']) yield* unwantedFlag(conf, name, `${name} is a short group`)
    },
    bad: sample('dh566\n'),
    good: sample('dh-file=/etc/turnserver/dh.pem\n'),
  },
]
