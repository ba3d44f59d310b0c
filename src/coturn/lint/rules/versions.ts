/** Options of another release, and releases with known defects. */
import type { Conf, Setting } from '../../conf.ts'
import { findOption } from '../../options/table.ts'
import { isKnownIn, type OptionSpec } from '../../options/spec.ts'
import type { SettingLine } from '../../parse.ts'
import { compareVersions, isBefore, isSince, securityFloor } from '../../version.ts'
import type { Edit, Problem, Rule } from '../rule.ts'
import { missingFlag, recent, remove, rewrite, sample, unwantedFlag } from '../problems.ts'

/** Vulnerabilities and the release that mended them. */
const fixedIn: readonly (readonly [string, string])[] = [
  ['4.5.1.3', 'CVE-2020-4067'],
  ['4.5.2', 'CVE-2020-26262'],
  ['4.8.0', 'CVE-2025-69217'],
  ['4.9.0', 'CVE-2026-27624'],
  ['4.10.0', 'CVE-2026-40613'],
  ['4.10.0', 'CVE-2026-43994'],
  ['4.13.0', 'CVE-2026-53450'],
  ['4.13.1', 'CVE-2026-73212'],
  ['4.15.0', 'CVE-2026-62959'],
  ['4.15.0', 'CVE-2026-68552'],
  ['4.16.0', 'CVE-2026-73214'],
]

/** The two eras: options that were on until switched off, and options that are off until switched on. */
const newEra = '4.7.0'

/** Options of the table that this version does not know. */
function foreign(conf: Conf, isForeign: (spec: OptionSpec) => boolean): { line: SettingLine; spec: OptionSpec }[] {
  return conf.file.lines.flatMap((line) => {
    const spec = line.kind === 'setting' ? findOption(line.name) : undefined
    return line.kind === 'setting' && spec && !isKnownIn(spec, conf.version) && isForeign(spec) ? [{ line, spec }] : []
  })
}

const obsolete = (conf: Conf, how: 'inert' | 'deprecated'): { at: Setting; instead: string; since: string }[] =>
  conf.settings.flatMap((at) => {
    const { obsolete: gone } = at.spec
    return gone?.how === how && isSince(conf.version, gone.since)
      ? [{ at, instead: gone.instead, since: gone.since }]
      : []
  })

/** `instead` as an edit: `write NAME` or `leave it out`. */
function instead(at: Setting, advice: string): Edit[] {
  const match = /^write ([\w-]+)(?:=(\S+))?$/.exec(advice)
  if (!match) return remove(at)
  return rewrite(at.line, { name: match[1] ?? '', value: match[2] ?? '' })
}

function* hardenOld(conf: Conf, name: string, message: string): Generator<Problem> {
  if (isBefore(conf.version, newEra) && isSince(conf.version, '4.6.0')) yield* missingFlag(conf, name, message)
}

function* hardenNew(conf: Conf, name: string, message: string): Generator<Problem> {
  if (isSince(conf.version, newEra)) yield* unwantedFlag(conf, name, message)
}

