/** Which ICMP type and code says what: RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1, RFC 4443 §3. */
import type { AddressFamily, DeliveryFailureReason } from '../../core/index.ts'

const unreachable4: Readonly<Record<number, DeliveryFailureReason>> = {
  0: 'network-unreachable',
  1: 'host-unreachable',
  3: 'port-unreachable',
  4: 'message-too-big',
  6: 'network-unreachable', // network unknown
  7: 'host-unreachable', // host unknown
  9: 'admin-prohibited', // network
  10: 'admin-prohibited', // host
  11: 'network-unreachable', // for this type of service
  12: 'host-unreachable', // for this type of service
  13: 'admin-prohibited', // communication
}

const unreachable6: Readonly<Record<number, DeliveryFailureReason>> = {
  0: 'network-unreachable', // no route
  1: 'admin-prohibited',
  3: 'host-unreachable',
  4: 'port-unreachable',
  5: 'admin-prohibited', // source address failed ingress policy
  6: 'admin-prohibited', // reject route
}

/** What an ICMP message says about a packet's fate; undefined when it is no error. */
export function failureReason(family: AddressFamily, type: number, code: number): DeliveryFailureReason | undefined {
  if (family === 4) {
    if (type === 3) return unreachable4[code] ?? 'other'
    return type === 11 || type === 12 ? 'other' : undefined
  }
  if (type === 1) return unreachable6[code] ?? 'other'
  if (type === 2) return 'message-too-big'
  // RFC 4443 §2.1: the types below 128 are the errors.
  return type >= 3 && type < 128 ? 'other' : undefined
}

const types: Readonly<Record<DeliveryFailureReason, readonly [v4: IcmpType, v6: IcmpType]>> = {
  'port-unreachable': [
    { type: 3, code: 3 },
    { type: 1, code: 4 },
  ],
  'host-unreachable': [
    { type: 3, code: 1 },
    { type: 1, code: 3 },
  ],
  'network-unreachable': [
    { type: 3, code: 0 },
    { type: 1, code: 0 },
  ],
  'no-route': [
    { type: 3, code: 0 },
    { type: 1, code: 0 },
  ],
  'admin-prohibited': [
    { type: 3, code: 13 },
    { type: 1, code: 1 },
  ],
  'local-firewall': [
    { type: 3, code: 13 },
    { type: 1, code: 1 },
  ],
  'message-too-big': [
    { type: 3, code: 4 },
    { type: 2, code: 0 },
  ],
  // Time exceeded: the commonest of the rest.
  other: [
    { type: 11, code: 0 },
    { type: 3, code: 0 },
  ],
}

export interface IcmpType {
  readonly type: number
  readonly code: number
}

/** The type and code that say `reason`. */
export const icmpTypeOf = (family: AddressFamily, reason: DeliveryFailureReason): IcmpType =>
  types[reason][family === 4 ? 0 : 1]
