/** Allocate: from the request to relayed addresses that are open. RFC 8656 §7.2 */
import { after, type AddressFamily, type Instant } from '../../core/index.ts'
import {
  additionalAddressFamily,
  addressErrorCode,
  attribute,
  type EncodableAttribute,
  errorReason,
  evenPort,
  lifetime,
  requestedAddressFamily,
  requestedTransport,
  RequestedTransport,
  reservationToken,
  type StunMessage,
  xorMappedAddress,
  xorRelayedAddress,
} from '../../wire/index.ts'
import { namesUnknownFamily, readOptional } from './attributes.ts'
import { type Inquiry, transactionOf } from './outbox.ts'
import type { AuthenticRequest, RelaySource, ServerState } from './state.ts'
import { type Allocation, type Opening, Relay, Reservation } from './table.ts'
import type { CloseReason, OpenFailure, RelayId } from './types.ts'

/** A port that is taken by another process is tried once in a while; sixteen in a row mean something else is wrong. */
const portAttempts = 16

/** What an Allocate asks for. */
interface Wish {
  /** One, or both with the one first that may not fail. */
  readonly families: readonly AddressFamily[]
  readonly port: 'any' | 'even' | 'pair'
  readonly token: string | undefined
  readonly lifetime: number | undefined
}

interface Refusal {
  readonly code: number
  readonly reason?: string
}

/** A relayed address on its way. */
interface Slot {
  readonly family: AddressFamily
  readonly source: RelaySource
  relay: Relay
  /** The second of a pair is kept for its token. */
  reserved: Relay | undefined
  /** How many answers of the datapath are still to come. */
  missing: number
}

/** An Allocate that waits for the datapath. */
class PendingAllocate implements Opening {
  readonly kind = 'opening'
  expiresAt: Instant
  heapIndex: number = -1
  readonly inquiry: Inquiry
  readonly allocation: Allocation
  readonly wish: Wish
  readonly slots: Slot[] = []
  /** Families that were asked for in vain. */
  readonly errors: { family: AddressFamily; code: number }[] = []
  attempts = 1

  constructor(inquiry: Inquiry, allocation: Allocation, wish: Wish, now: Instant) {
    this.inquiry = inquiry
    this.allocation = allocation
    this.wish = wish
    this.expiresAt = now
  }
}

export class Allocator {
  readonly #state: ServerState
  readonly #pending = new Map<Allocation, PendingAllocate>()
  readonly #byRelay = new Map<RelayId, PendingAllocate>()
  #nextRelay = 1

  constructor(state: ServerState) {
    this.#state = state
  }

