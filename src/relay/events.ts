/** From what a TURN server does to what an operator hears of: counters, and the events worth telling at once. */
import { elapsed, type Instant, instant } from '../core/index.ts'
import type { AllocationInfo, TurnEvent } from '../proto/turn-server/index.ts'
import type { RelayAllocation, RelayEvent } from './relay.ts'
import { EventCounter, type EventCounts, type TrafficCount } from './stats.ts'

/** Events of one kind that are told in a second; the counters have them all. An attacker must not fill the log. */
const toldPerSecond = 10

export class EventReporter {
  readonly #post: (event: RelayEvent) => void
  readonly #counter = new EventCounter()
  readonly #told = new Map<string, { since: Instant; count: number }>()

  constructor(post: (event: RelayEvent) => void) {
    this.#post = post
  }

  report(event: TurnEvent, now: Instant): void {
    this.#counter.count(event)
    switch (event.kind) {
      case 'allocation-created':
        return this.#post({ kind: 'allocation-created', allocation: allocationOf(event.allocation, now) })
      case 'allocation-ended':
        return this.#post({ kind: 'allocation-ended', allocation: allocationOf(event.allocation, now), why: event.why })
      case 'auth-failure': {
        const { path, username, why } = event
        return this.#postSome({ kind: event.kind, client: path.client, protocol: path.protocol, username, why }, now)
      }
      case 'relay-failed':
        return this.#postSome({ kind: event.kind, why: event.why }, now)
      case 'drained':
      case 'error-response':
      case 'success-response':
      case 'drop':
    }
  }

  counts(): EventCounts {
    return this.#counter.snapshot()
  }

  #postSome(event: RelayEvent & { readonly why: string }, now: Instant): void {
    const name = `${event.kind} ${event.why}`
    const told = this.#told.get(name)
    if (told === undefined || elapsed(told.since, now) >= 1000) this.#told.set(name, { since: instant(now), count: 1 })
    else if (++told.count > toldPerSecond) return
    this.#post(event)
  }
}

/** A copy: the machine's own goes on changing. */
const allocationOf = (info: AllocationInfo, now: Instant): RelayAllocation => ({
  protocol: info.path.protocol,
  client: info.path.client,
  username: info.username,
  relayed: [...info.relayed],
  ageSeconds: elapsed(info.createdAt, now) / 1000,
  toPeer: trafficOf(info.toPeer),
  toClient: trafficOf(info.toClient),
})

/** A copy of live counters. */
export const trafficOf = ({ packets, bytes, refused }: TrafficCount): TrafficCount => ({ packets, bytes, refused })
