/** The file as coturn reads it, kept to the byte. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Conf } from '../../src/coturn/conf.ts'
import { parseCommand, shellWords } from '../../src/coturn/command.ts'
import { fix, lint } from '../../src/coturn/lint/lint.ts'
import { isFlag } from '../../src/coturn/options/spec.ts'
import { optionTable } from '../../src/coturn/options/table.ts'
import { type ConfFile, parseConf, renderConf, type SettingLine, settingLine } from '../../src/coturn/parse.ts'
import { covers, formatRange, parseCidr, parseRange } from '../../src/coturn/ranges.ts'

const settings = ({ lines }: ConfFile): SettingLine[] => lines.filter((line) => line.kind === 'setting')
const read = (text: string): string[][] => settings(parseConf(text)).map(({ name, value }) => [name, value])

describe('a line', () => {
  test.each([
    ['realm=example.org', [['realm', 'example.org']]],
    ['realm example.org', [['realm', 'example.org']]],
    ['  realm \t = = example.org  ', [['realm', 'example.org']]],
    ['realm', [['realm', '']]],
    ['realm=', [['realm', '']]],
    ['realm=example.org # ours', [['realm', 'example.org # ours']]],
    ['# realm=example.org', []],
    ['   # realm', []],
    [' \t\r\n\n', []],
    ['realm="example.org"', [['realm', 'example.org']]],
    ['realm="example.org', [['realm', 'example.org']]],
    ['realm=" example.org " ', [['realm', ' example.org ']]],
    ['realm=example.org"', [['realm', 'example.org"']]],
    ["realm='example.org'", [['realm', "'example.org'"]]],
    ['user=alice:pass#word=x', [['user', 'alice:pass#word=x']]],
    [
      'realm=a\r\nrealm=b\nrealm=c',
      [
        ['realm', 'a'],
        ['realm', 'b'],
        ['realm', 'c'],
      ],
    ],
    ['realm=a\rrealm=b', [['realm', 'a\rrealm=b']]],
    [
      'realm=a\0b\nrealm=c',
      [
        ['realm', 'a'],
        ['realm', 'c'],
      ],
    ],
    ['=5', [['', '5']]],
    ['\ufeffrealm=a', [['\ufeffrealm', 'a']]],
  ])('%j', (text, expected) => expect(read(text)).toEqual(expected))

  test('longer than 1023 bytes is two', () => {
    const [first, second, ...rest] = settings(parseConf(`realm=${'x'.repeat(1017)}no-udp\nverbose`))
    expect([first?.name, first?.value.length, first?.continued]).toEqual(['realm', 1017, false])
    expect([second?.name, second?.number, second?.continued]).toEqual(['no-udp', 1, true])
    expect(rest.map(({ name, number }) => [name, number])).toEqual([['verbose', 2]])
    expect(settings(parseConf(`realm=${'ü'.repeat(508)}\n`)).length).toBe(1)
    expect(settings(parseConf(`realm=${'ü'.repeat(509)}\n`)).length).toBe(2)
  })
})

/** Text with everything that is special to the parser. */
const confText = fc
  .array(
    fc.oneof(
      fc.constantFrom('realm', 'listening-port', '=', ' ', '\t', '"', '#', '\n', '\r\n', '\r', '\0', ';', '\ufeff'),
      fc.string({ unit: 'binary' }),
      fc.integer({ min: 1000, max: 1050 }).map((length) => 'x'.repeat(length)),
    ),
  )
  .map((parts) => parts.join(''))