export const versionRules: readonly Rule[] = [
  {
    id: 'version-floor',
    severity: 'warning',
    why: 'This release has known vulnerabilities, unless the distribution mended them without a new number.',
    fix: `update to ${securityFloor} or newer, or check your distribution’s security tracker for the CVEs`,
    reference: 'coturn security advisories',
    *check({ version }) {
      const open = fixedIn.filter(([release]) => isBefore(version, release)).map(([, cve]) => cve)
      if (open.length > 0) yield { message: `coturn ${version} is open to ${open.join(', ')} by its number` }
      else if (isBefore(version, securityFloor)) yield { message: `coturn ${version} is older than ${securityFloor}` }
    },
    bad: sample(''),
    good: recent(''),
  },
  {
    id: 'broken-release',
    severity: 'error',
    why: 'coturn 4.17.0 and 4.17.1 send UDP to clients with a TTL of 1: nobody beyond the first router gets an answer.',
    fix: 'update to 4.17.2',
    reference: 'coturn 4.17.2',
    *check({ version }) {
      if (isSince(version, '4.17.0') && isBefore(version, '4.17.2'))
        yield { message: `coturn ${version} answers UDP with a TTL of 1` }
    },
    bad: sample('', { version: '4.17.1' }),
    good: recent(''),
  },
  {
    id: 'option-too-new',
    severity: 'error',
    why: 'This release does not know the option: it logs “Bad configuration format” and goes on without the line.',
    fix: 'update coturn, or remove the line',
    reference: 'coturn ChangeLog',
    *check(conf) {
      for (const { line, spec } of foreign(conf, ({ since }) => since !== undefined && isBefore(conf.version, since)))
        yield { at: line, message: `${spec.name} came with ${spec.since}, this is ${conf.version}` }
    },
    bad: sample('cpus=2\n'),
    good: recent('cpus=2\n'),
  },
  {
    id: 'option-removed',
    severity: 'error',
    why: 'This release does not know the option any more: it logs “Bad configuration format” and goes on without the line.',
    fix: 'remove the line',
    reference: 'coturn ChangeLog',
    *check(conf) {
      for (const { line, spec } of foreign(
        conf,
        ({ removed }) => removed !== undefined && isSince(conf.version, removed),
      ))
        yield { at: line, message: `${spec.name} was removed in ${spec.removed}`, edits: remove({ line }) }
    },
    bad: recent('no-tlsv1\n'),
    good: sample('no-tlsv1\n'),
  },
  {
    id: 'option-inert',
    severity: 'error',
    why: 'This release accepts the option and does nothing with it.',
    fix: 'remove the line',
    reference: 'coturn ChangeLog',
    *check(conf) {
      for (const { at, instead: advice, since } of obsolete(conf, 'inert'))
        yield { at, message: `${at.spec.name} does nothing since ${since}: ${advice}`, edits: instead(at, advice) }
    },
    bad: recent('no-rfc5780\n'),
    good: sample('no-rfc5780\n'),
  },
  {
    id: 'option-deprecated',
    severity: 'error',
    why: 'The option is of the other era and will be removed; then coturn ignores the line.',
    fix: 'use what replaced it',
    reference: 'coturn ChangeLog',
    *check(conf) {
      for (const { at, instead: advice, since } of obsolete(conf, 'deprecated')) {
        const isOff = /=?(?:0|no|false|off)$/i.test(at.value)
        yield {
          at,
          message: `${at.spec.name} is deprecated since ${since}: ${advice}`,
          edits: isOff ? [] : instead(at, advice),
        }
      }
    },
    bad: recent('no-software-attribute\n'),
    good: sample('no-software-attribute\n'),
  },
  {
    id: 'no-dtls-crash',
    severity: 'error',
    why: 'coturn 4.17.2 is reported to crash at the start on no-dtls; DTLS is off without it.',
    fix: 'remove it',
    reference: 'coturn 4.17.2',
    *check(conf) {
      if (isSince(conf.version, '4.17.2') && conf.has('no-dtls'))
        yield {
          at: conf.last('no-dtls'),
          message: 'no-dtls may crash this release',
          edits: conf.all('no-dtls').flatMap(remove),
        }
    },
    bad: recent('no-dtls\n'),
    good: sample('no-dtls\n'),
  },
  {
    id: 'not-in-this-build',
    severity: 'error',
    why: 'This build of coturn was made without it and ignores the line. Debian’s has no prometheus.',
    fix: 'use a build that has it (the Docker image), or remove the line',
    reference: 'turnserver --help',
    *check(conf, { lacks = [] }) {
      for (const at of conf.settings) {
        const { build } = at.spec
        if (build !== undefined && lacks.some((each) => each === build))
          yield { at, message: `this build knows no ${at.spec.name}` }
      }
    },
    bad: sample('prometheus\n', { observed: { lacks: ['prometheus'] } }),
    good: sample('prometheus\n', { observed: { lacks: [] } }),
  },
  {
    id: 'rfc5780',
    severity: 'warning',
    why: 'The answers of NAT behaviour discovery are larger and come from another address: food for amplification. A relay does not need it.',
    fix: 'below 4.7 add no-rfc5780, from 4.7 on remove rfc5780',
    reference: 'RFC 5780 §9',
    *check(conf) {
      for (const problem of hardenOld(conf, 'no-rfc5780', 'NAT behaviour discovery is on')) {
        // With two addresses it may be what this server is for.
        yield conf.all('listening-ip').length > 1 ? { ...problem, edits: [] } : problem
      }
      yield* hardenNew(conf, 'rfc5780', 'NAT behaviour discovery is on')
    },
    bad: recent('rfc5780\n'),
    good: sample('no-rfc5780\n'),
  },
  {
    id: 'stun-backward-compatibility',
    severity: 'warning',
    why: 'It answers clients from before 2008, and makes Binding responses larger than need be.',
    fix: 'below 4.7 add no-stun-backward-compatibility, from 4.7 on remove stun-backward-compatibility',
    reference: 'RFC 8489 §11',
    *check(conf) {
      yield* hardenOld(conf, 'no-stun-backward-compatibility', 'old STUN is answered')
      yield* hardenNew(conf, 'stun-backward-compatibility', 'MAPPED-ADDRESS is sent')
    },
    bad: sample('no-rfc5780\n'),
    good: sample('no-stun-backward-compatibility\n'),
  },
  {
    id: 'software-attribute',
    severity: 'warning',
    why: 'Every answer tells the version of coturn, to those who look for old ones too.',
    fix: 'below 4.7 add no-software-attribute, from 4.7 on remove software-attribute',
    reference: 'RFC 8489 §16.2.5',
    *check(conf) {
      if (!conf.isOn('prod')) yield* hardenOld(conf, 'no-software-attribute', 'the version is told to everybody')
      yield* hardenNew(conf, 'software-attribute', 'the version is told to everybody')
    },
    bad: recent('software-attribute\n'),
    good: recent(''),
  },
  {
    id: 'old-tls',
    severity: 'warning',
    why: 'TLS 1.0 and 1.1 are broken; every browser speaks 1.2.',
    fix: 'below 4.7 add no-tlsv1 and no-tlsv1_1, from 4.7 on remove tlsv1 and tlsv1_1',
    reference: 'RFC 8996',
    *check(conf) {
      if (conf.isOn('no-tls') && conf.isOn('no-dtls')) return
      for (const name of ['tlsv1', 'tlsv1_1']) {
        const label = name === 'tlsv1' ? 'TLS 1.0' : 'TLS 1.1'
        yield* hardenOld(conf, `no-${name}`, `${label} is taken`)
        yield* hardenNew(conf, name, `${label} is taken`)
      }
    },
    bad: sample('cert=c.pem\n'),
    good: sample('no-tlsv1\nno-tlsv1_1\n'),
  },
  {
    id: 'rfc3489',
    severity: 'warning',
    why: 'Binding requests of RFC 3489 carry no magic cookie: any UDP packet looks like one.',
    fix: 'remove it',
    reference: 'RFC 8489 §5',
    check: (conf) => unwantedFlag(conf, 'rfc3489-compatibility', 'classic STUN is answered'),
    bad: recent('rfc3489-compatibility\n'),
    good: recent(''),
  },
  {
    id: 'unauthorized-ratelimit',
    severity: 'warning',
    why: 'Whoever forges your users’ addresses gets 401 responses sent to them.',
    fix: 'add unauthorized-ratelimit',
    reference: 'coturn 4.14.0',
    *check(conf) {
      if (isSince(conf.version, '4.14.0') && conf.relays && !conf.isOn('no-auth'))
        yield* missingFlag(conf, 'unauthorized-ratelimit', '401 responses are not limited')
    },
    bad: recent('use-auth-secret\n'),
    good: recent('unauthorized-ratelimit\n'),
  },
  {
    id: 'fleet-nonce',
    severity: 'hint',
    why: 'Stateless nonces of one node are stale on the next, unless they share a secret: clients that are sent on authenticate twice.',
    fix: 'set stateless-nonce-secret, the same on every node',
    reference: 'coturn 4.16.0',
    *check(conf) {
      const at = conf.first('alternate-server', 'tls-alternate-server', 'udp-alternate-server', 'tcp-alternate-server')
      if (at && compareVersions(conf.version, '4.17.0') >= 0 && !conf.has('stateless-nonce-secret'))
        yield { at, message: 'alternate servers without stateless-nonce-secret' }
    },
    bad: recent('alternate-server=192.0.2.1:3478\n'),
    good: recent('alternate-server=192.0.2.1:3478\nstateless-nonce-secret=x\n'),
  },
]
