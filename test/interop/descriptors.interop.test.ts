/** A relay whose limit of open files is reached: 508 to the client, a metric, a warning, never a crash. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
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
      await limit(open + 8)
      const refused = await allocate(40)
      expect(refused.stdout + refused.stderr).toContain('508 (Insufficient Capacity)')
      expect(daemon.output()).toContain('no file descriptor left; raise the limit')
      await limit(1024)
      const response = await fetch(`${metrics}/metrics`)
      expect(await response.text()).toMatch(/natcheck_relay_relay_failures_total\{reason="no-descriptors"\} [1-9]/)
      expect((await allocate(2)).status).toBe(0)
      expect(daemon.child.exitCode).toBeNull()
    })
  })
})
