import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Check } from 'typebox/value'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { iceCommand } from '../../src/cli/ice/run.ts'
import { readIceSettings } from '../../src/cli/ice/settings.ts'
import type { IceWorld } from '../../src/cli/ice/world.ts'
import { exitCodes } from '../../src/cli/io.ts'
import { publicServers } from '../../src/cli/nat/public-servers.ts'
import { instant, wallTime } from '../../src/core/index.ts'
import type { IceObservations, IceOptions } from '../../src/probe/ice/index.ts'
import { parseCandidate } from '../../src/proto/ice/index.ts'
import { iceReportSchema } from '../../src/report/ice-schema.ts'
import type { IceReport } from '../../src/report/index.ts'
import { formatServerUri } from '../../src/wire/uri.ts'
import { attempt, candidates, failing, observed, startedAt } from '../report/ice-observed.ts'
import { FakeIo } from './fake.ts'

const password = 'correct horse battery staple'
let cwd = ''
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'natcheck-ice-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

function newIo(over: Partial<FakeIo> = {}, env: Record<string, string> = {}): FakeIo {
  const io = Object.assign(new FakeIo(), { cwd, ...over })
  Object.assign(io.env, env)
  return io
}

/** A world that gathers `seen`, telling its candidates first. */
function world(seen: IceObservations | IceWorld['gather'] = observed()): IceWorld & { readonly asked: IceOptions[] } {
  const asked: IceOptions[] = []
  return {
    asked,
    clock: { now: () => instant(0), wallTime: () => wallTime(Date.parse(startedAt)), schedule: () => () => {} },
    gather: async (options) => {
      asked.push(options)
      if (typeof seen === 'function') return await seen(options)
      for (const candidate of seen.candidates) options.onProgress?.({ kind: 'candidate', candidate })
      return seen
    },
    pause: () => Promise.resolve(),
  }
}

async function run(flags: Record<string, unknown>, seen?: Parameters<typeof world>[0], io: FakeIo = newIo()) {
  const around = world(seen)
  return { code: await iceCommand(flags, io, around), io, asked: around.asked }
}

const report = ({ stdout }: FakeIo): IceReport => JSON.parse(stdout) as IceReport
const turn = { server: ['turn:turn.example.org'], username: 'alice', credentialEnv: 'TURN_PASSWORD' }
const secretEnv = { TURN_PASSWORD: password }

