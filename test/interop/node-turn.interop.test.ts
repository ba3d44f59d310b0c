/** The engine node-turn as people meet it: coturn's client, Chromium, the command, and a process that has to end. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createRelay, type RelayEvent } from '../../src/index.ts'
import { launcher } from '../cli/natcheck.ts'
import { type Chromium, launchChromium, relayedDataChannel } from '../support/chromium.ts'
import { type Daemon, printed, run, startDaemon } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'

const root = resolve(import.meta.dirname, '../..')
let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-node-turn-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describeIf(['turnutils'], 'turnutils_uclient through the engine node-turn', () => {
  let daemon: Daemon
  let port = ''
  beforeAll(async () => {
    const users = join(directory, 'users')
    const secret = join(directory, 'secret')
    writeFileSync(users, 'alice:wonderland\n')
    writeFileSync(secret, 'a secret of many bytes\n')
    daemon = startDaemon([
      process.execPath,
      launcher,
      'relay',
      '--engine=node-turn',
      '--json',
      '--listen=127.0.0.1:0',
      `--users-file=${users}`,
      `--auth-secret-file=${secret}`,
      '--allow-peer=127.0.0.1',
    ])
    const [text] = await printed(daemon, /^\{$[^]*^\}$/m)
    const { listeners, engine } = JSON.parse(text) as { engine: string; listeners: { address: string }[] }
    expect(engine).toBe('node-turn')
    port = listeners[0]?.address.split(':')[1] ?? ''
  })
  afterAll(async () => await daemon?.stop('SIGKILL'))

  const long = ['-u', 'alice', '-w', 'wonderland', '-y', '-c']
  test.concurrent.each([
    ['channels', long],
    ['Send indications', [...long, '-s']],
    ['packets of 1200 bytes', [...long, '-l', '1200']],
    ['time-limited credentials', ['-u', 'bob', '-W', 'a secret of many bytes', '-y', '-c']],
  ])('%s: nothing is lost', async (_, argv) => {
    const { stdout, stderr } = await run(
      ['timeout', '-s', 'KILL', '40', 'turnutils_uclient', ...argv, '-m', '4', '-n', '50', '-p', port, '127.0.0.1'],
      { timeoutMs: 45_000 },
    )
    const output = stdout + stderr
    const sums = [...output.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g)].pop()
    const lost = /Total lost packets (-?\d+)/.exec(output)?.[1]
    expect({ lost, output: lost === '0' ? '' : output.slice(-2000) }).toEqual({ lost: '0', output: '' })
    expect(Number(sums?.[1])).toBeGreaterThanOrEqual(200)
    expect(sums?.[2]).toBe(sums?.[1])
  })
})

describeIf(['chromium'], 'Chromium through the engine node-turn', () => {
  let browser: Chromium
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(async () => await browser?.close())

  test('a relay-only data channel survives real Refreshes', async () => {
    const events: RelayEvent[] = []
    const relay = await createRelay({
      engine: 'node-turn',
      listen: [{ ip: '127.0.0.1', port: 0 }],
      users: [{ username: 'alice', password: 'wonderland' }],
      allowPeers: ['127.0.0.1'],
      lifetimes: { allocation: 20, maxAllocation: 20 },
      onEvent: (event) => events.push(event),
    })
    try {
      const iceServers = [{ urls: relay.urls, username: 'alice', credential: 'wonderland' }]
      const page = await browser.newPage()
      const report = await relayedDataChannel(page, { iceServers, count: 250, size: 200, holdSeconds: 25 })
      expect(report).toMatchObject({ opened: true, sides: [{ received: 250 }, { received: 250 }] })
      for (const side of report.sides) {
        expect(side.candidates.every((type) => type === 'relay')).toBe(true)
        expect(side).toMatchObject({ local: { type: 'relay' }, remote: { type: 'relay' }, errors: [] })
      }
      // Longer than what was granted: only a Refresh explains that they lived on. Then each is ended by its client.
      await vi.waitFor(async () => expect((await relay.stats()).allocations).toBe(0), { timeout: 5000 })
      const ended = events.flatMap((event) => (event.kind === 'allocation-ended' ? [event] : []))
      expect(ended.map(({ why }) => why)).toEqual(['refreshed-to-zero', 'refreshed-to-zero'])
      for (const { allocation } of ended) expect(allocation.ageSeconds).toBeGreaterThan(24)
      expect((await relay.stats()).responses['Refresh 0']).toBeGreaterThanOrEqual(6)
    } finally {
      await relay.close()
    }
  })
})

describe('the process', () => {
  test('ends by itself when the relay is closed, whatever was going on', async () => {
    const script = `
      import { createSocket } from 'node:dgram'
      import { createRelay } from ${JSON.stringify(pathToFileURL(join(root, 'dist/index.js')).href)}
      const relay = await createRelay({ engine: 'node-turn', listen: [{ ip: '127.0.0.1', port: 0 }], noAuth: true })
      const socket = createSocket('udp4')
      const allocate = Buffer.from('000300082112a442000000000000000000000001001900041100000000', 'hex').subarray(0, 28)
      socket.send(allocate, relay.listeners[0].address.port, '127.0.0.1')
      await new Promise((resolve) => socket.once('message', resolve))
      console.log(JSON.stringify(await relay.stats()))
      socket.close()
      await relay.close()`
    const { status, stdout, stderr } = await run([process.execPath, '--input-type=module', '-e', script], {
      timeoutMs: 15_000,
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ allocations: 1, allocationsCreated: { udp: 1 } })
  })

  test('drains on SIGTERM and reloads on SIGHUP', async () => {
    const users = join(directory, 'signal-users')
    writeFileSync(users, 'alice:wonderland\n')
    const flags = ['--engine=node-turn', '--listen=127.0.0.1:0', `--users-file=${users}`]
    const daemon = startDaemon([process.execPath, launcher, 'relay', ...flags])
    const closed = new Promise((ended) => daemon.child.once('close', ended))
    await printed(daemon, /Limits of the engine node-turn/)
    await printed(daemon, /relay started/)
    writeFileSync(users, 'alice:wonderland\nbob:builder\n')
    daemon.child.kill('SIGHUP')
    await printed(daemon, /"users":2,.*configuration reloaded/)
    daemon.child.kill('SIGTERM')
    expect(await closed).toBe(0)
    expect(daemon.output()).toContain('relay stopped')
  })

  test('says what to install where the package is missing', async () => {
    const bare = join(directory, 'bare')
    mkdirSync(join(bare, 'node_modules'), { recursive: true })
    for (const name of ['bin', 'dist', 'package.json']) cpSync(join(root, name), join(bare, name), { recursive: true })
    for (const name of readdirSync(join(root, 'node_modules'))) {
      if (name !== 'node-turn') symlinkSync(join(root, 'node_modules', name), join(bare, 'node_modules', name))
    }
    const argv = [process.execPath, join(bare, 'bin/natcheck.js'), 'relay', '--engine', 'node-turn', '--listen']
    const { status, stdout, stderr } = await run([...argv, '127.0.0.1:0'])
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' })
    expect(stderr).toContain('the engine node-turn needs the package node-turn')
    expect(stderr).toContain('npm install node-turn@0.0.6')
  })
})
