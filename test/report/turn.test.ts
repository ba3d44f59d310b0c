/** The report of natcheck turn, from runs on the virtual network. */
import { Errors } from 'typebox/value'
import { beforeAll, describe, expect, test } from 'vitest'
import { turnCheckIds, type TurnObservations } from '../../src/probe/turn/index.ts'
import { turnReportSchema } from '../../src/report/ice-schema.ts'
import { buildTurnReport, renderTurn, turnErrorReport, type TurnReport } from '../../src/report/index.ts'
import { IceLab } from '../probe/ice/lab.ts'
import { type Flaws, flawedServer } from '../probe/turn/flawed.ts'
import { look, reportOn } from '../probe/turn/lab.ts'
import { alice, turnLab } from '../proto/turn-client/lab.ts'

const plain = { level: 0, width: 80 } as const
const startedAt = '2026-01-01T00:00:00.000Z'

async function flawed(flaws: Flaws, uris = ['turn:50.0.0.1']): Promise<TurnObservations> {
  const lab = turnLab({ latencyMs: 25 })
  await flawedServer(lab.server, lab.clock, flaws)
  return await look(lab, uris, { user: alice })
}

async function ofRelay(): Promise<TurnObservations> {
  const lab = new IceLab({ addresses: ['80.0.0.10'] })
  const relay = await lab.relay(lab.host('turn', 50, '50.0.0.1'), { tlsListen: [] })
  const observations = await look(lab, ['turn:50.0.0.1', 'turn:50.0.0.1?transport=tcp', 'turns:50.0.0.1'])
  await relay.close()
  return observations
}

const nothing = (): Promise<TurnObservations> => look(new IceLab({ addresses: ['80.0.0.10'] }), ['turn:50.0.0.9'])

let reports: Readonly<Record<'relay' | 'flawed' | 'nothing' | 'private', TurnReport>>
beforeAll(async () => {
  const bad: Flaws = {
    opens: (ip) => ip === '127.0.0.1' || ip === '169.254.169.254',
    staleNonce: 'without NONCE',
    again: 437,
    software: 'Relay 1.2.3',
    mtu: { out: 1100, in: 1400 },
  }
  reports = {
    relay: reportOn(await ofRelay()),
    flawed: reportOn(await flawed(bad)),
    nothing: reportOn(await nothing()),
    private: reportOn(await flawed({ relayedIp: '10.1.2.3' })),
  }
})

describe('80 columns without colour', () => {
  test.each(['relay', 'flawed', 'nothing', 'private'] as const)('%s', async (name) => {
    const text = renderTurn(reports[name], plain)
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(text).not.toContain('\x1b')
    await expect(text).toMatchFileSnapshot(`../golden/turn-${name}.txt`)
  })

  test('--verbose tells each stage', () => {
    const text = renderTurn(reports.relay, plain, { verbose: true })
    expect(text).toMatch(/challenge: .*answered 401/)
    expect(text).toContain('the checks below used this one')
  })
})

test('the document fits its schema, has every check, and survives JSON', () => {
  const error = { code: 'USAGE', message: 'no', fix: null } as const
  for (const report of [...Object.values(reports), turnErrorReport(startedAt, error)]) {
    const copy: unknown = JSON.parse(JSON.stringify(report))
    expect(Errors(turnReportSchema, copy)).toEqual([])
    expect(copy).toEqual(report)
  }
  expect(reports.nothing.checks.map(({ id }) => id)).toEqual(turnCheckIds)
})

test('verdicts', () => {
  expect(Object.values(reports).map(({ verdict }) => verdict.kind)).toEqual([
    'flawed',
    'flawed',
    'unusable',
    'unusable',
  ])
  expect(reports.relay.findings).toMatchObject([{ severity: 'warning', code: 'no-tls' }])
})

test('what has something to change says what', () => {
  for (const { findings } of Object.values(reports))
    for (const { fix } of findings) expect(fix).toEqual(expect.any(String))
})

test('a machine without a network measures nothing', async () => {
  const lab = new IceLab({ addresses: ['fe80::1'] })
  const observations = await look(lab, ['turn:50.0.0.1'])
  expect(buildTurnReport({ startedAt, observations }).error).toMatchObject({ code: 'NO_ROUTE' })
})
