/** The operating system's error words, translated into natcheck's: delivery failures, and errors with a code and a fix. */
import {
  type AddressFamily,
  type DeliveryFailureReason,
  type ErrorCode,
  formatAddress,
  type IpAddress,
  NatcheckError,
  type TransportAddress,
} from '../core/index.ts'

/** The system's word for an error, such as ECONNREFUSED; its message when it has none. */
export function systemWord(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code
  }
  return error instanceof Error ? error.message : String(error)
}

/**
 * What an error of a `send` call means: nothing left this machine.
 * EACCES comes from a `prohibit` route, or from a broadcast address: policy of this machine, like EPERM from its firewall.
 */
export function sendFailureReason(word: string): DeliveryFailureReason {
  switch (word) {
    case 'EPERM':
    case 'EACCES':
      return 'local-firewall'
    // EHOSTUNREACH: an `unreachable` route. EINVAL: a `blackhole` route. EADDRNOTAVAIL: IPv6 without a source address.
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
    case 'ENETDOWN':
    case 'EINVAL':
      return 'no-route'
    case 'EMSGSIZE':
      return 'message-too-big'
    default:
      return 'other'
  }
}

/**
 * What an error means that the network reported for an earlier datagram of a connected socket.
 *
 * A socket without IP_RECVERR, which Node can't set, hears only what Linux calls fatal (`icmp_err_convert`, `tab_unreach`):
 * the soft ones (host, net unreachable: codes 0, 1, 5, 11, 12, and ICMPv6 codes 0, 2, 3) never arrive. So on Linux
 * EHOSTUNREACH is code 10, 13, 14 or 15, and ENETUNREACH is code 6 or 9, of which no router sends 6 (RFC 1812 §5.2.7.1):
 * both mean that a firewall said no. IPv6 says EACCES for its codes 1, 5 and 6. Other systems don't separate the codes.
 */
export function icmpFailureReason(word: string, platform: NodeJS.Platform = process.platform): DeliveryFailureReason {
  const linux = platform === 'linux'
  switch (word) {
    case 'ECONNREFUSED':
    case 'ECONNRESET': // Windows' word for it
      return 'port-unreachable'
    case 'EACCES':
      return linux ? 'admin-prohibited' : 'other'
    case 'EHOSTUNREACH':
      return linux ? 'admin-prohibited' : 'host-unreachable'
    case 'ENETUNREACH':
      return linux ? 'admin-prohibited' : 'network-unreachable'
    case 'EHOSTDOWN': // code 7, host unknown
    case 'ENONET': // code 8, host isolated
      return 'host-unreachable'
    case 'EMSGSIZE':
      return 'message-too-big'
    default:
      return 'other'
  }
}

/** Words that a send may return for an *earlier* datagram: the pending ICMP error of a connected socket. */
export const mayBePending = (word: string): boolean =>
  /^(?:ECONNREFUSED|ECONNRESET|EACCES|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENONET|ENOPROTOOPT|EPROTO|EMSGSIZE)$/.test(
    word,
  )

const fail = (code: ErrorCode, message: string, fix: string, cause: unknown): NatcheckError =>
  new NatcheckError(code, message, { fix, cause })

/** Why a socket could not be bound. `ip` is undefined when the caller left the address to the system. */
export function bindError(
  error: unknown,
  family: AddressFamily,
  ip: IpAddress | undefined,
  port: number,
): NatcheckError {
  const word = systemWord(error)
  const where = formatAddress({ ip: ip ?? (family === 4 ? '0.0.0.0' : '::'), port })
  switch (word) {
    case 'EADDRINUSE':
      return fail(
        'ADDRESS_IN_USE',
        `${where} is already in use`,
        'choose another port, or stop the program that holds it',
        error,
      )
    case 'EACCES':
    case 'EPERM':
      return fail(
        'PERMISSION_DENIED',
        `not allowed to bind ${where}`,
        port > 0 && port < 1024
          ? 'use a port of 1024 or above, or run with the right to bind lower ones'
          : 'allow this program to use the network',
        error,
      )
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      if (ip !== undefined) {
        return fail('BAD_ADDRESS', `${ip} is not an address of this machine`, 'use one that `ip address` lists', error)
      }
      break
    default:
  }
  if (word === 'EAFNOSUPPORT' || word === 'EADDRNOTAVAIL') return noFamily(family, error)
  return fail('UNSUPPORTED', `the system refused to bind ${where} (${word})`, 'check the limits of this system', error)
}

const noFamily = (family: AddressFamily, error: unknown): NatcheckError =>
  fail('UNSUPPORTED', `this machine has no IPv${family}`, `use IPv${family === 4 ? 6 : 4}`, error)

/** Why connecting to `to` failed in this machine, before anything was sent; undefined when the word says something else. */
export function routeError(
  error: unknown,
  to: TransportAddress,
  family: AddressFamily,
  localIp: IpAddress | undefined,
): NatcheckError | undefined {
  const word = systemWord(error)
  const where = formatAddress(to)
  switch (word) {
    case 'EADDRNOTAVAIL':
      if (localIp !== undefined) return bindError(error, family, localIp, 0)
      return fail(
        'NO_ROUTE',
        `this machine has no address to reach ${where} from`,
        `connect it to an IPv${family} network`,
        error,
      )
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'ENETDOWN':
    case 'EINVAL':
      if (localIp !== undefined) {
        return fail(
          'NO_ROUTE',
          `no route to ${where} from the local address ${localIp} (${word})`,
          'leave the local address out, or give one of the interface that leads there',
          error,
        )
      }
      return fail(
        'NO_ROUTE',
        `no route to ${where} (${word})`,
        `check the network connection and the IPv${family} default route`,
        error,
      )
    case 'EACCES':
    case 'EPERM':
      return fail(
        'NO_ROUTE',
        `this machine forbids sending to ${where} (${word})`,
        'look for a prohibit route, a firewall rule or a broadcast address',
        error,
      )
    case 'EAFNOSUPPORT':
      return noFamily(family, error)
    default:
      return undefined
  }
}
