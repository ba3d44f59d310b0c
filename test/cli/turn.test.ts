import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { exitCodes } from '../../src/cli/io.ts'
import { turnCommand } from '../../src/cli/turn/run.ts'
import { candidatesFor, readTurnSettings } from '../../src/cli/turn/settings.ts'
import type { TurnWorld } from '../../src/cli/turn/world.ts'
import { instant, wallTime } from '../../src/core/index.ts'
import type { TurnObservations, TurnOptions } from '../../src/probe/turn/index.ts'
import type { TurnReport } from '../../src/report/index.ts'
import { formatServerUri, parseServerUri } from '../../src/wire/index.ts'
import { type Flaws, flawedServer } from '../probe/turn/flawed.ts'
import { look } from '../probe/turn/lab.ts'
import { alice, turnLab } from '../proto/turn-client/lab.ts'
import { FakeIo } from './fake.ts'

const password = 'correct horse battery staple'
const flags = { username: 'alice', credentialEnv: 'TURN_PASSWORD' }
let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'natcheck-turn-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const newIo = (over: Partial<FakeIo> = {}): FakeIo => {
  const io = Object.assign(new FakeIo(), { cwd, ...over })
  io.env['TURN_PASSWORD'] = password
  return io
}

async function observe(flaws: Flaws = {}): Promise<TurnObservations> {
  const lab = turnLab()
  await flawedServer(lab.server, lab.clock, flaws)
  return await look(lab, ['turn:50.0.0.1'], { user: alice })
}

interface World extends TurnWorld {
  readonly asked: TurnOptions[]
}

function world(seen: TurnObservations | TurnWorld['probe']): World {
  const asked: TurnOptions[] = []
  return {
    asked,
    clock: { now: () => instant(0), wallTime: () => wallTime(0), schedule: () => () => {} },
    probe: async (options) => {
      asked.push(options)
      return typeof seen === 'function' ? await seen(options) : seen
    },
  }
}

const settings = (uri: string, given: Record<string, unknown> = flags, io: FakeIo = newIo()) =>
  readTurnSettings(uri, given, io)

describe('what is asked', () => {
  const asked = (uri: string): string[] =>
    candidatesFor(parseServerUri(uri)).map(({ uri: each, named }) => `${formatServerUri(each)}${named ? ' *' : ''}`)

  test.each([
    ['turn:a.example', ['turn:a.example *', 'turn:a.example?transport=tcp', 'turns:a.example', 'turns:a.example:443']],
    [
      'turn:a.example:3479',
      ['turn:a.example:3479 *', 'turn:a.example:3479?transport=tcp', 'turns:a.example', 'turns:a.example:443'],
    ],
    ['turns:a.example:443', ['turn:a.example', 'turn:a.example?transport=tcp', 'turns:a.example:443 *']],
    ['turn:a.example?transport=tcp', ['turn:a.example?transport=tcp *']],
    ['turns:a.example?transport=tcp', ['turns:a.example?transport=tcp *']],
  ])('%s', (uri, expected) => {
    expect(asked(uri)).toEqual(expected)
  })
})

describe('settings', () => {
  test('credentials from a variable, from stdin, or from iceServers by host', async () => {
    const credential = { username: 'alice', credential: password }
    expect((await settings('turn:turn.example')).candidates[0]?.server).toMatchObject(credential)
    const fromStdin = { username: 'alice', credentialStdin: true }
    const io = newIo({ stdin: `${password}\n` })
    expect((await settings('turn:turn.example', fromStdin, io)).candidates[0]?.server).toMatchObject(credential)
    const list = [
      { urls: 'turn:other.example', username: 'bob', credential: 'x' },
      { urls: ['stun:turn.example', 'turns:turn.example:443'], ...credential },
    ]
    writeFileSync(join(cwd, 'servers.json'), JSON.stringify(list))
    const given = { iceServers: 'servers.json' }
    for (const { server } of (await settings('turn:turn.example', given)).candidates) {
      expect(server).toMatchObject(credential)
    }
    await expect(settings('turn:third.example', given)).rejects.toMatchObject({ code: 'USAGE' })
  })

  test('rate and hold have bounds', async () => {
    expect(await settings('turn:a.example', { ...flags, rate: '5', hold: '11m' })).toMatchObject({
      rateMbit: 5,
      holdMs: 660_000,
    })
    for (const bad of [{ rate: '0' }, { rate: '1000' }, { rate: 'x' }, { hold: '1s' }, { hold: '3h' }]) {
      await expect(settings('turn:a.example', { ...flags, ...bad })).rejects.toMatchObject({ code: 'USAGE' })
    }
  })

  test.each([
    ['stun:turn.example:3478', 'write turn:turn.example:3478'],
    ['stuns:turn.example', 'write turns:turn.example'],
    ['turn.example', 'write turn:turn.example'],
    ['turns:turn.example?transport=udp', 'write turns:turn.example?transport=tcp'],
    ['turn://turn.example', 'write turn:turn.example'],
  ])('%s is none: %s', async (uri, fix) => {
    await expect(settings(uri)).rejects.toMatchObject({ fix: expect.stringContaining(fix) as string })
  })

  test('without credentials nothing is asked', async () => {
    await expect(settings('turn:turn.example', {})).rejects.toMatchObject({ code: 'USAGE' })
  })
})

describe('the command', () => {
  test('exit 0 for warnings, 1 for errors, 130 when interrupted', async () => {
    const cases = [
      [await observe({ software: 'Relay 1.2' }), exitCodes.ok],
      [await observe({ noAuthentication: true }), exitCodes.failed],
      [{ ...(await observe()), ended: 'interrupted' as const }, exitCodes.interrupted],
    ] as const
    for (const [seen, expected] of cases) {
      expect(await turnCommand('turn:50.0.0.1', flags, newIo(), world(seen))).toBe(expected)
    }
  })

  test('Ctrl-C reaches the probe, which hands over what it has', async () => {
    const seen = await observe()
    const io = newIo()
    const around = world(
      (options) =>
        new Promise((resolve) => {
          options.signal?.addEventListener('abort', () => resolve({ ...seen, ended: 'interrupted' }))
          io.interrupt()
        }),
    )
    expect(await turnCommand('turn:50.0.0.1', flags, io, around)).toBe(exitCodes.interrupted)
    expect(io.stdout).toContain('Interrupted')
    expect(io.stderr).toMatch(/^natcheck: interrupted[^\n]*\n$/)
  })

  test('--json, --save and --redact', async () => {
    const io = newIo()
    const given = { ...flags, json: true, save: 'report.json', redact: true }
    expect(await turnCommand('turn:50.0.0.1', given, io, world(await observe()))).toBe(exitCodes.ok)
    const report = JSON.parse(io.stdout) as TurnReport
    expect(report).toMatchObject({ command: 'turn', redacted: true, verdict: { kind: 'good' } })
    expect(JSON.parse(readFileSync(join(cwd, 'report.json'), 'utf8'))).toEqual(report)
    expect(io.stdout).not.toMatch(/50\.0\.0\.1|80\.0\.0\.10/)
    expect(io.stdout).not.toContain(password)
  })

  test('a report that cannot be saved is one line and exit 2', async () => {
    const io = newIo()
    const given = { ...flags, save: 'no/such/folder.json' }
    expect(await turnCommand('turn:50.0.0.1', given, io, world(await observe()))).toBe(exitCodes.usage)
    expect(io.stderr).toMatch(/^natcheck: [^\n]*\n$/)
  })
})
