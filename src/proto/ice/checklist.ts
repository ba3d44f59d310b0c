/** The checklist: which pairs there are, and which is checked next. RFC 8445 §6.1.2, §6.1.4.2, RFC 8838 §12 */
import { addressFamily, sameAddress, scopeOf, type TransportAddress } from '../../core/index.ts'
import type { LocalCandidate } from './candidate.ts'
import {
  type CandidatePair,
  type IceRole,
  isFinished,
  newPair,
  pairFoundation,
  priorityOf,
  type RemoteCandidate,
} from './pair.ts'

/** Pairs of one media stream, of which WebRTC has no more. */
export class Checklist {
  readonly #maxPairs: number
  readonly #triggered: CandidatePair[] = []
  #pairs: CandidatePair[] = []
  #nextId = 1
  #lastWasTriggered = false

  /** RFC 8445 §6.1.2.5 has 100 pairs for its limit. */
  constructor(maxPairs: number) {
    this.#maxPairs = maxPairs
  }

  /** All of them, pruned ones too, by falling priority. */
  get pairs(): readonly CandidatePair[] {
    return this.#pairs
  }

  /**
   * Forms a pair. One that is the same on the wire as another, from the same base to the same address, is kept for the
   * matrix and not checked. Undefined: the two can't be paired, or there is no room.
   */
  add(local: LocalCandidate, remote: RemoteCandidate, role: IceRole): CandidatePair | undefined {
    if (!canPair(local, remote)) return undefined
    const pair = newPair(this.#nextId, local, remote, role)
    if (!this.#makeRoom(pair)) return undefined
    this.#nextId++
    const twin = this.find(local.base, remote.address)
    if (twin) {
      pair.state = 'pruned'
      pair.why = `checked as pair ${twin.id}: it leaves from the same base`
    } else pair.state = this.#isBusy(pairFoundation(pair)) ? 'frozen' : 'waiting'
    this.#pairs.push(pair)
    this.#sort()
    return pair
  }

  /** The pair that stands for everything between these two addresses. */
  find(base: TransportAddress, remote: TransportAddress): CandidatePair | undefined {
    return this.#pairs.find(
      (pair) =>
        pair.state !== 'pruned' && sameAddress(pair.local.base, base) && sameAddress(pair.remote.address, remote),
    )
  }

  /** To be checked before all others, in the order of these calls. RFC 8445 §6.1.4.1 */
  trigger(pair: CandidatePair): void {
    if (this.#triggered.includes(pair)) return
    this.#triggered.push(pair)
  }

  /** It succeeded while it stood in the queue. */
  withdraw(pair: CandidatePair): void {
    const index = this.#triggered.indexOf(pair)
    if (index >= 0) this.#triggered.splice(index, 1)
  }

  /** No check is made any more: what has not ended fails. */
  abandon(fail: (pair: CandidatePair) => void): void {
    this.#triggered.length = 0
    for (const pair of this.#pairs) if (!isFinished(pair)) fail(pair)
  }

  get hasNext(): boolean {
    return this.#triggered.length > 0 || this.#pairs.some(({ state }) => state === 'waiting' || state === 'frozen')
  }

  /**
   * Takes the pair to check next: triggered ones and the others in turn. RFC 8445 §6.1.4.2 has the triggered ones first,
   * but two NATs that take a new port for every packet trigger checks for ever, and the relayed pairs would never have
   * their turn. Where RFC 8445 §6.1.4.2 leaves the rest frozen while one of their foundation is under
   * way, here they are checked as soon as nothing else is waiting: a diagnosis wants to know of each.
   */
  next(): CandidatePair | undefined {
    const ordinary = this.#lastWasTriggered ? this.#nextOrdinary() : undefined
    this.#lastWasTriggered = ordinary === undefined && this.#triggered.length > 0
    return ordinary ?? this.#triggered.shift() ?? this.#nextOrdinary()
  }

  #nextOrdinary(): CandidatePair | undefined {
    const idle = this.#pairs.filter(({ state }) => state === 'frozen')
    for (const pair of idle) if (!this.#isBusy(pairFoundation(pair))) pair.state = 'waiting'
    return this.#pairs.find((pair) => pair.state === 'waiting' && !this.#triggered.includes(pair)) ?? idle[0]
  }

  /** One pair's success is good news for all of its foundation. RFC 8445 §7.2.5.3.3 */
  unfreeze(foundation: string): void {
    for (const pair of this.#pairs) {
      if (pair.state === 'frozen' && pairFoundation(pair) === foundation) pair.state = 'waiting'
    }
  }

  /** After our role, or what is known of a candidate, has changed. RFC 8445 §7.3.1.1 */
  reprioritise(role: IceRole): void {
    for (const pair of this.#pairs) pair.priority = priorityOf(pair.local, pair.remote, role)
    this.#sort()
  }

  #isBusy(foundation: string): boolean {
    return this.#pairs.some(
      (pair) => (pair.state === 'waiting' || pair.state === 'in-progress') && pairFoundation(pair) === foundation,
    )
  }

  #sort(): void {
    this.#pairs.sort((a, b) => (a.priority < b.priority ? 1 : a.priority > b.priority ? -1 : a.id - b.id))
  }

  /** The lowest pair gives way when it is below the new one and untouched. RFC 8445 §6.1.2.5 */
  #makeRoom(pair: CandidatePair): boolean {
    if (this.#pairs.length < this.#maxPairs) return true
    const last = this.#pairs.findLast(({ state, sent }) => state === 'pruned' || sent === 0)
    if (!last || last.priority >= pair.priority || this.#triggered.includes(last)) return false
    this.#pairs = this.#pairs.filter((other) => other !== last)
    return true
  }
}

/** RFC 8445 §6.1.2.2: of one component and family, and link-local only with link-local. */
function canPair(local: LocalCandidate, remote: RemoteCandidate): boolean {
  const isLinkLocal = ({ address }: RemoteCandidate): boolean => scopeOf(address.ip) === 'link-local'
  return (
    local.component === remote.component &&
    local.transport === remote.transport &&
    addressFamily(local.address) === addressFamily(remote.address) &&
    (addressFamily(local.address) === 4 || isLinkLocal(local) === isLinkLocal(remote))
  )
}
