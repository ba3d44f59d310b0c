/** A headless Chromium that talks to nobody but loopback, with a page that can make data channels. */
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { DataChannelOptions, DataChannelReport } from './data-channel.ts'
import { programPath } from './requirements.ts'

export interface Chromium {
  readonly browser: Browser
  /** A page of its own on http://localhost, where WebRTC works as on any site. */
  newPage(): Promise<Page>
  close(): Promise<void>
}

export interface ChromiumOptions {
  /** Self-signed certificates of TURN servers to trust, PEM. */
  readonly trust?: readonly string[]
  readonly args?: readonly string[]
  /** Runs it in this network namespace. Its page is then an empty one on http://localhost. */
  readonly namespace?: string
}

/** Nothing that a browser does by itself: no updates, no phoning home, no lookups. */
const quiet = [
  '--no-sandbox',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--disable-gpu',
  '--disable-sync',
  '--metrics-recording-only',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
]

/** Needs the requirement `chromium`. Close it when done. */
export async function launchChromium({ trust = [], args = [], namespace }: ChromiumOptions = {}): Promise<Chromium> {
  const server = await servePage()
  const { port } = server.address() as AddressInfo
  const trusted = trust.length === 0 ? [] : [`--ignore-certificate-errors-spki-list=${trust.map(spkiHash).join(',')}`]
  const browser = await chromium
    .launch({ executablePath: executable(namespace), args: [...quiet, ...trusted, ...args] })
    .catch((error: unknown) => {
      server.close()
      throw error
    })
  return {
    browser,
    async newPage() {
      const page = await browser.newPage()
      if (namespace !== undefined) {
        // No server of ours is there to be asked.
        await page.route('**', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }))
        await page.goto('http://localhost/')
        return page
      }
      await page.goto(`http://localhost:${port}/`)
      await page.waitForFunction('globalThis.relayedDataChannel !== undefined')
      return page
    },
    async close() {
      await browser.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Playwright takes a program without arguments, so the namespace needs a script; it talks through pipes, which stay. */
function executable(namespace: string | undefined): string {
  const program = programPath('chromium') ?? 'chromium'
  if (namespace === undefined) return program
  const script = join(mkdtempSync(join(tmpdir(), 'natcheck-chromium-')), 'chromium')
  writeFileSync(script, `#!/bin/sh\nrm -r "$(dirname "$0")"\nexec ip netns exec ${namespace} ${program} "$@"\n`, {
    mode: 0o755,
  })
  return script
}

/** Two peer connections in the page, relay-only; see data-channel.mjs. */
export async function relayedDataChannel(page: Page, options: DataChannelOptions): Promise<DataChannelReport> {
  return await page.evaluate(
    async (asked) =>
      await (
        globalThis as unknown as { relayedDataChannel: (options: DataChannelOptions) => Promise<DataChannelReport> }
      ).relayedDataChannel(asked),
    options,
  )
}

const html = `<!doctype html><title>data channel</title><script type="module">
  import { relayedDataChannel } from './data-channel.mjs'
  globalThis.relayedDataChannel = relayedDataChannel
</script>`

async function servePage(): Promise<Server> {
  const script = readFileSync(new URL('data-channel.mjs', import.meta.url))
  const server = createServer(({ url }, response) => {
    const isScript = url === '/data-channel.mjs'
    response.writeHead(isScript || url === '/' ? 200 : 404, {
      'content-type': isScript ? 'text/javascript' : 'text/html',
    })
    response.end(isScript ? script : url === '/' ? html : '')
  })
  // Chromium takes localhost for ::1 too, and then goes on to 127.0.0.1.
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

/** The base64 SHA-256 of the public key, by which Chromium recognises a certificate. */
const spkiHash = (pem: string): string =>
  createHash('sha256')
    .update(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
