/** Which four sockets a relay with a second address answers NAT behaviour tests from. RFC 5780 §3 */
import { familyOf, type IpAddress, NatcheckError, scopeOf, type TransportAddress } from '../core/index.ts'
import type { RelayOptions } from './options.ts'

/** The first socket and the one that differs in both address and port. */
export interface Discovery {
  readonly primary: TransportAddress
  readonly alternate: TransportAddress
}

/** The four sockets of RFC 5780 §3: both IPs, and the port after the first one. Throws USAGE. */
export function discoveryOf({ altIp }: RelayOptions, plain: readonly TransportAddress[]): Discovery | undefined {
  if (altIp === undefined) return undefined
  const primary = plain.find(({ ip }) => familyOf(ip) === familyOf(altIp) && ip !== altIp && usable(ip, altIp))
  if (primary) return { primary, alternate: { ip: altIp, port: primary.port === 65_535 ? 65_534 : primary.port + 1 } }
  throw new NatcheckError('USAGE', `the alternate address ${altIp} needs another listening address of its family`, {
    fix: 'listen on a first address too',
  })
}

export const otherSockets = ({ primary, alternate }: Discovery): TransportAddress[] => [
  { ...primary, port: alternate.port },
  { ...alternate, port: primary.port },
  alternate,
]

/** 0.0.0.0 stands for loopback too, which nobody outside could be sent to. */
const usable = (ip: IpAddress, altIp: IpAddress): boolean =>
  (scopeOf(ip) === 'loopback') === (scopeOf(altIp) === 'loopback')
