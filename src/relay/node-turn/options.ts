/** What the engine node-turn refuses to be asked for, and what it can't do although nobody asked. */
import { familyOf, type IpAddress, NatcheckError } from '../../core/index.ts'
import type { RelayOptions } from '../options.ts'

/** One line each, for whoever starts it. README has the same. */
export const nodeTurnLimits: readonly string[] = [
  'UDP only: clients whose network blocks UDP need the engine native',
  'IPv4 only: REQUESTED-ADDRESS-FAMILY IPv6 is refused (440)',
  'no port reserved beside an even one and no RESERVATION-TOKEN (508), no DONT-FRAGMENT (420), no ICMP errors',
  'SHA-1 only: no PASSWORD-ALGORITHMS, no USERHASH, no MESSAGE-INTEGRITY-SHA256',
  'one thread and one packet at a time; node-turn 0.0.6 is no longer maintained',
]

/** Throws UNSUPPORTED for options that only other engines honour: a relay that quietly does less is a trap. */
export function refuseUnsupported(options: RelayOptions): void {
  const refuse = (what: string, fix: string): never => {
    throw new NatcheckError('UNSUPPORTED', `the engine node-turn ${what}`, { fix })
  }
  const { listen = [], tlsListen = [], relayIps = [], altIp, datapath = 'auto', threads = 1 } = options
  if (tlsListen.length > 0) refuse('has no TLS', 'leave the TLS listeners out, or use the engine native')
  const foreign = [...listen.map(({ ip }) => ip), ...relayIps].find((ip: IpAddress) => familyOf(ip) === 6)
  if (foreign !== undefined) refuse(`has no IPv6: ${foreign}`, 'name IPv4 addresses, or use the engine native')
  if (altIp !== undefined) refuse('has no second address', 'leave altIp out, or use the engine native')
  if (datapath === 'mmsg') refuse('has no mmsg datapath', 'leave datapath out, or use the engine native')
  if (threads > 1) refuse('has one thread', 'leave threads out, or use the engine native')
}
