/** The dashboard's application for a test: a page of one line, no relay, and a clock of the test's own. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { DashboardOptions } from '../../src/dashboard/options.ts'
import { createDashboardApp, type DashboardApp } from '../../src/dashboard/server.ts'
import { VirtualClock } from '../../src/lab/index.ts'
import { systemRandom } from '../../src/transport/index.ts'

export const loopback = { ip: '127.0.0.1', port: 0 } as const
/** What every request on loopback says. */
export const host = '127.0.0.1:8478'

export interface TestApp {
  readonly app: DashboardApp
  readonly clock: VirtualClock
}

export async function testApp(options: Partial<DashboardOptions> = {}): Promise<TestApp> {
  const clock = new VirtualClock()
  const webRoot = mkdtempSync(join(tmpdir(), 'natcheck-web-'))
  writeFileSync(join(webRoot, 'index.html'), '<!doctype html><title>page</title>')
  const app = await createDashboardApp(
    { clock, random: systemRandom },
    { listen: loopback, iceServers: () => [{ urls: ['stun:127.0.0.1:3478'] }], webRoot, ...options },
  )
  onTestFinished(async () => await app.close())
  return { app, clock }
}
