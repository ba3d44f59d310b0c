/**
 * What `natcheck nat` says behind real NATs beyond mapping and filtering, which test/interop/nat-verdicts.kernel.test.ts
 * holds: ports, pools, gateways that meddle, fragments, hairpinning, and both families in one run.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type NatLab, type NatSpec, natLab, natLabRequirements, router, servers } from '../support/nat-lab.ts'
import { describeIf } from '../support/requirements.ts'
import { UdpAgent } from '../support/udp-agent.ts'

const eim = 'endpoint-independent'
const apd = 'address-and-port-dependent'
const home = { kind: 'tun', mapping: eim, filtering: apd } as const

const cases: readonly (readonly [string, NatSpec, readonly string[], Readonly<Record<string, unknown>>])[] = [
  ['masquerade does not hairpin', { kind: 'masquerade' }, ['--hairpin'], { hairpinning: { value: 'off' } }],
  ['masquerade passes fragments', { kind: 'masquerade' }, ['--fragments'], { fragments: { value: 'pass' } }],
  ['the TUN NAT drops fragments', home, ['--fragments'], { fragments: { value: 'blocked' } }],
  ...(['preserve', 'sequential', 'random', 'parity'] as const).map(
    (portAssignment) =>
      [
        `port assignment: ${portAssignment}`,
        { ...home, portAssignment },
        ['--ports'],
        { portAssignment: { value: { kind: portAssignment === 'preserve' ? 'preservation' : portAssignment } } },
      ] as const,
  ),
  [
    'arbitrary pooling',
    { ...home, pooling: 'arbitrary', externalIps: 4 },
    ['--ports'],
    { pooling: { value: 'arbitrary' } },
  ],
  ['no ALG', home, [], { alg: { value: false } }],
  ['an ALG that rewrites plain addresses', { ...home, alg: ['binary'] }, [], { alg: { value: true } }],
]

describeIf(natLabRequirements('tun', 'coturn'), 'what else natcheck nat says, asking coturn', () => {
  let lab: NatLab
  beforeAll(async () => {
    lab = await natLab({ nat: { kind: 'routed' }, server: 'coturn' })
  })
  afterAll(async () => await lab?.close())

  for (const [name, nat, flags, expected] of cases) {
    // Of random ports, one run in 2048 keeps the parity of all eleven by chance, and no client could tell.
    const retry = name === 'port assignment: random' ? 1 : 0
    test(name, { retry }, async () => {
      await lab.setNat(nat)
      const args = ['nat', '--json', '--family', '4', '--server', lab.stunUri, ...flags]
      const { status, stdout, stderr } = await lab.client.natcheck(args)
      expect(status, `${stderr}${stdout}`).toBe(0)
      // Whatever else is asked, the verdict stays right.
      expect(JSON.parse(stdout).nat.ipv4).toMatchObject({
        mapping: { value: eim },
        filtering: { value: apd },
        ...expected,
      })
    })
  }

  test('both families in one run', async () => {
    await lab.setNat({ kind: 'masquerade' })
    const args = ['nat', '--json', '--server', lab.stunUri, '--server', lab.stunUri6]
    const { status, stdout, stderr } = await lab.client.natcheck(args)
    expect(status, `${stderr}${stdout}`).toBe(0)
    const { nat } = JSON.parse(stdout)
    for (const [family, external] of [
      [nat.ipv4, router.wan4],
      [nat.ipv6, router.wan6],
    ]) {
      expect(family).toMatchObject({ mapping: { value: eim }, filtering: { value: apd } })
      expect(family.mapped).toContain(external)
    }
  })
})

describeIf(
  natLabRequirements('kernel', 'ours'),
  'UDP dropped silently, asking our own server, which has no TCP',
  () => {
    let lab: NatLab
    beforeAll(async () => {
      lab = await natLab({ nat: { kind: 'udp-blocked' }, server: 'ours' })
    })
    afterAll(async () => await lab?.close())

    test('nothing proves that UDP is blocked until some TCP port 443 connects', async () => {
      const args = ['nat', '--json', '--family', '4', '--server', lab.stunUri]
      const silent = await lab.client.natcheck(args)
      expect(silent.status).toBe(3)
      expect(JSON.parse(silent.stdout)).toMatchObject({
        nat: { ipv4: { behindNat: null, rfc3489: { kind: 'inconclusive', value: null } } },
        verdict: { p2p: 'unknown' },
      })
      const agent = await UdpAgent.start(lab.server.namespace)
      await agent.listenTcp({ ip: servers.ip4[0], port: 443 })
      const blocked = await lab.client.natcheck(args)
      expect(blocked.status).toBe(0)
      expect(JSON.parse(blocked.stdout)).toMatchObject({
        nat: { ipv4: { behindNat: null, rfc3489: { kind: 'observed', value: 'udp-blocked' } } },
        verdict: { p2p: 'blocked' },
      })
      await agent.stop()
    })
  },
)
