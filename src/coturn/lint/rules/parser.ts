/** Lines that coturn reads otherwise than they look. */
import { nearest } from '../../../core/index.ts'
import type { Conf } from '../../conf.ts'
import { findOption, findShort, optionNames } from '../../options/table.ts'
import type { SettingLine } from '../../parse.ts'
import type { Rule } from '../rule.ts'
import { rewrite, sample } from '../problems.ts'

const settings = (conf: Conf): SettingLine[] => conf.file.lines.filter((line) => line.kind === 'setting')
const unknown = (conf: Conf): SettingLine[] => settings(conf).filter(({ name }) => findOption(name) === undefined)

const bom = '\ufeff'
const beforeColon = (name: string): string => name.split(':', 1)[0] ?? ''
const isDashed = ({ name }: SettingLine): boolean => name.startsWith('-')
const isLetter = ({ name }: SettingLine): boolean => /^[A-Za-z]$/.test(name)
/** `realm:`, and `realm:example.org` without a blank. */
const hasColon = ({ name }: SettingLine): boolean =>
  name.endsWith(':') || (name.includes(':') && findOption(beforeColon(name)) !== undefined)
const isSpelling = (line: SettingLine): boolean =>
  !isDashed(line) && !isLetter(line) && !hasColon(line) && !line.name.startsWith(bom) && !line.continued

/** `listening_port` and `Listening-Port` can only be listening-port. */
const plain = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[_.]/g, '-')
    .replace(/[:;,]+$/, '')
const byPlainName: ReadonlyMap<string, string> = new Map(
  // The first of equals stays: verbose, not Verbose.
  optionNames.toReversed().map((name) => [plain(name), name]),
)
const sameName = (name: string): string | undefined => byPlainName.get(plain(name))

/** The option that `-r` or `--realm` stands for. */
const dashedName = (name: string): string | undefined =>
  name.startsWith('--') ? findOption(name.slice(2))?.name : findShort(name.slice(1))?.name

/** A file with more unknown names is no turnserver.conf, and each guess takes a third of a millisecond. */
const mostGuesses = 100

/** What stands behind a colon may be a secret. */
const shown = ({ name }: SettingLine): string => {
  const first = beforeColon(name)
  return first.length > 40 ? `${first.slice(0, 40)}…` : first
}

export const parserRules: readonly Rule[] = [
  {
    id: 'unknown-option',
    severity: 'error',
    why: 'coturn logs “Bad configuration format” and goes on without the line.',
    fix: 'mend the name, or remove the line',
    reference: 'turnserver(1)',
    *check(conf) {
      for (const [index, line] of unknown(conf).filter(isSpelling).entries()) {
        const same = sameName(line.name)
        const meant = same ?? (index < mostGuesses ? nearest(shown(line), optionNames) : undefined)
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
        const name = line.name.endsWith(':') ? findOption(line.name.slice(0, -1))?.name : undefined
        yield {
          at: line,
          message: `a colon stands behind ${shown(line)}`,
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
        if (line.value.endsWith('\\')) yield { at: line, message: `${shown(line)} ends with a backslash` }
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
]
