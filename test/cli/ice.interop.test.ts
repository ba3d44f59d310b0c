/** `natcheck ice` as a process, towards loopback only. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { Check } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { iceReportSchema } from '../../src/report/ice-schema.ts'
import type { IceReport } from '../../src/report/index.ts'
import { startRelay } from '../../src/relay/start.ts'
import type { Relay } from '../../src/relay/relay.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../src/transport/index.ts'
import { natcheck } from './natcheck.ts'

const password = 'correct horse battery staple'
const oneLine = /^natcheck: [^\n]+ — [^\n]+\n$/
const env = { TURN_PASSWORD: password }
const credentials = ['--username', 'alice', '--credential-env', 'TURN_PASSWORD']

test('schema ice prints the schema that the package exports', async () => {
  const { status, stdout } = await natcheck(['schema', 'ice'])
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(iceReportSchema)))
})

describe('usage errors: one line, exit 2, and with --json the document of this command', () => {
  test.each([
    ['no credentials', ['--server', 'turn:127.0.0.1'], /needs credentials/],
    ['a malformed URI', ['--server', 'turn://127.0.0.1'], /slashes/],
    ['an expectation misspelt', ['--expect', 'realy'], /did you mean relay/],
    ['a flag misspelt', ['--polciy', 'relay'], /did you mean --policy\?/],
    ['a file that is not there', ['--ice-servers', '/nonexistent.json'], /nonexistent\.json can't be read/],
  ])('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await natcheck(['ice', ...args])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(oneLine)
    expect(stderr).toMatch(message)
    for (const flag of ['--json', '--jsonl']) {
      const { stdout: document } = await natcheck(['ice', ...args, flag])
      expect(Check(iceReportSchema, JSON.parse(document))).toBe(true)
      const { command, error } = JSON.parse(document) as IceReport
      expect(command).toBe('ice')
      expect(`${error?.message} — ${error?.fix}`).toMatch(message)
    }
  })
})

describe('against our relay', () => {
  let relay: Relay
  let uri = ''
  beforeAll(async () => {
    const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
    const listen = [{ ip: '127.0.0.1', port: 0 }]
    relay = await startRelay(
      ports,
      { listen, users: [{ username: 'alice', password }], datapath: 'dgram', allowPeers: ['0.0.0.0/0'] },
      {},
    )
    uri = relay.urls.find((url) => url.endsWith('udp')) ?? ''
  })
  afterAll(() => relay.close())

  test('an allocation, proven, and no password in any output', async () => {
    for (const output of [[], ['--json'], ['--jsonl'], ['--verbose'], ['--redact', '--json']]) {
      const { status, stdout, stderr } = await natcheck(
        ['ice', '--server', uri, ...credentials, '--expect', 'relay/udp', ...output],
        { env },
      )
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(stdout).not.toContain(password)
      if (!output.includes('--json')) continue
      const report = JSON.parse(stdout) as IceReport
      expect(Check(iceReportSchema, report)).toBe(true)
      expect(report.servers).toMatchObject([
        { transport: 'udp', ok: true, relayed: expect.any(String) as string, causes: [] },
      ])
      const relayed = report.candidates.findIndex(({ type }) => type === 'relay')
      expect(report.reachability.find(({ candidate }) => candidate === relayed)).toMatchObject({
        result: 'proven',
        received: 20,
      })
    }
    expect((await relay.stats()).allocations).toBe(0)
  })

  test('a wrong password: exit 1, the reason, and nothing of either password', async () => {
    const { status, stdout } = await natcheck(['ice', '--server', uri, ...credentials], {
      env: { TURN_PASSWORD: 'a guess' },
    })
    expect(status).toBe(1)
    expect(stdout).toContain('401 again')
    expect(stdout).not.toContain('a guess')
  })

  test('what was expected decides', async () => {
    const { status, stdout } = await natcheck(['ice', '--server', uri, ...credentials, '--expect', 'relay/tls'], {
      env,
    })
    expect(status).toBe(1)
    expect(stdout).toContain('Failed as asked for: relay/tls.')
  })
})

describe('Ctrl-C', () => {
  let mute: Socket
  beforeAll(async () => {
    mute = createSocket('udp4').bind(0, '127.0.0.1')
    await once(mute, 'listening')
  })
  afterAll(() => void mute.close())

  test.each(['SIGINT', 'SIGTERM'] as const)('%s prints what is known, and exits 130', async (signal) => {
    let interrupt: () => void = () => {}
    // When the server has been asked: by then host candidates are there.
    mute.once('message', () => interrupt())
    const { status, stdout, stderr } = await natcheck(
      ['ice', '--server', `stun:127.0.0.1:${mute.address().port}`, '--json'],
      {
        onStart: (kill) => {
          interrupt = () => kill(signal)
        },
      },
    )
    expect(status).toBe(130)
    const report = JSON.parse(stdout) as IceReport
    expect(Check(iceReportSchema, report)).toBe(true)
    expect(report).toMatchObject({
      error: { code: 'CANCELLED' },
      gatheredMs: null,
      servers: [{ ok: false, stages: [{ stage: 'binding', endMs: null }], causes: [{ code: 'cancelled' }] }],
    })
    expect(stderr).toMatch(/^natcheck: interrupted[^\n]*\n$/)
  })
})
