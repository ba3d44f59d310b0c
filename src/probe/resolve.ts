/** From a server URI to the addresses to try, in order. RFC 8489 §8, RFC 5928 for TURN. */
import {
  type AddressFamily,
  addressFamily,
  familyOf,
  type IpAddress,
  NatcheckError,
  type Network,
  type ServiceRecord,
  sameAddress,
  type TransportAddress,
  type TransportProtocol,
} from '../core/index.ts'
import { defaultPort, formatServerUri, type ServerUri, uriProtocol } from '../wire/uri.ts'

export interface ServerCandidate {
  readonly address: TransportAddress
  readonly protocol: TransportProtocol
  /** Whom the certificate must name: the host of the URI, not the one that SRV leads to. RFC 8489 §6.2.3 */
  readonly serverName: string
}

export interface ResolvedServer {
  /** Never empty; the first is to be tried first. */
  readonly candidates: readonly ServerCandidate[]
}

export interface ResolveOptions {
  readonly family: AddressFamily | 'both'
  /** Milliseconds for all lookups together. */
  readonly timeoutMs: number
}

/**
 * How long SRV may take, in milliseconds. The address lookup runs beside it, so on a healthy resolver SRV is about as
 * fast; some home routers drop SRV queries, and then this is all that it costs before the default port is taken.
 */
const servicePatienceMs = 500

/**
 * Resolves the server. An address literal is taken as it is; with a port, A and AAAA only; without, SRV first and
 * A/AAAA with the default port when there is no SRV record or the SRV lookup fails.
 * Rejects with UNKNOWN_HOST, NO_ADDRESS (a name without one of the family asked for), DNS_FAILED, UNSUPPORTED (TURN over
 * DTLS), or USAGE (a literal of the family not asked for).
 */
export async function resolveServer(
  network: Network,
  uri: ServerUri,
  { family, timeoutMs }: ResolveOptions,
): Promise<ResolvedServer> {
  const protocol = uriProtocol(uri)
  if (protocol === 'dtls') {
    throw new NatcheckError('UNSUPPORTED', `${formatServerUri(uri)} is TURN over DTLS, which natcheck does not speak`, {
      fix: `use ${formatServerUri({ ...uri, transport: 'tcp' })}`,
    })
  }
  const port = uri.port ?? defaultPort(uri.scheme)
  const addresses =
    uri.hostKind === 'address'
      ? [{ ip: literalOf(uri, family), port }]
      : uri.port !== undefined || !mayHaveServices(uri.host)
        ? (await network.resolveHost(uri.host, timeoutMs)).map((ip) => ({ ip, port }))
        : await resolveByService(network, uri, protocol, timeoutMs)
  const wanted = addresses.filter((address) => family === 'both' || addressFamily(address) === family)
  if (wanted.length === 0) throw noSuchFamily(uri, family)
  const distinct = wanted.filter((address, at) => wanted.findIndex((other) => sameAddress(other, address)) === at)
  const serverName = uri.host.replace(/\.$/, '')
  return { candidates: distinct.map((address) => ({ address, protocol, serverName })) }
}

function literalOf(uri: ServerUri, family: AddressFamily | 'both'): IpAddress {
  const own = familyOf(uri.host)
  if (family === 'both' || family === own) return uri.host
  throw new NatcheckError(
    'USAGE',
    `${formatServerUri(uri)} is an IPv${own} address, but only IPv${family} was asked for`,
    {
      fix: `use --family ${own} or --family both, or give a server with an IPv${family} address`,
    },
  )
}

function noSuchFamily(uri: ServerUri, family: AddressFamily | 'both'): NatcheckError {
  const kind = family === 'both' ? '' : ` IPv${family}`
  return new NatcheckError(family === 'both' ? 'UNKNOWN_HOST' : 'NO_ADDRESS', `${uri.host} has no${kind} address`, {
    fix: family === 'both' ? 'check the host name' : `use --family ${family === 4 ? 6 : 4}, or another server`,
  })
}

/** Names that DNS does not serve are not asked for there: RFC 6761 §6.3, RFC 6762 §3; a single label has no SRV records. */
const mayHaveServices = (host: string): boolean => /\./.test(host) && !/(?:^|\.)(?:localhost|local)\.?$/.test(host)

type Outcome<T> = { readonly value: T } | { readonly error: unknown }

/** Neither lookup's failure may go unhandled while the other one is awaited. */
const settle = async <T>(promise: Promise<T>): Promise<Outcome<T>> =>
  await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )

async function resolveByService(
  network: Network,
  uri: ServerUri,
  protocol: TransportProtocol,
  timeoutMs: number,
): Promise<readonly TransportAddress[]> {
  // Half of the time is kept for the hosts that SRV leads to.
  const half = timeoutMs / 2
  const host = settle(network.resolveHost(uri.host, half))
  const serviceName = `_${uri.scheme}._${protocol === 'udp' ? 'udp' : 'tcp'}.${uri.host}`
  const services = await settle(network.resolveService(serviceName, Math.min(half, servicePatienceMs)))
  if ('value' in services && services.value.length > 0) {
    const targets = services.value.filter((service) => service.host !== '' && service.host !== '.' && service.port > 0)
    if (targets.length === 0) throw declined(uri, serviceName)
    const found = await resolveTargets(network, targets, half)
    if (found.length > 0) return found
  }
  const outcome = await host
  if ('value' in outcome) return outcome.value.map((ip) => ({ ip, port: defaultPort(uri.scheme) }))
  throw outcome.error
}

/** RFC 2782: a target of "." says that the service is decidedly not available at this domain. */
const declined = (uri: ServerUri, serviceName: string): NatcheckError =>
  new NatcheckError(
    'UNKNOWN_HOST',
    `${uri.host} says in DNS (${serviceName}) that it offers no ${uri.scheme} service`,
    {
      fix: `give the port to ask it nevertheless: ${formatServerUri({ ...uri, port: defaultPort(uri.scheme) })}`,
    },
  )

/** The addresses of all targets, in the order of the records; a target that can't be resolved is passed over. */
async function resolveTargets(
  network: Network,
  targets: readonly ServiceRecord[],
  timeoutMs: number,
): Promise<readonly TransportAddress[]> {
  const found = await Promise.all(targets.map((target) => settle(network.resolveHost(target.host, timeoutMs))))
  return found.flatMap((outcome, at) =>
    'value' in outcome ? outcome.value.map((ip) => ({ ip, port: targets[at]?.port ?? 0 })) : [],
  )
}
