/** The lab's NAT on a TUN device: what the kernel routes to the device is translated and handed back to be routed on. */
import type { Clock, IpAddress, Random } from '../../core/index.ts'
import { Nat } from '../nat.ts'
import type { NatBehavior } from '../nat-behavior.ts'
import { openTun, type TunDevice } from './device.ts'
import { decodePacket, encodePacket, type WirePacket } from './packet.ts'

export interface TunNatOptions {
  /** The interface to make, such as `nat0`. Bring it up and route to it what the NAT is to see. */
  readonly device: string
  readonly behavior: NatBehavior
  /** Not configured on any interface, or the kernel keeps their packets for itself; routed to this machine from outside. */
  readonly externalIps: readonly IpAddress[]
  readonly isInternal: (ip: IpAddress) => boolean
  readonly random: Random
  readonly clock: Pick<Clock, 'now'>
  /** Default: nothing. */
  readonly onGone?: () => void
}

/** How many packets met which fate. */
export interface TunNatCounters {
  readonly translated: number
  /** Dropped by the NAT: filtered, no mapping. */
  readonly dropped: number
  /** Neither UDP nor an ICMP error about it, or damaged. */
  readonly notUnderstood: number
  /** The kernel took back fewer packets than it was handed: the device is down. */
  readonly refused: number
}

export interface TunNat {
  readonly device: string
  counters(): TunNatCounters
  close(): Promise<void>
}

/** Opens the device and translates until closed. Rejects as `openTun` does. */
export async function startTunNat(options: TunNatOptions): Promise<TunNat> {
  const nat = new Nat(options)
  const counters = { translated: 0, dropped: 0, notUnderstood: 0, refused: 0 }
  const translate = (bytes: Uint8Array): void => {
    const decoded = decodePacket(bytes)
    if (!decoded.ok) {
      counters.notUnderstood++
      return
    }
    const routed = isFromInside(decoded.value, options.isInternal)
      ? nat.outbound(decoded.value, options.clock.now())
      : nat.inbound(decoded.value, options.clock.now())
    if (routed.length === 0) counters.dropped++
    for (const { packet } of routed) {
      // Both sides leave through the one device: the kernel routes by destination. No TCP is in there: none went in.
      if (packet.kind === 'tcp') continue
      if (device.write(encodePacket(packet))) counters.translated++
      else counters.refused++
    }
  }
  const device: TunDevice = await openTun(options.device, {
    onPacket: translate,
    ...(options.onGone ? { onGone: options.onGone } : {}),
  })
  return { device: device.name, counters: () => ({ ...counters }), close: () => device.close() }
}

/** A TUN device does not say where a packet came from, but whoever sent it does. */
const isFromInside = (packet: WirePacket, isInternal: (ip: IpAddress) => boolean): boolean =>
  isInternal(packet.kind === 'udp' ? packet.source.ip : packet.from)