describe('settings', () => {
  const settings = async (flags: Record<string, unknown>, env: Record<string, string> = {}, stdin = '') => {
    const { servers, ...rest } = await readIceSettings(flags, newIo({ stdin }, env))
    return {
      ...rest,
      servers: servers.map(({ uri, ...credentials }) => ({ uri: formatServerUri(uri), ...credentials })),
    }
  }
  const write = (name: string, text: string): string => {
    writeFileSync(join(cwd, name), text)
    return name
  }
  const alice = { username: 'alice', credential: password }

  test('defaults: three public STUN servers, everything, both families, proven', async () => {
    const { servers, ...rest } = await settings({})
    expect(servers.map(({ uri }) => uri)).toEqual(publicServers.slice(0, 3))
    expect(rest).toEqual({
      serversFrom: 'public',
      policy: 'all',
      families: [4, 6],
      timeoutMs: 10_000,
      prove: true,
      ca: undefined,
      expect: [],
    })
  })

  test('the password comes from a variable or from stdin, for the TURN servers', async () => {
    const flags = { ...turn, server: ['stun:stun.example.org', 'turn:turn.example.org'] }
    const expected = [
      { uri: 'stun:stun.example.org', username: undefined, credential: undefined },
      { uri: 'turn:turn.example.org', ...alice },
    ]
    expect((await settings(flags, secretEnv)).servers).toEqual(expected)
    const { credentialEnv: _, ...rest } = flags
    expect((await settings({ ...rest, credentialStdin: true }, {}, `${password}\n`)).servers).toEqual(expected)
  })

  test('iceServers are taken as they are pasted: JSON, an RTCConfiguration, JavaScript, from a file or stdin', async () => {
    const list = [{ urls: ['turn:turn.example.org', 'stun:turn.example.org'], username: 'alice', credential: password }]
    const pasted = [
      JSON.stringify(list),
      JSON.stringify({ iceServers: list, iceTransportPolicy: 'relay' }),
      `const iceServers = [{ urls: ['turn:turn.example.org', 'stun:turn.example.org'], username: 'alice', credential: '${password}' }];`,
      `iceServers: [{ urls: ['turn:turn.example.org', 'stun:turn.example.org'], username: 'alice', credential: '${password}', }],`,
      `"iceServers": ${JSON.stringify(list)},`,
      `const iceServers: RTCIceServer[] = ${JSON.stringify(list)} as const; // ours`,
      `export default { iceServers: ${JSON.stringify(list)} } satisfies RTCConfiguration`,
      `const pc = new RTCPeerConnection({\n  iceServers: ${JSON.stringify(list)}, // ours\n})`,
      `[{ urls: [\`turn:turn.example.org\`, \`stun:turn.example.org\`], username: \`alice\`, credential: \`${password}\` }]`,
    ]
    for (const text of pasted) {
      const expected = [{ uri: 'turn:turn.example.org', ...alice }, { uri: 'stun:turn.example.org' }]
      expect((await settings({ iceServers: '-' }, {}, text)).servers).toMatchObject(expected)
      expect((await settings({ iceServers: write('servers.json', text) })).servers).toMatchObject(expected)
    }
  })

  test('flag, else environment, else file', async () => {
    write(
      'natcheck.json',
      JSON.stringify({ iceServers: [{ urls: 'stun:file' }], policy: 'relay', expect: ['relay'], timeout: 500 }),
    )
    expect(await settings({})).toMatchObject({
      servers: [{ uri: 'stun:file' }],
      policy: 'relay',
      expect: ['relay'],
      timeoutMs: 500,
    })
    expect(await settings({ policy: 'all' }, { NATCHECK_EXPECT: 'host,srflx', NATCHECK_TIMEOUT: '600' })).toMatchObject(
      {
        policy: 'all',
        expect: ['host', 'srflx'],
        timeoutMs: 600,
      },
    )
  })

  test('a server that is named twice is asked once', async () => {
    const { servers } = await settings(
      { ...turn, server: ['turn:h', 'turn:h?transport=udp', 'turn:h?transport=tcp'] },
      secretEnv,
    )
    expect(servers.map(({ uri }) => uri)).toEqual(['turn:h', 'turn:h?transport=tcp'])
  })

  test.each<[string, Record<string, unknown>, string, RegExp]>([
    ['no list', {}, '"x"', /^stdin: iceServers is no list/],
    ['no JSON', {}, '[{', /^stdin is not JSON/],
    [
      'a name for a value',
      {},
      `const s = [\n  {urls: "turn:h", username: user, credential: "${password}"}]`,
      /^stdin is not JSON \(line 2, column 30\)/,
    ],
    ['a key misspelt', {}, '[{"url5": "stun:h"}]', /iceServers\[0\]\.urls is missing; url5 is no key/],
    ['a URL with slashes', {}, '[{"urls": ["stun:h", "stun://h"]}]', /iceServers\[0\]\.urls\[1\]:.*stun:\/\/h/],
    ['a URL that is a number', {}, '[{"urls": "stun:h"}, {"urls": 5}]', /iceServers\[1\]\.urls is no text/],
    ['no credential', {}, `[{"urls": "turn:h", "username": "alice"}]`, /iceServers\[0\]\.credential is missing/],
    ['no user name', {}, `[{"urls": "turn:h", "credential": "${password}"}]`, /iceServers\[0\]\.username is missing/],
    [
      'a credential that is an object',
      {},
      `[{"urls": "turn:h", "username": "a", "credential": {"macKey": "${password}"}}]`,
      /iceServers\[0\]\.credential is no text/,
    ],
  ])('iceServers with %s: the key, and no secret', async (_, flags, stdin, message) => {
    const failing = settings({ iceServers: '-', ...flags }, {}, stdin)
    await expect(failing).rejects.toThrow(message)
    await expect(failing).rejects.not.toThrow(password)
    await failing.catch((error: unknown) => {
      expect(['BAD_FILE', 'BAD_URI']).toContain((error as { code: string }).code)
      expect((error as { fix: string }).fix).not.toContain(password)
    })
  })

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['no credentials', { server: ['turn:h'] }, /turn:h needs credentials/],
    ['a variable that is not set', { server: ['turn:h'], username: 'a', credentialEnv: 'NOPE' }, /NOPE is not set/],
    ['two places for the password', { ...turn, credentialStdin: true }, /exclude each other/],
    [
      'stdin for both',
      { ...turn, iceServers: '-', credentialEnv: undefined, credentialStdin: true },
      /either the servers or the password/,
    ],
    ['an empty stdin', { server: ['turn:h'], username: 'a', credentialStdin: true }, /holds no password/],
    ['a user name without TURN', { server: ['stun:h'], username: 'a' }, /no --server is one/],
    ['another policy', { policy: 'all-of-them' }, /--policy/],
    ['an expectation misspelt', { expect: 'rely' }, /there is no "rely"/],
    ['a certificate file that is none', { ca: 'missing.pem' }, /missing\.pem can't be read/],
    ['a servers file that is none', { iceServers: 'missing.json' }, /missing\.json can't be read/],
    ['a timeout of nothing', { timeout: '0' }, /--timeout/],
  ])('%s: one line, and nothing is sent', async (_, flags, message) => {
    const io = newIo({}, secretEnv)
    const around = world()
    await expect(iceCommand(flags, io, around)).rejects.toThrow(message)
    expect(around.asked).toEqual([])
    await expect(iceCommand(flags, io, around)).rejects.toMatchObject({ fix: expect.any(String) as string })
  })
})

