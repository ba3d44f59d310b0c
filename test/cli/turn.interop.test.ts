/** `natcheck turn` as a process: what it refuses, its schema, and Ctrl-C. Towards loopback only. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { Check } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { turnReportSchema } from '../../src/report/ice-schema.ts'
import type { TurnReport } from '../../src/report/index.ts'
import { natcheck } from './natcheck.ts'

const oneLine = /^natcheck: [^\n]+ — [^\n]+\n$/
const env = { TURN_PASSWORD: 'correct horse battery staple' }
const credentials = ['--username', 'alice', '--credential-env', 'TURN_PASSWORD']

test('schema turn prints the schema', async () => {
  const { status, stdout } = await natcheck(['schema', 'turn'])
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(turnReportSchema)))
})

describe('usage errors: one line, exit 2, and with --json the document of this command', () => {
  test.each([
    ['a STUN URI', ['stun:127.0.0.1'], /is a STUN server, and natcheck turn looks into TURN servers — write turn:/],
    ['no URI', [], /missing required argument 'uri'/],
    ['two URIs', ['turn:a.example', 'turn:b.example'], /too many arguments/],
    ['no credentials', ['turn:127.0.0.1'], /needs credentials/],
    ['a malformed URI', ['turn://127.0.0.1'], /slashes/],
    ['a rate that is none', ['turn:127.0.0.1', '--rate', 'fast'], /--rate is "fast"/],
    ['a flag misspelt', ['turn:127.0.0.1', '--hodl', '11m'], /did you mean --hold\?/],
  ])('%s', async (_, args, message) => {
    const { status, stdout, stderr } = await natcheck(['turn', ...args])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(oneLine)
    expect(stderr).toMatch(message)
    const { stdout: document } = await natcheck(['turn', ...args, '--json'])
    expect(Check(turnReportSchema, JSON.parse(document))).toBe(true)
    expect((JSON.parse(document) as TurnReport).error?.code).toMatch(/USAGE|BAD_URI/)
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
    mute.once('message', () => interrupt())
    const uri = `turn:127.0.0.1:${mute.address().port}?transport=udp`
    const { status, stdout, stderr } = await natcheck(['turn', uri, ...credentials, '--json'], {
      env,
      onStart: (kill) => {
        interrupt = () => kill(signal)
      },
    })
    expect(status).toBe(130)
    const report = JSON.parse(stdout) as TurnReport
    expect(Check(turnReportSchema, report)).toBe(true)
    expect(report).toMatchObject({
      error: { code: 'CANCELLED' },
      transports: [{ ok: false, stages: [{ stage: 'challenge', endMs: null }] }],
    })
    expect(stderr).toMatch(/^natcheck: interrupted[^\n]*\n$/)
  })
})
