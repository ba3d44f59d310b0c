import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Check, Errors } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import { compareReportSchema } from '../../src/report/compare/schema.ts'
import {
  buildCheckup,
  buildIceReport,
  type CheckupReport,
  type CompareReport,
  type NatReport,
} from '../../src/report/index.ts'
import type { IceObservations } from '../../src/probe/ice/index.ts'
import type { FamilyObservations } from '../../src/probe/nat/index.ts'
import { failing, observed, startedAt } from '../report/ice-observed.ts'
import { blocked, natObservations, noIpv6, reportOf, silent } from '../report/observed.ts'
import { FakeIo } from './fake.ts'

const filtering = 'address-and-port-dependent'
const symmetric = natObservations({ mapping: filtering, filtering, publicIps: ['203.0.113.3'] })
const checkup = (nat: FamilyObservations, observations: IceObservations): CheckupReport =>
  buildCheckup(reportOf(nat, noIpv6()), buildIceReport({ startedAt, observations }), [], {
    serversFrom: 'configured',
    durationMs: 900,
    expect: [],
    failOn: [],
  })
const deadRelay = observed({ attempts: [failing({ code: 'no-answer' })], candidates: [], reachability: [] })
const reports: Record<string, NatReport | object> = {
  relayed: checkup(symmetric, observed()),
  unrelayed: checkup(symmetric, deadRelay),
  newer: { ...checkup(symmetric, observed()), schemaVersion: 2 },
  home: reportOf(natObservations({ mapping: 'endpoint-independent', filtering }), noIpv6()),
  office: reportOf(symmetric, noIpv6()),
  flat: reportOf(natObservations({ mapping: 'endpoint-independent', filtering, publicIps: ['203.0.113.4'] })),
  hotel: reportOf(blocked(), noIpv6()),
  nowhere: reportOf(silent()),
  later: { ...reportOf(silent()), schemaVersion: 2 },
  relay: { schemaVersion: 1, command: 'relay' },
}

let cwd = ''
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'natcheck-compare-'))
  for (const [name, report] of Object.entries(reports)) writeFileSync(join(cwd, `${name}.json`), JSON.stringify(report))
  writeFileSync(join(cwd, 'torn.json'), '{"schemaVersion": 1,')
})
afterAll(() => rmSync(cwd, { recursive: true }))

async function run(...args: readonly string[]): Promise<{ code: number; io: FakeIo }> {
  const io = new FakeIo()
  io.cwd = cwd
  return { code: await runCli(['compare', ...args], io), io }
}

describe('on a terminal', () => {
  test.each([
    ['direct', 0, ['home.json', 'flat.json']],
    ['relay', 0, ['home.json', 'office.json']],
    ['none', 1, ['home.json', 'office.json', '--no-relay']],
    ['blocked', 0, ['hotel.json', 'flat.json']],
    ['unknown', 3, ['nowhere.json', 'flat.json']],
    ['tested-relay', 0, ['home.json', 'relayed.json']],
    ['dead-relay', 3, ['home.json', 'unrelayed.json']],
  ])('%s: exit %i', async (name, expected, args) => {
    const { code, io } = await run(...args)
    expect({ code, stderr: io.stderr }).toEqual({ code: expected, stderr: '' })
    expect(io.stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    await expect(io.stdout).toMatchFileSnapshot(`../golden/compare-${name}.txt`)
  })
})

describe('--json', () => {
  test('is the verdict with both networks and the reasoning', async () => {
    const { io } = await run('home.json', 'flat.json', '--json')
    const report = JSON.parse(io.stdout) as CompareReport
    expect(Errors(compareReportSchema, report)).toEqual([])
    expect(report).toMatchObject({
      schemaVersion: 1,
      command: 'compare',
      a: {
        file: 'home.json',
        network: {
          families: [
            { family: 4, udp: 'usable' },
            { family: 6, udp: 'untested' },
          ],
        },
      },
      b: { file: 'flat.json' },
      verdict: { outcome: 'direct', connects: true, candidates: { a: 'srflx', b: 'srflx' }, first: 'both', advice: [] },
      error: null,
    })
    expect(report.verdict?.reasoning.length).toBeGreaterThan(2)
  })

  test('keeps to its schema, which refuses what is not in it', async () => {
    const printed = new FakeIo()
    expect(await runCli(['schema', 'compare'], printed)).toBe(0)
    expect(JSON.parse(printed.stdout)).toEqual(JSON.parse(JSON.stringify(compareReportSchema)))
    const { io } = await run('nowhere.json', 'flat.json', '--json')
    const report = JSON.parse(io.stdout) as CompareReport
    expect(Check(compareReportSchema, report)).toBe(true)
    expect(Check(compareReportSchema, { ...report, schemaVersion: 2 })).toBe(false)
    expect(Check(compareReportSchema, { ...report, verdict: { ...report.verdict, outcome: 'perhaps' } })).toBe(false)
  })

  test('is printed for bad files, too', async () => {
    const { code, io } = await run('later.json', 'home.json', '--json')
    expect(code).toBe(2)
    expect(Errors(compareReportSchema, JSON.parse(io.stdout))).toEqual([])
    expect(JSON.parse(io.stdout)).toMatchObject({ command: 'compare', verdict: null, error: { code: 'BAD_FILE' } })
  })
})

describe('bad files: one clear line, exit 2', () => {
  test.each([
    ['later.json', /later\.json is not a report of schema version 1 \(it says 2\) — /],
    ['newer.json', /newer\.json is not a report of schema version 1 \(it says 2\) — /],
    ['relay.json', /relay\.json does not keep to the schema: /],
    ['torn.json', /torn\.json is not JSON — /],
    ['missing.json', /missing\.json can't be read — /],
  ])('%s', async (file, line) => {
    for (const args of [
      [file, 'home.json'],
      ['home.json', file],
    ]) {
      const { code, io } = await run(...args)
      expect({ code, stdout: io.stdout }).toEqual({ code: 2, stdout: '' })
      expect(io.stderr).toMatch(line)
      expect(io.stderr.trim().split('\n')).toHaveLength(1)
    }
  })

  test('one file only', async () => {
    const { code, io } = await run('home.json')
    expect(code).toBe(2)
    expect(io.stderr).toMatch(/missing required argument/)
  })
})
