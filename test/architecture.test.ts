/** The rules that keep natcheck's code apart where it must be apart. Each failure says which rule broke and why it exists. */
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { describe, expect, test } from 'vitest'
import { importsOf, stripped } from './source.ts'

const root = resolve(import.meta.dirname, '..')

/** Which folders of src a folder may import besides itself, and why not the others. */
const folders: Readonly<Record<string, { readonly mayImport: readonly string[]; readonly why: string }>> = {
  core: { mayImport: [], why: 'everything stands on core, so core stands on nothing' },
  wire: { mayImport: ['core'], why: 'a codec turns bytes into values and back, and knows no protocol' },
  proto: { mayImport: ['core', 'wire'], why: 'protocols take bytes, an address and a time, and return effects' },
  transport: { mayImport: ['core', 'wire', 'proto'], why: 'adapters of the ports know nothing of who uses them' },
  probe: {
    mayImport: ['core', 'wire', 'proto'],
    why: 'a probe sees only the ports in core: cli binds them to transport, tests to lab',
  },
  relay: {
    mayImport: ['core', 'wire', 'proto', 'coturn'],
    why: 'a relay sees only the ports in core: cli binds them to transport, tests to lab',
  },
  lab: { mayImport: ['core', 'wire', 'proto'], why: 'the lab imitates networks for whoever runs on it' },
  coturn: { mayImport: ['core'], why: 'turnserver.conf is text; live checks are composed in cli and dashboard' },
  deploy: { mayImport: ['core', 'coturn'], why: 'deployments are text; live checks are composed in cli and dashboard' },
  report: {
    mayImport: ['core', 'wire', 'proto', 'probe', 'relay'],
    why: 'a report is made of results alone, so that a saved one reads the same again: no sockets, no lab',
  },
  dashboard: {
    mayImport: ['core', 'wire', 'proto', 'transport', 'probe', 'relay', 'lab', 'coturn', 'deploy', 'report'],
    why: 'the dashboard composes the rest, and the command line starts it',
  },
  cli: {
    mayImport: [
      'core',
      'wire',
      'proto',
      'transport',
      'probe',
      'relay',
      'lab',
      'coturn',
      'deploy',
      'report',
      'dashboard',
    ],
    why: 'the composition root',
  },
}

const socketModules = ['node:dgram', 'node:net', 'node:tls', 'node:dns', 'node:dns/promises']
/** Pure functions that happen to live in node:net. */
const pureNames: Readonly<Record<string, readonly string[]>> = {
  'src/core/ip.ts': ['BlockList', 'isIP', 'isIPv4', 'isIPv6'],
}
/** All that these folders may import from Node; other folders may import anything that is not a socket. */
const builtins: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: ['node:crypto'],
  proto: ['node:crypto'],
  probe: ['node:crypto'],
  coturn: ['node:crypto'],
  report: [],
}

/** `new Date(x)` prints a time that was handed in; `new Date()` reads the clock. */
const ownTime: readonly RegExp[] = [
  /\bDate\.now\b/,
  /\bnew Date\b(?!\s*\(\s*\w)/,
  /\bperformance\.now\b/,
  /\bhrtime\b/,
  /\bset(?:Timeout|Interval)\b/,
]
const ownChance: readonly RegExp[] = [
  /\bMath\.random\b/,
  /\brandom(?:Bytes|Int|UUID|FillSync)\b/,
  /\bgetRandomValues\b/,
]
const ownProcess: readonly RegExp[] = [/\bprocess\b\s*[.[]/, /\bglobalThis\b/]
const pure: readonly RegExp[] = [...ownTime, ...ownChance, ...ownProcess, /\bnew Date\b/, /\bsetImmediate\b/]
/** What a folder's code must be handed instead of taking it for itself. */
const forbidden: Readonly<Record<string, readonly RegExp[]>> = {
  core: pure,
  wire: pure,
  proto: pure,
  probe: [...ownTime, ...ownChance, ...ownProcess],
  coturn: [...ownTime, ...ownChance, ...ownProcess],
  report: [...ownTime, ...ownChance, ...ownProcess],
  lab: [...ownTime, ...ownChance],
}
/** The lab's NAT on a real TUN device runs in real time. */
const realTime = /^src\/lab\/tun\//

interface Source {
  readonly path: string
  readonly folder: string
  readonly text: string
}

const slashes = (path: string): string => path.split(sep).join('/')

function filesUnder(directory: string, skip: ReadonlySet<string>): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = slashes(join(directory, entry.name))
    if (skip.has(entry.name)) return []
    return entry.isDirectory() ? filesUnder(path, skip) : entry.isFile() ? [path] : []
  })
}

