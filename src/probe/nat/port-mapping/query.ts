/** The three protocols side by side, within a deadline that they never move. */
import {
  type Cancel,
  type Clock,
  type Instant,
  type IpAddress,
  NatcheckError,
  type Network,
  scopeOf,
} from '../../../core/index.ts'
import { askGateway, natPmp, pcp } from './gateway-query.ts'
import { portMappingPort } from './nat-pmp.ts'
import type { PortMappingProtocol, RouterObservation } from './observation.ts'
import { Session } from './session.ts'
import { askUpnp } from './upnp.ts'

export interface RouterQueryOptions {
  /** IPv4 only: IPv6 has no address to translate, and its routers no WAN address worth comparing. */
  readonly family: 4
  /** The address whose way out is diagnosed. Default: the one the routing table picks towards the gateway. */
  readonly localIp?: IpAddress | undefined
  /** Default: the network's default gateway. */
  readonly gateway?: IpAddress | undefined
  /** When the query gives up whatever is still open. */
  readonly deadline: Instant
}

export interface RouterQuery {
  /** What is known now, one observation for each protocol; one still waited for is `no-answer`. */
  snapshot(): readonly RouterObservation[]
  /** The last snapshot, when nothing can change it any more: all answered, deadline, or cancelled. Never later. */
  readonly settled: Promise<readonly RouterObservation[]>
  /** Closes every socket now; what has not answered stays `no-answer`. Repeated calls are harmless. */
  cancel: Cancel
}

const protocols: readonly PortMappingProtocol[] = ['upnp', 'nat-pmp', 'pcp']

/**
 * Asks the default gateway for its WAN address by UPnP IGD, NAT-PMP and PCP. Read-only: no mapping is ever made,
 * and nothing is sent beyond this link. Take a `snapshot` when the verdict is ready, then `cancel`.
 */
export function queryRouter(network: Network, clock: Clock, options: RouterQueryOptions): RouterQuery {
  const session = new Session(network, clock, options.deadline)
  const known = new Map<PortMappingProtocol, RouterObservation>()
  const record = (observation: RouterObservation): void => {
    if (!session.ended) known.set(observation.protocol, observation)
  }
  const snapshot = (): readonly RouterObservation[] =>
    protocols.map((protocol) => known.get(protocol) ?? { protocol, outcome: 'no-answer' })
  const settled = new Promise<readonly RouterObservation[]>((resolve, reject) => {
    session.hold(() => resolve(snapshot()))
    run(session, options, record)
      .catch(reject)
      .finally(() => session.end())
  })
  return { snapshot, settled, cancel: () => session.end() }
}

type Record = (observation: RouterObservation) => void

async function run(session: Session, options: RouterQueryOptions, record: Record): Promise<void> {
  const path = await findPath(session, options)
  if (session.ended) return
  const notSent = (protocol: PortMappingProtocol, detail: string): void =>
    record({ protocol, outcome: 'not-sent', detail })
  if (typeof path === 'string') {
    for (const protocol of protocols) notSent(protocol, path)
    return
  }
  const { gateway, localIp } = path
  const guarded = async (protocol: PortMappingProtocol, asking: Promise<void>): Promise<void> => {
    try {
      await asking
    } catch (error) {
      if (!(error instanceof NatcheckError)) throw error
      notSent(protocol, error.message)
    }
  }
  const asking = [guarded('upnp', askUpnp(session, { gateway, localIp }, record))]
  for (const protocol of [natPmp, pcp]) {
    if (gateway === undefined) notSent(protocol.protocol, 'this host has no default gateway')
    else asking.push(guarded(protocol.protocol, askGateway(session, protocol, { gateway, localIp }, record)))
  }
  await Promise.all(asking)
}

interface Path {
  readonly gateway: IpAddress | undefined
  readonly localIp: IpAddress | undefined
}

/** The router to ask and the address to ask from, or why there is none whose answer would mean anything. */
async function findPath(session: Session, options: RouterQueryOptions): Promise<Path | string> {
  const gateway = options.gateway ?? (await defaultGateway(session.network))
  if (session.ended) return 'ended'
  const { localIp } = options
  if (gateway === undefined) {
    return localIp !== undefined && scopeOf(localIp) === 'private'
      ? { gateway, localIp }
      : 'this host has no default gateway'
  }
  if (scopeOf(gateway) === 'global') return `the default gateway ${gateway} has a public address: no home router`
  const routed = await addressTowards(session, gateway)
  if (localIp === undefined || routed === undefined || routed === localIp)
    return { gateway, localIp: localIp ?? routed }
  // A VPN, or one of two uplinks: the default gateway is not on this address's way out.
  const interfaces = session.network.interfaces()
  const nameOf = (ip: IpAddress): string | undefined => interfaces.find((one) => one.ip === ip)?.name
  if (nameOf(routed) !== undefined && nameOf(routed) === nameOf(localIp)) return { gateway, localIp }
  return `traffic from ${localIp} does not leave through the default gateway ${gateway} (a VPN, or a second uplink)`
}

async function defaultGateway(network: Network): Promise<IpAddress | undefined> {
  try {
    return await network.defaultGateway(4)
  } catch (error) {
    if (error instanceof NatcheckError) return undefined
    throw error
  }
}

/** The address that the routing table picks; nothing is sent. */
async function addressTowards(session: Session, gateway: IpAddress): Promise<IpAddress | undefined> {
  try {
    const socket = await session.connectDatagram(
      { ip: gateway, port: portMappingPort },
      {},
      { onDatagram: () => {}, onFailure: () => {} },
    )
    session.close(socket)
    return socket.local.ip
  } catch (error) {
    if (error instanceof NatcheckError) return undefined
    throw error
  }
}
