/** "Check this host" in a network namespace that has nothing but loopback: the whole check-up, streamed. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { CheckupReport } from '../../src/report/index.ts'
import { launcher } from '../cli/natcheck.ts'
import { check } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'

const main = fileURLToPath(new URL('host-check-main.mjs', import.meta.url))

interface Printed {
  readonly progress: readonly { readonly event: string; readonly command: string }[]
  readonly report: CheckupReport
  readonly checks: readonly { readonly summary: string }[]
}

describeIf(['netns'], 'the check-up of the host', () => {
  test('streams its progress, ends in the report of the command line, and is kept', async () => {
    const script = 'ip link set lo up && exec "$@"'
    const argv = ['unshare', '-n', 'sh', '-c', script, 'sh', process.execPath, main, launcher]
    const printed = JSON.parse(await check(argv, { timeoutMs: 40_000 })) as Printed
    const { progress, report, checks } = printed
    expect(new Set(progress.map(({ command }) => command))).toEqual(new Set(['nat', 'ice']))
    expect(progress.map(({ event }) => event)).toContain('candidate')
    expect(report).toMatchObject({ command: 'checkup', serversFrom: 'configured', error: null })
    expect(report.nat.nat.ipv4?.mapping.value).toBe('none')
    expect(report.ice.candidates.map(({ type }) => type)).toContain('relay')
    // The embedded relay is open to this machine on purpose.
    expect(report.findings.map(({ subject }) => subject)).not.toContainEqual(expect.stringContaining('turn:'))
    expect(checks).toMatchObject([{ summary: report.verdict.summary }])
    // No credential leaves in a report.
    expect(JSON.stringify(printed)).not.toMatch(/credential"|:dashboard"/)
  })
})
