/** `natcheck relay --engine coturn` as an operator has it, with coturn's own client in front. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { launcher, natcheck } from '../cli/natcheck.ts'
import { type Daemon, printed, run, startDaemon } from '../support/process.ts'
import { describeIf, environment } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'

describeIf(['linux', 'turnserver', 'turnutils', 'sqlite3', 'setpriv'], 'natcheck relay --engine coturn', () => {
  let directory = ''
  let temporary = ''
  let argv: readonly string[] = []
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'natcheck-coturn-cli-'))
    temporary = join(directory, 'tmp')
    mkdirSync(temporary)
    const write = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text)
      return join(directory, name)
    }
    const { cert, key } = certificate({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] })
    argv = [
      process.execPath,
      launcher,
      'relay',
      '--engine=coturn',
      '--json',
      '--log-level=debug',
      '--listen=127.0.0.1:0',
      '--tls-listen=127.0.0.1:0',
      `--cert=${write('cert.pem', cert)}`,
      `--key=${write('key.pem', key)}`,
      `--users-file=${write('users', 'alice:wonderland\n')}`,
      '--allow-peer=127.0.0.1',
    ]
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  async function start(): Promise<{ daemon: Daemon; port: (protocol: string) => string; child: number }> {
    const daemon = startDaemon(argv, { env: { ...environment(), TMPDIR: temporary } })
    const [text] = await printed(daemon, /^\{$[^]*^\}$/m, 20_000)
    const { listeners } = JSON.parse(text) as { listeners: { protocol: string; address: string }[] }
    const port = (wanted: string): string =>
      listeners
        .find(({ protocol }) => protocol === wanted)
        ?.address.split(':')
        .pop() ?? ''
    const child = Number(readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').trim())
    expect(readFileSync(`/proc/${child}/comm`, 'utf8')).toBe('turnserver\n')
    return { daemon, port, child }
  }

  const isRunning = (pid: number): boolean => {
    try {
      // A zombie is gone: it waits for whoever adopted it.
      return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    } catch {
      return false
    }
  }

  test.each([
    ['UDP', ['-y'], 'udp'],
    ['UDP with Send indications', ['-y', '-s'], 'udp'],
    ['TCP', ['-y', '-t'], 'tcp'],
  ])('over %s nothing is lost', async (_, flags, protocol) => {
    const { daemon, port } = await start()
    const client = ['turnutils_uclient', '-u', 'alice', '-w', 'wonderland', '-c', '-m', '4', '-n', '50', ...flags]
    const { stdout, stderr } = await run(
      ['timeout', '-s', 'KILL', '40', ...client, '-p', port(protocol), '127.0.0.1'],
      {
        timeoutMs: 45_000,
      },
    )
    const output = stdout + stderr
    const sums = [...output.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g)].pop()
    expect(/Total lost packets (-?\d+)/.exec(output)?.[1]).toBe('0')
    expect(Number(sums?.[1])).toBeGreaterThanOrEqual(200)
    expect(sums?.[2]).toBe(sums?.[1])
    await daemon.stop('SIGKILL')
  })

  test('its log is ours, without a password; two signals end it, and nothing stays', async () => {
    rmSync(temporary, { recursive: true })
    mkdirSync(temporary)
    const { daemon, port, child } = await start()
    const wrong = [
      'turnutils_uclient',
      '-u',
      'alice',
      '-w',
      'not-hers',
      '-y',
      '-c',
      '-n',
      '1',
      '-p',
      port('udp'),
      '127.0.0.1',
    ]
    await run(['timeout', '-s', 'KILL', '20', ...wrong], { timeoutMs: 25_000 })
    await printed(daemon, /"from":"engine","msg":"check_stun_auth: user alice credentials are incorrect"/)
    daemon.child.kill('SIGTERM')
    await printed(daemon, /"msg":"draining"/)
    await daemon.stop('SIGTERM')
    expect(daemon.output()).not.toMatch(/wonderland|not-hers/)
    expect(isRunning(child)).toBe(false)
    expect(readdirSync(temporary)).toEqual([])
  })

  test('turnserver does not outlive a natcheck that is killed', async () => {
    const { daemon, child } = await start()
    await daemon.stop('SIGKILL')
    await vi.waitFor(() => expect(isRunning(child)).toBe(false))
  })

  describe('refusals are one line', () => {
    test('turnserver is not installed', async () => {
      const { status, stdout, stderr } = await natcheck(['relay', '--engine=coturn'], { env: { PATH: '' } })
      expect({ status, stdout, stderr }).toEqual({
        status: 3,
        stdout: '',
        stderr: 'natcheck: turnserver is not installed — apt-get install coturn\n',
      })
    })

    test('users and secrets at once', async () => {
      writeFileSync(join(directory, 'secret'), 'a secret of many bytes')
      const flags = ['--listen=127.0.0.1:0', '--user=a:b', `--auth-secret-file=${join(directory, 'secret')}`]
      const { status, stderr } = await natcheck(['relay', '--engine=coturn', ...flags])
      expect(status).toBe(2)
      expect(stderr).toContain('coturn knows either users or shared secrets')
    })
  })
})
