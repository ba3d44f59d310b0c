/** From the servers that were named to the addresses to ask: one attempt for each transport and family. */
import {
  type AddressFamily,
  familyOf,
  formatAddress,
  type InterfaceAddress,
  NatcheckError,
  scopeOf,
  type TransportAddress,
} from '../../core/index.ts'
import { formatServerUri, uriProtocol } from '../../wire/uri.ts'
import { resolveServer } from '../resolve.ts'
import { causeOfError } from './causes.ts'
import type { IceServer } from './ice-servers.ts'
import type { IceOptions, IcePorts } from './options.ts'
import type { OpenAttempt, Recorder } from './recorder.ts'

export interface Target {
  readonly server: IceServer
  readonly attempt: OpenAttempt
  readonly to: TransportAddress
  /** Whom the certificate must name. */
  readonly serverName: string
}

/** One server's targets; empty where its name leads nowhere, which its attempt then says. */
export async function findTargets(
  ports: IcePorts,
  { families, timeoutMs, patienceMs = defaultPatienceMs }: IceOptions,
  recorder: Recorder,
  server: IceServer,
): Promise<readonly Target[]> {
  const { uri } = server
  const protocol = uriProtocol(uri)
  const transport = protocol === 'dtls' ? 'tls' : protocol
  const start = { uri: formatServerUri(uri), scheme: uri.scheme, transport } as const
  const first = recorder.attempt(start)
  recorder.begin(first, 'dns')
  try {
    const { candidates } = await resolveServer(ports.network, uri, {
      family: 'both',
      timeoutMs: Math.min(patienceMs, timeoutMs),
    })
    const usable = families.flatMap((family) => candidates.find(({ address }) => familyOf(address.ip) === family) ?? [])
    if (usable.length === 0) throw noFamily(uri.host, families)
    const reachable = usable.filter(({ address }) => hasFamily(ports.network.interfaces(), address))
    // Where no interface has the family of any of its addresses, that is what its attempt will find out.
    return (reachable.length > 0 ? reachable : usable).map(({ address, serverName }, index): Target => {
      const attempt = index === 0 ? first : recorder.attempt(start, first.startMs)
      attempt.family = familyOf(address.ip)
      attempt.address = formatAddress(address)
      if (index > 0) recorder.begin(attempt, 'dns', first.startMs)
      if (uri.hostKind === 'name') recorder.end(attempt, true, `${uri.host} is ${address.ip}`)
      else attempt.running = undefined
      return { server, attempt, to: address, serverName }
    })
  } catch (error) {
    const cause = causeOfError(error, 'dns')
    recorder.end(first, false, error instanceof Error ? error.message : String(error), cause.stage)
    recorder.fail(first, cause)
    recorder.settle(first)
    return []
  }
}

const noFamily = (host: string, families: readonly AddressFamily[]): NatcheckError =>
  new NatcheckError('NO_ROUTE', `${host} has no IPv${families.join(' or IPv')} address`, {
    fix: 'Ask for the other family too.',
  })

/** A server that does not answer is given up after this, so that it costs less than two seconds. */
export const defaultPatienceMs = 1900

/**
 * What is left of an attempt's patience. Who has connected is waited for somewhat longer, so that one far away is not
 * taken for dead: half of it, and at least four times what the way there and back took.
 */
export function patienceLeft(
  { patienceMs = defaultPatienceMs }: IceOptions,
  recorder: Recorder,
  { startMs, stages }: OpenAttempt,
): number {
  const connect = stages.find(({ stage, ok }) => stage === 'connect' && ok)
  const roundTripMs = connect ? (connect.endMs ?? 0) - connect.startMs : 0
  return Math.max(patienceMs - (recorder.now() - startMs), patienceMs / 2, 4 * roundTripMs)
}

/** Has this machine an address from which the server's could be reached at all? */
function hasFamily(interfaces: readonly InterfaceAddress[], { ip }: TransportAddress): boolean {
  const scope = scopeOf(ip)
  if (scope === 'loopback' || scope === 'link-local') return true
  return interfaces.some(
    (own) => familyOf(own.ip) === familyOf(ip) && !['loopback', 'link-local'].includes(scopeOf(own.ip)),
  )
}
