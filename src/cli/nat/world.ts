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
  /** Why it could not run; null: it ran. */
  readonly problem: string | null
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

const name = `${primaryIp} and ${alternateIp}`

const loopbackUp = 'bring it up with both addresses (ip link set lo up; on macOS: ifconfig lo0 alias 127.0.0.2)'

const letPass = 'let the firewall of this machine pass UDP on the loopback interface'

/** Without its server the self-test can't pass: that is its result, and the network's failure stays the news. */
function couldNotRun(error: unknown): SelfTestRun {
  if (!(error instanceof NatcheckError)) throw error
  const fix = error.code === 'BAD_ADDRESS' ? loopbackUp : error.fix
  return { server: name, problem: `${error.message}${fix === undefined ? '' : ` — ${fix}`}`, observations: [] }
}

async function selfTest(ports: Ports, signal: AbortSignal): Promise<SelfTestRun> {
  // Binding works on an interface that is down, but nothing ever arrives there.
  if (!ports.network.interfaces().some(({ ip }) => ip === primaryIp))
    return { server: name, problem: `the loopback interface is down — ${loopbackUp}`, observations: [] }
  let server: StunServer
  try {
    server = await startStunServer(ports.network, { primaryIp, alternateIp })
  } catch (error) {
    return couldNotRun(error)
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
    const silent = observations.every(({ exchanges }) => exchanges.every(({ replies }) => replies.length === 0))
    const problem = silent && !signal.aborted ? `nothing comes through between them — ${letPass}` : null
    return { server: name, problem, observations }
  } catch (error) {
    return couldNotRun(error)
  } finally {
    server.close()
  }
}
