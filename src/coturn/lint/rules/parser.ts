/** Lines that coturn reads otherwise than they look. */
import { nearest } from '../../../core/index.ts'
import { boolean, type Conf } from '../../conf.ts'
import { findOption, findShort, optionNames } from '../../options/table.ts'
import { isFlag, isKnownIn } from '../../options/spec.ts'
import type { SettingLine } from '../../parse.ts'
import type { Problem, Rule } from '../rule.ts'
import { recent, remove, rewrite, sample } from '../problems.ts'

const settings = (conf: Conf): SettingLine[] => conf.file.lines.filter((line) => line.kind === 'setting')
const unknown = (conf: Conf): SettingLine[] => settings(conf).filter(({ name }) => findOption(name) === undefined)

const bom = '\ufeff'
const isDashed = ({ name }: SettingLine): boolean => name.startsWith('-')
const isLetter = ({ name }: SettingLine): boolean => /^[A-Za-z]$/.test(name)
const hasColon = ({ name }: SettingLine): boolean => name.endsWith(':')
const isSpelling = (line: SettingLine): boolean =>
  !isDashed(line) && !isLetter(line) && !hasColon(line) && !line.name.startsWith(bom) && !line.continued

/** `listening_port` and `Listening-Port` can only be listening-port. */
const plain = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[_.]/g, '-')
    .replace(/[:;,]+$/, '')
const sameName = (name: string): string | undefined => optionNames.find((each) => plain(each) === plain(name))

/** The option that `-r` or `--realm` stands for. */
const dashedName = (name: string): string | undefined =>
  name.startsWith('--') ? findOption(name.slice(2))?.name : findShort(name.slice(1))?.name

const shown = ({ name }: SettingLine): string => (name.length > 40 ? `${name.slice(0, 40)}…` : name)

