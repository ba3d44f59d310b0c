/** Browsers that meet through the relay alone, over UDP, TCP and TLS: the embedded relay, and coturn. On loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launcher } from '../cli/natcheck.ts'
import { type Chromium, launchChromium } from '../support/chromium.ts'
import { type LocalCoturn, startLocalCoturn } from '../support/local-coturn.ts'
import { type Daemon, printed, startDaemon } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'
import { certificate } from '../transport/certificates.ts'

interface IceServer {
  readonly urls: string[]
  readonly username?: string
  readonly credential?: string
}

/** The one URL of this transport. */
function only(servers: readonly IceServer[], transport: 'udp' | 'tcp' | 'tls'): IceServer {
  const isOne = (url: string): boolean =>
    transport === 'tls'
      ? url.startsWith('turns:')
      : url.startsWith('turn:') && url.includes('tcp') === (transport === 'tcp')
  const found = servers.flatMap((server) => server.urls.filter(isOne).map((url) => ({ ...server, urls: [url] })))
  const [first] = found
  if (!first) throw new Error(`no server over ${transport}`)
  return first
}

async function join2(page: Page, servers: readonly IceServer[], hash: string): Promise<void> {
  await page.getByRole('link', { name: 'Servers' }).click()
  await page.getByLabel(/iceServers/).fill(JSON.stringify(servers))
  await page.getByRole('button', { name: 'Gather with these' }).click()
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
}

describeIf(['linux', 'chromium', 'setpriv', 'turnserver'], 'the dashboard over UDP, TCP and TLS', () => {
  const { cert, key } = certificate({ commonName: 'localhost', names: ['localhost'] })
  const secret = 'a-secret-that-coturn-and-natcheck-share'
  const directory = mkdtempSync(join(tmpdir(), 'natcheck-transports-'))
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const daemons: Daemon[] = []
  let coturn: LocalCoturn
  let chromium: Chromium
  let context: BrowserContext

  const start = async (args: readonly string[]): Promise<string> => {
    const daemon = startDaemon([process.execPath, launcher, ...args, '--listen', '127.0.0.1:0'], { cwd: '/' })
    daemons.push(daemon)
    const [first = ''] = await printed(daemon, /^http.*\n/)
    return first.trim()
  }

  beforeAll(async () => {
    const options = ['--use-auth-secret', `--static-auth-secret=${secret}`, '--allow-loopback-peers']
    coturn = await startLocalCoturn(options, { cert, key })
    chromium = await launchChromium({ trust: [cert] })
    context = await chromium.browser.newContext()
  })
  afterAll(async () => {
    await chromium?.close()
    for (const daemon of daemons) await daemon.stop()
    await coturn?.stop()
    rmSync(directory, { recursive: true })
  })

  const servers = {
    'natcheck up': async () => await start(['up', '--cert', file('cert.pem', cert), '--key', file('key.pem', key)]),
    coturn: async () => {
      const uris = [
        `turn:127.0.0.1:${coturn.to.port}`,
        `turn:127.0.0.1:${coturn.to.port}?transport=tcp`,
        `turns:localhost:${coturn.tlsTo.port}`,
      ]
      const flags = uris.flatMap((uri) => ['--server', uri])
      return await start(['dashboard', ...flags, '--auth-secret-file', file('secret', secret)])
    },
  }

  test.each(Object.keys(servers) as (keyof typeof servers)[])('%s', async (name) => {
    const url = await servers[name]()
    for (const transport of ['udp', 'tcp', 'tls'] as const) {
      const [first, second] = [await context.newPage(), await context.newPage()]
      await first.goto(url)
      await second.goto(url)
      await first.getByText(/candidates in/).waitFor()
      const { iceServers } = (await first.evaluate("fetch('api/ice-servers').then((each) => each.json())")) as {
        iceServers: IceServer[]
      }
      const chosen = [only(iceServers, transport)]
      await join2(first, chosen, '#connection')
      await first.getByRole('button', { name: 'Make a room' }).click()
      const link = (await first.locator('[data-room-link]').getAttribute('href')) ?? ''
      await first.getByLabel('relay only').check()
      await join2(second, chosen, new URL(link).hash)
      await second.getByText(/^Connected/).waitFor()
      await second.getByLabel('relay only').check()
      for (const page of [first, second]) {
        await expect
          .poll(async () => await page.locator('[data-end=local]').textContent(), { timeout: 10_000 })
          .toContain(`relay by ${transport}`)
        await expect.poll(async () => await page.locator('[data-end=remote]').textContent()).toMatch(/^relay /)
      }
      await first.close()
      await second.close()
    }
  })
})
