/** `natcheck nat` against every NAT of the lab, with coturn and with our own STUN server: the verdict has to be right. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mappingsAndFilterings } from '../../src/lab/nat-behavior.ts'
import {
  client,
  type NatLab,
  type NatSpec,
  natLab,
  natLabRequirements,
  router,
  servers,
  tunExternal,
} from '../support/nat-lab.ts'
import { describeIf } from '../support/requirements.ts'
import { UdpAgent } from '../support/udp-agent.ts'

const classicName = {
  'endpoint-independent': {
    'endpoint-independent': 'full-cone',
    'address-dependent': 'restricted-cone',
    'address-and-port-dependent': 'port-restricted-cone',
  },
} as const

interface Case {
  readonly nat: NatSpec
  readonly mapping: string
  readonly filtering: string
  readonly external4: string
  readonly external6: string
  /** undefined: not this test's matter, where RFC 3489's flowchart has no honest name. */
  readonly rfc3489?: string
}

const wan = { external4: router.wan4, external6: router.wan6 }
const own = { external4: client.ip4, external6: client.ip6 }
const pool = { external4: tunExternal.ip4[0], external6: tunExternal.ip6[0] }
const eim = 'endpoint-independent'
const apd = 'address-and-port-dependent'

const kernelCases: readonly Case[] = [
  { nat: { kind: 'masquerade' }, mapping: eim, filtering: apd, rfc3489: 'port-restricted-cone', ...wan },
  { nat: { kind: 'masquerade-random' }, mapping: apd, filtering: apd, rfc3489: 'symmetric', ...wan },
  { nat: { kind: 'one-to-one' }, mapping: eim, filtering: eim, rfc3489: 'full-cone', ...wan },
  { nat: { kind: 'routed' }, mapping: 'none', filtering: eim, rfc3489: 'open-internet', ...own },
  { nat: { kind: 'firewall' }, mapping: 'none', filtering: apd, rfc3489: 'symmetric-udp-firewall', ...own },
]

const tunCases: readonly Case[] = mappingsAndFilterings.map(([mapping, filtering]) => ({
  nat: { kind: 'tun', mapping, filtering, portAssignment: 'random' },
  mapping,
  filtering,
  ...(mapping === eim ? { rfc3489: classicName[mapping][filtering] } : {}),
  ...pool,
}))

const title = ({ nat, mapping, filtering }: Case): string =>
  nat.kind === 'tun' ? `${mapping} mapping, ${filtering} filtering` : nat.kind

for (const server of ['coturn', 'ours'] as const) {
  describeIf(natLabRequirements('tun', server), `natcheck nat with ${server} as the STUN server`, () => {
    let lab: NatLab
    beforeAll(async () => {
      lab = await natLab({ nat: { kind: 'routed' }, server })
    })
    afterAll(async () => await lab?.close())

    const expectVerdict = async (
      each: Case,
      family: 'ipv4' | 'ipv6',
      mapped: string,
      args: readonly string[],
    ): Promise<void> => {
      const { status, stdout, stderr } = await lab.client.natcheck(['nat', '--json', ...args])
      expect(status, `${stderr}${stdout}`).toBe(0)
      const found = JSON.parse(stdout).nat[family]
      expect(found).toMatchObject({
        behindNat: each.mapping !== 'none',
        mapping: { kind: 'observed', value: each.mapping },
        filtering: { kind: 'observed', value: each.filtering },
        ...(each.rfc3489 === undefined ? {} : { rfc3489: { value: each.rfc3489 } }),
      })
      expect(found.mapped).toContain(mapped)
    }

    for (const each of [...kernelCases, ...tunCases]) {
      test(title(each), async () => {
        await lab.setNat(each.nat)
        // Two runs side by side: one run of both families has one allowance of new transactions, and takes a second.
        await Promise.all([
          expectVerdict(each, 'ipv4', each.external4, ['--family', '4', '--server', lab.stunUri]),
          expectVerdict(each, 'ipv6', each.external6, ['--family', '6', '--server', lab.stunUri6]),
        ])
      })
    }

    test('both families in one run', async () => {
      const [home] = kernelCases
      if (!home) throw new Error('no cases')
      await lab.setNat(home.nat)
      const args = ['--server', lab.stunUri, '--server', lab.stunUri6]
      await expectVerdict(home, 'ipv4', home.external4, args)
      await expectVerdict(home, 'ipv6', home.external6, args)
    })

    test('UDP dropped silently, TCP open: blocked', async () => {
      await lab.setNat({ kind: 'udp-blocked' })
      // coturn listens on TCP by itself, on port 3478; any TCP port 443 will do too.
      const agent = await UdpAgent.start(lab.server.namespace)
      await agent.listenTcp({ ip: servers.ip4[0], port: 443 })
      const { status, stdout } = await lab.client.natcheck(['nat', '--json', '--family', '4', '--server', lab.stunUri])
      await agent.stop()
      expect(status).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({
        nat: { ipv4: { behindNat: null, rfc3489: { value: 'udp-blocked' } } },
        verdict: { p2p: 'blocked' },
      })
    })

    test('UDP rejected by a firewall that says so: blocked', async () => {
      await lab.setNat({ kind: 'udp-rejected' })
      for (const [family, uri] of [
        ['4', lab.stunUri],
        ['6', lab.stunUri6],
      ] as const) {
        const { status, stdout } = await lab.client.natcheck(['nat', '--json', '--family', family, '--server', uri])
        expect(status).toBe(0)
        expect(JSON.parse(stdout).verdict.p2p).toBe('blocked')
      }
    })
  })
}

