/** What clients ask of an allocation they have: Refresh, CreatePermission, ChannelBind. RFC 8656 §8, §10, §12 */
import { addressFamily, after, type Instant, type TransportAddress } from '../../core/index.ts'
import { attribute, lifetime, requestedAddressFamily, type StunMessage, xorPeerAddress } from '../../wire/index.ts'
import { namesUnknownFamily, readOptional, readPeers, servedChannelNumber } from './attributes.ts'
import { addressKey, ipKey } from './keys.ts'
import { type Inquiry, transactionOf } from './outbox.ts'
import type { AuthenticRequest, ServerState } from './state.ts'
import { type Allocation, Farewell, type Relay } from './table.ts'

/** The allocation of the request's 5-tuple; undefined after 437 or 441 was answered. */
export function findAllocation(state: ServerState, { inquiry, user }: AuthenticRequest): Allocation | undefined {
  const allocation = state.table.get(inquiry.path.key)
  // One that is still being opened has no relays.
  if (!allocation?.relays.length) {
    state.outbox.fail(inquiry, 437)
    return undefined
  }
  if (allocation.username === (user?.username ?? '')) return allocation
  state.outbox.fail(inquiry, 441)
  return undefined
}

export function handleRefresh(state: ServerState, asked: AuthenticRequest, now: Instant): void {
  const { request, inquiry } = asked
  // A late copy of the Refresh that ended an allocation must not end the next one on the same 5-tuple.
  const farewell = state.table.farewell(inquiry.path.key)
  if (farewell?.transaction === transactionOf(inquiry)) return state.outbox.send(inquiry.path, farewell.bytes)
  const allocation = findAllocation(state, asked)
  if (!allocation) return
  const seconds = readOptional(request, lifetime)
  if (seconds === 'malformed') return state.outbox.fail(inquiry, 400, [], 'Malformed LIFETIME')
  const relays = relaysToRefresh(allocation, request)
  if (typeof relays === 'number') return state.outbox.fail(inquiry, relays)
  if (seconds === 0) return end(state, inquiry, allocation, relays, now)
  const granted = state.grantedLifetime(seconds, now)
  for (const relay of relays) state.table.timers.set(relay, after(now, granted * 1000))
  state.outbox.succeed(inquiry, [attribute(lifetime, granted)])
}

/** RFC 8656 §8.2: the family named, or all; otherwise an error code. */
function relaysToRefresh(allocation: Allocation, request: StunMessage): Relay[] | number {
  const family = readOptional(request, requestedAddressFamily)
  if (family === undefined) return [...allocation.relays]
  if (family === 'malformed') return namesUnknownFamily(request, requestedAddressFamily) ? 443 : 400
  const relay = allocation.relayFor(family)
  return relay ? [relay] : 443
}

function end(state: ServerState, inquiry: Inquiry, allocation: Allocation, relays: Relay[], now: Instant): void {
  const all = relays.length === allocation.relays.length
  for (const relay of relays) state.table.closeRelay(relay, 'refreshed-to-zero')
  const bytes = state.outbox.succeed(inquiry, [attribute(lifetime, 0)])
  // Streams retransmit nothing.
  if (!all || inquiry.path.protocol !== 'udp') return
  const farewell = new Farewell(inquiry.path.key, transactionOf(inquiry), bytes.slice(), now)
  state.table.addFarewell(farewell, state.lifetimes.farewell, now)
}

/** All peers are permitted, or none. RFC 8656 §10.2 */
export function handleCreatePermission(state: ServerState, asked: AuthenticRequest, now: Instant): void {
  const { request, inquiry } = asked
  const allocation = findAllocation(state, asked)
  if (!allocation) return
  const peers = readPeers(request)
  if (!peers) return state.outbox.fail(inquiry, 400, [], 'XOR-PEER-ADDRESS missing or malformed')
  const relays = peers.map((peer) => allocation.relayFor(addressFamily(peer)))
  if (relays.includes(undefined)) return state.outbox.fail(inquiry, 443)
  if (!peers.every((peer) => permitsIp(state, allocation, peer))) return state.outbox.fail(inquiry, 403)
  const added = new Set(peers.map(({ ip }) => ipKey(ip)).filter((key) => !allocation.permissions.has(key)))
  if (allocation.permissions.size + added.size > state.maxPermissions) return state.outbox.fail(inquiry, 508)
  const until = after(now, state.lifetimes.permission * 1000)
  for (const [index, { ip }] of peers.entries()) {
    const relay = relays[index]
    if (relay) state.table.permit(allocation, relay, ip, until)
  }
  state.outbox.succeed(inquiry)
}

/** A permission is for all ports of an IP (RFC 8656 §9), so this server's listeners are told apart when it comes to a port. */
function permitsIp(state: ServerState, { path, username }: Allocation, peer: TransportAddress): boolean {
  return state.permitsIp(peer.ip) && (state.options.permitPeer?.(peer, { path, username }) ?? true)
}

export function handleChannelBind(state: ServerState, asked: AuthenticRequest, now: Instant): void {
  const { request, inquiry } = asked
  const { outbox, table, lifetimes } = state
  const allocation = findAllocation(state, asked)
  if (!allocation) return
  const number = readOptional(request, servedChannelNumber)
  const peer = readOptional(request, xorPeerAddress)
  if (number === undefined || number === 'malformed') return outbox.fail(inquiry, 400, [], 'Bad CHANNEL-NUMBER')
  if (peer === undefined || peer === 'malformed' || peer.port === 0) {
    return outbox.fail(inquiry, 400, [], 'Bad XOR-PEER-ADDRESS')
  }
  const relay = allocation.relayFor(addressFamily(peer))
  if (!relay) return outbox.fail(inquiry, 443)
  const key = addressKey(peer)
  const onNumber = allocation.channels?.get(number)
  const onPeer = relay.channels?.get(key)
  if (onNumber && onNumber.peerKey !== key) return outbox.fail(inquiry, 400, [], 'Channel bound to another peer')
  if (onPeer && onPeer.channel !== number) return outbox.fail(inquiry, 400, [], 'Peer bound to another channel')
  if (!state.permits(peer, allocation.path, allocation.username)) return outbox.fail(inquiry, 403)
  const newPermission = !allocation.permissions.has(ipKey(peer.ip))
  const full =
    (!onNumber && (allocation.channels?.size ?? 0) >= state.maxPermissions) ||
    (newPermission && allocation.permissions.size >= state.maxPermissions)
  if (full) return outbox.fail(inquiry, 508)
  const until = after(now, lifetimes.channel * 1000)
  table.bind(allocation, relay, number, peer, until)
  // As long as the channel, not RFC 8656 §12.2's five minutes: aioice renews its channels every 500 s and nothing else.
  table.permit(allocation, relay, peer.ip, after(now, Math.max(lifetimes.channel, lifetimes.permission) * 1000))
  outbox.succeed(inquiry)
}
