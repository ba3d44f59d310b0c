/** Node adapters of the ports in core: UDP, TCP, TLS, DNS, clock and randomness. The only place that opens sockets. */
import type { Network } from '../core/index.ts'
import { resolveHost, resolveService } from './dns.ts'
import { listenStream } from './listener.ts'
import { defaultGateway, interfaces } from './routes.ts'
import { connectStream } from './stream.ts'
import { connectDatagram, openDatagram } from './udp.ts'

export { systemClock } from './clock.ts'
export { type HttpAnswer, type HttpListener, listenHttp } from './http.ts'
export { nodeProcesses } from './processes.ts'
export { systemRandom } from './random.ts'

/** This machine's network. */
export const nodeNetwork = (): Network => ({
  openDatagram,
  connectDatagram,
  connectStream,
  listenStream,
  resolveHost,
  resolveService,
  interfaces,
  defaultGateway,
})
