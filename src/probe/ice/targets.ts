/** From the servers that were named to the addresses to ask: one attempt for each transport and family. */
import { familyOf, formatAddress, type InterfaceAddress, scopeOf, type TransportAddress } from '../../core/index.ts'
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
  const start = {
    uri: formatServerUri(uri),
    scheme: uri.scheme,
    transport: protocol === 'dtls' ? 'tls' : protocol,
  } as const
  const startMs = recorder.now()
  const isNamed = uri.hostKind === 'name'
  try {
    const { candidates } = await resolveServer(ports.network, uri, {
      family: 'both',
      timeoutMs: Math.min(patienceMs, timeoutMs),
    })
    const usable = families.flatMap((family) => {
      const first = candidates.find(({ address }) => familyOf(address.ip) === family)
      return first ? [first] : []
    })
    const reachable = usable.filter(({ address }) => hasFamily(ports.network.interfaces(), address))
    // Where no interface has the family of any of its addresses, that is what its attempt will find out.
    return (reachable.length > 0 ? reachable : usable).map(({ address, serverName }): Target => {
      const family = familyOf(address.ip)
      const attempt = recorder.attempt({ ...start, family, address: formatAddress(address) })
      if (isNamed) recorder.stage(attempt, 'dns', startMs, true, `${uri.host} is ${address.ip}`)
      return { server, attempt, to: address, serverName }
    })
  } catch (error) {
    const attempt = recorder.attempt({ ...start, family: null, address: null })
    const cause = causeOfError(error, 'dns')
    recorder.stage(attempt, cause.stage, startMs, false, error instanceof Error ? error.message : String(error))
    recorder.fail(attempt, cause)
    return []
  }
}

/** A server that does not answer is given up after this, so that it costs less than two seconds. */
export const defaultPatienceMs = 1900

/** Has this machine an address from which the server's could be reached at all? */
function hasFamily(interfaces: readonly InterfaceAddress[], { ip }: TransportAddress): boolean {
  const scope = scopeOf(ip)
  if (scope === 'loopback' || scope === 'link-local') return true
  return interfaces.some(
    (own) => familyOf(own.ip) === familyOf(ip) && !['loopback', 'link-local'].includes(scopeOf(own.ip)),
  )
}