const sources: readonly Source[] = filesUnder('src', new Set())
  .filter((path) => /\.tsx?$/.test(path))
  .map((path) => ({
    path,
    folder: path.split('/').length > 2 ? (path.split('/')[1] ?? '') : '',
    text: readFileSync(join(root, path), 'utf8'),
  }))

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
  optionalDependencies: Record<string, string>
  devDependencies: Record<string, string>
}

/** The page is built, with what it imports, when the package is: its packages are never installed beside ours. */
const isPage = (path: string): boolean => path.startsWith('src/dashboard/web/')

/** Every line is one offence; none is what we want. */
const offences = (find: (source: Source) => readonly string[]): string[] =>
  sources.flatMap((source) => find(source).map((what) => `${source.path}: ${what}`))

describe('imports', () => {
  test('the test reads the sources', () => {
    expect(sources.length).toBeGreaterThan(8)
    const core = sources.find(({ path }) => path === 'src/core/address.ts')
    expect(importsOf(core?.text ?? '').map(({ specifier }) => specifier)).toContain('./ip.ts')
  })

  test('every folder of src has its place in the order', () => {
    expect(
      offences(({ folder, path }) => (folder in folders || path === 'src/index.ts' ? [] : ['in no known folder'])),
    ).toEqual([])
  })

  test('point only in the direction core ← wire ← proto ← {transport, probe, relay, lab} ← report ← {dashboard, cli}', () => {
    expect(offences(wrongDirection)).toEqual([])
  })

  test('only src/transport opens sockets, so that everything else runs on the virtual network too', () => {
    expect(offences(wrongBuiltin)).toEqual([])
  })

  test('only declared packages are imported, optional ones only where they are used', () => {
    expect(offences(wrongPackage)).toEqual([])
  })
})

function wrongDirection({ path, folder, text }: Source): string[] {
  const rule = folders[folder]
  return importsOf(text).flatMap(({ specifier }) => {
    if (!specifier.startsWith('.')) return []
    const target = slashes(relative(root, resolve(root, dirname(path), specifier)))
    if (!/\.(?:tsx?|json)$/.test(specifier)) return [`imports ${specifier} without its extension`]
    if (target === 'src/index.ts') return ['imports src/index.ts, the barrel for users; import the file itself']
    if (!rule) return []
    if (!target.startsWith('src/'))
      return target === 'package.json' && folder === 'cli' ? [] : [`imports ${target}, outside src`]
    const to = target.split('/')[1] ?? ''
    if (to === folder || rule.mayImport.includes(to)) return []
    return [`imports ${to} (${specifier}); ${folder} may import ${rule.mayImport.join(', ') || 'nothing'}: ${rule.why}`]
  })
}

function wrongBuiltin({ path, folder, text }: Source): string[] {
  return importsOf(text).flatMap(({ specifier, names, typeOnly }) => {
    if (builtinModules.includes(specifier)) return [`imports ${specifier}: write node:${specifier}`]
    if (!specifier.startsWith('node:') || folder === 'transport') return []
    const harmless = pureNames[path] ?? []
    if (specifier === 'node:net' && names.length > 0 && names.every((name) => harmless.includes(name))) return []
    if (socketModules.includes(specifier)) return [`imports ${specifier}: go through a port of src/core/ports.ts`]
    const allowed = builtins[folder]
    if (!allowed || allowed.includes(specifier) || typeOnly) return []
    return [`imports ${specifier}: ${folder} is handed what it needs from the machine, through ports or arguments`]
  })
}