describe('exit codes', () => {
  const blocked = observed({
    candidates: candidates.slice(0, 1),
    reachability: [],
    attempts: [failing({ code: 'blocked', facts: { worksOver: 'TCP 3478' } })],
  })
  const silent = observed({
    candidates: candidates.slice(0, 1),
    reachability: [],
    attempts: [failing({ code: 'no-answer' })],
  })

  test.each<[string, Record<string, unknown>, IceObservations, number]>([
    ['all is well', turn, observed(), exitCodes.ok],
    ['a configured server fails', turn, silent, exitCodes.failed],
    ['what was expected is there, though a server fails', { ...turn, expect: 'host' }, silent, exitCodes.ok],
    ['what was expected is missing', { ...turn, expect: 'relay' }, silent, exitCodes.failed],
    ['UDP blocked is a result', {}, blocked, exitCodes.ok],
    ['UDP blocked, where a relay was expected', { expect: 'relay' }, blocked, exitCodes.failed],
    [
      'UDP blocked, where TCP was expected and works',
      { ...turn, expect: 'relay/tcp' },
      {
        ...blocked,
        candidates: candidates.map((each) => ({
          ...each,
          relayProtocol: each.type === 'relay' ? ('tcp' as const) : null,
        })),
      },
      exitCodes.ok,
    ],
    ['none of the public servers answers', {}, silent, exitCodes.unmeasured],
  ])('%s', async (_, flags, seen, code) => {
    const { io, ...result } = await run({ ...flags, json: true }, seen, newIo({}, secretEnv))
    expect(result.code).toBe(code)
    expect(Check(iceReportSchema, report(io))).toBe(true)
    expect(io.stderr.split('\n').length - 1).toBe(code === exitCodes.unmeasured ? 1 : 0)
  })
})

describe('output', () => {
  test('candidates as they come, then the verdict, servers, proofs and what to do', async () => {
    const { io } = await run(
      turn,
      observed({ attempts: [attempt({}), failing({ code: 'quota' })] }),
      newIo({}, secretEnv),
    )
    const order = [
      'typ host',
      'typ srflx',
      'typ relay',
      '1 of 2 servers work',
      'Servers, 0 to',
      'Reachable',
      'What to change',
    ]
    const places = order.map((words) => io.stdout.indexOf(words))
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    expect(places[0]).toBeGreaterThan(0)
  })

  test('--jsonl: an object a line, the report last', async () => {
    const { io } = await run({ ...turn, jsonl: true }, observed(), newIo({}, secretEnv))
    const lines = io.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.map(({ event }) => event)).toEqual(['candidate', 'candidate', 'candidate', undefined])
    expect(Check(iceReportSchema, lines.at(-1))).toBe(true)
  })

  test('--watch: again and again, until interrupted', async () => {
    const io = newIo({}, secretEnv)
    let rounds = 0
    const { code } = await run(
      { ...turn, watch: true },
      ({ signal }) => {
        if (++rounds === 3) io.interrupt()
        return Promise.resolve(observed({ interrupted: signal?.aborted === true }))
      },
      io,
    )
    expect([rounds, code]).toEqual([3, exitCodes.interrupted])
    expect(io.stdout.match(/The server works/g)).toHaveLength(2)
  })

  test('--save keeps the report; where it can not be written, it is printed all the same', async () => {
    const path = join(cwd, 'saved.json')
    const { io } = await run({ ...turn, json: true, save: path }, observed(), newIo({}, secretEnv))
    expect(readFileSync(path, 'utf8')).toBe(io.stdout)
    const failed = await run({ ...turn, json: true, save: join(cwd, 'no', 'such') }, observed(), newIo({}, secretEnv))
    expect(failed.code).toBe(exitCodes.usage)
    expect(report(failed.io).error?.code).toBe('BAD_FILE')
  })

  test.each([
    [{ json: true, jsonl: true }, /exclude each other/],
    [{ json: true, watch: true }, /does not end/],
  ])('%o is refused', async (flags, message) => {
    await expect(run(flags)).rejects.toThrow(message)
  })
})

