/** A relay whose limit of open files is reached: 508 to the client, a metric, a warning, never a crash. */
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { launcher } from '../cli/natcheck.ts'
import { check, type Daemon, printed, run, startDaemon } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'

describeIf(['linux', 'turnutils'], 'the descriptor limit', () => {
  let daemon: Daemon | undefined
  const directory = mkdtempSync(join(tmpdir(), 'natcheck-descriptors-'))
  afterEach(async () => await daemon?.stop('SIGKILL'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  describe.each(['dgram', 'mmsg'])('on the %s datapath', (datapath) => {
    test('costs the client an allocation, and the relay nothing', async () => {
      const users = join(directory, `users-${datapath}`)
      writeFileSync(users, 'alice:wonderland\n')
      daemon = startDaemon([
        process.execPath,
        launcher,
        'relay',
        '--json',
        '--listen=127.0.0.1:0',
        '--metrics=127.0.0.1:0',
        '--allow-peer=127.0.0.1',
        `--users-file=${users}`,
        `--datapath=${datapath}`,
      ])
      const [text] = await printed(daemon, /^\{$[^]*^\}$/m)
      const { listeners, metrics } = JSON.parse(text) as { listeners: { address: string }[]; metrics: string }
      const port = listeners[0]?.address.split(':').pop() ?? ''
      const limit = async (soft: number): Promise<string> =>
        await check(['prlimit', '--pid', `${daemon?.pid}`, `--nofile=${soft}:`])
      const allocate = (clients: number): ReturnType<typeof run> =>
        run(
          [
            'timeout',
            '-s',
            'KILL',
            '8',
            'turnutils_uclient',
            '-u',
            'alice',
            '-w',
            'wonderland',
            '-m',
            `${clients}`,
          ].concat(['-n', '3', '-y', '-c', '-p', port, '127.0.0.1']),
        )
      const open = readdirSync(`/proc/${daemon.pid}/fd`).length
      // Eight for clients beside those that are kept.
      await limit(open + 32 + 8)
      const metric = async (name: string): Promise<number> => {
        const text = await (await fetch(`${metrics}/metrics`)).text()
        return Number(new RegExp(`^natcheck_relay_${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0)
      }
      const refused = await allocate(40)
      expect(refused.stdout + refused.stderr).toContain('508 (Insufficient Capacity)')
      expect(daemon.output()).toContain('no file descriptor left; raise the limit')
      // Whoever watches gets through while it is full, also when idle streams want the rest.
      const streams = Array.from({ length: 100 }, () => connect(Number(port), '127.0.0.1').on('error', () => {}))
      await Promise.all(streams.map((stream) => once(stream, 'connect')))
      expect((await fetch(`${metrics}/healthz`)).status).toBe(200)
      expect(await metric('relay_failures_total{reason="no-descriptors"}')).toBeGreaterThan(0)
      expect(await metric('allocations')).toBeGreaterThan(0)
      for (const stream of streams) stream.destroy()
      await limit(1024)
      expect((await allocate(2)).status).toBe(0)
      expect(daemon.child.exitCode).toBeNull()
    })
  })
})