describe('properties', () => {
  test('render(parse(text)) = text', () => {
    fc.assert(
      fc.property(confText, (text) => renderConf(parseConf(text)) === text),
      { seed: 1, numRuns: 500 },
    )
  })

  test('parse(render(settings)) = settings', () => {
    const spec = fc.constantFrom(...optionTable)
    const setting = fc.tuple(spec, fc.string({ unit: 'binary', maxLength: 300 })).map(([{ name, ...rest }, value]) => ({
      name,
      value: isFlag({ name, ...rest }) ? '' : value,
    }))
    fc.assert(
      fc.property(fc.array(setting, { maxLength: 30 }), fc.constantFrom('\n', '\r\n'), (model, end) => {
        const lines = model.map((each) => ({ each, line: settingLine(each) })).filter(({ line }) => line !== undefined)
        const back = settings(parseConf(lines.map(({ line }) => `${line}${end}`).join('')))
        expect(back.map(({ name, value }) => ({ name, value }))).toEqual(lines.map(({ each }) => each))
      }),
      { seed: 2, numRuns: 300 },
    )
  })

  test('arbitrary text is linted and fixed without an exception, and fixing again changes nothing', () => {
    fc.assert(
      fc.property(confText, fc.constantFrom('4.5.0', '4.6.1', '4.9.0', '4.17.2'), (text, version) => {
        for (const { line } of lint({ text, version })) {
          if (line !== undefined) expect(line).toBeLessThanOrEqual(text.split('\n').length)
        }
        const once = fix({ text, version }).text
        expect(fix({ text: once, version }).text).toBe(once)
      }),
      { seed: 3, numRuns: 30 },
    )
  })

  test('arbitrary command lines too', () => {
    const word = fc.oneof(fc.constantFrom('docker', 'run', '-p', '--', '-', '-r', "'", '"', '\\', '$('), fc.string())
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const command = words.join(' ')
        expect(parseCommand(command, '4.6.1').words.length).toBeLessThanOrEqual(shellWords(command).length)
        lint({ text: '', version: '4.6.1', command })
      }),
      { seed: 4, numRuns: 300 },
    )
  })
})

describe('a command line', () => {
  test('as getopt_long reads it', () => {
    const {
      settings: found,
      strays,
      file,
    } = parseCommand(
      `/usr/bin/turnserver -vo -a -r example.org -c /etc/t.conf --user=alice:x --min-p 5000 --stale-nonce 600 --nope "a b"`,
      '4.6.1',
    )
    expect(found.map(({ written, spec, value }) => [written, spec?.name, value])).toEqual([
      ['-v', 'verbose', ''],
      ['-o', 'daemon', ''],
      ['-a', 'lt-cred-mech', ''],
      ['-r', 'realm', 'example.org'],
      ['--user', 'user', 'alice:x'],
      ['--min-p', 'min-port', '5000'],
      ['--stale-nonce', 'stale-nonce', ''],
      ['--nope', undefined, ''],
    ])
    expect(strays).toEqual(['600', 'a b'])
    expect(file).toBe('/etc/t.conf')
  })

  test('of docker', () => {
    const { container, words } = parseCommand(
      'docker run -d --name turn -p 3478:3478/udp -p 0.0.0.0:5000-5010:5000-5010/udp coturn/coturn -n --realm=x',
      '4.17.2',
    )
    expect(container?.hostNetwork).toBe(false)
    expect(container?.published).toEqual([
      { protocol: 'udp', min: 3478, max: 3478, inside: 3478 },
      { protocol: 'udp', min: 5000, max: 5010, inside: 5000 },
    ])
    expect(words).toEqual(['-n', '--realm=x'])
  })

  test('beats the file, but for users and lists, which add up', () => {
    const file = parseConf('realm=a\nuser=x:1\nverbose\n')
    const conf = new Conf(file, '4.6.1', parseCommand('turnserver -r b -u y:2', '4.6.1'))
    expect(conf.value('realm')).toBe('b')
    expect(conf.all('user').map(({ value }) => value)).toEqual(['x:1', 'y:2'])
    expect(new Conf(file, '4.6.1', parseCommand('turnserver -n', '4.6.1')).settings).toEqual([])
  })
})

describe('ranges', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0-10.255.255.255'],
    ['192.0.2.7/24', '192.0.2.0-192.0.2.255'],
    ['::1/128', '::1'],
    ['fe80::/10', 'fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['0.0.0.0/0', '0.0.0.0-255.255.255.255'],
  ])('%s is %s', (cidr, text) => {
    const range = parseCidr(cidr)
    expect(range && formatRange(range)).toBe(text)
    expect(parseRange(text)).toEqual(range)
  })

  test.each([
    '10.0.0.0/33',
    '10.0.0.0-9.0.0.0',
    '10.0.0.0-::1',
    '10.0.0.0-10.0.0.1-10.0.0.2',
    'host',
    '',
    'fe80::1%eth0',
  ])('%s is none', (text) => expect(parseRange(text) ?? parseCidr(text)).toBeUndefined())

  test('several cover one together, without a gap', () => {
    const [whole, low, high, rest] = ['10.0.0.0/8', '10.0.0.0/9', '10.128.0.0/10', '10.192.0.0/10'].map(parseCidr)
    if (!whole || !low || !high || !rest) throw new Error('a CIDR is none')
    expect(covers([high, low, rest], whole)).toBe(true)
    expect(covers([rest, low], whole)).toBe(false)
    expect(covers([], whole)).toBe(false)
  })
})