describe('secrets', () => {
  test('no output holds the password, and no option of it but the servers', async () => {
    const servers = JSON.stringify([{ urls: 'turn:turn.example.org', username: 'bob', credential: password }])
    for (const output of [{}, { verbose: true }, { json: true }, { jsonl: true }]) {
      for (const flags of [turn, { iceServers: '-' }]) {
        const path = join(cwd, 'saved.json')
        const { io, asked } = await run(
          { ...flags, ...output, save: path },
          undefined,
          newIo({ stdin: servers }, secretEnv),
        )
        expect(asked[0]?.servers[0]?.credential).toBe(password)
        for (const text of [io.stdout, io.stderr, readFileSync(path, 'utf8')]) expect(text).not.toContain(password)
      }
    }
  })

  test('--redact leaves no address and no name of a server, and lines that can be read', async () => {
    const tls = {
      version: 'TLSv1.3',
      names: ['turn.corp.example', '*.corp.example'],
      issuer: 'Corp Internal CA',
      validFrom: startedAt,
      validTo: startedAt,
    }
    const named = { uri: 'turns:turn.corp.example', transport: 'tls', realm: 'corp.example', tls } as const
    const seen = observed({
      attempts: [
        attempt(named),
        failing(
          {
            code: 'certificate-wrong-name',
            stage: 'tls',
            facts: { names: ['inner.corp.example'], issuer: 'Corp Internal CA' },
          },
          named,
        ),
        failing(
          { code: 'wrong-credentials', stage: 'challenge', facts: { realm: 'corp' } },
          { ...named, realm: 'corp' },
        ),
      ],
    })
    const flags = { ...turn, server: ['turns:turn.corp.example'], redact: true }
    for (const output of [{}, { verbose: true }, { json: true }, { jsonl: true }]) {
      const { io } = await run({ ...flags, ...output }, seen, newIo({}, secretEnv))
      expect(io.stdout).not.toMatch(/corp|192\.168\.77|203\.0\.113\.65|Internal/i)
    }
    const { io } = await run({ ...flags, json: true }, seen, newIo({}, secretEnv))
    const { candidates: redacted, verdict } = report(io)
    expect(redacted.map(({ line }) => parseCandidate(line))).toMatchObject(
      redacted.map(({ ip, port, type }) => ({ ok: true, value: { host: ip, port, type } })),
    )
    const whole = await run({ ...flags, redact: false, json: true }, seen, newIo({}, secretEnv))
    expect(verdict).toEqual(report(whole.io).verdict)
    expect(Check(iceReportSchema, report(io))).toBe(true)
  })
})

describe('interrupted', () => {
  test('prints what is known, and exits 130', async () => {
    const io = newIo({}, secretEnv)
    const { code } = await run(
      { ...turn, json: true },
      ({ signal }) =>
        new Promise((resolve) => {
          signal?.addEventListener('abort', () => resolve(observed({ interrupted: true, gatheredAtMs: null })))
          setImmediate(() => io.interrupt())
        }),
      io,
    )
    expect(code).toBe(exitCodes.interrupted)
    expect(report(io)).toMatchObject({
      error: { code: 'CANCELLED' },
      candidates: [{ type: 'host' }, { type: 'srflx' }, { type: 'relay' }],
    })
  })
})
