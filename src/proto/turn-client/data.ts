/** Payload in Send and Data indications. RFC 8656 §11 */
import type { TransportAddress } from '../../core/index.ts'
import {
  attribute,
  data,
  dontFragment,
  type EncodableAttribute,
  get,
  type IcmpError,
  icmp,
  type StunMessage,
  unknownComprehensionRequired,
  xorPeerAddress,
} from '../../wire/index.ts'

export function sendAttributes(peer: TransportAddress, bytes: Uint8Array, unfragmented: boolean): EncodableAttribute[] {
  const attributes = [attribute(xorPeerAddress, peer), attribute(data, bytes)]
  return unfragmented ? [...attributes, attribute(dontFragment, true)] : attributes
}

/** What a Data indication brings. One that lacks what it needs brings nothing. RFC 8656 §11.4, §11.6 */
export type Arrival =
  | { readonly kind: 'data'; readonly peer: TransportAddress; readonly bytes: Uint8Array }
  | { readonly kind: 'icmp'; readonly peer: TransportAddress; readonly error: IcmpError }
  | { readonly kind: 'nothing'; readonly why: string }

export function readDataIndication(message: StunMessage): Arrival {
  if (unknownComprehensionRequired(message).length > 0) return nothing('a Data indication with unknown attributes')
  const peer = get(message, xorPeerAddress)
  if (!peer) return nothing('a Data indication without a usable XOR-PEER-ADDRESS')
  const bytes = get(message, data)
  if (bytes) return { kind: 'data', peer, bytes }
  const error = get(message, icmp)
  return error ? { kind: 'icmp', peer, error } : nothing('a Data indication with neither DATA nor ICMP')
}

const nothing = (why: string): Arrival => ({ kind: 'nothing', why })
