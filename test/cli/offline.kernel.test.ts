/** Bare `natcheck` without internet: in namespaces of our own, where every packet that leaves can be counted. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CheckupReport } from '../../src/report/index.ts'
import { Namespaces } from '../support/netns.ts'
import { describeIf, environment } from '../support/requirements.ts'
import { launcher } from './natcheck.ts'

const withoutOwnSettings = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(environment()).filter(([name]) => !/^(NATCHECK_|CI$|FORCE_COLOR|NO_COLOR)/.test(name)),
  )

describeIf(['netns', 'nft'], 'natcheck without internet', () => {
  let namespaces: Namespaces
  beforeAll(async () => {
    namespaces = await Namespaces.create('alone', 'host', 'gateway')
  })
  afterAll(async () => {
    await namespaces.remove()
  })

  const natcheck = (where: string, ...args: readonly string[]) =>
    namespaces
      .get(where)
      .run([process.execPath, launcher, ...args], { env: withoutOwnSettings(), cwd: '/', timeoutMs: 30_000 })

  test('no network at all: the self-test passes, says what it proves and why nothing was reached, exit 0', async () => {
    const { status, stdout, stderr } = await natcheck('alone')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const words = stdout.replace(/\s+/g, ' ')
    expect(words).toContain('STUN server on 127.0.0.1 and 127.0.0.2 gave the right answer')
    expect(words).toContain('This proves the tool and not the network.')
    expect(words).toMatch(/DNS: .*stun:stun\.nextcloud\.com:3478/)
  })

  test.each([
    ['loopback is down', 'down', 'the loopback interface is down — bring it up'],
    ['a firewall keeps loopback apart', 'drop', 'nothing comes through between them — let the firewall'],
  ])('%s: the self-test says why it could not run', async (_, how, why) => {
    const others = await Namespaces.create('dark')
    try {
      const dark = others.get('dark')
      if (how === 'down') await dark.ip('link set lo down')
      else await dark.nft('table inet t { chain c { type filter hook input priority 0; meta l4proto udp drop; }; }')
      const { status, stdout } = await dark.run([process.execPath, launcher], {
        env: withoutOwnSettings(),
        cwd: '/',
        timeoutMs: 30_000,
      })
      expect(status).toBe(3)
      expect(stdout.replace(/\s+/g, ' ')).toContain(`✗ Self-test could not run on 127.0.0.1 and 127.0.0.2: ${why}`)
    } finally {
      await others.remove()
    }
  })

  test('a named server that can not be reached is no success, and no self-test', async () => {
    const { status, stdout, stderr } = await natcheck('alone', '--server', 'stun:198.51.100.10', '--json')
    expect(status).toBe(3)
    expect(stderr).toMatch(/^natcheck: could not measure: stun:198\.51\.100\.10: .*no route.* — [^\n]+\n$/)
    expect((JSON.parse(stdout) as CheckupReport).nat.selfTest).toBeNull()
  })

  test('behind a gateway that leads nowhere, with a silent resolver: nothing but name lookups leaves', async () => {
    const resolver = '192.168.77.53'
    await namespaces.link(
      { in: 'host', as: 'out', addresses: ['192.168.77.2/24'] },
      { in: 'gateway', as: 'in', addresses: ['192.168.77.1/24', `${resolver}/24`] },
    )
    const [host, gateway] = [namespaces.get('host'), namespaces.get('gateway')]
    await host.ip('route add default via 192.168.77.1')
    // Swallowed at the gateway, not refused: the slowest way for names to fail.
    await gateway.nft(
      'table inet t { chain c { type filter hook input priority 0; meta l4proto { tcp, udp } drop; }; }',
    )
    await host.nft(
      `table inet t { counter lookups {}; counter others {}; chain c { type filter hook output priority 0;
        oif lo accept; icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } accept;
        udp dport 53 counter name lookups accept; tcp dport 53 counter name lookups accept; counter name others; }; }`,
    )
    const etc = `/etc/netns/${host.name}`
    mkdirSync(etc, { recursive: true })
    try {
      writeFileSync(`${etc}/resolv.conf`, `nameserver ${resolver}\n`)
      const startedAt = performance.now()
      const { status, stdout } = await natcheck('host', '--json')
      expect(status).toBe(0)
      // Two seconds for the names, and the command doesn't wait for a resolver that it has given up.
      expect(performance.now() - startedAt).toBeLessThan(4500)
      const { nat: report } = JSON.parse(stdout) as CheckupReport
      expect(report.selfTest).toMatchObject({ passed: true })
      expect(report.selfTest?.unreachable.map(({ cause }) => cause)).toEqual(report.servers.map(() => 'dns'))
    } finally {
      rmSync(etc, { recursive: true })
    }
    const packets = async (counter: string): Promise<number> =>
      Number(/packets (\d+)/.exec(await host.check(['nft', 'list', 'counter', 'inet', 't', counter]))?.[1])
    expect(await packets('lookups')).toBeGreaterThan(0)
    expect(await packets('others')).toBe(0)
  })
})
