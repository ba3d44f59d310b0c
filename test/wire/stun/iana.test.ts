/** The constants against the registries of iana.org/assignments/stun-parameters. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  attributeName,
  attributeNames,
  comprehended,
  errorReason,
  errorReasons,
  Method,
  methodName,
} from '../../../src/wire/index.ts'
import { codecs } from '../codecs.ts'

/** Assigned values; of reserved ones the name they had before, if any. Ranges are never assigned. */
function registry(table: number): { assigned: Map<number, string>; formerly: Map<number, string> } {
  const csv = readFileSync(new URL(`../../vectors/iana-stun-parameters-${table}.csv`, import.meta.url), 'utf8')
  const assigned = new Map<number, string>()
  const formerly = new Map<number, string>()
  for (const line of csv.split('\n')) {
    const [, value, name] = /^(0x[0-9A-F]+|\d+),([^",]*),/.exec(line) ?? []
    if (value === undefined || name === undefined || name === 'Unassigned') continue
    const former = /^Reserved(?:; was (\S+)| \(was (\S+)\))?/.exec(name)
    if (!former) assigned.set(Number(value), name)
    else if (former[1]) formerly.set(Number(value), former[1])
  }
  return { assigned, formerly }
}

const methods = registry(2)
const attributes = registry(4)
const errors = registry(6)

/** What natcheck knows beyond the registry. */
const unregistered = new Map([
  [0x8020, 'XOR-MAPPED-ADDRESS (draft)'],
  [0xff05, 'LOGGING-ID'],
])

test('the tables were read', () => {
  expect([methods.assigned.size, attributes.assigned.size, errors.assigned.size]).toEqual([10, 57, 18])
})

test('methods', () => {
  const ours = new Map(Object.values(Method).map((method) => [method, methodName(method)]))
  expect(ours).toEqual(new Map([...methods.assigned, ...methods.formerly]))
  for (const [name, method] of Object.entries(Method)) expect(methodName(method).toLowerCase()).toBe(name.toLowerCase())
  expect(methodName(0x123)).toBe('0x123')
})

test('attributes: every assigned one, those of RFC 3489, and two more', () => {
  expect(new Map(attributeNames)).toEqual(new Map([...attributes.assigned, ...attributes.formerly, ...unregistered]))
  expect(attributeName(0x7ffe)).toBe('0x7ffe')
})

test('error codes and their reasons', () => {
  expect(new Map(errorReasons)).toEqual(errors.assigned)
  expect(errorReason(438)).toBe('Stale Nonce')
  expect(errorReason(499)).toBe('')
})

test('every codec has the name and number of the registry and is exported under that name', () => {
  const exceptions = new Map([
    ['ECN-CHECK STUN', 'ecnCheck'],
    ['XOR-MAPPED-ADDRESS (draft)', 'draftXorMappedAddress'],
  ])
  for (const [exportName, { name, type }] of codecs) {
    expect(attributeNames.get(type)).toBe(name)
    const camelCase = name.toLowerCase().replace(/[-_](.)/g, (_, letter: string) => letter.toUpperCase())
    expect(exportName).toBe(exceptions.get(name) ?? camelCase)
  }
})

test('what counts as comprehended is what there is a codec for', () => {
  const types = [...codecs.values()].map(({ type }) => type).filter((type) => type < 0x8000)
  expect([...comprehended].toSorted((a, b) => a - b)).toEqual(types.toSorted((a, b) => a - b))
})
