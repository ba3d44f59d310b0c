import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Namespaces } from '../../support/netns.ts'
import { printed } from '../../support/process.ts'
import { describeIf } from '../../support/requirements.ts'

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const opener = file('../../support/tun-device-main.mjs')

describeIf(['netns', 'tun', 'koffi'], 'TUN device', () => {
  let namespaces: Namespaces
  beforeAll(async () => {
    namespaces = await Namespaces.create('tun')
  })
  afterAll(async () => await namespaces?.remove())

  const open = async (names: readonly string[], before: readonly string[] = []): Promise<string> =>
    await namespaces.get('tun').check([...before, process.execPath, opener, ...names])

  test('opens under the name asked for, and is gone after close', async () => {
    expect(await open(['nat0', 'nat1'])).toBe(
      'opened nat0\nopened nat1\nclosed nat0, writes false\nclosed nat1, writes false\n',
    )
    expect(await namespaces.get('tun').check(['ip', '-br', 'link'])).not.toContain('nat')
  })

  test('the kernel numbers a name with %d', async () => {
    expect(await open(['nat%d'])).toContain('opened nat0\n')
  })

  test('a name in use, and what is no name, is an error with a code', async () => {
    const output = await open(['nat0', 'nat0', 'a name far too long', '', 'a/b'])
    expect(output).toContain('ADDRESS_IN_USE: the interface nat0 is in use')
    expect(output.match(/^USAGE: /gm)).toHaveLength(3)
  })

  test('without CAP_NET_ADMIN it says what is missing', async () => {
    expect(await open(['nat0'], ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin'])).toBe(
      'PERMISSION_DENIED: may not make a TUN device Run as root, or with CAP_NET_ADMIN.\n',
    )
  })

  test('a NAT whose device is removed ends instead of spinning', async () => {
    const configuration = {
      device: 'nat0',
      behavior: { mapping: 'none', filtering: 'endpoint-independent' },
      externalIps: [],
      internal: [],
      seed: 1,
    }
    const nat = namespaces
      .get('tun')
      .start([process.execPath, file('../../support/tun-nat-main.mjs'), JSON.stringify(configuration)])
    await printed(nat, /^ready nat0$/m)
    const ended = new Promise((resolve) => nat.child.once('exit', resolve))
    await namespaces.get('tun').ip('link del nat0')
    expect(await ended).toBe(1)
  })
})
