/** Which addresses a relay listens on, relays from and is known by. */
import {
  addressFamily,
  type AddressFamily,
  familyOf,
  formatAddress,
  type IpAddress,
  NatcheckError,
  type Network,
  parseIp,
  scopeOf,
  type TransportAddress,
} from '../core/index.ts'
import type { RelayAddress } from '../proto/turn-server/index.ts'
import { formatServerUri, type ServerUri } from '../wire/index.ts'
import type { ExternalIp, RelayOptions } from './options.ts'
import type { RelayListener } from './relay.ts'

/** Throws BAD_ADDRESS for what is no address, and for what the system would bind, but nobody could be sent to. */
export function checkHostAddresses(options: RelayOptions): void {
  const { listen = [], tlsListen = [], altIp, relayIps = [], externalIps = [] } = options
  const named = [...relayIps, ...externalIps.map(({ external }) => external), ...(altIp === undefined ? [] : [altIp])]
  const refuse = (ip: IpAddress, why: string): never => {
    throw new NatcheckError('BAD_ADDRESS', `${ip} ${why}`, { fix: 'give the address of one host' })
  }
  const internal = externalIps.flatMap((each) => each.internal ?? [])
  for (const ip of [...[...listen, ...tlsListen].map((each) => each.ip), ...named, ...internal]) {
    if (parseIp(ip) === undefined) refuse(ip, 'is no IP address')
  }
  for (const { port } of [...listen, ...tlsListen]) {
    if (!Number.isInteger(port) || port < 0 || port > 65_535) refuse(`port ${port}`, 'is not between 0 and 65535')
  }
  for (const { ip } of [...listen, ...tlsListen]) {
    if (scopeOf(ip) === 'multicast') refuse(ip, 'is a group of hosts (multicast)')
  }
  for (const ip of named) {
    if (scopeOf(ip) === 'multicast') refuse(ip, 'is a group of hosts (multicast)')
    if (scopeOf(ip) === 'unspecified') refuse(ip, 'stands for any address, and clients are told this one')
  }
}

/**
 * Wildcards become the addresses that this machine has: a socket on a wildcard would answer from whichever address the
 * routing table likes, and clients take answers only from the one they asked.
 */
function expandWildcards(network: Network, addresses: readonly TransportAddress[]): TransportAddress[] {
  const all = addresses.flatMap((address) => {
    if (scopeOf(address.ip) !== 'unspecified') return [address]
    const family = addressFamily(address)
    const ips = network
      .interfaces()
      .map(({ ip }) => ip)
      .filter((ip) => familyOf(ip) === family && scopeOf(ip) !== 'link-local')
    if (ips.length > 0) return ips.map((ip) => ({ ip, port: address.port }))
    throw new NatcheckError('BAD_ADDRESS', `this machine has no IPv${family} address to listen on`, {
      fix: `leave ${formatAddress(address)} out`,
    })
  })
  const seen = new Set<string>()
  return all.filter((address) => {
    const text = formatAddress(address)
    return address.port === 0 || (!seen.has(text) && seen.add(text))
  })
}

/** Puts a free port in the place of 0, the same for UDP and TCP. */
async function choosePort(network: Network, address: TransportAddress): Promise<TransportAddress> {
  if (address.port !== 0) return address
  const handlers = { onDatagram: () => {}, onFailure: () => {} }
  for (let attempt = 1; ; attempt++) {
    const udp = await network.openDatagram({ family: addressFamily(address), ip: address.ip }, handlers)
    try {
      const tcp = await network.listenStream({ family: addressFamily(address), ...udp.local }, (stream) => {
        stream.close()
        return { onData: () => {}, onClose: () => {} }
      })
      tcp.close()
      return udp.local
    } catch (error) {
      // Free for UDP and taken for TCP: seldom, and never many times in a row.
      if (attempt === 16 || !(error instanceof NatcheckError) || error.code !== 'ADDRESS_IN_USE') throw error
    } finally {
      udp.close()
    }
  }
}

