/** Values that coturn reads otherwise than they look, and options that are set again. */
import { boolean, type Conf } from '../../conf.ts'
import { isFlag } from '../../options/spec.ts'
import type { Problem, Rule } from '../rule.ts'
import { recent, remove, sample } from '../problems.ts'

export const valueRules: readonly Rule[] = [
  {
    id: 'value-missing',
    severity: 'error',
    why: 'The option needs a value; without one coturn takes nothing, or 0.',
    fix: 'give the value, or remove the line',
    reference: 'turnserver(1)',
    *check(conf) {
      for (const at of conf.settings)
        if (at.value === '' && !isFlag(at.spec) && at.spec.optional !== true)
          yield { at, message: `${at.spec.name} has no value` }
    },
    bad: sample('realm=\n'),
    good: sample('stale-nonce\n'),
  },
  {
    id: 'number',
    severity: 'error',
    why: 'coturn reads the digits a number begins with, and 0 where there are none.',
    fix: 'write digits only, without a unit',
    reference: 'atoi(3)',
    *check(conf) {
      for (const at of conf.settings)
        if (at.spec.type === 'number' && at.value !== '' && !/^\d+$/.test(at.value))
          yield { at, message: `${at.spec.name} is "${at.value}", no number` }
    },
    bad: sample('max-bps=1M\n'),
    good: sample('max-bps=1000000\n'),
  },
  {
    id: 'always-on',
    severity: 'error',
    why: 'coturn does not read the value of this option: the line turns it on, even with 0.',
    fix: 'remove the line to turn it off, or the value to turn it on',
    reference: 'coturn set_option()',
    *check(conf) {
      for (const at of conf.settings)
        if (at.spec.type === 'switch' && at.value !== '' && boolean(at.value) !== true)
          yield { at, message: `${at.spec.name} is on in spite of its value` }
    },
    bad: sample('use-auth-secret=0\n'),
    good: sample('use-auth-secret\n'),
  },
  {
    id: 'boolean',
    severity: 'error',
    why: 'It is no boolean, and coturn ends at the start: “Unknown boolean value”.',
    fix: 'remove the value, or write 0 or 1',
    reference: 'coturn get_bool_value()',
    *check(conf) {
      for (const at of conf.settings)
        if (at.spec.type === 'flag' && boolean(at.value) === undefined)
          yield { at, message: `the value of ${at.spec.name} is no boolean: coturn ends` }
    },
    bad: sample('fingerprint=enabled\n'),
    good: sample('fingerprint=yes\n'),
  },
  {
    id: 'word',
    severity: 'error',
    why: 'coturn knows other words here, and ignores the line.',
    fix: 'write one of the words that it takes',
    reference: 'turnserver(1)',
    *check(conf) {
      for (const at of conf.settings)
        if (at.spec.words && at.value !== '' && !at.spec.words.includes(at.value))
          yield { at, message: `${at.spec.name} is "${at.value}"; it takes ${at.spec.words.join(', ')}` }
    },
    bad: sample('allocation-default-address-family=ipv5\n'),
    good: sample('allocation-default-address-family=ipv6\n'),
  },
  {
    id: 'shadowed',
    severity: 'error',
    why: 'The option is set again with another value, and the last one counts.',
    fix: 'keep one of them',
    reference: 'coturn set_option()',
    check: (conf) => repeated(conf, (a, b) => a !== b, 'is set again below'),
    bad: sample('realm=a.org\nrealm=b.org\n'),
    good: sample('denied-peer-ip=10.0.0.1\ndenied-peer-ip=10.0.0.2\n'),
  },
  {
    id: 'repeated',
    severity: 'hint',
    why: 'The line stands there twice; once is enough.',
    fix: 'remove one of them',
    reference: 'coturn set_option()',
    *check(conf) {
      yield* repeated(conf, (a, b) => a === b, 'stands there again below')
      const seen = new Set<string>()
      for (const { spec, value, line } of conf.settings) {
        const key = `${spec.name}=${value}`
        if (spec.list === true && line && seen.has(key))
          yield { at: line, message: `${spec.name} has this value already`, edits: remove({ line }) }
        seen.add(key)
      }
    },
    bad: sample('fingerprint\nrealm=a.org\nfingerprint\n'),
    good: sample('fingerprint\nrealm=a.org\n'),
  },
  {
    id: 'version-in-file',
    severity: 'error',
    why: 'version in the file makes coturn print its help and end.',
    fix: 'remove the line',
    reference: 'coturn set_option()',
    *check(conf) {
      for (const at of conf.all('version'))
        if (at.line) yield { at, message: 'coturn prints its help and ends', edits: remove(at) }
    },
    bad: sample('version\n'),
    good: sample('verbose\n'),
  },
  {
    id: 'text-too-long',
    severity: 'error',
    why: 'coturn cuts names and paths at the size of its buffers.',
    fix: 'shorten it',
    reference: 'coturn STUN_MAX_REALM_SIZE',
    *check(conf) {
      const at = conf.last('realm')
      if (at && Buffer.byteLength(at.value) > 127) yield { at, message: 'the realm is longer than 127 bytes' }
    },
    bad: recent(`realm=${'x'.repeat(200)}\n`),
    good: recent('realm=example.org\n'),
  },
]

/** What only its last line counts of, set more than once. */
function* repeated(conf: Conf, matches: (a: string, b: string) => boolean, says: string): Generator<Problem> {
  for (const at of conf.settings) {
    const later = conf.last(at.spec.name)
    if (later && later !== at && at.line && at.spec.list !== true && matches(at.value, later.value)) {
      const where = later.line ? `line ${later.line.number}` : 'the command line'
      yield { at, message: `${at.spec.name} ${says}: ${where} counts`, edits: remove(at) }
    }
  }
}