  handle({ request, inquiry, user }: AuthenticRequest, now: Instant): void {
    const { table, outbox, options } = this.#state
    const existing = table.get(inquiry.path.key)
    if (existing) return this.#repeat(existing, inquiry)
    const wish = readWish(request, options.defaultFamily ?? 4)
    if ('code' in wish) return outbox.fail(inquiry, wish.code, [], wish.reason)
    if (this.#state.draining) return outbox.fail(inquiry, 508, [], 'Draining')
    if (wish.token !== undefined) return this.#claim({ request, inquiry, user }, wish, wish.token, now)
    // The token would come from another port, which leads to whichever thread the kernel likes.
    if (wish.port === 'pair' && options.ledger) return outbox.fail(inquiry, 508, [], 'No reservations')
    const client = { path: inquiry.path, username: user?.username ?? '' }
    const quota = options.quota?.(client)
    const limit = quota?.allocations ?? options.userQuota ?? Number.POSITIVE_INFINITY
    const wanted = wish.port === 'pair' ? 2 : 1
    const full = table.sizeInAll + wanted > (options.totalQuota ?? Number.POSITIVE_INFINITY)
    if (full || table.countInAll(user?.identity ?? '') + wanted > limit) return outbox.fail(inquiry, 486)
    const supported = wish.families.filter((family) => this.#state.sources.has(family))
    if (supported.length === 0) return outbox.fail(inquiry, 440)
    const allocation = table.add(inquiry.path, user, quota?.bytesPerSecond ?? options.bytesPerSecond, now)
    const pending = new PendingAllocate(inquiry, allocation, wish, now)
    this.#pending.set(allocation, pending)
    table.timers.set(pending, after(now, this.#state.lifetimes.opening * 1000))
    for (const family of wish.families) {
      const source = this.#state.sources.get(family)
      const slot = source && this.#open(pending, family, source, now)
      if (slot) pending.slots.push(slot)
      else pending.errors.push({ family, code: source ? 508 : 440 })
    }
    if (pending.slots.length === 0) {
      outbox.tell({ kind: 'relay-failed', why: 'no-port' })
      this.#refuse(pending, 508, 'abandoned')
    }
  }

  opened(relay: RelayId, now: Instant): void {
    const pending = this.#byRelay.get(relay)
    const slot = pending && slotOf(pending, relay)
    if (!pending || !slot) return
    this.#byRelay.delete(relay)
    slot.missing--
    this.#grantWhenComplete(pending, now)
  }

  /** Whether the relay was one that is being opened. */
  failed(relay: RelayId, why: OpenFailure, now: Instant): boolean {
    const pending = this.#byRelay.get(relay)
    const slot = pending && slotOf(pending, relay)
    if (!pending || !slot) return false
    this.#abandon(slot, 'abandoned')
    pending.slots.splice(pending.slots.indexOf(slot), 1)
    const again = why === 'address-in-use' && pending.attempts++ < portAttempts
    const next = again ? this.#open(pending, slot.family, slot.source, now) : undefined
    if (next) pending.slots.push(next)
    else {
      this.#state.outbox.tell({ kind: 'relay-failed', why })
      pending.errors.push({ family: slot.family, code: 508 })
    }
    if (pending.slots.length === 0) this.#refuse(pending, 508, 'abandoned')
    else this.#grantWhenComplete(pending, now)
    return true
  }

  /** The datapath took too long. */
  timedOut(allocation: Allocation): void {
    const pending = this.#pending.get(allocation)
    if (!pending) return
    this.#state.outbox.tell({ kind: 'relay-failed', why: 'timeout' })
    this.#refuse(pending, 508, 'abandoned')
  }

  timedOutEntry(entry: Opening): void {
    if (entry instanceof PendingAllocate) this.timedOut(entry.allocation)
  }

  /** Gives up an Allocate that is not granted yet, without a word. Whether there was one. */
  cancel(allocation: Allocation, why: CloseReason): boolean {
    const pending = this.#pending.get(allocation)
    if (!pending) return false
    for (const slot of pending.slots) this.#abandon(slot, why)
    this.#state.table.timers.remove(pending)
    this.#state.table.remove(allocation)
    this.#pending.delete(allocation)
    return true
  }

  /** RFC 8656 §7.2: the same transaction is a retransmission, any other is a client that lost its mind or its port. */
  #repeat(existing: Allocation, inquiry: Inquiry): void {
    const pending = this.#pending.get(existing)
    const transaction = transactionOf(inquiry)
    if (pending && transactionOf(pending.inquiry) === transaction) return
    if (existing.grant?.transaction === transaction) this.#state.outbox.send(inquiry.path, existing.grant.bytes)
    else this.#state.outbox.fail(inquiry, 437)
  }

  /** Undefined: no port left. */
  #open(pending: PendingAllocate, family: AddressFamily, source: RelaySource, now: Instant): Slot | undefined {
    const pair = pending.wish.port === 'pair'
    const port = pending.wish.port === 'pair' ? source.pool.takePair() : source.pool.take(pending.wish.port)
    if (port === undefined) return undefined
    const relay = this.#openRelay(pending, family, source, port, now)
    const reserved = pair ? this.#openRelay(pending, family, source, port + 1, now) : undefined
    return { family, source, relay, reserved, missing: pair ? 2 : 1 }
  }

  #openRelay(pending: PendingAllocate, family: AddressFamily, source: RelaySource, port: number, now: Instant): Relay {
    const id = this.#nextRelay++ as RelayId
    const relay = new Relay(id, family, { ip: source.externalIp, port }, source.pool, now)
    this.#byRelay.set(id, pending)
    this.#state.table.addRelay(relay)
    this.#state.outbox.push({ kind: 'open-relayed-address', relay: id, family, ip: source.ip, port })
    return relay
  }

  #abandon({ relay, reserved }: Slot, why: CloseReason): void {
    for (const one of reserved ? [relay, reserved] : [relay]) {
      this.#byRelay.delete(one.id)
      this.#state.table.closeRelay(one, why)
    }
  }

