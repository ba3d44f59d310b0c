/** The look into each TURN server that gave an allocation, in what is left of the check-up's time. */
import type { IceObservations, IceServer } from '../../probe/ice/index.ts'
import type { TurnObservations, TurnOptions } from '../../probe/turn/index.ts'
import { formatServerUri } from '../../wire/uri.ts'
import { bounded } from '../bounded.ts'
import type { IceSettings } from '../ice/settings.ts'
import type { CheckupWorld } from './world.ts'

/** The check-up takes three seconds, starting the process included. What is not known by then is for `natcheck turn`. */
const checkupMs = 2600
/** What a look takes to give back its allocations when its time is over. */
const handOverMs = 300
/** In less than this nothing is found out that gathering does not tell already. */
const leastMs = 300
/** More servers are a fleet, and look alike. */
const mostHosts = 3

/** After gathering and not beside it: its allocations would count in the same quota. */
export async function lookIntoRelays(
  ice: IceSettings,
  observed: IceObservations,
  elapsedMs: number,
  world: CheckupWorld,
  abort: AbortController,
): Promise<readonly TurnObservations[]> {
  const timeoutMs = Math.min(ice.timeoutMs, checkupMs) - elapsedMs - handOverMs
  if (timeoutMs < leastMs || abort.signal.aborted) return []
  const { families, ca } = ice
  const looks = workingHosts(ice.servers, observed).map(async (servers): Promise<readonly TurnObservations[]> => {
    const [first] = servers
    if (!first) return []
    const candidates = servers.map((server) => ({ server, named: true }))
    const options: TurnOptions = {
      uri: formatServerUri(first.uri),
      candidates,
      families,
      timeoutMs,
      ca,
      signal: abort.signal,
    }
    return [await bounded(world.probeTurn(options), abort, timeoutMs + handOverMs)]
  })
  return (await Promise.all(looks)).flat()
}

/** By host, only what gave an allocation: what fails has been told. */
function workingHosts(servers: readonly IceServer[], { attempts }: IceObservations): readonly (readonly IceServer[])[] {
  const working = new Set(attempts.flatMap(({ uri, relayed }) => (relayed === null ? [] : [uri])))
  const byHost = new Map<string, IceServer[]>()
  for (const server of servers.filter(({ uri }) => working.has(formatServerUri(uri)))) {
    byHost.set(server.uri.host, [...(byHost.get(server.uri.host) ?? []), server])
  }
  return [...byHost.values()].slice(0, mostHosts)
}
