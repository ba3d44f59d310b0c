import { describe, expect, test } from 'vitest'
import { importsOf, stripped } from './source.ts'

describe('stripped', () => {
  test.each([
    ['a // b\nc', 'a     \nc'],
    ['a /* b\n */ c', 'a     \n    c'],
    [`x = 'it''s // no' + y`, `x =     ${' '.repeat(9)} + y`],
    ['x = /[/"]/.test(y) // z', 'x =       .test(y)     '],
    ['a / b / c', 'a / b / c'],
    ['`a ${b + `c ${d}` + "e"} f` + g', '     b +      d   +         + g'],
    ['`${ {a: 1}.a } b`', '    {a: 1}.a     '],
    ["'\\'' + a", '     + a'],
  ])('%s', (text, expected) => {
    expect(stripped(text, 'blank')).toBe(expected)
    expect(stripped(text, 'keep')).toHaveLength(text.length)
  })
})

describe('importsOf', () => {
  test.each([
    [`import a from 'x'`, 'x', { names: [] }],
    [`import './x.ts'`, './x.ts', { names: [] }],
    [`import { a, type B, c as d } from "./x.ts"`, './x.ts', { names: ['a', 'B', 'c'] }],
    [`import {\n  a,\n} from './x.ts'`, './x.ts', { names: ['a'] }],
    [`import type { A } from './x.ts'`, './x.ts', { typeOnly: true, names: ['A'] }],
    [`import { type A } from './x.ts'`, './x.ts', { typeOnly: true, names: ['A'] }],
    [`import * as a from 'x'`, 'x', { names: [] }],
    [`export * from './x.ts'`, './x.ts', { names: [] }],
    [`export type { A } from './x.ts'`, './x.ts', { typeOnly: true, names: ['A'] }],
    [`const a = await import('x')`, 'x', { dynamic: true, names: [] }],
    [`let a: import('x').A`, 'x', { dynamic: true, typeOnly: true, names: [] }],
    [`let a: typeof import('x')`, 'x', { dynamic: true, typeOnly: true, names: [] }],
    [`await import(name)`, '(computed)', { dynamic: true, names: [] }],
  ])('%s', (text, specifier, rest) => {
    expect(importsOf(text)).toEqual([{ specifier, typeOnly: false, dynamic: false, ...rest }])
  })

  test.each([
    `// import a from 'x'`,
    `/** import('x') */`,
    `export const a = 'x'`,
    `export const from = 'x'`,
    `const a = "import b from 'x'"`,
    'const a = `import("x")`',
    `export function a(): string { return 'x' }`,
    `export type A = 'x' | 'y'`,
  ])('finds none in %s', (text) => expect(importsOf(text)).toEqual([]))

  test('finds each of several', () => {
    const text = `import { a } from 'x'\nimport b from './y.ts'\nexport { c } from './z.ts'\nexport const d = 'w'\n`
    expect(importsOf(text).map((found) => found.specifier)).toEqual(['x', './y.ts', './z.ts'])
  })
})
