/** The NAT probe on the virtual network, in a line. */
import type { IpAddress } from '../../../src/core/index.ts'
import {
  homeAddresses,
  type HomeNetwork,
  homeNetwork,
  type HomeNetworkOptions,
  SeededRandom,
} from '../../../src/lab/index.ts'
import {
  analyseFamily,
  type FamilyFinding,
  type FamilyObservations,
  type NatProbeOptions,
  probeNat,
} from '../../../src/probe/nat/index.ts'
import { parseServerUri } from '../../../src/wire/index.ts'
import { type ScriptedServerOptions, startScriptedServer } from '../../support/scripted-stun-server.ts'

export const primaryUri = `stun:${homeAddresses.servers[0]}:3478`

export interface VirtualProbe extends HomeNetworkOptions {
  /** undefined: an honest RFC 5780 server; null: none is started. */
  readonly stunServer?: Partial<ScriptedServerOptions> | null
  readonly servers?: readonly string[]
  readonly probe?: Partial<NatProbeOptions>
  /** Called with the network before the probe starts. */
  readonly prepare?: (home: HomeNetwork) => void | Promise<void>
}

export interface VirtualResult {
  readonly home: HomeNetwork
  readonly observations: FamilyObservations
  readonly finding: FamilyFinding
  /** Virtual milliseconds that `probeNat` took. */
  readonly tookMs: number
}

export const serverIps: readonly [IpAddress, IpAddress] = [homeAddresses.servers[0], homeAddresses.servers[1]]

export function probeOptions(uris: readonly string[], over: Partial<NatProbeOptions> = {}): NatProbeOptions {
  return {
    servers: uris.map(parseServerUri),
    exclusive: true,
    families: [4],
    timeoutMs: 5000,
    hairpin: false,
    lifetime: false,
    fragments: false,
    ports: false,
    router: false,
    ...over,
  }
}

export async function virtualProbe(options: VirtualProbe): Promise<VirtualResult> {
  const home = homeNetwork(options)
  const { clock } = home
  await clock.run(
    (async () => {
      if (options.stunServer !== null) {
        const deadAlternate = options.deadAlternate ?? false
        await startScriptedServer(home.server, { ips: serverIps, deadAlternate, ...options.stunServer })
      }
      await options.prepare?.(home)
    })(),
  )
  const random = new SeededRandom(`probe ${options.seed ?? 1}`)
  const started = clock.now()
  const ports = { network: home.client, clock, random }
  const found = await clock.run(probeNat(ports, probeOptions(options.servers ?? [primaryUri], options.probe)))
  const observations = found[0]
  if (!observations) throw new Error('no family was probed')
  return { home, observations, finding: analyseFamily(observations), tookMs: clock.now() - started }
}