describeIf(natLabRequirements('tun', 'coturn'), 'what else natcheck nat says', () => {
  let lab: NatLab
  beforeAll(async () => {
    lab = await natLab({ nat: { kind: 'routed' }, server: 'coturn' })
  })
  afterAll(async () => await lab?.close())

  const home = { kind: 'tun', mapping: eim, filtering: apd } as const
  const cases: readonly (readonly [string, NatSpec, readonly string[], Readonly<Record<string, unknown>>])[] = [
    ['masquerade does not hairpin', { kind: 'masquerade' }, ['--hairpin'], { hairpinning: { value: 'off' } }],
    ['masquerade passes fragments', { kind: 'masquerade' }, ['--fragments'], { fragments: { value: 'pass' } }],
    ['the TUN NAT drops fragments', home, ['--fragments'], { fragments: { value: 'blocked' } }],
    [
      'hairpinning with the external source',
      { ...home, hairpinning: 'external-source' },
      ['--hairpin'],
      { hairpinning: { value: 'external-source' } },
    ],
    ...(['preserve', 'sequential', 'random', 'parity'] as const).map(
      (portAssignment) =>
        [
          `port assignment: ${portAssignment}`,
          { ...home, portAssignment },
          [],
          { portAssignment: { value: { kind: portAssignment === 'preserve' ? 'preservation' : portAssignment } } },
        ] as const,
    ),
    ['arbitrary pooling', { ...home, pooling: 'arbitrary', externalIps: 4 }, [], { pooling: { value: 'arbitrary' } }],
    ['no ALG', home, [], { alg: { value: false } }],
    ['an ALG that rewrites plain addresses', { ...home, alg: ['binary'] }, [], { alg: { value: true } }],
  ]
  for (const [name, nat, args, expected] of cases) {
    // Of random ports, one run in 2048 keeps the parity of all eleven by chance, and no client could tell.
    const retry = name === 'port assignment: random' ? 1 : 0
    test(name, { retry }, async () => {
      await lab.setNat(nat)
      const { status, stdout, stderr } = await lab.client.natcheck([
        'nat',
        '--json',
        '--family',
        '4',
        '--server',
        lab.stunUri,
        ...args,
      ])
      expect(status, `${stderr}${stdout}`).toBe(0)
      // Whatever else is asked, the verdict stays right.
      expect(JSON.parse(stdout).nat.ipv4).toMatchObject({
        mapping: { value: eim },
        filtering: { value: apd },
        ...expected,
      })
    })
  }
})
