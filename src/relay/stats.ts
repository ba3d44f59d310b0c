/** What a relay counts. A snapshot is plain data, so that it can cross from a worker and be added to another's. */
import type { AuthFailure, CloseReason, DropReason, OpenFailure, TurnEvent } from '../proto/turn-server/index.ts'
import { Method, methodName } from '../wire/index.ts'

export interface TrafficCount {
  readonly packets: number
  readonly bytes: number
  /** Packets that a bandwidth cap refused. */
  readonly refused: number
}

/** What is there now. */
export interface RelayGauges {
  readonly allocations: number
  readonly permissions: number
  readonly channels: number
}

/** What has happened since the start, by name. A name that is missing has not happened. */
export interface EventCounts {
  /** By the client's protocol: udp, tcp, tls. */
  readonly allocationsCreated: Counts
  readonly allocationsEnded: Counts<CloseReason>
  /** `method code`, such as `allocate 401`; success is 0. */
  readonly responses: Counts
  /** `client malformed`, `peer no-permission`. */
  readonly drops: Counts<`${'client' | 'peer'} ${DropReason}`>
  readonly authFailures: Counts<AuthFailure>
  readonly relayFailures: Counts<OpenFailure | 'timeout' | 'no-port'>
}

export type Counts<Name extends string = string> = Readonly<Partial<Record<Name, number>>>

export interface RelayStats extends RelayGauges, EventCounts {
  /** Datagrams that the operating system did not take. */
  readonly undelivered: number
  readonly toPeer: TrafficCount
  readonly toClient: TrafficCount
}

const names = [
  'allocationsCreated',
  'allocationsEnded',
  'responses',
  'drops',
  'authFailures',
  'relayFailures',
] as const satisfies readonly (keyof EventCounts)[]

/** Counts the machine's events. Names come from closed sets, so nobody outside can make it grow. */
export class EventCounter {
  readonly #maps = new Map<keyof EventCounts, Map<string, number>>(names.map((name) => [name, new Map()]))

  count(event: TurnEvent): void {
    switch (event.kind) {
      case 'allocation-created':
        return this.#add('allocationsCreated', event.allocation.path.protocol)
      case 'allocation-ended':
        return this.#add('allocationsEnded', event.why)
      case 'success-response':
        return this.#add('responses', `${nameOf(event.method)} 0`)
      case 'error-response':
        return this.#add('responses', `${nameOf(event.method)} ${event.code}`)
      case 'auth-failure':
        return this.#add('authFailures', event.why)
      case 'drop':
        return this.#add('drops', `${event.from} ${event.reason}`)
      case 'relay-failed':
        return this.#add('relayFailures', event.why)
      case 'drained':
    }
  }

  snapshot(): EventCounts {
    const counts = (name: keyof EventCounts): Counts => Object.fromEntries(this.#maps.get(name) ?? [])
    return {
      allocationsCreated: counts('allocationsCreated'),
      allocationsEnded: counts('allocationsEnded'),
      responses: counts('responses'),
      drops: counts('drops'),
      authFailures: counts('authFailures'),
      relayFailures: counts('relayFailures'),
    }
  }

  #add(name: keyof EventCounts, key: string): void {
    const map = this.#maps.get(name)
    map?.set(key, (map.get(key) ?? 0) + 1)
  }
}

/** Methods by name; those that no client of a relay sends share one, for the number is the sender's choice. */
const nameOf = (method: number): string =>
  Object.values(Method).some((known) => known === method) ? methodName(method) : 'other'

/** The sum of what several threads count. */
export function addStats(all: readonly RelayStats[]): RelayStats {
  const sum = (value: (stats: RelayStats) => number): number => all.reduce((total, each) => total + value(each), 0)
  const traffic = (value: (stats: RelayStats) => TrafficCount): TrafficCount => ({
    packets: sum((each) => value(each).packets),
    bytes: sum((each) => value(each).bytes),
    refused: sum((each) => value(each).refused),
  })
  const counts = (name: keyof EventCounts): Counts => {
    const total: Record<string, number> = {}
    for (const [key, count = 0] of all.flatMap((each) => Object.entries(each[name]))) {
      total[key] = (total[key] ?? 0) + count
    }
    return total
  }
  return {
    allocations: sum((each) => each.allocations),
    permissions: sum((each) => each.permissions),
    channels: sum((each) => each.channels),
    undelivered: sum((each) => each.undelivered),
    toPeer: traffic((each) => each.toPeer),
    toClient: traffic((each) => each.toClient),
    allocationsCreated: counts('allocationsCreated'),
    allocationsEnded: counts('allocationsEnded'),
    responses: counts('responses'),
    drops: counts('drops'),
    authFailures: counts('authFailures'),
    relayFailures: counts('relayFailures'),
  }
}
