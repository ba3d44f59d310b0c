/** When UDP stays silent: does TCP get through to the same servers? That alone tells "UDP blocked" from "no network". */
import {
  type ErrorCode,
  formatAddress,
  type IpAddress,
  NatcheckError,
  type Network,
  parseAddress,
  type TransportAddress,
} from '../../core/index.ts'
import type { ServerObservation, StreamObservation } from './observations.ts'
import { streamCheckTimeoutMs } from './pacing.ts'

/** Servers tried: enough to have one that runs, few enough to be polite. */
const serversTried = 3
/** Firewalls that block UDP nearly always leave this one open. */
const httpsPort = 443

/** Connects to each server's own port and to 443, all at once. Reports each as it becomes known; never rejects. */
export async function tryStreams(
  network: Network,
  servers: readonly ServerObservation[],
  asked: readonly number[],
  localIp: IpAddress | null,
  report: (observation: StreamObservation) => void,
): Promise<void> {
  const attempts: Promise<void>[] = []
  for (const server of asked.slice(0, serversTried)) {
    const address = parseAddress(servers[server]?.address ?? '')
    if (!address) continue
    for (const port of new Set([address.port, httpsPort])) {
      const to = { ip: address.ip, port }
      const attempt = tryStream(network, to, localIp).then((problem) =>
        report({ server, to: formatAddress(to), connected: problem === null, problem }),
      )
      attempts.push(attempt)
    }
  }
  await Promise.all(attempts)
}

async function tryStream(network: Network, to: TransportAddress, localIp: IpAddress | null): Promise<ErrorCode | null> {
  const options = { to, localIp: localIp ?? undefined, timeoutMs: streamCheckTimeoutMs }
  try {
    const connection = await network.connectStream(options, { onData: () => {}, onClose: () => {} })
    connection.close()
    return null
  } catch (error) {
    return error instanceof NatcheckError ? error.code : 'CONNECTION_CLOSED'
  }
}