function wrongPackage({ path, text }: Source): string[] {
  return importsOf(text).flatMap(({ specifier, dynamic, typeOnly }) => {
    if (specifier === '(computed)') return ['import() of a computed name, which nobody can check']
    if (/^(?:\.|node:)/.test(specifier)) return []
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
    if (name in (isPage(path) ? manifest.devDependencies : manifest.dependencies)) return []
    if (!(name in manifest.optionalDependencies)) return [`imports ${name}, which package.json does not declare`]
    return dynamic || typeOnly ? [] : [`imports ${name} statically, but it is optional: await import('${name}')`]
  })
}

describe('what code takes for itself', () => {
  test('time, chance and the process are handed in, so that every run in the lab can be repeated', () => {
    expect(offences(wrongGlobals)).toEqual([])
  })
})

function wrongGlobals({ path, folder, text }: Source): string[] {
  const rules = realTime.test(path) ? [] : (forbidden[folder] ?? [])
  const lines = stripped(text, 'blank').split('\n')
  return lines.flatMap((line, index) =>
    rules.flatMap((rule) => {
      const found = rule.exec(line)?.[0]
      return found ? [`line ${index + 1}: ${found}: take a Clock, a Random or an argument instead`] : []
    }),
  )
}

describe('files', () => {
  test('have one purpose each: at most 450 lines', () => {
    expect(offences(tooLong)).toEqual([])
  })

  test('hold no invisible characters', () => {
    expect(offences(invisible)).toEqual([])
  })
})

function tooLong({ text }: Source): string[] {
  const lines = text.split('\n').length - 1
  return lines > 450 ? [`${lines} lines: split it by purpose`] : []
}

function invisible({ text }: Source): string[] {
  return text.split('\n').flatMap((line, index) => {
    const found = /[\p{Cc}\p{Cf}\u00a0\u2028\u2029]/u.exec(line)?.[0]
    return found ? [`line ${index + 1}: U+${found.charCodeAt(0).toString(16).padStart(4, '0')}: write an escape`] : []
  })
}

const source = (path: string, text: string): Source => ({ path, folder: path.split('/')[1] ?? '', text })

