/** Each rule finds its bad sample, leaves its good one alone, and mends what it says it can mend. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fix, lint } from '../../src/coturn/lint/lint.ts'
import type { Rule, Sample } from '../../src/coturn/lint/rule.ts'
import { allRules } from '../../src/coturn/lint/rules/all.ts'

const input = ({ text, version = '4.6.1', command, observed }: Sample): Parameters<typeof lint>[0] => ({
  text,
  version,
  command,
  observed,
})

const of = ({ id }: Rule, sample: Sample): ReturnType<typeof lint> =>
  lint(input(sample)).filter(({ rule }) => rule === id)

test('there are at least 60, each with an id of its own, and README counts them', () => {
  expect(allRules.length).toBeGreaterThanOrEqual(60)
  expect(readFileSync(new URL('../../README.md', import.meta.url), 'utf8')).toContain(` ${allRules.length} rules: `)
  expect(new Set(allRules.map(({ id }) => id)).size).toBe(allRules.length)
})

describe.each(allRules.map((rule) => [rule.id, rule] as const))('%s', (_, rule) => {
  test('finds the bad sample and not the good one', () => {
    const findings = of(rule, rule.bad)
    expect(findings.length).toBeGreaterThan(0)
    expect(of(rule, rule.good)).toEqual([])
    for (const { severity, message, line } of findings) {
      expect(severity).toBe(rule.severity)
      expect(message).not.toMatch(/[\n\r]|undefined|NaN|wonderland/)
      expect(message.length).toBeLessThan(500)
      if (line !== undefined) expect(line).toBeLessThanOrEqual(rule.bad.text.split('\n').length)
    }
  })

  test('says why, how to mend it, and where that is written', () => {
    expect(rule.id).toMatch(/^[a-z]+\d*(?:-[a-z0-9]+)*$/)
    expect(rule.why).toMatch(/^.{20,300}[.”]$/)
    expect(rule.fix).toMatch(/^[^\n]{5,160}[^.]$/)
    expect(rule.reference).not.toBe('')
  })

  test('its edits mend it, once and for all', () => {
    if (!of(rule, rule.bad).some(({ fixable }) => fixable)) return
    const { text, rules } = fix(input(rule.bad))
    expect(rules).toContain(rule.id)
    expect(of(rule, { ...rule.bad, text }).filter(({ fixable }) => fixable)).toEqual([])
    expect(fix(input({ ...rule.bad, text })).text).toBe(text)
  })
})
