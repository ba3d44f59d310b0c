/** Command lines. */
import { nearest } from '../../../core/index.ts'
import { isKnownIn } from '../../options/spec.ts'
import { optionNames } from '../../options/table.ts'
import type { Rule } from '../rule.ts'
import { sample } from '../problems.ts'

export const argumentRules: readonly Rule[] = [
  {
    id: 'unknown-argument',
    severity: 'error',
    why: 'An unknown option on the command line makes coturn print its help and end.',
    fix: 'mend or remove it',
    reference: 'getopt_long(3)',
    *check(conf) {
      for (const { spec, written } of conf.command?.settings ?? []) {
        if (spec !== undefined && isKnownIn(spec, conf.version)) continue
        const meant = nearest(written.replace(/^-+/, ''), optionNames)
        yield { message: `there is no ${written}${meant ? `; did you mean --${meant}?` : ''}` }
      }
    },
    bad: sample('', { command: 'turnserver --relm=example.org' }),
    good: sample('', { command: 'turnserver --realm=example.org' }),
  },
  {
    id: 'stray-argument',
    severity: 'error',
    why: 'A word that is no option has no effect; often the option before it takes its value behind = only.',
    fix: 'write --OPTION=VALUE',
    reference: 'getopt_long(3)',
    *check(conf) {
      for (const word of conf.command?.strays ?? [])
        yield { message: `${/^\d+$/.test(word) ? word : 'a word'} is ignored` }
    },
    bad: sample('', { command: 'turnserver --stale-nonce 600' }),
    good: sample('', { command: 'turnserver --stale-nonce=600' }),
  },
  {
    id: 'equals-after-letter',
    severity: 'error',
    why: 'Behind a letter the equals sign belongs to the value.',
    fix: 'write -r VALUE or --realm=VALUE',
    reference: 'coturn set_option()',
    *check(conf) {
      for (const at of conf.settings)
        if (/^-[A-Za-z]$/.test(at.written ?? '') && at.value.startsWith('='))
          yield { at, message: `the value of ${at.written} begins with =` }
    },
    bad: sample('', { command: 'turnserver -r=example.org' }),
    good: sample('', { command: 'turnserver -r example.org' }),
  },
]
