import { Check, Errors } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import { errorReport, type NatReport } from '../../src/report/index.ts'
import { natReportSchema } from '../../src/report/schema.ts'
import { blocked, natObservations, noIpv6, reportOf, silent, startedAt } from './observed.ts'

const behaviours = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const
const problems = (report: unknown) => Errors(natReportSchema, JSON.parse(JSON.stringify(report)))

describe('every kind of report keeps to the published schema', () => {
  test.each(['none', ...behaviours] as const)('mapping %s', (mapping) => {
    for (const filtering of behaviours)
      expect(problems(reportOf(natObservations({ mapping, filtering }), noIpv6()))).toEqual([])
  })

  test('blocked, silent and error', () => {
    for (const report of [
      reportOf(blocked()),
      reportOf(silent()),
      errorReport(startedAt, { code: 'USAGE', message: 'm', fix: null }),
    ]) {
      expect(problems(report)).toEqual([])
    }
  })
})

describe('the schema refuses', () => {
  const good = reportOf(natObservations({ mapping: 'endpoint-independent', filtering: 'endpoint-independent' }))
  const family = good.nat.ipv4
  const accepts = (report: unknown): boolean => Check(natReportSchema, JSON.parse(JSON.stringify(report)))
  const withFamily = (over: Partial<Record<keyof NonNullable<typeof family>, unknown>>): unknown => ({
    ...good,
    nat: { ipv4: { ...family, ...over }, ipv6: null },
  })

  test('a value that was not observed', () => {
    expect(accepts(withFamily({}))).toBe(true)
    expect(accepts(withFamily({ mapping: { kind: 'inconclusive', value: 'none', why: '' } }))).toBe(false)
    expect(accepts(withFamily({ mapping: { kind: 'observed', value: null, why: '' } }))).toBe(false)
  })

  test('words of no RFC, unknown fields and other versions', () => {
    expect(accepts(withFamily({ filtering: { kind: 'observed', value: 'cone', why: '' } }))).toBe(false)
    expect(accepts({ ...good, extra: 1 })).toBe(false)
    expect(accepts({ ...good, schemaVersion: 2 })).toBe(false)
  })

  test('a held field that is missing', () => {
    for (const field of [
      'servers',
      'nat',
      'verdict',
      'durationMs',
      'startedAt',
      'command',
    ] satisfies (keyof NatReport)[]) {
      const { [field]: _, ...rest } = good
      expect(accepts(rest)).toBe(false)
    }
  })
})
