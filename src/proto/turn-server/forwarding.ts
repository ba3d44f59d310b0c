/**
 * The fast path: what a datapath needs to relay ChannelData without asking the machine. The slow path shares it, so
 * counters, bandwidth caps and expiry are the same on both. RFC 8656 §12.6, §12.7
 *
 * A datapath does, for a datagram from a client that looks like ChannelData,
 * `route = channelToPeer(key, channel, now)` and, if `route?.toPeer.admit(length, now)`, sends the payload from
 * `route.relay` to `route.peer`; for a datagram from a peer `route = peerToClient(relay, addressKey(peer), now)` and, if
 * `route?.toClient.admit(length, now)`, sends ChannelData on `route.channel` to `route.path`. Where the lookup gives
 * undefined it hands the packet to the machine, which relays it the slow way or says why not. Where `admit` gives false
 * it drops the packet.
 */
import { type Instant, instant, type TransportAddress } from '../../core/index.ts'
import type { ChannelNumber } from '../../wire/index.ts'
import type { AddressKey } from './keys.ts'
import type { ClientKey, ClientPath, RelayId, Traffic } from './types.ts'

export interface Forwarding {
  /** Undefined: no such allocation, or no such channel now. */
  channelToPeer(key: ClientKey, channel: number, now: Instant): Route | undefined
  /** Undefined: no channel is bound to this peer now. There may still be a permission. */
  peerToClient(relay: RelayId, peer: AddressKey, now: Instant): Route | undefined
}

/** A channel binding, seen from either side. Valid at the instant of the lookup: look up again for the next packet. */
export interface Route {
  readonly path: ClientPath
  readonly channel: ChannelNumber
  readonly relay: RelayId
  readonly peer: TransportAddress
  readonly peerKey: AddressKey
  readonly toPeer: Flow
  readonly toClient: Flow
}

/** One direction of an allocation: its counters and its bandwidth cap. */
export class Flow implements Traffic {
  packets = 0
  bytes = 0
  refused = 0
  readonly #total: MutableTraffic
  /** Bytes per millisecond; Infinity without a cap. */
  readonly #rate: number
  #tokens: number
  #filledAt: Instant

  /** `total` is counted along. `bytesPerSecond`: the cap; undefined: none. One second's worth may pass at once. */
  constructor(total: MutableTraffic, bytesPerSecond: number | undefined, now: Instant) {
    this.#total = total
    this.#rate = bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : bytesPerSecond / 1000
    this.#tokens = bytesPerSecond ?? 0
    this.#filledAt = now
  }

  /** Counts a packet of so many bytes of payload and tells whether it may pass. */
  admit(length: number, now: Instant): boolean {
    const total = this.#total
    if (this.#rate !== Number.POSITIVE_INFINITY && !this.#spend(length, now)) {
      this.refused++
      total.refused++
      return false
    }
    this.packets++
    this.bytes += length
    total.packets++
    total.bytes += length
    return true
  }

  #spend(length: number, now: Instant): boolean {
    const capacity = this.#rate * 1000
    if (now > this.#filledAt) {
      this.#tokens = Math.min(capacity, this.#tokens + (now - this.#filledAt) * this.#rate)
      this.#filledAt = instant(now)
    }
    // A full bucket lets any packet through, or a cap below one packet's size would be a wall.
    if (this.#tokens < length && this.#tokens < capacity) return false
    this.#tokens -= length
    return true
  }
}

export interface MutableTraffic {
  packets: number
  bytes: number
  refused: number
}

export const noTraffic = (): MutableTraffic => ({ packets: 0, bytes: 0, refused: 0 })
