/** The dashboard as a person has it: `natcheck up`, a real relay, and headless Chromium. On loopback. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { launcher } from '../cli/natcheck.ts'
import { type Chromium, launchChromium } from '../support/chromium.ts'
import { type Daemon, printed, startDaemon } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const views = ['browser', 'host', 'path', 'connection', 'relay', 'servers', 'history']

describeIf(['linux', 'chromium', 'setpriv'], 'natcheck up in Chromium', () => {
  let up: Daemon
  let chromium: Chromium
  let url = ''
  let context: BrowserContext
  const complaints: string[] = []

  beforeAll(async () => {
    up = startDaemon([process.execPath, launcher, 'up', '--listen', '127.0.0.1:0'], { cwd: '/' })
    const [first = ''] = await printed(up, /^.*\n/)
    url = first.trim()
    chromium = await launchChromium()
    context = await chromium.browser.newContext()
  })
  afterAll(async () => {
    await chromium?.close()
    await up?.stop()
  })
  /** Whatever a page complains of is a fault. */
  afterEach(async () => {
    for (const page of context.pages()) await page.close()
    expect(complaints.splice(0)).toEqual([])
  })

  const open = async (hash: string, from = context): Promise<Page> => {
    const page = await from.newPage()
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(`${hash}: ${message.text()}`)
    })
    page.on('pageerror', (error) => complaints.push(`${hash}: ${error.message}`))
    await page.goto(`${url}#${hash}`)
    return page
  }
  const cells = async (page: Page, column: string): Promise<string[]> =>
    await page.locator(`td[data-column="${column}"]`).allTextContents()
  const complete = async (page: Page): Promise<void> => await page.getByText(/candidates in [\d.]+ ms/).waitFor()

  test('the first line of stdout is the URL alone, and what follows names the relay', () => {
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    expect(up.output()).toMatch(/turn:127\.0\.0\.1:\d+\?transport=udp/)
  })

  test('without a click host, srflx and relay candidates appear, over UDP and TCP, with their servers', async () => {
    const page = await open('browser')
    await complete(page)
    const types = await cells(page, 'Type')
    expect(new Set(types)).toEqual(new Set(['host', 'srflx', 'relay']))
    const relayProtocols = await cells(page, 'Relay protocol')
    const servers = await cells(page, 'Server')
    const relayed = types.flatMap((type, row) => (type === 'relay' ? [[relayProtocols[row], servers[row]]] : []))
    expect(relayed.map(([protocol]) => protocol).toSorted((a = '', b = '') => a.localeCompare(b))).toEqual([
      'tcp',
      'udp',
    ])
    for (const [protocol, server] of relayed) expect(server).toMatch(new RegExp(`^turn:127.*transport=${protocol}$`))
    expect(await page.getByText('RFC 8828').count()).toBe(1)
    await page.getByText('connection connected').waitFor()
  })

  test('the table is filtered and sorted by keyboard', async () => {
    const page = await open('browser')
    await complete(page)
    await page.getByLabel('Filter').fill('relay tcp')
    expect(await cells(page, 'Relay protocol')).toEqual(['tcp'])
    await page.getByLabel('Filter').fill('')
    await page.getByRole('button', { name: 'Priority' }).focus()
    await page.keyboard.press('Enter')
    const priorities = (await cells(page, 'Priority')).map(Number)
    expect(priorities).toEqual(priorities.toSorted((a, b) => a - b))
    expect(await page.locator('th[aria-sort="ascending"]').count()).toBe(1)
  })

  test('ICE restarts, with candidates gathered anew', async () => {
    const page = await open('browser')
    await complete(page)
    await page.getByText('connection connected').waitFor()
    const before = await cells(page, 'Port')
    await page.getByRole('button', { name: 'ICE restart' }).click()
    await page.locator('dd', { hasText: /^1$/ }).waitFor()
    await complete(page)
    expect(new Set(await cells(page, 'Type'))).toEqual(new Set(['host', 'srflx', 'relay']))
    expect(await cells(page, 'Port')).not.toEqual(before)
  })

  test('a wrong password and a dead server are told by their causes', async () => {
    const { iceServers } = (await (await fetch(`${url}api/ice-servers`)).json()) as {
      iceServers: { urls: string[]; username?: string }[]
    }
    const turn = iceServers.find(({ username }) => username !== undefined)
    const page = await open('servers')
    const wrong = { ...turn, credential: 'wrong' }
    const port = await unusedPort()
    const dead = {
      urls: [`turn:127.0.0.1:${port}?transport=tcp`, 'turn:nowhere.invalid'],
      username: 'a',
      credential: 'b',
    }
    await page.getByLabel(/iceServers/).fill(JSON.stringify([wrong, dead]))
    await page.getByRole('button', { name: 'Gather with these' }).click()
    await page.getByText('401').first().waitFor()
    await page.getByText('the server refuses the user name or password').first().waitFor()
    await page.getByText('no TCP connection to the server').waitFor()
    await page.getByText('the name of the server can not be looked up').first().waitFor()
    expect(await cells(page, 'Type')).not.toContain('relay')
  })

  test('what is pasted is checked before it is used', async () => {
    const page = await open('servers')
    const paste = async (text: string): Promise<string> => {
      await page.getByLabel(/iceServers/).fill(text)
      await page.getByRole('button', { name: 'Gather with these' }).click()
      return (await page.getByRole('alert').textContent()) ?? ''
    }
    expect(await paste('{')).toContain('not JSON')
    expect(await paste('[{"urls":"http://x"}]')).toContain('no stun:, stuns:, turn: or turns: in front')
    expect(await paste('[{"urls":"turn:x"}]')).toContain('needs username and credential')
    expect(await paste('[7]')).toContain('entry 1 is no object')
  })

  describe('a real connection', () => {
    const room = async (): Promise<readonly [Page, Page]> => {
      const first = await open('connection')
      await first.getByRole('button', { name: 'Make a room' }).click()
      const link = (await first.locator('[data-room-link]').getAttribute('href')) ?? ''
      const second = await open(new URL(link).hash.slice(1))
      return [first, second]
    }
    const connected = async (page: Page, how: 'directly' | 'through a relay'): Promise<void> =>
      await page.getByText(`Connected ${how}.`).waitFor()
    const end = async (page: Page, side: 'local' | 'remote'): Promise<string> =>
      (await page.locator(`[data-end=${side}]`).textContent()) ?? ''

    test('two browsers meet by a link, directly, then through the relay alone, and restart ICE', async () => {
      const [first, second] = await room()
      for (const page of [first, second]) await connected(page, 'directly')
      await first.getByLabel('relay only').check()
      await second.getByLabel('relay only').check()
      for (const page of [first, second]) {
        await connected(page, 'through a relay')
        await expect.poll(() => end(page, 'local')).toMatch(/^relay · udp, relay by (udp|tcp) · 127\.0\.0\.1:\d+$/)
        await expect.poll(() => end(page, 'remote')).toMatch(/^relay /)
      }
      await second.getByRole('button', { name: 'ICE restart' }).click()
      for (const page of [first, second]) await connected(page, 'through a relay')
      await second.getByRole('button', { name: 'Measure throughput' }).click()
      await second.getByText(/to the peer [\d.]+ [Mk]bit\/s/).waitFor()
    })

    test("the relay's counters move meanwhile", async () => {
      const [first, second] = await room()
      const relay = await open('relay')
      const packets = async (): Promise<number> =>
        Number((await relay.locator('[data-counter=to-peer]').textContent())?.replaceAll(',', ''))
      await relay.locator('[data-counter=to-peer]').waitFor()
      await first.getByLabel('relay only').check()
      for (const page of [first, second]) await connected(page, 'through a relay')
      const before = await packets()
      await expect.poll(packets, { timeout: 10_000 }).toBeGreaterThan(before + 20)
      expect(Number(await relay.locator('[data-counter=allocations]').textContent())).toBeGreaterThan(0)
    })

    test('the host is a peer: directly, and through the relay alone', async () => {
      const page = await open('connection')
      await page.getByRole('button', { name: 'Connect to the host' }).click()
      await connected(page, 'directly')
      await page.getByLabel('relay only').check()
      await connected(page, 'through a relay')
      expect(await end(page, 'local')).toMatch(/^relay /)
    })

    test('a third browser is told that the room is full, and a stranger that there is none', async () => {
      const [first, second] = await room()
      await connected(second, 'directly')
      const third = await open(new URL(first.url()).hash.slice(1))
      await third.getByText('two are in this room already').waitFor()
      const stranger = await open('connection/nothing')
      await stranger.getByText('this room does not exist').waitFor()
    })

    test('who stays hears that the other has left, and meets the next', async () => {
      const [first, second] = await room()
      await connected(first, 'directly')
      await second.close()
      await first.getByText('Waiting for the other side').waitFor()
      await open(new URL(first.url()).hash.slice(1))
      await connected(first, 'directly')
    })
  })

  test('with a token: the URL that is printed signs in, a stranger is asked for it, a guest needs only the room', async () => {
    const tokenFile = join(mkdtempSync(join(tmpdir(), 'natcheck-token-')), 'token')
    writeFileSync(tokenFile, 'a-token-of-some-length')
    const guarded = startDaemon(
      [process.execPath, launcher, 'up', '--listen', '127.0.0.1:0', '--token-file', tokenFile],
      { cwd: '/' },
    )
    const at = (await printed(guarded, /^http.*/))[0]
    const [owner, stranger, guest] = await Promise.all([1, 2, 3].map(async () => await chromium.browser.newContext()))
    if (!owner || !stranger || !guest) throw new Error('no contexts')
    const page = await owner.newPage()
    await page.goto(`${at}#token=a-token-of-some-length`)
    await complete(page)
    expect(page.url()).toBe(at)
    await page.goto(`${at}#connection`)
    await page.getByRole('button', { name: 'Make a room' }).click()
    const link = (await page.locator('[data-room-link]').getAttribute('href')) ?? ''
    const asked = await stranger.newPage()
    await asked.goto(at)
    await asked.getByLabel('Token').fill('wrong')
    await asked.getByRole('button', { name: 'Open' }).click()
    await asked.getByText('this is not the token').waitFor()
    const invited = await guest.newPage()
    await invited.goto(link)
    for (const peer of [page, invited]) await peer.getByText('Connected directly.').waitFor()
    for (const each of [owner, stranger, guest]) await each.close()
    await guarded.stop()
    rmSync(tokenFile)
  })

  test.each(views)('axe finds nothing serious in the view %s, light or dark', async (view) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      // axe is a script from elsewhere, which the page's own policy refuses.
      const lax = await chromium.browser.newContext({ bypassCSP: true, colorScheme })
      const page = await open(view, lax)
      await page.locator('main .panel').first().waitFor()
      await page.evaluate(axe)
      const { violations } = await page.evaluate(
        async () =>
          await (
            globalThis as unknown as { axe: { run: () => Promise<{ violations: { id: string; impact: string }[] }> } }
          ).axe.run(),
      )
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      expect(serious.map(({ id }) => `${colorScheme} ${id}`)).toEqual([])
      await lax.close()
    }
  })

  test('on a phone nothing is wider than the screen', async () => {
    const phone = await chromium.browser.newContext({ viewport: { width: 360, height: 740 } })
    for (const view of views) {
      const page = await open(view, phone)
      await page.locator('main .panel').first().waitFor()
      const width = await page.evaluate('document.documentElement.scrollWidth')
      expect([view, width]).toEqual([view, 360])
      await page.close()
    }
    await phone.close()
  })

  test('the page weighs at most 150 KiB, even before compression, and comes from this server alone', async () => {
    const page = await context.newPage()
    const sizes: Promise<number>[] = []
    const strangers: string[] = []
    page.on('response', (response) => {
      const type = response.headers()['content-type'] ?? ''
      if (!type.includes('event-stream')) sizes.push(response.body().then(({ length }) => length))
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(url)) strangers.push(request.url())
    })
    await page.goto(url)
    await complete(page)
    expect((await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)).toBeLessThan(150 * 1024)
    expect(strangers).toEqual([])
  })
})
