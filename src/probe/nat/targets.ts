/** Where the servers' names lead in one family. */
import { type AddressFamily, familyOf, formatAddress, NatcheckError, type Network } from '../../core/index.ts'
import { formatServerUri, type ServerUri } from '../../wire/index.ts'
import { resolveServer } from '../resolve.ts'
import type { ServerObservation } from './observations.ts'

/** A resolver that hasn't answered in two seconds makes the check-up pointless before the network does. */
const lookupMs = 2000

/** Looks all servers up at once. A failure is an observation of that server. */
export function locateServers(
  network: Network,
  servers: readonly ServerUri[],
  family: AddressFamily,
): Promise<readonly ServerObservation[]> {
  return Promise.all(servers.map((uri) => locate(network, uri, family)))
}

async function locate(network: Network, uri: ServerUri, family: AddressFamily): Promise<ServerObservation> {
  const base = { uri: formatServerUri(uri), address: null, problem: null, asked: false }
  if (uri.hostKind === 'address' && familyOf(uri.host) !== family) return base
  try {
    // A TURN server answers Binding requests too; whatever transport its URI names, a NAT is measured over UDP.
    const { transport: _, ...rest } = uri
    const stun = { ...rest, scheme: 'stun' } as const
    const { candidates } = await resolveServer(network, stun, { family, timeoutMs: lookupMs })
    return { ...base, address: candidates[0] ? formatAddress(candidates[0].address) : null }
  } catch (error) {
    if (!(error instanceof NatcheckError)) throw error
    // No address of this family is no problem of the server's.
    if (error.code === 'USAGE' || error.code === 'NO_ADDRESS') return base
    return { ...base, problem: { code: error.code, message: error.message } }
  }
}
