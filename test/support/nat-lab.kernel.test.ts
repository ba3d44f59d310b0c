import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { natLab, natLabRequirements } from './nat-lab.ts'
import { describeIf } from './requirements.ts'

describeIf(natLabRequirements('tun', 'coturn'), 'the NAT lab', () => {
  const mine = (): string[] => readdirSync('/run/netns').filter((name) => name.startsWith(`natcheck-${process.pid}-`))

  test('cleans up after itself when a part of it does not start', async () => {
    const broken = {
      kind: 'tun',
      mapping: 'address-dependent',
      filtering: 'address-dependent',
      externalIps: 0,
    } as const
    await expect(natLab({ nat: broken, server: 'coturn' })).rejects.toThrow(/a NAT needs an external address/)
    expect(mine()).toEqual([])
  })

  test('runs natcheck in the client with an environment of its own', async () => {
    const lab = await natLab({ nat: { kind: 'routed' }, server: 'none' })
    const { status, stdout } = await lab.client.natcheck(['--version'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/)
    await lab.close()
    await lab.close()
    expect(mine()).toEqual([])
  })
})
