/** Allocate and Refresh: what they ask, and what their answers say. RFC 8656 §7, §8 */
import type { Instant } from '../../core/index.ts'
import {
  additionalAddressFamily,
  addressErrorCode,
  attribute,
  dontFragment,
  type EncodableAttribute,
  evenPort,
  get,
  getAll,
  lifetime,
  mobilityTicket,
  requestedAddressFamily,
  RequestedTransport,
  requestedTransport,
  reservationToken,
  type StunMessage,
  xorMappedAddress,
  xorRelayedAddress,
} from '../../wire/index.ts'
import type { AllocateOptions, Allocation } from './types.ts'

export function allocateAttributes(options: AllocateOptions): EncodableAttribute[] {
  const { lifetimeSeconds, families = [], evenPort: even, reservationToken: token } = options
  const [family, second] = families
  const attributes = [attribute(requestedTransport, options.transport ?? RequestedTransport.udp)]
  if (lifetimeSeconds !== undefined) attributes.push(attribute(lifetime, lifetimeSeconds))
  // RFC 8656 §7.1: ADDITIONAL-ADDRESS-FAMILY is IPv6 beside the IPv4 that is given without asking.
  if (second !== undefined) attributes.push(attribute(additionalAddressFamily, 6))
  else if (family !== undefined) attributes.push(attribute(requestedAddressFamily, family))
  if (even) attributes.push(attribute(evenPort, { reserveNext: even === 'reserve-next' }))
  if (token) attributes.push(attribute(reservationToken, token))
  if (options.dontFragment) attributes.push(attribute(dontFragment, true))
  if (options.mobility) attributes.push(attribute(mobilityTicket, new Uint8Array()))
  return [...attributes, ...(options.attributes ?? [])]
}

/** The allocation that a success response grants; otherwise the names of what it lacks. */
export function readAllocation(message: StunMessage, now: Instant): Allocation | readonly string[] {
  const relayed = getAll(message, xorRelayedAddress)
  const mapped = get(message, xorMappedAddress)
  const lifetimeSeconds = grantedLifetime(message)
  if (relayed.length === 0 || !mapped || lifetimeSeconds === undefined) {
    return [
      ...(relayed.length === 0 ? ['XOR-RELAYED-ADDRESS'] : []),
      ...(mapped ? [] : ['XOR-MAPPED-ADDRESS']),
      ...(lifetimeSeconds === undefined ? ['LIFETIME'] : []),
    ]
  }
  return {
    relayed,
    mapped,
    lifetimeSeconds,
    grantedAt: now,
    addressErrors: getAll(message, addressErrorCode),
    reservationToken: get(message, reservationToken),
    mobilityTicket: get(message, mobilityTicket),
  }
}

/** LIFETIME of a success response; undefined when there is none, or none to live by. */
export function grantedLifetime(message: StunMessage): number | undefined {
  const seconds = get(message, lifetime)
  return seconds === 0 ? undefined : seconds
}
