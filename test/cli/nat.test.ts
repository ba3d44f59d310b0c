import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Check } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exitCodes } from '../../src/cli/io.ts'
import { natCommand } from '../../src/cli/nat/run.ts'
import { NatcheckError } from '../../src/core/index.ts'
import type { FamilyObservations } from '../../src/probe/nat/index.ts'
import type { NatReport } from '../../src/report/index.ts'
import { natReportSchema } from '../../src/report/schema.ts'
import { blocked, natObservations, noIpv6, nothing, server, silent } from '../report/observed.ts'
import { type FakeWorld, FakeIo, fakeWorld, home } from './fake.ts'

const symmetric = natObservations({ mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' })
const unresolved = nothing({
  localIp: null,
  servers: [server({ address: null, asked: false, problem: { code: 'DNS_FAILED', message: 'no resolver' } })],
})

async function run(flags: Record<string, unknown>, world: FakeWorld, io: FakeIo = new FakeIo()) {
  const code = await natCommand(flags, io, world)
  return { code, io, world }
}

describe('exit codes', () => {
  test.each<[string, Record<string, unknown>, FamilyObservations[], number]>([
    ['measured', {}, [home], exitCodes.ok],
    ['one family measured is measured', {}, [home, noIpv6()], exitCodes.ok],
    ['UDP blocked is a result', {}, [blocked()], exitCodes.ok],
    ['a symmetric NAT is a result', {}, [symmetric], exitCodes.ok],
    ['--fail-on true', { failOn: 'symmetric,blocked' }, [symmetric], exitCodes.failed],
    ['--fail-on false', { failOn: 'symmetric,blocked' }, [home], exitCodes.ok],
    ['silence', { server: ['stun:198.51.100.10'] }, [silent()], exitCodes.unmeasured],
    [
      'silence fails no other expectation',
      { server: ['stun:h'], failOn: 'symmetric' },
      [silent()],
      exitCodes.unmeasured,
    ],
    ['silence is inconclusive', { server: ['stun:h'], failOn: 'inconclusive' }, [silent()], exitCodes.failed],
    ['--fail-on blocked', { failOn: 'blocked' }, [blocked()], exitCodes.failed],
  ])('%s', async (_, flags, observations, code) => {
    const result = await run({ ...flags, json: true }, fakeWorld(observations))
    expect(result.code).toBe(code)
    expect(Check(natReportSchema, JSON.parse(result.io.stdout))).toBe(true)
  })

  test('what could not be measured is one line with cause and fix, and in the document', async () => {
    const { io } = await run({ json: true, server: ['stun:h'] }, fakeWorld([unresolved]))
    expect(io.stderr).toMatch(/^natcheck: could not measure: stun:198\.51\.100\.10:3478: no resolver — .*DNS.*\n$/)
    expect(io.json.error).toMatchObject({ code: 'DNS_FAILED', fix: expect.stringContaining('DNS') as string })
  })

  test('usage errors of the probe are thrown for the caller to print', async () => {
    const world = fakeWorld(() => Promise.reject(new NatcheckError('ADDRESS_IN_USE', 'taken')))
    await expect(run({ port: '5000' }, world)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
  })
})

describe('the self-test', () => {
  test('runs when no public server could be reached, proves the tool, and exits 0', async () => {
    const { code, io, world } = await run({}, fakeWorld([unresolved]))
    expect(code).toBe(exitCodes.ok)
    expect(world.selfTests).toBe(1)
    expect(io.stdout.replace(/\s+/g, ' ')).toContain('This proves the tool and not the network.')
    expect(io.stdout).toContain('DNS: no resolver')
    expect(io.stderr).toBe('')
  })

  test('says nothing of the network in the document', async () => {
    const { io } = await run({ json: true }, fakeWorld([unresolved]))
    expect(io.json).toMatchObject({
      verdict: { p2p: 'unknown' },
      nat: { ipv4: { behindNat: null, mapped: null } },
      selfTest: { passed: true, nat: { behindNat: false }, unreachable: [{ cause: 'dns', why: 'no resolver' }] },
      error: null,
    })
  })

  test.each([
    ['a server was named', { server: ['stun:h'] }],
    ['something was expected of the network', { failOn: 'symmetric' }],
  ])('does not stand in for the network when %s', async (_, flags) => {
    expect((await run(flags, fakeWorld([unresolved]))).code).toBe(exitCodes.unmeasured)
  })

  test('runs when configured servers could not be reached, too', async () => {
    const io = new FakeIo()
    io.env['NATCHECK_SERVER'] = 'stun:h'
    const { code, world } = await run({}, fakeWorld([unresolved]), io)
    expect(code).toBe(exitCodes.ok)
    expect(world.selfTests).toBe(1)
  })

  test('stands beside what was measured where UDP is blocked', async () => {
    const { code, io, world } = await run({}, fakeWorld([blocked()]))
    expect(code).toBe(exitCodes.ok)
    expect(world.selfTests).toBe(1)
    expect(io.stdout).toMatch(/^✗ UDP is blocked/)
    expect(io.stdout).toContain('✓ Self-test passed')
  })

  test('does not run when a server answered', async () => {
    expect((await run({}, fakeWorld([home]))).world.selfTests).toBe(0)
  })

  test('that goes wrong is no success', async () => {
    const { code, io } = await run({}, fakeWorld([unresolved], []))
    expect(code).toBe(exitCodes.unmeasured)
    expect(io.stdout).toContain('Self-test failed')
  })

  test('that could not run says why', async () => {
    const why = '127.0.0.2 is not an address of this machine'
    const { code, io } = await run({}, fakeWorld([unresolved], [], why))
    expect(code).toBe(exitCodes.unmeasured)
    expect(io.stdout.replace(/\s+/g, ' ')).toContain(`✗ Self-test could not run on 127.0.0.1 and 127.0.0.2: ${why}.`)
    const json = await run({ json: true }, fakeWorld([unresolved], [], why))
    expect(json.io.json.selfTest).toMatchObject({ passed: false, problem: why, nat: null })
    expect(Check(natReportSchema, json.io.json)).toBe(true)
  })
})

describe('output', () => {
  test('--jsonl: an object a line while running, the report last', async () => {
    const world = fakeWorld((options) => {
      options.onProgress?.({ kind: 'sent', family: 4, peer: '198.51.100.10:3478', bytes: 28 })
      options.onProgress?.({ kind: 'received', family: 4, peer: '198.51.100.10:3478', bytes: 60 })
      return Promise.resolve([home])
    })
    const { io } = await run({ jsonl: true, redact: true }, world)
    const lines = io.stdout.trimEnd().split('\n')
    expect(lines.slice(0, 2).map((line) => JSON.parse(line) as unknown)).toEqual([
      { event: 'sent', family: 4, peer: '203.0.113.1:3478', bytes: 28 },
      { event: 'received', family: 4, peer: '203.0.113.1:3478', bytes: 60 },
    ])
    expect(lines).toHaveLength(3)
    expect(Check(natReportSchema, JSON.parse(lines[2] ?? ''))).toBe(true)
  })

  test('the live line appears on a terminal only, and is gone at the end', async () => {
    const probing = () =>
      fakeWorld((options) => {
        options.onProgress?.({ kind: 'stage', family: 4, words: 'lifetime', fraction: 0.5 })
        return Promise.resolve([home])
      })
    const io = new FakeIo()
    io.stderrIsTty = true
    await run({}, probing(), io)
    expect(io.stderr).toBe('\r\x1b[KIPv4: lifetime [##########..........] · 0 sent, 0 received\r\x1b[K')
    expect(io.stdout).not.toContain('\x1b')
    expect((await run({}, probing())).io.stderr).toBe('')
  })

  test('the live line is as wide as its own terminal, whatever stdout is', async () => {
    const width = async (stderrColumns: number | undefined): Promise<number> => {
      const io = new FakeIo()
      Object.assign(io, { stderrIsTty: true, columns: 30, stderrColumns })
      const world = fakeWorld((options) => {
        options.onProgress?.({ kind: 'stage', family: 4, words: 'word '.repeat(50), fraction: null })
        return Promise.resolve([home])
      })
      await run({}, world, io)
      return (io.stderr.split('\x1b[K')[1] ?? '').replace('\r', '').length
    }
    expect(await width(60)).toBe(59)
    expect(await width(200)).toBe(199)
    expect(await width(undefined)).toBe(79)
  })

  test.each<[string, Record<string, unknown>, Record<string, string>, boolean, boolean]>([
    ['a terminal', {}, {}, true, true],
    ['a pipe', {}, {}, false, false],
    ['NO_COLOR', {}, { NO_COLOR: '1' }, true, false],
    ['an empty NO_COLOR', {}, { NO_COLOR: '' }, true, true],
    ['FORCE_COLOR', {}, { FORCE_COLOR: '1', NO_COLOR: '1' }, false, true],
    ['FORCE_COLOR=0', {}, { FORCE_COLOR: '0' }, true, false],
    ['TERM=dumb', {}, { TERM: 'dumb' }, true, false],
    ['--color', { color: true }, { NO_COLOR: '1' }, false, true],
    ['--no-color', { color: false }, { FORCE_COLOR: '1' }, true, false],
  ])('colour with %s', async (_, flags, env, isTty, colourful) => {
    const io = new FakeIo()
    io.stdoutIsTty = isTty
    Object.assign(io.env, env)
    await run(flags, fakeWorld([home]), io)
    expect(io.stdout.includes('\x1b[')).toBe(colourful)
  })

  test('--redact masks addresses and private names in everything, and keeps the verdict', async () => {
    const named = { ...home, servers: [server({ uri: 'stun:stun.corp.example:3478' })] }
    const flags = { server: ['stun:stun.corp.example:3478'] }
    const whole = await run({ ...flags, json: true }, fakeWorld([named]))
    for (const output of [{ json: true }, { verbose: true }]) {
      const { io } = await run({ ...flags, ...output, redact: true }, fakeWorld([named]))
      expect(io.stdout.match(/corp|192\.168\.77/)).toBeNull()
    }
    const { io } = await run({ ...flags, json: true, redact: true }, fakeWorld([named]))
    expect(io.json.verdict).toEqual(whole.io.json.verdict)
    expect(io.json.redacted).toBe(true)
  })
})

describe('interrupted', () => {
  test('prints what is known, the document too, and exits 130', async () => {
    const io = new FakeIo()
    const world = fakeWorld(
      ({ signal }) =>
        new Promise((resolve) => {
          signal?.addEventListener('abort', () => resolve([home]))
          setImmediate(() => io.interrupt())
        }),
    )
    expect((await run({ json: true }, world, io)).code).toBe(exitCodes.interrupted)
    expect(io.json).toMatchObject({ error: { code: 'CANCELLED' }, nat: { ipv4: { behindNat: true } } })
    expect(world.selfTests).toBe(0)
  })

  test('a probe that does not let go holds nothing up', async () => {
    const io = new FakeIo()
    const world = fakeWorld(() => {
      setImmediate(() => io.interrupt())
      return new Promise(() => {})
    })
    await expect(run({}, world, io)).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

describe('--save and --from', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'natcheck-cli-'))
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  test('a saved report analyses the same again, and nothing is sent', async () => {
    for (const [name, observations] of Object.entries({
      home: [home, noIpv6()],
      blocked: [blocked()],
      offline: [unresolved],
    })) {
      const path = join(directory, `${name}.json`)
      const first = await run({ json: true, save: path }, fakeWorld(observations))
      expect(readFileSync(path, 'utf8')).toBe(first.io.stdout)
      const again = await run(
        { json: true, from: path },
        fakeWorld(() => Promise.reject(new Error('sent'))),
      )
      expect(again.io.stdout).toBe(first.io.stdout)
      expect(again.code).toBe(first.code)
      expect(again.world.asked).toEqual([])
    }
  })

  test('conclusions are drawn anew: what the file says of them does not count', async () => {
    const path = join(directory, 'edited.json')
    await run({ save: path }, fakeWorld([symmetric]))
    const report = JSON.parse(readFileSync(path, 'utf8')) as NatReport
    writeFileSync(path, JSON.stringify({ ...report, verdict: { ...report.verdict, p2p: 'direct' } }))
    expect((await run({ from: path, json: true, failOn: 'symmetric' }, fakeWorld([]))).code).toBe(exitCodes.failed)
  })

  test('a saved report can be redacted later', async () => {
    const path = join(directory, 'later.json')
    await run({ save: path }, fakeWorld([home]))
    const { io } = await run({ from: path, redact: true, json: true }, fakeWorld([]))
    expect(io.stdout.match(/192\.168\.77/)).toBeNull()
  })

  test.each([
    ['missing', undefined, /can't be read/],
    ['no JSON', 'hello', /is not JSON/],
    ['another version', '{"schemaVersion": 9}', /schema version 1 \(it says 9\)/],
    ['not a report', '[]', /it says nothing/],
    ['broken', '{"schemaVersion": 1, "command": "nat"}', /does not keep to the schema/],
  ])('a file that is %s', async (name, content, message) => {
    const path = join(directory, `bad ${name}.json`)
    if (content !== undefined) writeFileSync(path, content)
    const failing = run({ from: path }, fakeWorld([]))
    await expect(failing).rejects.toMatchObject({ code: 'BAD_FILE', message: expect.stringMatching(message) as string })
  })

  test('flags that could not have an effect are refused', async () => {
    await expect(run({ from: 'x', server: ['stun:h'] }, fakeWorld([]))).rejects.toThrow('--server has no effect')
    await expect(run({ from: 'x', ports: true }, fakeWorld([]))).rejects.toThrow('--ports has no effect')
    await expect(run({ from: 'x', router: false }, fakeWorld([]))).rejects.toThrow('--no-router has no effect')
    await expect(run({ json: true, jsonl: true }, fakeWorld([]))).rejects.toThrow('exclude each other')
  })

  test('a file that can not be written', async () => {
    const { code, io } = await run({ save: join(directory, 'no', 'such.json'), json: true }, fakeWorld([home]))
    expect(code).toBe(exitCodes.usage)
    expect(io.json).toMatchObject({ error: { code: 'BAD_FILE', fix: 'check --save' }, verdict: { p2p: 'direct' } })
    expect(Check(natReportSchema, io.json)).toBe(true)
    expect(io.stderr).toMatch(/^natcheck: the report can't be written to [^\n]*such\.json \(ENOENT\) — check --save\n$/)
  })
})
