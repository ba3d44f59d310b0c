/** The public IPv4 address of this machine, as a STUN server sees it. */
import { type IpAddress, NatcheckError } from '../../core/index.ts'
import { resolveServer } from '../../probe/resolve.ts'
import { openStunConnection } from '../../proto/stun/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../transport/index.ts'
import { get, Method, parseServerUri, xorMappedAddress } from '../../wire/index.ts'
import { publicServers } from '../nat/public-servers.ts'

/** The first answer ends it; each server has this long, and all are asked at once. */
const patienceMs = 3000

/** Throws TIMEOUT when nobody answers. */
export async function publicIp(servers: readonly string[] = publicServers): Promise<IpAddress> {
  try {
    return await Promise.any(servers.map(askServer))
  } catch (cause) {
    throw new NatcheckError('TIMEOUT', 'no STUN server told the public address', {
      fix: 'give it yourself: --external-ip PUBLIC/PRIVATE',
      cause,
    })
  }
}

async function askServer(server: string): Promise<IpAddress> {
  const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
  const { candidates } = await resolveServer(ports.network, parseServerUri(server), {
    family: 4,
    timeoutMs: patienceMs,
  })
  const to = candidates[0]?.address
  if (!to) throw new Error(`${server} has no IPv4 address`)
  const connection = await openStunConnection(ports, { to, protocol: 'udp', connectTimeoutMs: patienceMs })
  try {
    const outcome = await connection.client.request({ method: Method.binding, attributes: [], timeoutMs: patienceMs })
    const mapped = outcome.kind === 'success' ? get(outcome.message, xorMappedAddress) : undefined
    if (!mapped) throw new Error(`${server} did not answer`)
    return mapped.ip
  } finally {
    connection.close()
  }
}
