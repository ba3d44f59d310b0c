/** Application data, the slow way: Send and Data indications, and ChannelData that no datapath took. RFC 8656 §11, §12 */
import { addressFamily, type Instant, type TransportAddress } from '../../core/index.ts'
import {
  attribute,
  data,
  dontFragment,
  type EncodableAttribute,
  encodeChannelData,
  encodeMessage,
  get,
  has,
  icmp,
  type IcmpError,
  Method,
  type StunMessage,
  xorPeerAddress,
} from '../../wire/index.ts'
import { isServedChannel } from './attributes.ts'
import { Flow, noTraffic } from './forwarding.ts'
import { addressKey } from './keys.ts'
import { padsChannelData } from './outbox.ts'
import type { ServerState } from './state.ts'
import type { Allocation } from './table.ts'
import type { ClientPath, RelayId } from './types.ts'

/** What fits a UDP datagram of 65,507 bytes behind a STUN header and an IPv6 XOR-PEER-ADDRESS. */
const maxIndicationData = 65_456
const maxChannelData = 65_500
/** Of one allocation. Whoever finds the path's MTU needs a few; anybody can forge ICMP, and the client's link is not theirs. */
const errorsPerSecond = 10

/** ChannelData from a client. Over UDP padding is neither required nor minded. RFC 8656 §12.5 */
export function handleChannelData(state: ServerState, path: ClientPath, bytes: Uint8Array, now: Instant): void {
  const { outbox, table } = state
  const channel = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
  const end = 4 + (((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0))
  if (bytes.length < 4 || end > bytes.length || !isServedChannel(channel)) return outbox.drop('client', 'malformed')
  const route = table.channelToPeer(path.key, channel, now)
  if (!route) return outbox.drop('client', table.get(path.key) ? 'no-channel' : 'no-allocation')
  if (!route.toPeer.admit(end - 4, now)) return outbox.drop('client', 'over-bandwidth')
  const { relay, peer } = route
  outbox.push({ kind: 'send-to-peer', relay, peer, bytes: bytes.subarray(4, end), dontFragment: false })
}

/** Send: data for a peer that has a permission. RFC 8656 §11.2 */
export function handleSend(state: ServerState, path: ClientPath, indication: StunMessage, now: Instant): void {
  const { outbox, table } = state
  const allocation = table.get(path.key)
  if (!allocation) return outbox.drop('client', 'no-allocation')
  const peer = get(indication, xorPeerAddress)
  const bytes = get(indication, data)
  if (!peer || !bytes || peer.port === 0) return outbox.drop('client', 'bad-indication')
  const relay = allocation.relayFor(addressFamily(peer))
  if (!relay || relay.expiresAt <= now || !allocation.permission(peer.ip, now)) {
    return outbox.drop('client', 'no-permission')
  }
  // The permission is for the IP: only here is it known whether the port is one of this server's own.
  if (state.isListener(peer, path) && !state.peerPolicy.names(peer.ip)) return outbox.drop('client', 'denied-peer')
  if (!allocation.toPeer.admit(bytes.length, now)) return outbox.drop('client', 'over-bandwidth')
  outbox.push({ kind: 'send-to-peer', relay: relay.id, peer, bytes, dontFragment: has(indication, dontFragment) })
}

/** A datagram at a relayed address: ChannelData where a channel is bound, a Data indication otherwise. RFC 8656 §11.3 */
export function handlePeer(
  state: ServerState,
  relayId: RelayId,
  peer: TransportAddress,
  bytes: Uint8Array,
  now: Instant,
): void {
  const { outbox, table } = state
  const relay = table.relay(relayId)
  const allocation = relay?.allocation
  if (!allocation || relay.expiresAt <= now) return outbox.drop('peer', 'unknown-relay')
  const route = table.peerToClient(relayId, addressKey(peer), now)
  if (!route && !allocation.permission(peer.ip, now)) return outbox.drop('peer', 'no-permission')
  if (bytes.length > (route ? maxChannelData : maxIndicationData)) return outbox.drop('peer', 'too-big')
  if (!allocation.toClient.admit(bytes.length, now)) return outbox.drop('peer', 'over-bandwidth')
  const { path } = allocation
  if (route) {
    outbox.send(
      path,
      encodeChannelData({ channel: route.channel, data: bytes }, { pad: padsChannelData(path.protocol) }),
    )
  } else indicate(state, allocation, [attribute(xorPeerAddress, peer), attribute(data, bytes)])
}

/** An ICMP error for what was sent to a peer. RFC 8656 §11.5 */
export function handlePeerError(
  state: ServerState,
  relayId: RelayId,
  peer: TransportAddress,
  error: IcmpError,
  now: Instant,
): void {
  const relay = state.table.relay(relayId)
  const allocation = relay?.allocation
  if (!allocation || relay.expiresAt <= now) return state.outbox.drop('peer', 'unknown-relay')
  if (!allocation.permission(peer.ip, now)) return state.outbox.drop('peer', 'no-permission')
  // Types above 127 are informational and fit no ICMP attribute.
  if (error.type > 0x7f || error.code > 0x1ff) return state.outbox.drop('peer', 'unexpected')
  allocation.errors ??= new Flow(noTraffic(), errorsPerSecond, now)
  if (!allocation.errors.admit(1, now)) return state.outbox.drop('peer', 'rate-limited')
  indicate(state, allocation, [attribute(xorPeerAddress, peer), attribute(icmp, error)])
}

function indicate(state: ServerState, { path }: Allocation, attributes: readonly EncodableAttribute[]): void {
  const transactionId = state.random.bytes(12)
  state.outbox.send(path, encodeMessage({ class: 'indication', method: Method.data, transactionId, attributes }))
}
