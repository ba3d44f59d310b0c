/** `natcheck nat` as a user runs it, behind real NATs, with coturn and with our own server: the verdict must be right. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { NatReport } from '../../src/report/index.ts'
import { type NatLab, natLab, natLabRequirements, type NatSpec, router, tunExternal } from '../support/nat-lab.ts'
import { describeIf } from '../support/requirements.ts'

const families = [4, 6] as const
const kinds = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const

async function measure(lab: NatLab, family: 4 | 6, ...flags: string[]): Promise<NatReport> {
  const uri = family === 4 ? lab.stunUri : lab.stunUri6
  const args = ['nat', '--server', uri, '--family', `${family}`, '--no-router', '--json', ...flags]
  const { status, stdout, stderr } = await lab.client.natcheck(args)
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return JSON.parse(stdout)
}

const seen = (report: NatReport, family: 4 | 6) => {
  const nat = family === 4 ? report.nat.ipv4 : report.nat.ipv6
  return {
    behindNat: nat?.behindNat,
    mapping: nat?.mapping.value,
    filtering: nat?.filtering.value,
    classic: nat?.rfc3489.value,
    p2p: report.verdict.p2p,
  }
}

const [eim, ad, apd] = kinds
const kernelCases: readonly [NatSpec['kind'], object][] = [
  ['masquerade', { behindNat: true, mapping: eim, filtering: apd, classic: 'port-restricted-cone', p2p: 'direct' }],
  [
    'masquerade-bare',
    { behindNat: true, mapping: eim, filtering: apd, classic: 'port-restricted-cone', p2p: 'direct' },
  ],
  ['masquerade-random', { behindNat: true, mapping: apd, filtering: apd, classic: 'symmetric', p2p: 'limited' }],
  ['one-to-one', { behindNat: true, mapping: eim, filtering: eim, classic: 'full-cone', p2p: 'direct' }],
  ['routed', { behindNat: false, mapping: 'none', filtering: eim, classic: 'open-internet', p2p: 'direct' }],
  ['firewall', { behindNat: false, mapping: 'none', filtering: apd, classic: 'symmetric-udp-firewall', p2p: 'direct' }],
]

const classicOf = (mapping: string, filtering: string): string => {
  if (filtering === eim) return 'full-cone'
  if (mapping !== eim) return 'symmetric'
  return filtering === ad ? 'restricted-cone' : 'port-restricted-cone'
}

for (const server of ['coturn', 'ours'] as const) {
  describeIf(natLabRequirements('kernel', server), `behind the kernel's NATs, asking ${server}`, () => {
    let lab: NatLab
    beforeAll(async () => {
      lab = await natLab({ nat: { kind: 'routed' }, server })
    })
    afterAll(async () => await lab?.close())
    describe.each(kernelCases)('%s', (kind, expected) => {
      test.each(families)('IPv%i', async (family) => {
        await lab.setNat({ kind } as NatSpec)
        const report = await measure(lab, family)
        expect(seen(report, family)).toEqual(expected)
        expect(report.servers).toMatchObject([{ ok: true, rfc5780: true, problem: null }])
        const nat = family === 4 ? report.nat.ipv4 : report.nat.ipv6
        if (nat?.behindNat) expect(nat.mapped).toContain(family === 4 ? router.wan4 : router.wan6)
      })
    })
  })

  describeIf(natLabRequirements('tun', server), `behind the NAT on a TUN device, asking ${server}`, () => {
    let lab: NatLab
    beforeAll(async () => {
      lab = await natLab({ nat: { kind: 'tun', mapping: eim, filtering: eim }, server })
    })
    afterAll(async () => await lab?.close())
    const nine = kinds.flatMap((mapping) => kinds.map((filtering) => ({ mapping, filtering })))
    test.each(nine)('$mapping mapping, $filtering filtering', async ({ mapping, filtering }) => {
      await lab.setNat({ kind: 'tun', mapping, filtering, portAssignment: 'random' })
      for (const family of families) {
        const report = await measure(lab, family)
        const p2p = mapping === eim ? 'direct' : 'limited'
        const expected = { behindNat: true, mapping, filtering, classic: classicOf(mapping, filtering), p2p }
        expect(seen(report, family)).toEqual(expected)
      }
    })
    test('several outside addresses', async () => {
      const nat = { kind: 'tun', mapping: eim, filtering: apd, pooling: 'arbitrary', externalIps: 4 } as const
      await lab.setNat({ ...nat, portAssignment: 'random' })
      const { ipv4 } = (await measure(lab, 4, '--ports')).nat
      expect(ipv4?.pooling.value).toBe('arbitrary')
      expect(ipv4?.portAssignment.value?.kind).toBe('random')
      expect(ipv4?.mapping.value).toBe(eim)
      expect(tunExternal.ip4.some((ip) => ipv4?.mapped?.startsWith(`${ip}:`))).toBe(true)
    })
    // The kernel drops what comes in under its own address: from one host internal-source can't be seen.
    test.each(['off', 'external-source'] as const)('hairpinning %s', async (hairpinning) => {
      await lab.setNat({ kind: 'tun', mapping: eim, filtering: apd, hairpinning })
      const { ipv4 } = (await measure(lab, 4, '--hairpin')).nat
      expect(ipv4?.hairpinning).toMatchObject({ kind: 'observed', value: hairpinning })
      expect(ipv4?.portAssignment.value?.kind).toBe('preservation')
    })
  })
}

describeIf(natLabRequirements('kernel', 'ours'), 'where UDP does not get through', () => {
  let lab: NatLab
  beforeAll(async () => {
    lab = await natLab({ nat: { kind: 'routed' }, server: 'coturn' })
  })
  afterAll(async () => await lab?.close())
  test.each(['udp-blocked', 'udp-rejected'] as const)('%s is a result', async (kind) => {
    await lab.setNat({ kind })
    for (const family of families) {
      const report = await measure(lab, family)
      expect(seen(report, family)).toEqual({
        behindNat: null,
        mapping: null,
        filtering: null,
        classic: 'udp-blocked',
        p2p: 'blocked',
      })
    }
  })
  test('a server that is not there could not be measured: exit 3, and JSON all the same', async () => {
    await lab.setNat({ kind: 'masquerade' })
    const args = ['nat', '--server', 'stun:198.51.100.99', '--family', '4', '--no-router', '--json']
    const { status, stdout, stderr } = await lab.client.natcheck(args)
    expect(status).toBe(3)
    expect(JSON.parse(stdout)).toMatchObject({ verdict: { p2p: 'unknown' }, servers: [{ ok: false }] })
    expect(stderr.split('\n').filter(Boolean)).toHaveLength(1)
  })
})
