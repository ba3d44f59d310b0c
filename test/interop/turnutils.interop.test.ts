/** coturn's own client against our relay, on loopback: every packet has to come back, over each transport and datapath. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launcher } from '../cli/natcheck.ts'
import { type Daemon, printed, run, startDaemon } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'

const secret = 'a secret of many bytes'

describeIf(['turnutils'], 'turnutils_uclient', () => {
  describe.each(['dgram', 'mmsg'])('on the %s datapath', (datapath) => {
    let directory = ''
    let daemon: Daemon
    let ports = { plain4: '', tls4: '', plain6: '' }

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'natcheck-uclient-'))
      const write = (name: string, text: string): string => {
        writeFileSync(join(directory, name), text)
        return join(directory, name)
      }
      const { cert, key } = certificate({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] })
      daemon = startDaemon([
        process.execPath,
        launcher,
        'relay',
        '--json',
        '--log-level=silent',
        `--datapath=${datapath}`,
        '--listen=127.0.0.1:0',
        '--listen=[::1]:0',
        '--tls-listen=127.0.0.1:0',
        `--cert=${write('cert.pem', cert)}`,
        `--key=${write('key.pem', key)}`,
        `--users-file=${write('users', 'alice:wonderland\n')}`,
        `--auth-secret-file=${write('secret', secret)}`,
        '--allow-peer=127.0.0.1',
        '--allow-peer=::1',
        '--realm=example.org',
      ])
      const [text] = await printed(daemon, /^\{$[^]*^\}$/m)
      const { listeners } = JSON.parse(text) as { listeners: { protocol: string; address: string }[] }
      const port = (protocol: string, ip: string): string =>
        listeners
          .find((each) => each.protocol === protocol && each.address.startsWith(ip))
          ?.address.split(':')
          .pop() ?? ''
      ports = { plain4: port('udp', '127.'), tls4: port('tls', '127.'), plain6: port('udp', '[') }
    })

    afterAll(async () => {
      await daemon?.stop('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    })

    const long = ['-u', 'alice', '-w', 'wonderland']
    const shared = ['-u', 'bob', '-W', secret]
    /** `-y`: client to client through both relayed addresses; `-c`: no RTCP beside; `-s`: Send indications; `-S`: TLS. */
    const cases: readonly (readonly [name: string, argv: readonly string[], port: 'plain4' | 'tls4' | 'plain6'])[] = [
      ['UDP with channels', [...long, '-y', '-c'], 'plain4'],
      ['UDP with channels, and RTCP ports beside (EVEN-PORT)', [...long, '-y'], 'plain4'],
      ['UDP with Send indications', [...long, '-y', '-c', '-s'], 'plain4'],
      ['UDP with time-limited credentials', [...shared, '-y', '-c'], 'plain4'],
      ['TCP with channels', [...long, '-y', '-c', '-t'], 'plain4'],
      ['TCP with Send indications', [...long, '-y', '-c', '-t', '-s'], 'plain4'],
      ['TLS with channels', [...long, '-y', '-c', '-t', '-S'], 'tls4'],
      ['TLS with Send indications', [...long, '-y', '-c', '-t', '-S', '-s'], 'tls4'],
      ['UDP over IPv6', [...long, '-y', '-c', '-x'], 'plain6'],
      ['TCP over IPv6', [...long, '-y', '-c', '-x', '-t'], 'plain6'],
      ['packets of 1200 bytes', [...long, '-y', '-c', '-l', '1200'], 'plain4'],
    ]

    test.concurrent.each(cases)('%s: nothing is lost', async (_, argv, port) => {
      const server = port === 'plain6' ? '::1' : '127.0.0.1'
      const { stdout, stderr } = await run(
        ['timeout', '-s', 'KILL', '40', 'turnutils_uclient', ...argv, '-m', '4', '-n', '50', '-p', ports[port], server],
        { timeoutMs: 45_000 },
      )
      const output = stdout + stderr
      const sums = [...output.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g)].pop()
      const lost = /Total lost packets (-?\d+)/.exec(output)?.[1]
      expect({ lost, output: lost === '0' ? '' : output.slice(-2000) }).toEqual({ lost: '0', output: '' })
      // It counts no more as lost than it knows it sent; so that it sent them is a claim of its own.
      expect(Number(sums?.[1])).toBeGreaterThanOrEqual(200)
      expect(sums?.[2]).toBe(sums?.[1])
    })

    test('a wrong password gets nowhere', async () => {
      const argv = [
        'turnutils_uclient',
        '-u',
        'alice',
        '-w',
        'wrong',
        '-y',
        '-c',
        '-n',
        '5',
        '-p',
        ports.plain4,
        '127.0.0.1',
      ]
      const { status, stdout, stderr } = await run(['timeout', '-s', 'KILL', '20', ...argv], { timeoutMs: 25_000 })
      expect(status).not.toBe(0)
      expect(stdout + stderr).toContain('Cannot complete Allocation')
    })
  })
})
