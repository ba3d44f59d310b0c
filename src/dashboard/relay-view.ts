/** A relay as the page shows it: counters that are there for every kind of relay, and null for what one doesn't tell. */
import type { Relay } from '../relay/relay.ts'
import type { Counts } from '../relay/stats.ts'

export interface Traffic {
  readonly packets: number
  readonly bytes: number
}

/** Counters since the relay's start. */
export interface RelayView {
  /** `natcheck` for the embedded relay, `coturn` for a Prometheus endpoint. */
  readonly source: 'natcheck' | 'coturn'
  /** Such as `native, mmsg`. */
  readonly engine: string
  readonly allocations: number
  readonly permissions: number | null
  readonly channels: number | null
  readonly toPeer: Traffic
  readonly toClient: Traffic
  /** Packets that a bandwidth cap refused; null: it does not say. */
  readonly refused: number | null
  /** By the client's protocol. */
  readonly allocationsCreated: Counts | null
  readonly allocationsEnded: Counts | null
  /** `allocate 401`; 0 is success. */
  readonly responses: Counts | null
  readonly authFailures: Counts | null
  readonly relayFailures: Counts | null
  readonly drops: Counts | null
}

export interface RelaySource {
  /** Rejects with one line for people when the relay does not answer. */
  read(): Promise<RelayView>
}

export function embeddedRelay(relay: Relay): RelaySource {
  return {
    async read() {
      const { toPeer, toClient, undelivered: _, ...stats } = await relay.stats()
      return {
        source: 'natcheck',
        engine: `${relay.engine}, ${relay.datapath}`,
        ...stats,
        toPeer: { packets: toPeer.packets, bytes: toPeer.bytes },
        toClient: { packets: toClient.packets, bytes: toClient.bytes },
        refused: toPeer.refused + toClient.refused,
      }
    },
  }
}
