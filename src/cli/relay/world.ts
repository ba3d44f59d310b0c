/** What the command runs on: this machine, or whatever a test puts in its place. */
import type { Clock, TransportAddress } from '../../core/index.ts'
import { relayMetrics } from '../../relay/metrics.ts'
import type { Relay, RelayCallbacks } from '../../relay/relay.ts'
import { startRelay } from '../../relay/start.ts'
import { listenHttp, nodeNetwork, nodeProcesses, systemClock, systemRandom } from '../../transport/index.ts'
import type { RelaySettings } from './settings.ts'

export interface RelayWorld {
  readonly clock: Clock
  start(settings: RelaySettings, callbacks: RelayCallbacks): Promise<Relay>
  serveMetrics(at: TransportAddress, relay: Relay): Promise<MetricsServer>
}

export interface MetricsServer {
  readonly local: TransportAddress
  close(): void
}

export function machine(): RelayWorld {
  const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom, processes: nodeProcesses() }
  return {
    clock: systemClock,
    start: (settings, callbacks) => startRelay(ports, settings.options, callbacks),
    serveMetrics,
  }
}

/** /metrics for Prometheus, /healthz for load balancers: 503 while draining, so that new clients go elsewhere. */
async function serveMetrics(at: TransportAddress, relay: Relay): Promise<MetricsServer> {
  const metrics = relayMetrics(relay)
  const text = 'text/plain; charset=utf-8'
  return await listenHttp(at, async (path) => {
    if (path === '/metrics') return { status: 200, contentType: metrics.contentType, body: await metrics.text() }
    if (path !== '/healthz') return undefined
    // Asks the relay, so that one which hangs is not called healthy.
    await relay.stats()
    return relay.draining
      ? { status: 503, contentType: text, body: 'draining\n' }
      : { status: 200, contentType: text, body: 'ok\n' }
  })
}
