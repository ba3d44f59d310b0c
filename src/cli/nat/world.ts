/** What the command measures with: this machine, or whatever a test puts in its place. */
import { type Clock, formatAddress, NatcheckError, type Network, type Random } from '../../core/index.ts'
import { type FamilyObservations, type NatProbeOptions, probeNat } from '../../probe/nat/index.ts'
import { type StunServer, startStunServer } from '../../relay/stun-server.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../transport/index.ts'
import { parseServerUri } from '../../wire/uri.ts'

export interface NatWorld {
  readonly clock: Clock
  probe(options: NatProbeOptions): Promise<readonly FamilyObservations[]>
  /** The same check against the embedded server on loopback. */
  selfTest(signal: AbortSignal): Promise<SelfTestRun>
}

export interface SelfTestRun {
  readonly server: string
  readonly observations: readonly FamilyObservations[]
}

interface Ports {
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
}

export function machine(): NatWorld {
  const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
  return {
    clock: systemClock,
    probe: (options) => probeNat(ports, options),
    selfTest: (signal) => selfTest(ports, signal),
  }
}

/** RFC 5780 needs two addresses; all of 127.0.0.0/8 is this host on Linux and Windows, macOS knows only the first. */
const primaryIp = '127.0.0.1'
const alternateIp = '127.0.0.2'

async function selfTest(ports: Ports, signal: AbortSignal): Promise<SelfTestRun> {
  const name = `${primaryIp} and ${alternateIp}`
  let server: StunServer
  try {
    server = await startStunServer(ports.network, { primaryIp, alternateIp })
  } catch (error) {
    // Without its server the self-test can't pass: that is its result, and the network's failure stays the news.
    if (error instanceof NatcheckError) return { server: name, observations: [] }
    throw error
  }
  try {
    const observations = await probeNat(ports, {
      servers: [parseServerUri(`stun:${formatAddress(server.primary)}`)],
      exclusive: true,
      families: [4],
      timeoutMs: 5000,
      hairpin: false,
      lifetime: false,
      fragments: false,
      ports: false,
      router: false,
      signal,
    })
    return { server: name, observations }
  } finally {
    server.close()
  }
}
