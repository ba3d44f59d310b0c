/** Our ICE agent against libwebrtc's (@roamhq/wrtc) and libjuice's (node-datachannel), in a namespace, in both roles. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Namespaces } from '../support/netns.ts'
import { describeIf } from '../support/requirements.ts'

const main = fileURLToPath(new URL('../support/ice-peer-main.mjs', import.meta.url))
const ip = '192.0.2.5'

interface Found {
  readonly lines: readonly string[]
  readonly unread: readonly string[]
  readonly dtls: boolean
  readonly states: readonly string[]
  readonly pairs: readonly { readonly state: string; readonly why: string | null }[]
  readonly nominated: string | null
}

describeIf(['netns'], 'ICE peers', () => {
  let namespaces: Namespaces
  beforeAll(async () => {
    namespaces = await Namespaces.create('peers', 'beyond')
    await namespaces.link(
      { in: 'peers', as: 'eth0', addresses: [`${ip}/24`] },
      { in: 'beyond', as: 'eth1', addresses: [] },
    )
  })
  afterAll(() => namespaces.remove())

  test.each([
    ['wrtc', 'controlling'],
    ['wrtc', 'controlled'],
    ['node-datachannel', 'controlling'],
    ['node-datachannel', 'controlled'],
  ])('%s while we are %s', async (name, role) => {
    const printed = await namespaces.get('peers').check([process.execPath, main, name, role, ip], { timeoutMs: 40_000 })
    const { lines, unread, dtls, states, pairs, nominated } = JSON.parse(printed) as Found
    expect(lines.length).toBeGreaterThan(0)
    expect(unread).toEqual([])
    expect(pairs.find(({ state }) => state === 'succeeded')).toBeDefined()
    expect(nominated).toBe('host–host')
    // The peer took our candidate line, our checks and, where it nominates itself, our answers.
    expect(states.at(-1)).toMatch(/connected|completed/)
    expect(dtls).toBe(true)
  })
})
