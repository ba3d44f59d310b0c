/** Watching the wire, as tcpdump would at every node at once. */
import type { Cancel, Clock, Instant } from '../core/index.ts'
import type { Packet } from './packet.ts'

export interface CapturedPacket {
  readonly at: Instant
  /** The node where it happened. */
  readonly where: string
  /** `sent` and `received` are seen at hosts; `dropped` wherever a packet ends. */
  readonly event: 'sent' | 'received' | 'dropped'
  readonly why?: DropReason
  readonly packet: Packet
}

/** `no-listener`: a closed port. `dead-address`: an address that is announced but does not answer. */
export type DropReason = 'loss' | 'nat' | 'firewall' | 'unroutable' | 'no-listener' | 'dead-address'

export class Capture {
  readonly #clock: Clock
  readonly #observers = new Set<(captured: CapturedPacket) => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  watch(observer: (captured: CapturedPacket) => void): Cancel {
    this.#observers.add(observer)
    return () => {
      this.#observers.delete(observer)
    }
  }

  sent(where: string, packet: Packet): void {
    if (this.#observers.size > 0) this.#tell({ at: this.#clock.now(), where, event: 'sent', packet })
  }

  received(where: string, packet: Packet): void {
    if (this.#observers.size > 0) this.#tell({ at: this.#clock.now(), where, event: 'received', packet })
  }

  dropped(where: string, packet: Packet, why: DropReason): void {
    if (this.#observers.size > 0) this.#tell({ at: this.#clock.now(), where, event: 'dropped', why, packet })
  }

  #tell(captured: CapturedPacket): void {
    for (const observer of this.#observers) observer(captured)
  }
}