describe('each rule catches what it is for', () => {
  test.each([
    ['src/core/a.ts', `import { a } from '../wire/a.ts'`, 'core may import nothing'],
    ['src/wire/a.ts', `export * from '../proto/a.ts'`, 'wire may import core:'],
    ['src/proto/stun/a.ts', `import type { A } from '../../transport/a.ts'`, 'proto may import core, wire:'],
    ['src/probe/a.ts', `const a = await import('../transport/a.ts')`, 'a probe sees only the ports'],
    ['src/probe/a.ts', `import { a } from '../relay/a.ts'`, 'a probe sees only the ports'],
    ['src/relay/a.ts', `import { a } from '../transport/a.ts'`, 'a relay sees only the ports'],
    ['src/report/a.ts', `import { a } from '../cli/a.ts'`, 'a report is made of results'],
    ['src/dashboard/a.ts', `import { a } from '../cli/a.ts'`, 'the command line starts it'],
    ['src/cli/a.ts', `import { a } from '../index.ts'`, 'the barrel for users'],
    ['src/cli/a.ts', `import { a } from '../core/ip'`, 'without its extension'],
    ['src/cli/a.ts', `import { a } from '../../test/source.ts'`, 'outside src'],
  ])('direction: %s: %s', (path, text, why) => {
    expect(wrongDirection(source(path, text))).toEqual([expect.stringContaining(why)])
  })

  test.each([
    ['src/probe/a.ts', `import { createSocket } from 'node:dgram'`, 'go through a port'],
    ['src/cli/a.ts', `import { lookup } from 'node:dns/promises'`, 'go through a port'],
    ['src/core/ip.ts', `import { connect, isIPv4 } from 'node:net'`, 'go through a port'],
    ['src/core/ip.ts', `import net from 'node:net'`, 'go through a port'],
    ['src/core/address.ts', `import { isIPv4 } from 'node:net'`, 'go through a port'],
    ['src/wire/a.ts', `import { readFileSync } from 'node:fs'`, 'is handed what it needs'],
    ['src/transport/a.ts', `import { createSocket } from 'dgram'`, 'write node:dgram'],
  ])('sockets: %s: %s', (path, text, why) => {
    expect(wrongBuiltin(source(path, text))).toEqual([expect.stringContaining(why)])
  })

  test.each([
    [`import a from 'left-pad'`, 'does not declare'],
    [`import a from '@scope/left-pad/deep'`, 'imports @scope/left-pad,'],
    [`import koffi from 'koffi'`, 'it is optional'],
    [`await import(name)`, 'nobody can check'],
  ])('packages: %s', (text, why) => {
    expect(wrongPackage(source('src/lab/a.ts', text))).toEqual([expect.stringContaining(why)])
  })

  test.each([
    ['src/proto/a.ts', 'const a = Date.now()'],
    ['src/core/a.ts', 'const a = new Date(0)'],
    ['src/report/a.ts', 'const a = new Date()'],
    ['src/wire/a.ts', 'const a = Math.random()'],
    ['src/probe/a.ts', `const a = process.env['A']`],
    ['src/lab/a.ts', 'const a = `${setTimeout(b, 1)}`'],
    ['src/proto/a.ts', `import { randomBytes } from 'node:crypto'`],
  ])('globals: %s: %s', (path, text) => {
    expect(wrongGlobals(source(path, text))).toEqual([expect.stringContaining('line 1: ')])
  })

  test.each([
    ['src/proto/a.ts', '// Date.now() would be wrong here'],
    ['src/report/a.ts', 'const a = new Date(at).toISOString()'],
    ['src/lab/tun/a.ts', 'setTimeout(a, 1)'],
    ['src/transport/a.ts', 'setTimeout(a, 1)'],
  ])('globals, allowed: %s: %s', (path, text) => {
    expect(wrongGlobals(source(path, text))).toEqual([])
  })

  test('length and characters', () => {
    expect(tooLong(source('src/core/a.ts', '\n'.repeat(450)))).toEqual([])
    expect(tooLong(source('src/core/a.ts', '\n'.repeat(451)))).toEqual(['451 lines: split it by purpose'])
    expect(invisible(source('src/core/a.ts', '// §5.1 → ✓ ′\nconst a = 1\u200b'))).toEqual([
      'line 2: U+200b: write an escape',
    ])
  })
})

describe('the repository stands on its own', () => {
  const all = filesUnder('.', new Set(['node_modules', 'dist', 'coverage', '.git']))

  test('the lockfile leaves the registry to whoever installs', () => {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version?: string; integrity?: string; resolved?: string }>
    }
    const packages = Object.entries(lock.packages).filter(([path]) => path !== '')
    expect(packages.length).toBeGreaterThan(100)
    expect(packages.filter(([, { integrity }]) => !integrity).map(([path]) => path)).toEqual([])
    expect(packages.filter(([, { resolved }]) => resolved).map(([path]) => path)).toEqual([])
    expect(
      Object.entries({ ...manifest.dependencies, ...manifest.optionalDependencies }).filter(([, range]) =>
        range.includes('/'),
      ),
    ).toEqual([])
  })

  test('no file names a place that exists only on one machine', () => {
    // Written in parts, or this file would name them.
    const places = [
      ['', 'work', ''].join('/'),
      ['.lib', 'rary'].join(''),
      ['..', 'shared', 'reference'].join('/'),
      ['..', 'shared', 'design'].join('/'),
    ]
    expect(all).toContain('package.json')
    expect(
      all.flatMap((path) => {
        const text = readFileSync(join(root, path), 'latin1')
        return places
          .filter((place) => text.includes(place))
          .map((place) => `${path} names ${place}: copy what is needed into test/`)
      }),
    ).toEqual([])
  })
})
