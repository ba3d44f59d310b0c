/** The table of options against the two eras' own lists. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { findOption, findShort, optionNames, optionTable } from '../../src/coturn/options/table.ts'
import { isKnownIn } from '../../src/coturn/options/spec.ts'
import { compareVersions, isBefore, parseVersion } from '../../src/coturn/version.ts'
import { helpOptions } from './help.ts'

const help = (version: string): ReturnType<typeof helpOptions> =>
  helpOptions(readFileSync(new URL(`fixtures/help-${version}.txt`, import.meta.url), 'utf8'))

/** In the program, but not in its help. */
const unlisted: Readonly<Record<string, readonly string[]>> = {
  '4.6.1': [
    'no-sslv2',
    'no-sslv3',
    'prod',
    'secret-ts-exp-time',
    // Only in builds with these libraries.
    'mongo-userdb',
    'prometheus',
    'prometheus-port',
    'prometheus-username-labels',
  ],
  '4.17.1': [
    'log-min-level',
    'mongo-userdb',
    'mysql-userdb',
    'no-cli',
    'prometheus',
    'prometheus-address',
    'prometheus-cert',
    'prometheus-key',
    'prometheus-path',
    'prometheus-port',
    'prometheus-tls',
    'prometheus-username-labels',
    'raw-public-keys',
    'redis-statsdb',
    'redis-userdb',
    'response-origin-only-with-rfc5780',
    'secret-key-file',
  ],
}

describe.each(['4.6.1', '4.17.1'])('coturn %s', (version) => {
  test('every option of its help is in the table, known in this version, with its letter', () => {
    const options = help(version)
    expect(options.length).toBeGreaterThan(100)
    for (const { names, short } of options) {
      for (const name of names) {
        const spec = findOption(name)
        expect(spec, name).toBeDefined()
        if (!spec) continue
        expect(isKnownIn(spec, version), name).toBe(true)
        expect(spec.short, name).toBe(short)
      }
    }
  })

  test('and the table knows no other, but for those that the help leaves out', () => {
    const listed = new Set(help(version).flatMap(({ names }) => names))
    const others = optionTable.filter((spec) => isKnownIn(spec, version) && !listed.has(spec.name))
    expect(others.map(({ name }) => name).toSorted()).toEqual((unlisted[version] ?? []).toSorted())
  })
})

describe('the table', () => {
  test('says of each option what it is, in a line', () => {
    expect(optionTable.length).toBeGreaterThan(143)
    expect(new Set(optionNames).size).toBe(optionNames.length)
    for (const { name, doc, since, removed, obsolete, type, words } of optionTable) {
      expect(doc, name).toMatch(/^[A-Z].{5,110}\.$/)
      if (since && removed) expect(isBefore(since, removed), name).toBe(true)
      if (obsolete) expect(obsolete.instead, name).toMatch(/^(?:leave it out|write )/)
      expect(type === 'word', name).toBe(words !== undefined)
    }
  })

  test('finds by name, alias and letter; case counts', () => {
    expect(findOption('db')?.name).toBe('userdb')
    expect(findShort('v')?.name).toBe('verbose')
    expect(findShort('V')?.name).toBe('Verbose')
    expect(findOption('ca-file')).toBeUndefined()
    expect(findOption('constructor')).toBeUndefined()
  })
})

describe('versions', () => {
  test.each([
    ['4.6.1', '4.6.1'],
    ['v4.17', '4.17'],
    ["Coturn-4.5.1.3 'dan Eider'", '4.5.1.3'],
    ['4.6.1-2', '4.6.1'],
    ['4.18.3', '4.18.3'],
    ['5.0.0', undefined],
    ['4.19', undefined],
    ['3.2', undefined],
    ['4', undefined],
    ['latest', undefined],
    ['', undefined],
  ])('%j', (text, version) => expect(parseVersion(text)).toBe(version))

  test('in order', () => {
    expect(['4.17.2', '4.6.1', '4.5.1.3', '4.17', '4.6.10'].toSorted(compareVersions)).toEqual([
      '4.5.1.3',
      '4.6.1',
      '4.6.10',
      '4.17',
      '4.17.2',
    ])
  })
})