const defaultListener: TransportAddress = { ip: '127.0.0.1', port: 3478 }

/** Where UDP and TCP are asked for, as it was written. */
export const plainListeners = ({ listen, tlsListen = [] }: RelayOptions): readonly TransportAddress[] =>
  listen ?? (tlsListen.length > 0 ? [] : [defaultListener])

/** Every address that is really to be listened on: wildcards expanded, ports chosen. */
export async function chooseAll(network: Network, addresses: readonly TransportAddress[]): Promise<TransportAddress[]> {
  const chosen: TransportAddress[] = []
  for (const address of expandWildcards(network, addresses)) chosen.push(await choosePort(network, address))
  return chosen
}

/** One relay address for each family: the one named, else the first listening one that more than this machine reaches. */
export function relayAddresses(
  { relayIps, externalIps = [] }: RelayOptions,
  listening: readonly TransportAddress[],
): RelayAddress[] {
  const candidates = [...(relayIps ?? []), ...(relayIps ? [] : listening.map(({ ip }) => ip))]
  const chosen = ([4, 6] as const).flatMap((family) => {
    const ips = candidates.filter((ip) => familyOf(ip) === family)
    const ip = ips.find((each) => scopeOf(each) !== 'loopback') ?? ips[0]
    return ip === undefined ? [] : [{ ip, externalIp: externalOf(ip, externalIps) }]
  })
  for (const { external, internal } of externalIps) {
    if (
      internal === undefined ||
      chosen.some(({ ip }) => ip === internal) ||
      listening.some(({ ip }) => ip === internal)
    ) {
      continue
    }
    throw new NatcheckError(
      'BAD_ADDRESS',
      `the external address ${external} belongs to ${internal}, which is not used`,
      {
        fix: 'name a listening or relay address after the slash',
      },
    )
  }
  return chosen
}

/** Fails early, and in words, where every allocation would fail later. */
export async function checkBindable(network: Network, ip: IpAddress): Promise<void> {
  const endpoint = await network.openDatagram(
    { family: familyOf(ip), ip },
    { onDatagram: () => {}, onFailure: () => {} },
  )
  endpoint.close()
}

function externalOf(ip: IpAddress, externalIps: readonly ExternalIp[]): IpAddress | undefined {
  const family: AddressFamily = familyOf(ip)
  const own = externalIps.find(({ internal }) => internal === ip)
  return (own ?? externalIps.find(({ external, internal }) => internal === undefined && familyOf(external) === family))
    ?.external
}

/**
 * For iceServers: UDP first, TLS last. Addresses that only this machine reaches are left out where there are others.
 * `tlsName` is the name that the certificate is for: clients check it.
 */
export function relayUrls(
  listeners: readonly RelayListener[],
  { stunOnly = false, externalIps = [] }: RelayOptions,
  tlsName: string | undefined,
): string[] {
  const reachable = listeners.filter(({ address }) => scopeOf(address.ip) !== 'loopback')
  const shown = reachable.length > 0 ? reachable : listeners
  const order = ['udp', 'tcp', 'tls'] as const
  const urls = order.flatMap((wanted) =>
    shown
      .filter(({ protocol }) => protocol === wanted)
      .map(({ address: { ip, port } }) => {
        const external = externalOf(ip, externalIps) ?? ip
        const host = wanted === 'tls' && tlsName !== undefined ? tlsName : external
        const hostKind: ServerUri['hostKind'] = host === external ? 'address' : 'name'
        const secure = wanted === 'tls'
        if (stunOnly) return formatServerUri({ scheme: secure ? 'stuns' : 'stun', host, hostKind, port })
        const transport = wanted === 'udp' ? 'udp' : 'tcp'
        return formatServerUri({ scheme: secure ? 'turns' : 'turn', host, hostKind, port, transport })
      }),
  )
  return [...new Set(urls)]
}
