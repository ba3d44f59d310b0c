/** node-turn's server with the settings that its code expects and never makes, and with sockets that are closed again. */
import type { ServerSettings } from '../server.ts'
import type { NodeTurn, TheirMessage, TheirServer, TheirSocket } from './package.ts'
import type { AllocationTable } from './table.ts'

export function makeServer(
  nodeTurn: NodeTurn,
  { relayAddresses }: ServerSettings,
  table: AllocationTable,
  log: (line: string) => void,
): TheirServer {
  const { allocation, maxAllocation } = table.lifetimes
  const external = relayAddresses.flatMap(({ ip, externalIp }) => (externalIp === undefined ? [] : [[ip, externalIp]]))
  const their = new nodeTurn.Server({
    // Who asks is settled before: its table of users is a plain object, its nonces Math.random's with a timer each.
    authMech: 'none',
    listeningIps: [],
    externalIps: external.length > 0 ? Object.fromEntries(external) : null,
    defaultAllocatetLifetime: allocation,
    maxAllocateLifetime: Math.max(allocation, maxAllocation),
    log: (line) => log(String(line)),
  })
  // Its Refresh reads settings that its constructor never makes.
  their.defaultLifetime = allocation
  their.maxAllocateTimeout = Math.max(allocation, maxAllocation)
  // Its own takes the client's port for an even one, and never closes a socket.
  const open =
    (kind: 'any' | 'even') =>
    async ({ transport }: TheirMessage): Promise<readonly TheirSocket[]> => [
      await table.open(transport.get5Tuple(), kind),
    ]
  their.allocate.allocateUdp = open('any')
  their.allocate.allocateUdpEven = open('even')
  return their
}