export const parserRules: readonly Rule[] = [
  {
    id: 'unknown-option',
    severity: 'error',
    why: 'coturn logs “Bad configuration format” and goes on without the line.',
    fix: 'mend the name, or remove the line',
    reference: 'turnserver(1)',
    *check(conf) {
      for (const line of unknown(conf).filter(isSpelling)) {
        const same = sameName(line.name)
        const meant = same ?? nearest(line.name, optionNames)
        const message = `there is no option "${shown(line)}"${meant ? `; did you mean ${meant}?` : ''}`
        yield { at: line, message, edits: same ? rewrite(line, { name: same, value: line.value }) : [] }
      }
    },
    bad: sample('listening_port=3478\n'),
    good: sample('listening-port=3478\n'),
  },
  {
    id: 'dashes-in-file',
    severity: 'error',
    why: 'In a file names stand without dashes; coturn ignores the line.',
    fix: 'write the long name without dashes',
    reference: 'turnserver(1)',
    *check(conf) {
      for (const line of unknown(conf).filter(isDashed)) {
        const name = dashedName(line.name)
        yield {
          at: line,
          message: `${shown(line)} is for command lines`,
          edits: name ? rewrite(line, { name, value: line.value }) : [],
        }
      }
    },
    bad: sample('--realm=example.org\n'),
    good: sample('realm=example.org\n'),
  },
  {
    id: 'letter-in-file',
    severity: 'error',
    why: 'In a file coturn knows long names only; it ignores the line.',
    fix: 'write the long name',
    reference: 'turnserver(1)',
    *check(conf) {
      for (const line of unknown(conf).filter(isLetter)) {
        const name = findShort(line.name)?.name
        const message = `the letter ${line.name} is for command lines${name ? `; in a file it is ${name}` : ''}`
        yield { at: line, message, edits: name ? rewrite(line, { name, value: line.value }) : [] }
      }
    },
    bad: sample('a\n'),
    good: sample('lt-cred-mech\n'),
  },
  {
    id: 'colon',
    severity: 'error',
    why: 'Name and value are parted by = or a space; with a colon the name is another one, and coturn ignores the line.',
    fix: 'write NAME=VALUE',
    reference: 'turnserver(1)',
    *check(conf) {
      for (const line of unknown(conf).filter(hasColon)) {
        const name = findOption(line.name.slice(0, -1))?.name
        yield {
          at: line,
          message: `"${shown(line)}" ends with a colon`,
          edits: name ? rewrite(line, { name, value: line.value }) : [],
        }
      }
    },
    bad: sample('realm: example.org\n'),
    good: sample('realm=example.org\n'),
  },
  {
    id: 'inline-comment',
    severity: 'error',
    why: 'There are no inline comments: coturn takes “# …” into the value.',
    fix: 'write the comment on a line of its own',
    reference: 'coturn read_config_file()',
    *check(conf) {
      for (const line of settings(conf)) {
        const match = /^(.*?)[ \t]+(#.*)$|^(#.*)$/.exec(line.value)
        if (!match) continue
        const spec = findOption(line.name)
        // In a secret "#" may be meant.
        const isSafe = spec !== undefined && spec.secret !== true && !line.continued && !line.written.startsWith('"')
        const text = `${match[2] ?? match[3] ?? ''}\n${line.name}${match[1] ? `=${match[1]}` : ''}`
        const message = `the value of ${shown(line)} goes on to the end of the line, comment and all`
        yield { at: line, message, edits: isSafe ? [{ kind: 'replace', line, text }] : [] }
      }
    },
    bad: sample('realm=example.org # our domain\n'),
    good: sample('# our domain\nrealm=example.org\n'),
  },
  {
    id: 'quotes',
    severity: 'error',
    why: 'Only a double quote that opens the value, and the one that closes it then, are taken off. All others belong to the value.',
    fix: 'write the value without quotes',
    reference: 'coturn parse_arg_string()',
    *check(conf) {
      for (const line of settings(conf)) {
        const spec = findOption(line.name)
        const isSingle = /^'.*'$/.test(line.value)
        const isStray = !isSingle && /^[^"]*"$/.test(line.value) && spec?.secret !== true
        if (!isSingle && !isStray) continue
        const value = isSingle ? line.value.slice(1, -1) : line.value.replace(/"$/, '')
        yield {
          at: line,
          message: `${shown(line)}: the quotes belong to the value`,
          edits: rewrite(line, { name: line.name, value }),
        }
      }
    },
    bad: sample("realm='example.org'\n"),
    good: sample('realm="example.org"\n'),
  },
  {
    id: 'semicolon',
    severity: 'error',
    why: 'A semicolon at the end belongs to the value; coturn only logs “Check config!”.',
    fix: 'remove it',
    reference: 'coturn read_config_file()',
    *check(conf) {
      for (const line of settings(conf)) {
        const [name, value] =
          line.value === '' ? [line.name.replace(/;$/, ''), ''] : [line.name, line.value.replace(/[ \t]*;$/, '')]
        const isOdd = (line.value || line.name).endsWith(';')
        const isSafe = findOption(name)?.secret !== true
        if (isOdd && findOption(name))
          yield {
            at: line,
            message: `${name} ends with a semicolon`,
            edits: isSafe ? rewrite(line, { name, value }) : [],
          }
      }
    },
    bad: sample('realm=example.org;\n'),
    good: sample('realm=example.org\n'),
  },
  {
    id: 'line-too-long',
    severity: 'error',
    why: 'coturn reads 1023 bytes at a time; the rest of the line is the next line to it.',
    fix: 'shorten the line, or move long values to a file or database',
    reference: 'coturn read_config_file()',
    *check(conf) {
      for (const line of settings(conf))
        if (line.continued) yield { at: line, message: 'the line is longer than 1023 bytes: coturn reads it as two' }
    },
    bad: sample(`realm=${'x'.repeat(1100)}\n`),
    good: sample(`realm=${'x'.repeat(900)}\n`),
  },
  {
    id: 'byte-order-mark',
    severity: 'error',
    why: 'coturn takes the byte order mark for the beginning of the first name, and ignores that line.',
    fix: 'save the file as UTF-8 without BOM',
    reference: 'coturn read_config_file()',
    *check(conf) {
      const [first] = conf.file.lines
      if (first?.raw.startsWith(bom))
        yield {
          at: first,
          message: 'the file begins with a byte order mark',
          edits: [{ kind: 'replace', line: first, text: first.raw.slice(1).replace(/\r?\n$/, '') }],
        }
    },
    bad: sample(`${bom}realm=example.org\n`),
    good: sample('realm=example.org\n'),
  },
  {
    id: 'carriage-return',
    severity: 'error',
    why: 'A carriage return alone ends no line for coturn: what follows belongs to the same line.',
    fix: 'save the file with line ends of Unix',
    reference: 'fgets(3)',
    *check(conf) {
      for (const line of conf.file.lines) {
        if (!/\r(?!\n|$)/.test(line.raw)) continue
        const text = line.raw.replace(/\r?\n$/, '').replace(/\r/g, '\n')
        yield { at: line, message: 'a carriage return inside the line', edits: [{ kind: 'replace', line, text }] }
      }
    },
    bad: sample('# ours\rrealm=example.org\r'),
    good: sample('# ours\r\nrealm=example.org\r\n'),
  },
  {
    id: 'nul-byte',
    severity: 'error',
    why: 'For coturn the line ends at the NUL byte.',
    fix: 'remove it; UTF-16 files are full of them',
    reference: 'fgets(3)',
    *check(conf) {
      for (const line of conf.file.lines)
        if (line.raw.includes('\0')) yield { at: line, message: 'a NUL byte cuts the line' }
    },
    bad: sample('realm=example\0.org\n'),
    good: sample('realm=example.org\n'),
  },
  {
    id: 'continued-line',
    severity: 'error',
    why: 'A backslash joins no lines: it belongs to the value, and the next line stands alone.',
    fix: 'write it in one line',
    reference: 'coturn read_config_file()',
    *check(conf) {
      for (const line of settings(conf))
        if (/\\$/.test(line.value)) yield { at: line, message: `${shown(line)} ends with a backslash` }
    },
    bad: sample('cipher-list=ECDHE+AESGCM:\\\n  DHE+AESGCM\n'),
    good: sample('cipher-list=ECDHE+AESGCM:DHE+AESGCM\n'),
  },
  {
    id: 'variable',
    severity: 'error',
    why: 'coturn expands no variables: the dollar sign belongs to the value.',
    fix: 'fill the value in when the file is written (envsubst)',
    reference: 'coturn read_config_file()',
    *check(conf) {
      for (const line of settings(conf))
        if (/\$\{\w+[^}]*\}|^\$[A-Z_]{2,}$|\{\{.*\}\}/.test(line.value))
          yield { at: line, message: `${shown(line)} holds a variable, unexpanded` }
    },
    bad: sample('external-ip=${EXTERNAL_IP}\n'),
    good: sample('external-ip=203.0.113.10\n'),
  },
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
          yield { at, message: `${at.spec.name} is on in spite of "${at.value}"` }
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
          yield { at, message: `${at.spec.name} is "${at.value}", no boolean: coturn ends` }
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
      for (const word of conf.command?.strays ?? []) yield { message: `"${word.slice(0, 40)}" is ignored` }
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
