import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ConfigReport, ShownSetting } from '../../src/cli/config/run.ts'
import { exitCodes } from '../../src/cli/io.ts'
import { runCli } from '../../src/cli/program.ts'
import { FakeIo } from './fake.ts'

let io = new FakeIo()
beforeEach(() => {
  io = new FakeIo()
  io.cwd = mkdtempSync(join(tmpdir(), 'natcheck-config-'))
})
afterEach(() => rmSync(io.cwd, { recursive: true }))

const write = (name: string, value: unknown): void => writeFileSync(join(io.cwd, name), JSON.stringify(value))

async function config(...args: readonly string[]) {
  const code = await runCli(['config', '--json', ...args], io)
  const report = JSON.parse(io.stdout) as ConfigReport
  const setting = (name: string): Omit<ShownSetting, 'name'> | undefined => {
    const { name: _, ...rest } = report.settings.find((each) => each.name === name) ?? {
      name: '',
      value: '',
      origin: 'default' as const,
      where: null,
    }
    return rest
  }
  return { code, report, setting }
}

describe('each value and where it came from', () => {
  test('nobody set anything', async () => {
    const { code, report } = await config()
    expect(code).toBe(exitCodes.ok)
    expect(report.file).toBeNull()
    expect(report.settings.every(({ origin, where }) => origin === 'default' && where === null)).toBe(true)
    expect(report.servers).toHaveLength(3)
  })

  test('a flag beats the environment, which beats the file', async () => {
    write('natcheck.json', { server: ['stun:file'], family: '4', timeout: 700, failOn: ['no-relay', 'rtt>150'] })
    io.env['NATCHECK_SERVER'] = 'stun:env'
    io.env['NATCHECK_FAMILY'] = '6'
    const { setting, report } = await config('--server', 'flag')
    expect(report.file).toBe('natcheck.json')
    expect(setting('server')).toEqual({ value: 'stun:flag', origin: 'flag', where: '--server' })
    expect(setting('family')).toEqual({ value: '6', origin: 'environment', where: 'NATCHECK_FAMILY' })
    expect(setting('timeout')).toEqual({ value: '700', origin: 'file', where: 'natcheck.json' })
    expect(setting('failOn')).toEqual({ value: 'no-relay, rtt>150', origin: 'file', where: 'natcheck.json' })
    expect(setting('router')).toEqual({ value: 'true', origin: 'default', where: null })
    expect(report.servers).toEqual([{ uri: 'stun:flag', username: null, hasCredential: false }])
  })

  test('in words, in 80 columns', async () => {
    write('natcheck.json', { server: ['stun:stun.example.org'] })
    io.env['NATCHECK_FAMILY'] = '4'
    expect(await runCli(['config', '--expect', 'srflx,relay'], io)).toBe(exitCodes.ok)
    expect(io.stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    await expect(io.stdout).toMatchFileSnapshot('../golden/config.txt')
  })
})

describe('never a secret', () => {
  const secret = 'hunter2hunter2'

  test.each<[string, () => readonly string[]]>([
    [
      'in a variable',
      () => {
        io.env['PASSWORD'] = secret
        return ['--server', 'turn:turn.example', '--username', 'u', '--credential-env', 'PASSWORD']
      },
    ],
    [
      'on stdin',
      () => {
        io.stdin = `${secret}\n`
        return ['--server', 'turn:turn.example', '--username', 'u', '--credential-stdin']
      },
    ],
    [
      'in a file of servers',
      () => {
        write('servers.json', [{ urls: 'turn:turn.example', username: 'u', credential: secret }])
        return ['--ice-servers', 'servers.json']
      },
    ],
    [
      'in natcheck.json',
      () => {
        write('natcheck.json', { iceServers: [{ urls: 'turn:turn.example', username: 'u', credential: secret }] })
        return []
      },
    ],
  ])('%s', async (_, prepare) => {
    const args = prepare()
    const { code, report } = await config(...args)
    expect(code).toBe(exitCodes.ok)
    expect(report.servers).toEqual([{ uri: 'turn:turn.example', username: 'u', hasCredential: true }])
    expect(io.stdout + io.stderr).not.toContain(secret)
  })

  test.each<[string, () => readonly string[]]>([
    ['in a URI, by mistake', () => ['--server', `turn:u:${secret}@turn.example`]],
    [
      'in place of its variable, in natcheck.json',
      () => {
        write('natcheck.json', { server: ['stun:a'], credentialEnv: secret })
        return []
      },
    ],
  ])('%s', async (_, prepare) => {
    await config(...prepare())
    expect(io.stdout + io.stderr).not.toContain(secret)
  })
})

test('what makes no sense is one line with exit code 2, below all that was read', async () => {
  write('natcheck.json', { family: '5' })
  const { code, report, setting } = await config()
  expect(code).toBe(exitCodes.usage)
  expect(setting('family')).toMatchObject({ value: '5', origin: 'file' })
  expect(report).toMatchObject({ servers: null, error: { code: 'USAGE' } })
  expect(io.stderr).toBe('natcheck: "family" in natcheck.json is "5" — write 4, 6 or both\n')
})
