/** What a client holds on the server, and when each has to be renewed. RFC 8656 §8, §9, §12 */
import { after, earliest, type Instant, type IpAddress, sameAddress, type TransportAddress } from '../../core/index.ts'
import { type ChannelNumber, maxChannelNumber, minChannelNumber } from '../../wire/index.ts'
import type { Allocation, ChannelBinding } from './types.ts'

/**
 * Permissions live 300 s (RFC 8656 §9). A minute before, as Chromium does, leaves a request time for all its
 * retransmissions.
 */
const renewAfterSeconds = 240
/** No timer is longer: whatever a server grants, it is looked after every hour. */
const longestSeconds = 3600

interface Held {
  /** Undefined while the renewal is on its way. */
  renewAt: Instant | undefined
}

export interface HeldAllocation extends Held {
  readonly allocation: Allocation
  readonly expiresAt: Instant
}

interface HeldPeer extends Held {
  readonly peer: TransportAddress
}

/** What wants to be renewed now. */
export interface Due {
  readonly allocation: HeldAllocation | undefined
  readonly peers: readonly TransportAddress[]
  readonly channels: readonly ChannelBinding[]
}

export class Holdings {
  allocation: HeldAllocation | undefined
  readonly #permissions = new Map<IpAddress, HeldPeer>()
  readonly #channels = new Map<ChannelNumber, HeldPeer>()
  #nextChannel = minChannelNumber

  /** The allocation lives `allocation.lifetimeSeconds` from `now` on. */
  holdAllocation(allocation: Allocation, now: Instant): void {
    const seconds = allocation.lifetimeSeconds
    // RFC 8656 §8.1: about a minute before the end; where there is no such minute, at half.
    const renewIn = Math.min(seconds >= 120 ? seconds - 60 : seconds / 2, longestSeconds)
    this.allocation = { allocation, renewAt: after(now, renewIn * 1000), expiresAt: after(now, seconds * 1000) }
  }

  /** Like a channel, nothing without its allocation: an answer may come after that has ended. */
  holdPermissions(peers: readonly TransportAddress[], now: Instant): void {
    if (!this.allocation) return
    for (const peer of peers) {
      this.#permissions.set(peer.ip, { peer, renewAt: after(now, renewAfterSeconds * 1000) })
    }
  }

  /** A binding carries the permission too (RFC 8656 §12), so it is renewed as often, and the permission with it. */
  holdChannel({ channel, peer }: ChannelBinding, now: Instant): void {
    if (!this.allocation) return
    this.#permissions.delete(peer.ip)
    this.#channels.set(channel, { peer, renewAt: after(now, renewAfterSeconds * 1000) })
  }

  dropPermission(ip: IpAddress): void {
    this.#permissions.delete(ip)
  }

  dropChannel(channel: ChannelNumber): void {
    this.#channels.delete(channel)
  }

  clear(): void {
    this.allocation = undefined
    this.#permissions.clear()
    this.#channels.clear()
  }

  channelOf(peer: TransportAddress): ChannelNumber | undefined {
    for (const [channel, held] of this.#channels) if (sameAddress(held.peer, peer)) return channel
    return undefined
  }

  peerOf(channel: ChannelNumber): TransportAddress | undefined {
    return this.#channels.get(channel)?.peer
  }

  /** Whether packets of this address are to be expected. */
  permits(ip: IpAddress): boolean {
    if (this.#permissions.has(ip)) return true
    for (const { peer } of this.#channels.values()) if (peer.ip === ip) return true
    return false
  }

  /** The next number that was never used: a channel keeps its peer for five minutes after it ended. RFC 8656 §12 */
  takeChannel(): ChannelNumber | undefined {
    return this.#nextChannel > maxChannelNumber ? undefined : (this.#nextChannel++ as ChannelNumber)
  }

  /** What has to be renewed by now; it is on its way from here on. */
  takeDue(now: Instant): Due {
    const take = (held: Held): boolean => {
      const due = held.renewAt !== undefined && held.renewAt <= now
      if (due) held.renewAt = undefined
      return due
    }
    const allocation = this.allocation && take(this.allocation) ? this.allocation : undefined
    const peers = [...this.#permissions.values()].filter(take).map(({ peer }) => peer)
    const channels = [...this.#channels].filter(([, held]) => take(held))
    return { allocation, peers, channels: channels.map(([channel, { peer }]) => ({ channel, peer })) }
  }

  nextDue(): Instant | undefined {
    const held = [...this.#permissions.values(), ...this.#channels.values()]
    return earliest(this.allocation?.renewAt, ...held.map(({ renewAt }) => renewAt))
  }
}