  #refuse(pending: PendingAllocate, code: number, why: CloseReason): void {
    this.cancel(pending.allocation, why)
    this.#state.outbox.fail(pending.inquiry, code)
  }

  #grantWhenComplete(pending: PendingAllocate, now: Instant): void {
    if (pending.slots.some(({ missing }) => missing > 0)) return
    const { allocation, inquiry, wish } = pending
    const { table, lifetimes } = this.#state
    table.timers.remove(pending)
    this.#pending.delete(allocation)
    const extra: EncodableAttribute[] = []
    for (const { reserved } of pending.slots) {
      if (!reserved) continue
      const token = this.#state.random.bytes(8)
      table.reserve(new Reservation(hex(token), allocation.identity, reserved, now), lifetimes.reservation, now)
      extra.push(attribute(reservationToken, token))
    }
    for (const { family, code } of pending.errors) {
      extra.push(attribute(addressErrorCode, { family, code, reason: errorReason(code) }))
    }
    // In the order they were asked for: clients that know one look at the first.
    const relays = wish.families.flatMap((family) => pending.slots.filter((slot) => slot.family === family))
    this.#grant(
      inquiry,
      allocation,
      relays.map(({ relay }) => relay),
      wish,
      extra,
      now,
    )
  }

  #grant(
    inquiry: Inquiry,
    allocation: Allocation,
    relays: readonly Relay[],
    wish: Wish,
    extra: readonly EncodableAttribute[],
    now: Instant,
  ): void {
    const { table, outbox } = this.#state
    const seconds = this.#state.grantedLifetime(wish.lifetime, now)
    for (const relay of relays) table.attach(allocation, relay, after(now, seconds * 1000))
    outbox.tell({ kind: 'allocation-created', allocation })
    const bytes = outbox.succeed(inquiry, [
      ...relays.map(({ address }) => attribute(xorRelayedAddress, address)),
      attribute(lifetime, seconds),
      ...extra,
      attribute(xorMappedAddress, inquiry.path.client),
    ])
    allocation.grant = { transaction: transactionOf(inquiry), bytes: bytes.slice() }
  }

  /** Takes over a reserved port, which is open already, and its place in the quotas. */
  #claim({ inquiry, user }: AuthenticRequest, wish: Wish, token: string, now: Instant): void {
    const { table, outbox, options } = this.#state
    const reservation = table.reservations.get(token)
    if (!reservation || reservation.identity !== (user?.identity ?? '') || reservation.expiresAt <= now) {
      return outbox.fail(inquiry, 508, [], 'No such reservation')
    }
    table.unreserve(reservation)
    const quota = options.quota?.({ path: inquiry.path, username: user?.username ?? '' })
    const allocation = table.add(inquiry.path, user, quota?.bytesPerSecond ?? options.bytesPerSecond, now)
    this.#grant(inquiry, allocation, [reservation.relay], wish, [], now)
  }
}

const slotOf = ({ slots }: PendingAllocate, id: RelayId): Slot | undefined =>
  slots.find(({ relay, reserved }) => relay.id === id || reserved?.id === id)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** What the request asks for, or which error its contradictions are worth. The order is the RFC's. */
function readWish(request: StunMessage, defaultFamily: AddressFamily): Wish | Refusal {
  const transport = readOptional(request, requestedTransport)
  if (transport === undefined || transport === 'malformed') return bad('REQUESTED-TRANSPORT missing or malformed')
  if (transport !== RequestedTransport.udp) return { code: 442 }
  const seconds = readOptional(request, lifetime)
  const even = readOptional(request, evenPort)
  const token = readOptional(request, reservationToken)
  if (seconds === 'malformed' || even === 'malformed' || token === 'malformed') return bad('Malformed attribute')
  const family = readOptional(request, requestedAddressFamily)
  if (family === 'malformed') return namesUnknownFamily(request, requestedAddressFamily) ? { code: 440 } : bad('Family')
  const additional = readOptional(request, additionalAddressFamily)
  if (additional === 'malformed' || additional === 4) return bad('ADDITIONAL-ADDRESS-FAMILY is for IPv6')
  if (token && (even || family || additional)) return bad('RESERVATION-TOKEN excludes other wishes')
  if (additional && family) return bad('Two address families asked for in two ways')
  if (additional && even?.reserveNext) return bad('EVEN-PORT can reserve for one family only')
  return {
    families: additional ? [4, 6] : [family ?? defaultFamily],
    port: even ? (even.reserveNext ? 'pair' : 'even') : 'any',
    token: token && hex(token),
    lifetime: seconds,
  }
}

const bad = (reason: string): Refusal => ({ code: 400, reason })
