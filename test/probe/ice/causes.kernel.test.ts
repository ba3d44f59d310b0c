/** The causes that a real coturn, real firewalls and a real NAT make, as `natcheck ice` tells them. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { IceReport, IceServerReport } from '../../../src/report/index.ts'
import { type Coturn, startCoturn } from '../../support/coturn.ts'
import { type NatLab, natLab, natLabRequirements, router, servers } from '../../support/nat-lab.ts'
import { describeIf, environment } from '../../support/requirements.ts'

const [ip] = servers.ip4
const turn = { user: 'alice', password: 'wonderland', realm: 'example.org' }
const [udp, tcp] = [`turn:${ip}`, `turn:${ip}?transport=tcp`]

describeIf(natLabRequirements('kernel', 'coturn'), 'behind a NAT, with coturn', () => {
  let lab: NatLab
  let coturn: Coturn | undefined
  beforeAll(async () => {
    lab = await natLab({ nat: { kind: 'masquerade' }, server: 'none' })
    // Linux answers a closed port so often and then no more; here each test wants its answer.
    for (const { namespace } of [lab.server, lab.router]) await namespace.sysctl({ 'net.ipv4.icmp_ratelimit': 0 })
  })
  afterEach(async () => {
    await coturn?.stop()
    await lab.server.namespace.nft('flush ruleset')
    await lab.router.namespace.nft('table inet test\ndelete table inet test\n')
  })
  afterAll(() => lab?.close())

  const start = async (...options: readonly string[]): Promise<void> => {
    coturn = await startCoturn(lab.server.namespace, { ips: [ip], turn, options })
  }
  const ice = async (urls: readonly string[], password = turn.password): Promise<IceReport> => {
    const args = urls.flatMap((url) => ['--server', url])
    const { stdout, stderr, status } = await lab.client.natcheck(
      ['ice', ...args, '--username', turn.user, '--credential-env', 'TURN_PASSWORD', '--json', '--family', '4'],
      { env: { ...environment(), TURN_PASSWORD: password } },
    )
    expect(stderr).toBe('')
    const report = JSON.parse(stdout) as IceReport
    expect(status).toBe(report.findings.some(({ severity }) => severity === 'error') ? 1 : 0)
    return report
  }
  const codes = ({ servers: all }: IceReport): string[][] =>
    all.map(({ causes }: IceServerReport) => causes.map(({ code }) => code))
  const inRouter = (rule: string): Promise<void> =>
    lab.router.namespace.nft(`table inet test { chain forward { type filter hook forward priority -10\n${rule}\n}\n}\n`)
  const atServer = (hook: 'input' | 'output', rule: string): Promise<void> =>
    lab.server.namespace.nft(`table inet test { chain filtered { type filter hook ${hook} priority 0\n${rule}\n}\n}\n`)

  test('no cause: gathered, and proven both ways', async () => {
    await start()
    const report = await ice([udp, tcp])
    expect(codes(report)).toEqual([[], []])
    const found = report.candidates.filter(({ type }) => type !== 'host')
    expect(
      found.map(({ type, ip: address, relayProtocol }) => [type, address, relayProtocol].join(' ')).toSorted(),
    ).toEqual([`relay ${ip} tcp`, `relay ${ip} udp`, `srflx ${router.wan4} `])
    expect(report.reachability.map(({ result, peer, loss }) => [result, peer, loss])).toEqual([
      ['proven', null, 0],
      ['proven', 'mapped-address', 0],
      ['proven', 'mapped-address', 0],
    ])
  })

  test.each([
    ['UDP is dropped', 'meta l4proto udp drop', [['blocked'], []]],
    ['UDP is refused, and says so', 'meta l4proto udp reject with icmpx type admin-prohibited', [['blocked'], []]],
    ['the TCP port is dropped', 'tcp dport 3478 drop', [[], ['blocked']]],
    ['the TCP port is reset', 'tcp dport 3478 reject with tcp reset', [[], ['refused']]],
    ['all is dropped', 'drop', [['no-answer'], ['connect-timeout']]],
  ])('%s', async (_, rule, expected) => {
    await start()
    await inRouter(rule)
    const report = await ice([udp, tcp])
    expect(codes(report)).toEqual(expected)
    expect(report.error).toBeNull()
  })

  test.each([
    ['into', 'input', 'udp dport 49152-65535 ip saddr 203.0.113.0/24 drop', 'one-way-to-peer'],
    ['out of', 'output', 'udp sport 49152-65535 ip daddr 203.0.113.0/24 drop', 'one-way-from-peer'],
  ] as const)('nothing gets %s the relay ports', async (_, hook, rule, cause) => {
    await start()
    await atServer(hook, rule)
    expect(codes(await ice([udp]))).toEqual([[cause]])
  })

  test('nothing listens', async () => {
    await start()
    expect(codes(await ice([`turn:${ip}:3500`, `turn:${ip}:3500?transport=tcp`]))).toEqual([['refused'], ['refused']])
  })

  test('the password is wrong', async () => {
    await start()
    const report = await ice([udp, tcp], 'guess')
    expect(codes(report)).toEqual([['wrong-credentials'], ['wrong-credentials']])
    expect(report.findings[0]?.message).toContain('realm example.org')
  })

  test('coturn is for STUN only', async () => {
    coturn = await startCoturn(lab.server.namespace, { ips: [ip] })
    const report = await ice([udp, tcp])
    expect(codes(report)).toEqual([['not-turn'], ['not-turn']])
    expect(report.candidates.some(({ type }) => type === 'srflx')).toBe(true)
  })

  test.each([
    ['private', '10.1.1.1', 'relay-address-private'],
    ['loopback', '127.0.0.1', 'relay-address-loopback'],
  ])('external-ip is %s', async (_, external, cause) => {
    await start(`--external-ip=${external}`)
    expect(codes(await ice([udp]))).toEqual([[cause]])
  })

  test('the quota is used up', async () => {
    await start('--user-quota=1')
    expect(codes(await ice([udp, tcp])).flat()).toEqual(['quota'])
  })

  test('our address is denied as a peer', async () => {
    await start('--denied-peer-ip=203.0.113.0-203.0.113.255')
    const report = await ice([udp])
    expect(codes(report)).toEqual([['peer-denied']])
    expect(report.servers[0]?.ok).toBe(true)
  })
})
