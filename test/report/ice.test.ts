import { Errors } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import type { CauseCode } from '../../src/probe/ice/index.ts'
import { buildIceReport, explainCause, type IceReport, renderCandidate, renderIce } from '../../src/report/index.ts'
import { iceReportSchema } from '../../src/report/ice-schema.ts'
import { attempt, candidates, failing, observed, stages, startedAt } from './ice-observed.ts'

const plain = { level: 0, width: 80 } as const
const report = (over: Parameters<typeof observed>[0] = {}): IceReport =>
  buildIceReport({ startedAt, observations: observed(over) })

const home = report()
const partly = report({
  attempts: [
    attempt({}),
    failing(
      { code: 'wrong-credentials', stage: 'challenge', facts: { realm: 'example.org' } },
      {
        uri: 'turns:turn.example.org:443?transport=tcp',
        transport: 'tls',
        address: '198.51.100.10:443',
        stages: stages(
          [
            ['dns', 12],
            ['connect', 20],
            ['tls', 45],
            ['challenge', 20],
          ],
          true,
        ),
      },
    ),
    failing({ code: 'blocked', facts: { worksOver: 'TCP 3478' } }),
  ],
})
const nothing = report({
  attempts: [failing({ code: 'no-answer' })],
  candidates: candidates.slice(0, 1),
  reachability: [],
  gatheredAtMs: 142,
})
const hostOnly = report({ attempts: [], candidates: candidates.slice(0, 1), reachability: [] })
const interrupted = report({ interrupted: true, gatheredAtMs: null })

describe('80 columns without colour', () => {
  test.each([
    ['home', home],
    ['partly', partly],
    ['nothing', nothing],
    ['host-only', hostOnly],
  ])('%s', async (name, each) => {
    const text = renderIce(each, plain)
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(text).not.toContain('\x1b')
    await expect(text).toMatchFileSnapshot(`../golden/ice-${name}.txt`)
  })

  test('candidates as they come', async () => {
    const text = candidates.map((each) => renderCandidate(each, plain)).join('')
    await expect(text).toMatchFileSnapshot('../golden/ice-candidates.txt')
  })
})

describe('the verdict', () => {
  test.each([
    [home, 'all-good'],
    [partly, 'partly'],
    [nothing, 'nothing'],
    [hostOnly, 'host-only'],
    [interrupted, 'partly'],
  ])('%#', ({ verdict }, kind) => {
    expect(verdict.kind).toBe(kind)
  })

  test('a warning leaves the server usable', () => {
    const warned = report({
      attempts: [attempt({ causes: [{ code: 'peer-denied', stage: 'permission', severity: 'warning', facts: {} }] })],
    })
    expect(warned.servers[0]?.ok).toBe(true)
    expect(warned.verdict.kind).toBe('all-good')
    expect(warned.findings.map(({ severity }) => severity)).toEqual(['warning'])
  })
})

test('each report keeps to the published schema, and the schema refuses what is none', () => {
  for (const each of [home, partly, nothing, hostOnly, interrupted]) {
    expect(Errors(iceReportSchema, JSON.parse(JSON.stringify(each)))).toEqual([])
  }
  expect(Errors(iceReportSchema, { ...home, schemaVersion: 2 })).not.toEqual([])
  expect(Errors(iceReportSchema, { ...home, extra: 1 })).not.toEqual([])
})

const facts = {
  realm: 'example.org',
  seconds: 7500,
  reason: 'Forbidden',
  from: '198.51.100.11:3478',
  names: ['a.example', 'b.example'],
  date: '2026-11-01',
  code: 499,
  to: 'turn:other.example',
  ip: '10.0.0.7',
  peer: '203.0.113.65:41150',
  worksOver: 'TCP 3478',
  detail: 'EAI_AGAIN',
}

test('each cause is a sentence of its own with a fix, with facts and without', async () => {
  const codes = (iceReportSchema as unknown as { properties: { servers: { items: { properties: unknown } } } })
    .properties.servers.items.properties as { causes: { items: { properties: { code: { enum: CauseCode[] } } } } }
  const all = codes.causes.items.properties.code.enum
  const explain = (code: CauseCode, known: Record<string, string | number | readonly string[]>) =>
    explainCause({ code, stage: 'binding', severity: 'error', facts: known }, attempt({ uri: 'turn:turn.example.org' }))
  const sentences = all.map((code) => `${code}: ${explain(code, facts).message}\n    → ${explain(code, facts).fix}`)
  expect(new Set(all.map((code) => explain(code, facts).message)).size).toBe(all.length)
  for (const code of all) expect(explain(code, {}).message).not.toMatch(/undefined|NaN|\(\)/)
  await expect(`${sentences.join('\n')}\n`).toMatchFileSnapshot('../golden/ice-causes.txt')
})
