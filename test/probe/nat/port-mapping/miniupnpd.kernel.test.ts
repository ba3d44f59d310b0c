/** The router query against the real miniupnpd, which OpenWrt and many vendors ship, in namespaces of our own. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { analyseWan, type RouterObservation } from '../../../../src/probe/nat/port-mapping/index.ts'
import { Namespaces } from '../../../support/netns.ts'
import { type Daemon, printed } from '../../../support/process.ts'
import { describeIf } from '../../../support/requirements.ts'

/** Only inside the namespaces; miniupnpd takes every documentation range for private. */
const publicWan = '11.22.33.44'
const routerIp = '192.168.7.1'
const clientIp = '192.168.7.2'

/** The client runs as its own process inside a namespace, so it needs the compiled code: `npm test` builds it first. */
const built = (path: string): string => new URL(`../../../../dist/${path}`, import.meta.url).href

interface Answer {
  readonly observations: readonly RouterObservation[]
  readonly tookMs: number
}

describeIf(['netns', 'nft', 'miniupnpd'], 'the router query against miniupnpd', () => {
  let namespaces: Namespaces
  let directory: string

  beforeEach(async () => {
    expect(existsSync(new URL(built('probe/nat/port-mapping/index.js'))), 'run `npm run build` first').toBe(true)
    directory = mkdtempSync(join(tmpdir(), 'natcheck-miniupnpd-'))
    namespaces = await Namespaces.create('client', 'router', 'isp')
    await namespaces.link(
      { in: 'router', as: 'lan0', addresses: [`${routerIp}/24`] },
      { in: 'client', as: 'eth0', addresses: [`${clientIp}/24`] },
    )
    await namespaces.get('client').ip(`route add default via ${routerIp}`)
  })

  afterEach(async () => {
    await namespaces.remove()
    rmSync(directory, { recursive: true, force: true })
  })

  const startRouter = async (wan: string, settings: Readonly<Record<string, string>> = {}): Promise<Daemon> => {
    await namespaces.link(
      { in: 'router', as: 'wan0', addresses: [`${wan}/24`] },
      { in: 'isp', as: 'eth0', addresses: [] },
    )
    const router = namespaces.get('router')
    await router.ip('route add default dev wan0')
    await router.nft(`
      table inet miniupnpd {
        chain forward { }
        chain prerouting { type nat hook prerouting priority dstnat; }
        chain postrouting { type nat hook postrouting priority srcnat; }
      }`)
    const config = {
      ext_ifname: 'wan0',
      listening_ip: 'lan0',
      port: '5000',
      enable_natpmp: 'yes',
      enable_upnp: 'yes',
      friendly_name: 'Lab router',
      uuid: '00000000-0000-0000-0000-000000000001',
      lease_file: join(directory, 'leases'),
      upnp_table_name: 'miniupnpd',
      upnp_nat_table_name: 'miniupnpd',
      upnp_forward_chain: 'forward',
      upnp_nat_chain: 'prerouting',
      upnp_nat_postrouting_chain: 'postrouting',
      ...settings,
    }
    const file = join(directory, 'miniupnpd.conf')
    const lines = Object.entries(config).map(([key, value]) => `${key}=${value}`)
    writeFileSync(file, `${[...lines, 'allow 1024-65535 192.168.7.0/24 1024-65535'].join('\n')}\n`)
    const daemon = router.start(['miniupnpd', '-d', '-f', file, '-P', join(directory, 'pid')])
    await printed(daemon, config.enable_natpmp === 'yes' ? /Listening for NAT-PMP/ : /HTTP listening/)
    return daemon
  }

  const ask = async (deadlineMs: number): Promise<Answer> => {
    const script = `
      import { queryRouter } from '${built('probe/nat/port-mapping/index.js')}'
      import { nodeNetwork, systemClock } from '${built('transport/index.js')}'
      const startedAt = systemClock.now()
      const query = queryRouter(nodeNetwork(), systemClock, { family: 4, deadline: startedAt + ${deadlineMs} })
      const observations = await query.settled
      console.log(JSON.stringify({ observations, tookMs: systemClock.now() - startedAt }))`
    const printedJson = await namespaces.get('client').check(['node', '--input-type=module', '-e', script])
    return JSON.parse(printedJson) as Answer
  }

  test('all three protocols answer, the address is right, and no mapping is made', async () => {
    const daemon = await startRouter(publicWan)
    const rules = (): Promise<string> => namespaces.get('router').check(['nft', 'list', 'ruleset'])
    const rulesBefore = await rules()
    const { observations, tookMs } = await ask(10_000)
    const [upnp, natPmp, pcp] = observations
    expect(upnp).toMatchObject({ outcome: 'answered', externalIp: publicWan, server: 'Lab router' })
    expect(natPmp).toMatchObject({ outcome: 'answered', externalIp: publicWan })
    expect(natPmp?.epochSeconds).toBeGreaterThanOrEqual(0)
    expect(pcp).toMatchObject({ outcome: 'answered', epochSeconds: natPmp?.epochSeconds })
    expect(pcp?.externalIp).toBeUndefined()
    expect(tookMs, 'ends when all have answered, not at the deadline').toBeLessThan(9000)

    expect(await rules()).toBe(rulesBefore)
    expect(existsSync(join(directory, 'leases'))).toBe(false)
    expect(daemon.output()).toMatch(/NAT-PMP public address request/)
    expect(daemon.output()).not.toMatch(/AddPortMapping|AddAnyPortMapping|PCP MAP|map request|redirect/i)

    const context = { localIp: clientIp, reflexiveIp: publicWan }
    expect(analyseWan(observations, context)).toMatchObject({ kind: 'observed', value: 'none' })
    const elsewhere = { ...context, reflexiveIp: '11.0.0.1' }
    expect(analyseWan(observations, elsewhere)).toMatchObject({ kind: 'observed', value: 'double-nat' })
  })

  test.each(['10.99.0.2', '100.64.1.2'])(
    'a WAN address %s is hidden by the router, and nothing is concluded',
    async (wan) => {
      await startRouter(wan)
      const { observations } = await ask(10_000)
      expect(observations.map(({ outcome }) => outcome)).toEqual(['answered', 'answered', 'answered'])
      expect(observations.map(({ externalIp }) => externalIp)).toEqual([undefined, undefined, undefined])
      const finding = analyseWan(observations, { localIp: clientIp, reflexiveIp: '11.0.0.1' })
      expect(finding.kind).toBe('inconclusive')
      expect(finding.why).toContain('hide a private one')
    },
  )

  test('a router without NAT-PMP says so by ICMP, and answers by UPnP', async () => {
    await startRouter(publicWan, { enable_natpmp: 'no' })
    const [upnp, natPmp, pcp] = (await ask(10_000)).observations
    expect(upnp).toMatchObject({ outcome: 'answered', externalIp: publicWan })
    expect(natPmp).toMatchObject({ outcome: 'unsupported', detail: 'the router has nothing on UDP port 5351' })
    expect(pcp).toMatchObject({ outcome: 'unsupported' })
  })

  test('a router that speaks none of them is silent on UPnP until the deadline', async () => {
    const { observations, tookMs } = await ask(400)
    expect(observations.map(({ outcome }) => outcome)).toEqual(['no-answer', 'unsupported', 'unsupported'])
    expect(tookMs).toBeGreaterThanOrEqual(400)
  })

  test('a router that drops every query is no answer at all', async () => {
    await namespaces.get('router').nft(`
      table inet firewall {
        chain input { type filter hook input priority 0; policy drop; }
      }`)
    const { observations } = await ask(400)
    expect(observations.map(({ outcome }) => outcome)).toEqual(['no-answer', 'no-answer', 'no-answer'])
  })
})
