import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Check } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkupCommand } from '../../src/cli/checkup/run.ts'
import type { CheckupWorld } from '../../src/cli/checkup/world.ts'
import { exitCodes } from '../../src/cli/io.ts'
import type { IceWorld } from '../../src/cli/ice/world.ts'
import { runCli } from '../../src/cli/program.ts'
import { NatcheckError } from '../../src/core/index.ts'
import type { IceObservations } from '../../src/probe/ice/index.ts'
import type { FamilyObservations } from '../../src/probe/nat/index.ts'
import type { TurnObservations, TurnOptions } from '../../src/probe/turn/index.ts'
import type { CheckupReport } from '../../src/report/index.ts'
import { checkupReportSchema } from '../../src/report/checkup-schema.ts'
import { attempt, failing, observed } from '../report/ice-observed.ts'
import { blocked, natObservations, nothing, server, silent } from '../report/observed.ts'
import { FakeIo, fakeWorld, home, open } from './fake.ts'

const symmetric = natObservations({ mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' })
const unresolved = nothing({
  localIp: null,
  servers: [server({ address: null, asked: false, problem: { code: 'DNS_FAILED', message: 'no resolver' } })],
})
const lookupFailed = observed({
  attempts: [failing({ code: 'dns-failed' }, { scheme: 'stun' })],
  candidates: [],
  reachability: [],
})
const deadRelay = observed({ attempts: [failing({ code: 'no-answer' })], candidates: [], reachability: [] })

const lookedInto: TurnObservations = {
  uri: 'turn:198.51.100.10',
  transports: [],
  subject: null,
  checks: [{ id: 'forbidden-peers', result: 'no', detail: 'it relays to 127.0.0.1', facts: {} }],
  allocations: 7,
  endedAtMs: 900,
  ended: 'complete',
}

interface World extends CheckupWorld {
  readonly asked: Parameters<CheckupWorld['probe']>[0][]
  readonly looked: TurnOptions[]
  readonly gathered: Parameters<IceWorld['gather']>[0][]
  readonly pauses: number[]
  selfTests: number
}

function worldOf(
  nat: readonly FamilyObservations[] | CheckupWorld['probe'],
  ice: IceObservations | IceWorld['gather'],
  pause: (world: World) => Promise<void> = () => Promise.resolve(),
): World {
  const world: World = Object.assign(fakeWorld(nat), {
    gathered: [],
    looked: [],
    probeTurn: (options: TurnOptions) => {
      world.looked.push(options)
      return Promise.resolve(lookedInto)
    },
    pauses: [],
    gather: (options: Parameters<IceWorld['gather']>[0]) => {
      world.gathered.push(options)
      return typeof ice === 'function' ? ice(options) : Promise.resolve(ice)
    },
    pause: (milliseconds: number) => {
      world.pauses.push(milliseconds)
      return pause(world)
    },
  })
  return world
}

const named = { server: ['stun:198.51.100.10'] }

async function run(flags: Record<string, unknown>, world: World = worldOf([home], observed()), io = new FakeIo()) {
  const code = await checkupCommand(flags, io, world)
  return { code, io, world }
}

const reportOf = ({ stdout }: FakeIo): CheckupReport => JSON.parse(stdout) as CheckupReport

describe('exit codes', () => {
  test.each<[string, Record<string, unknown>, FamilyObservations[], IceObservations, number]>([
    ['all well', named, [home], observed(), exitCodes.ok],
    ['a symmetric NAT is a result', named, [symmetric], observed(), exitCodes.ok],
    ['UDP blocked is a result', {}, [blocked()], deadRelay, exitCodes.ok],
    ['a server that was named is broken', named, [home], deadRelay, exitCodes.failed],
    ['a public one is', {}, [home], deadRelay, exitCodes.ok],
    [
      'who says what has to work accepts the rest',
      { ...named, expect: 'host' },
      [home],
      observed({ attempts: deadRelay.attempts }),
      exitCodes.ok,
    ],
    ['--expect met', { ...named, expect: 'relay/udp' }, [home], observed(), exitCodes.ok],
    ['--expect not met', { ...named, expect: 'relay/tls' }, [home], observed(), exitCodes.failed],
    ['--fail-on true', { ...named, failOn: 'symmetric,rtt>10' }, [home], observed(), exitCodes.failed],
    ['--fail-on false', { ...named, failOn: 'symmetric,rtt>100' }, [home], observed(), exitCodes.ok],
    ['nothing came back', named, [silent()], deadRelay, exitCodes.unmeasured],
    ['nothing came back of what is expected', { ...named, expect: 'relay' }, [silent()], deadRelay, exitCodes.failed],
    ['offline: the self-test', {}, [unresolved], lookupFailed, exitCodes.ok],
  ])('%s', async (_, flags, nat, ice, code) => {
    const { code: seen, io } = await run({ ...flags, json: true }, worldOf(nat, ice))
    expect(seen).toBe(code)
    expect(Check(checkupReportSchema, reportOf(io))).toBe(true)
  })

  test('usage errors of a probe are thrown for the caller to print, and end the other one', async () => {
    let aborted = false
    const world = worldOf(
      () => Promise.reject(new NatcheckError('ADDRESS_IN_USE', 'taken')),
      ({ signal }) => new Promise(() => signal?.addEventListener('abort', () => (aborted = true))),
    )
    await expect(run({}, world)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
    expect(aborted).toBe(true)
  })
})

describe('what is asked', () => {
  const askedOf = ({ asked }: World): string[] | undefined =>
    asked[0]?.servers.map(({ scheme, host }) => `${scheme}:${host}`)

  test('without servers the public ones, as many as are needed', async () => {
    const { world } = await run({})
    expect(world.asked[0]?.exclusive).toBe(false)
    expect(world.gathered[0]?.servers).toHaveLength(3)
  })

  test('the NAT is measured with those over UDP, and with none besides', async () => {
    const io = new FakeIo()
    io.env['P'] = 'secret'
    const servers = ['stun:a', 'turn:b', 'turn:c?transport=tcp', 'turns:d', 'stuns:e']
    const { world } = await run({ server: servers, username: 'u', credentialEnv: 'P' }, undefined, io)
    expect(askedOf(world)).toEqual(['stun:a', 'turn:b'])
    expect(world.asked[0]?.exclusive).toBe(true)
    expect(world.gathered[0]?.servers).toHaveLength(5)
  })

  test('no server over UDP: the NAT is left out, and that is said', async () => {
    const { world, io } = await run({ server: ['stuns:e'] })
    expect(world.asked).toEqual([])
    expect(io.stdout.replace(/\s+/g, ' ')).toContain('none of the servers is asked over UDP')
  })

  test('nothing of what natcheck nat only does when asked', async () => {
    const io = new FakeIo()
    for (const name of ['HAIRPIN', 'LIFETIME', 'FRAGMENTS', 'PORTS']) io.env[`NATCHECK_${name}`] = 'true'
    const { world } = await run({ router: false }, undefined, io)
    expect(world.asked[0]).toMatchObject({
      hairpin: false,
      lifetime: false,
      fragments: false,
      ports: false,
      router: false,
    })
  })

  test('family and time limit hold for both', async () => {
    const { world } = await run({ family: '6', timeout: '700' })
    expect(world.asked[0]).toMatchObject({ families: [6], timeoutMs: 700 })
    expect(world.gathered[0]).toMatchObject({ families: [6], timeoutMs: 700 })
  })
})

describe('the look into relays', () => {
  const io = (): FakeIo => Object.assign(new FakeIo(), { env: { P: 'secret' } })
  const relayed = { server: ['turn:198.51.100.10', 'turns:198.51.100.10'], username: 'u', credentialEnv: 'P' }

  test('asks each host once, in the ways that work, and tells what is wrong of it', async () => {
    const { code, world, io: out } = await run({ ...relayed, json: true }, undefined, io())
    expect(world.looked.map(({ uri, candidates }) => [uri, candidates.length])).toEqual([['turn:198.51.100.10', 1]])
    expect(world.looked[0]?.timeoutMs).toBeLessThan(3000)
    expect(reportOf(out).findings[0]).toMatchObject({
      severity: 'error',
      code: 'forbidden-peers',
      subject: 'turn:198.51.100.10',
      message: 'own network is shut: it relays to 127.0.0.1',
    })
    expect(code).toBe(exitCodes.failed)
    expect(Check(checkupReportSchema, reportOf(out))).toBe(true)
  })

  test('is taken once, however often --watch goes round', async () => {
    const given = io()
    const world = worldOf([home], observed(), async ({ pauses }) => {
      if (pauses.length === 2) given.interrupt()
    })
    await run({ ...relayed, watch: true, jsonl: true }, world, given)
    const rounds = given.stdout.trimEnd().split('\n')
    expect(world.looked).toHaveLength(1)
    expect(rounds.map((line) => (JSON.parse(line) as CheckupReport).turn.length)).toEqual([1, 1])
  })

  test('leaves out servers that gave no relay, and a check that has no time left', async () => {
    expect((await run(relayed, worldOf([home], deadRelay), io())).world.looked).toEqual([])
    expect((await run({ ...relayed, timeout: '500' }, undefined, io())).world.looked).toEqual([])
  })
})

describe('output', () => {
  test('ends in the verdict and what to change', async () => {
    const { io } = await run(named, worldOf([home], deadRelay))
    const [verdict, ...rest] = io.stdout.trimEnd().split('\n\n').at(-1)?.split('\n') ?? []
    expect(verdict).toMatch(/^! Direct connections work with most peers/)
    expect(rest.find((line) => line.includes('→'))).toMatch(/^ {4}→ /)
    expect(io.stdout).toContain('you 192.168.77.2 → NAT 203.0.113.2')
    expect(io.stderr).toBe('')
  })

  test('offline: the self-test proves the tool, and says what was not reached', async () => {
    const { io, world } = await run({}, worldOf([unresolved], lookupFailed))
    expect(world.selfTests).toBe(1)
    const words = io.stdout.replace(/\s+/g, ' ')
    expect(words).toContain('This proves the tool and not the network.')
    expect(words).toContain('DNS: no resolver')
    expect(words).toContain('! Your network could not be measured')
    // Said once, of the network, and not of servers that nobody chose.
    expect(words.match(/→/g)).toHaveLength(1)
  })

  test('--verbose prints what natcheck nat and natcheck ice would', async () => {
    const { io } = await run({ ...named, verbose: true })
    for (const heading of ['For WebRTC', 'Evidence IPv4', 'Reachable']) expect(io.stdout).toContain(heading)
  })

  test('--jsonl: an object a line while running, each says whose it is, the report last', async () => {
    const world = worldOf(
      (options) => {
        options.onProgress?.({ kind: 'sent', family: 4, peer: '198.51.100.10:3478', bytes: 28 })
        return Promise.resolve([home])
      },
      (options) => {
        options.onProgress?.({ kind: 'gathered', atMs: 42 })
        return Promise.resolve(observed())
      },
    )
    const { io } = await run({ ...named, jsonl: true, redact: true }, world)
    const lines = io.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(lines.slice(0, -1)).toEqual([
      { event: 'sent', command: 'nat', family: 4, peer: '203.0.113.1:3478', bytes: 28 },
      { event: 'gathered', command: 'ice', atMs: 42 },
    ])
    expect(Check(checkupReportSchema, lines.at(-1))).toBe(true)
  })

  test.each([
    ['json', /^\{\n {2}"schemaVersion": 1,\n {2}"command": "checkup"/],
    ['junit', /^<\?xml version="1\.0"/],
    ['github', /^::notice title=natcheck::/],
    ['markdown', /^## ✓ Direct/],
    ['text', /✓ Direct/],
  ])('--reporter %s', async (reporter, pattern) => {
    expect((await run({ ...named, reporter })).io.stdout).toMatch(pattern)
  })

  test('--redact masks addresses and private names in everything, and keeps the verdict', async () => {
    const own = { ...home, servers: [server({ uri: 'stun:stun.corp.example:3478' })] }
    const gathered = observed({ attempts: [attempt({ uri: 'stun:stun.corp.example:3478', scheme: 'stun' })] })
    const flags = { server: ['stun:stun.corp.example:3478'] }
    const whole = await run({ ...flags, json: true }, worldOf([own], gathered))
    for (const output of [{ json: true }, { verbose: true }, { reporter: 'junit' }, { reporter: 'markdown' }]) {
      const { io } = await run({ ...flags, ...output, redact: true }, worldOf([own], gathered))
      expect(io.stdout.match(/corp|192\.168\.77/)).toBeNull()
    }
    const { io } = await run({ ...flags, json: true, redact: true }, worldOf([own], gathered))
    expect(reportOf(io).verdict).toEqual(reportOf(whole.io).verdict)
    expect(reportOf(io).redacted).toBe(true)
  })

  test('flags that exclude each other', async () => {
    await expect(run({ json: true, jsonl: true })).rejects.toThrow('--json and --jsonl exclude each other')
    await expect(run({ json: true, reporter: 'junit' })).rejects.toThrow('--json and --reporter exclude each other')
    await expect(run({ watch: true, reporter: 'junit' })).rejects.toThrow('--watch does not end')
    await expect(run({ reporter: 'jnuit' })).rejects.toMatchObject({ fix: expect.stringContaining('junit?') as string })
    await expect(run({ failOn: 'no-rely' })).rejects.toMatchObject({
      fix: expect.stringContaining('no-relay?') as string,
    })
    await expect(run({ failOn: 'rtt>fast' })).rejects.toMatchObject({
      fix: expect.stringContaining('rtt>MS') as string,
    })
  })
})

describe('under GitHub Actions', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'natcheck-github-'))
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  const actions = (summary: string): FakeIo => {
    const io = new FakeIo()
    Object.assign(io.env, { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary })
    return io
  }

  test('annotations go to stderr and the summary to its file, and stdout stays what was asked for', async () => {
    const path = join(directory, 'summary.md')
    writeFileSync(path, 'before\n')
    const io = actions(path)
    await run({ ...named, json: true }, worldOf([home], deadRelay), io)
    expect(reportOf(io).command).toBe('checkup')
    expect(io.stderr).toMatch(/^::notice title=natcheck::.*\n::error title=natcheck%3A turn/)
    expect(readFileSync(path, 'utf8')).toMatch(/^before\n## ! Direct/)
  })

  test('--reporter github prints them once', async () => {
    const io = actions(join(directory, 'other.md'))
    await run({ ...named, reporter: 'github' }, undefined, io)
    expect(io.stdout).toMatch(/^::notice/)
    expect(io.stderr).toBe('')
  })

  test('a summary that can not be written is a line, and no failure', async () => {
    const io = actions(join(directory, 'no', 'such'))
    expect((await run(named, undefined, io)).code).toBe(exitCodes.ok)
    expect(io.stderr).toMatch(/\nnatcheck: the step summary can't be written to [^\n]* \(ENOENT\)\n$/)
  })

  test('nowhere else', async () => {
    expect((await run(named)).io.stderr).toBe('')
  })
})

describe('interrupted', () => {
  const untilAborted =
    <T>(io: FakeIo, result: T) =>
    ({ signal }: { readonly signal?: AbortSignal | undefined }): Promise<T> =>
      new Promise((resolve) => {
        signal?.addEventListener('abort', () => resolve(result))
        setImmediate(() => io.interrupt())
      })

  test('prints what is known, the document too, and exits 130', async () => {
    const io = new FakeIo()
    const world = worldOf(untilAborted(io, [home]), untilAborted(io, observed({ interrupted: true })))
    expect((await run({ ...named, json: true }, world, io)).code).toBe(exitCodes.interrupted)
    expect(reportOf(io)).toMatchObject({ error: { code: 'CANCELLED' }, nat: { nat: { ipv4: { behindNat: true } } } })
    expect(Check(checkupReportSchema, reportOf(io))).toBe(true)
    expect(reportOf(io).verdict.summary).toMatch(/^Interrupted; so far: Direct/)
    expect(io.stderr).toMatch(/^natcheck: interrupted/)
  })

  test('probes that do not let go hold nothing up', async () => {
    const io = new FakeIo()
    const never = (): Promise<never> => {
      setImmediate(() => io.interrupt())
      return new Promise(() => {})
    }
    await expect(run(named, worldOf(never, never), io)).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  test('--watch: again and again, until then', async () => {
    const io = new FakeIo()
    const world = worldOf([home], observed(), async ({ pauses }) => {
      if (pauses.length === 2) io.interrupt()
    })
    expect((await run({ ...named, watch: true, jsonl: true }, world, io)).code).toBe(exitCodes.interrupted)
    expect(io.stdout.trimEnd().split('\n')).toHaveLength(2)
    expect(world.pauses).toHaveLength(2)
  })
})

test('--watch prints at length only what is news', async () => {
  const io = new FakeIo()
  const seen = [observed(), observed(), deadRelay]
  const world = worldOf(
    [home],
    () => Promise.resolve(seen.shift() ?? deadRelay),
    async ({ pauses }) => {
      if (pauses.length === 3) io.interrupt()
    },
  )
  await run({ ...named, watch: true }, world, io)
  const rounds = io.stdout.split(/^\d{4}-\d\d-\d\dT.*Z\n/m).slice(1)
  expect(rounds.map((text) => text.includes('Servers\n'))).toEqual([true, false, true])
  expect(rounds[1]).toMatch(/^✓ Direct connections/)
})

describe('--save', () => {
  test('what was measured is printed all the same when it fails', async () => {
    const { code, io } = await run({ ...named, json: true, save: '/nonexistent/x' })
    expect(code).toBe(exitCodes.usage)
    expect(reportOf(io)).toMatchObject({ error: { code: 'BAD_FILE' }, verdict: { kind: 'ready' } })
    expect(io.stderr).toMatch(/^natcheck: the report can't be written to [^\n]+\n$/)
  })

  test('the whole report; natcheck nat reads its own part of it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'natcheck-checkup-'))
    const path = join(directory, 'it.json')
    const { io } = await run({ ...named, json: true, save: path }, worldOf([open], observed()))
    expect(readFileSync(path, 'utf8')).toBe(io.stdout)
    const again = new FakeIo()
    expect(await runCli(['nat', '--from', path, '--json'], again)).toBe(exitCodes.ok)
    expect(again.json.verdict).toEqual(reportOf(io).nat.verdict)
    rmSync(directory, { recursive: true })
  })
})

describe('the command line', () => {
  test.each([
    [['--json', '--family', '5'], 'checkup'],
    [['doctor', '--json', '--family', '5'], 'checkup'],
    [['--jsonl', '--fail-on', 'x'], 'checkup'],
    [['--reporter', 'json', '--fail-on', 'x'], 'checkup'],
    [['nat', '--json', '--family', '5'], 'nat'],
    [['ice', '--json', '--family', '5'], 'ice'],
    [['config', '--json', '--config', '/nonexistent'], 'config'],
  ])('%j: the document of that command, with the error, exit 2', async (args, command) => {
    const io = new FakeIo()
    expect(await runCli(args, io)).toBe(exitCodes.usage)
    expect(JSON.parse(io.stdout)).toMatchObject({ command, error: { code: expect.any(String) as string } })
    expect(io.stderr).toMatch(/^natcheck: [^\n]+\n$/)
  })

  test.each([['docter'], ['chekup'], ['nta']])('a typo never runs the check-up: %s', async (word) => {
    const io = new FakeIo()
    expect(await runCli([word], io)).toBe(exitCodes.usage)
    expect(io.stderr).toMatch(/^natcheck: unknown command '\w+' — did you mean \w+\?\n$/)
    expect(io.stdout).toBe('')
  })

  test.each(['checkup', 'nat', 'ice', 'compare'])('schema %s', async (name) => {
    const io = new FakeIo()
    expect(await runCli(['schema', name], io)).toBe(exitCodes.ok)
    expect(JSON.parse(io.stdout)).toMatchObject({ type: 'object', properties: { command: {} } })
  })
})
