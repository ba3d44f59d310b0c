/** Transport addresses: an IP address with a port (RFC 8489 §3), as immutable values. */
import { type AddressFamily, familyOf, type IpAddress, parseIp } from './ip.ts'

/** An IP address and a port. `ip` is canonical, so two addresses are equal when both fields are. */
export interface TransportAddress {
  readonly ip: IpAddress
  readonly port: number
}

/** The transports natcheck speaks. */
export type TransportProtocol = 'udp' | 'tcp' | 'tls'

export const sameAddress = (a: TransportAddress, b: TransportAddress): boolean => a.port === b.port && a.ip === b.ip

export const addressFamily = (address: TransportAddress): AddressFamily => familyOf(address.ip)

/** `192.0.2.1:3478` or `[2001:db8::1]:3478`. */
export const formatAddress = ({ ip, port }: TransportAddress): string =>
  familyOf(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`

/** Reads what `formatAddress` prints, with the IP in any textual form; undefined when the text is anything else. */
export function parseAddress(text: string): TransportAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(0|[1-9]\d{0,4})$/.exec(text)
  const ip = match && parseIp(match[1] ?? match[2] ?? '')
  const port = Number(match?.[3])
  if (!ip || port > 65535 || (match[1] !== undefined) !== (familyOf(ip) === 6)) return undefined
  return { ip, port }
}
