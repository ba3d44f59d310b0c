/** Virgin sockets: NAT state belongs to a port, so no port is ever used twice. */
import {
  type DatagramEndpoint,
  type DatagramHandlers,
  familyOf,
  type IpAddress,
  NatcheckError,
  type Network,
  type Random,
} from '../../core/index.ts'

/** Above the well-known ports and the ranges that port forwarding favours. */
const lowestPort = 32768
const highestPort = 65535
const tries = 10

/** Ports this process has used: a NAT remembers them for minutes after they are closed here. */
const used = new Set<number>()

/** Opens a socket on a random port that this process never used. Rejects as `Network.openDatagram` does. */
export async function openVirginSocket(
  network: Network,
  random: Random,
  ip: IpAddress,
  handlers: DatagramHandlers,
): Promise<DatagramEndpoint> {
  // Half the range is plenty; a long-lived process (the dashboard) then starts over with the oldest forgotten.
  if (used.size > (highestPort - lowestPort) / 2) used.clear()
  for (let attempt = 1; ; ) {
    const port = random.integer(lowestPort, highestPort)
    if (used.has(port)) continue
    used.add(port)
    try {
      return await network.openDatagram({ family: familyOf(ip), ip, port }, handlers)
    } catch (error) {
      const taken = error instanceof NatcheckError && error.code === 'ADDRESS_IN_USE'
      if (!taken || attempt++ >= tries) throw error
    }
  }
}
