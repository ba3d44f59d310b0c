/** The check-up behind real NATs, with a relay of our own on the other side. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Check } from 'typebox/value'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CheckupReport } from '../../src/report/index.ts'
import { checkupReportSchema } from '../../src/report/checkup-schema.ts'
import { type NatLab, natLab, natLabRequirements, servers } from '../support/nat-lab.ts'
import { printed } from '../support/process.ts'
import { describeIf, environment } from '../support/requirements.ts'
import { launcher } from './natcheck.ts'

const [ip, , , dead] = servers.ip4
const password = 'wonderland'

describeIf(natLabRequirements('kernel', 'ours'), 'natcheck, asking our own servers', () => {
  let lab: NatLab
  let directory = ''
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'natcheck-checkup-'))
    writeFileSync(join(directory, 'users.txt'), `alice:${password}\n`)
    lab = await natLab({ nat: { kind: 'masquerade' }, server: 'ours' })
    const { namespace } = lab.server
    // A server that is gone says nothing at all, not even that its port is closed.
    await namespace.nft(`table inet dead { chain c { type filter hook input priority 0; ip daddr ${dead} drop; }; }`)
    const users = ['--users-file', join(directory, 'users.txt'), '--realm', 'example.org']
    // The NAT's address, and the relay's own, to which a second allocation echoes where UDP is blocked.
    const peers = ['203.0.113.0/24', ip].flatMap((peer) => ['--allow-peer', peer])
    const relay = ['relay', '--listen', `${ip}:3480`, ...users, ...peers]
    await printed(namespace.start([process.execPath, launcher, ...relay]), /relay is up/)
  })
  afterAll(async () => {
    await lab.close()
    rmSync(directory, { recursive: true })
  })

  async function checkup(
    uris: readonly string[],
    flags: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    const named = uris.flatMap((uri) => ['--server', uri])
    const credentials = ['--username', 'alice', '--credential-env', 'PASSWORD']
    return await lab.client.natcheck([...named, ...credentials, '--family', '4', '--no-router', ...flags], {
      cwd: directory,
      env: { PATH: environment()['PATH'], PASSWORD: password, ...env },
    })
  }

  test('three servers, one of them dead: only that one is to blame', async () => {
    const uris = [`stun:${ip}`, `turn:${ip}:3480`, `turn:${dead}`]
    const { status, stdout, stderr } = await checkup(uris, ['--json'])
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    const report = JSON.parse(stdout) as CheckupReport
    expect(Check(checkupReportSchema, report)).toBe(true)
    expect(report.verdict.kind).toBe('degraded')
    expect(report.ice.servers.map(({ ok }) => ok)).toEqual([true, true, false])
    expect(report.findings.filter(({ severity }) => severity === 'error')).toMatchObject([
      { subject: `turn:${dead} (udp)`, code: 'no-answer' },
    ])
    expect(report.nat.verdict.p2p).toBe('direct')
    expect(stdout).not.toContain(password)
  })

  test('under GitHub Actions: JUnit on stdout, annotations on stderr, a summary of the step', async () => {
    const summary = join(directory, 'summary.md')
    const { status, stdout, stderr } = await checkup(
      [`stun:${ip}`, `turn:${ip}:3480`, `turn:${ip}:3480?transport=tcp`],
      ['--reporter', 'junit', '--expect', 'relay/udp,relay/tcp,proven', '--fail-on', 'behind-nat'],
      { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary },
    )
    expect(status).toBe(1)
    expect(stdout).toMatch(/^<\?xml.*\n<testsuites name="natcheck" tests="\d+" failures="1"/)
    expect(stderr).toMatch(/^::notice title=natcheck::Direct.*\n(.*\n)*::error title=natcheck --fail-on behind-nat::/)
    expect(readFileSync(summary, 'utf8')).toMatch(/^## ✗ Direct connections/)
  })

  test('where UDP is blocked the relay over TCP carries calls', async () => {
    await lab.setNat({ kind: 'udp-blocked' })
    const uris = [`turn:${ip}:3480`, `turn:${ip}:3480?transport=tcp`]
    const { status, stdout } = await checkup(uris, ['--json', '--expect', 'relay/tcp', '--fail-on', 'no-udp'])
    const report = JSON.parse(stdout) as CheckupReport
    expect(status).toBe(1)
    expect(report.failed).toEqual(['no-udp'])
    expect(report.error).toBeNull()
    expect(report.nat.verdict.p2p).toBe('blocked')
    expect(report.ice.servers.map(({ transport, ok }) => [transport, ok])).toEqual([
      ['udp', false],
      ['tcp', true],
    ])
    expect(report.verdict.summary).toMatch(/^UDP is blocked.* relay carries the rest over TCP/)
    expect(report.path.map(({ name }) => name)).toContain('firewall')
  })
})
