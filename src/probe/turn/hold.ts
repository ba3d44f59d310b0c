/** Keeps an allocation past every renewal with data flowing: what long calls need. Opt-in: it takes minutes. */
import { after, elapsed, type Instant } from '../../core/index.ts'
import type { RequestObservation } from '../../proto/turn-client/index.ts'
import { Method } from '../../wire/index.ts'
import { limitOf, type Subject } from './examination.ts'
import type { Passage, Traffic } from './passage.ts'
import { pause } from './pause.ts'

/** Often enough to see a gap that a call would hear. */
const beatMs = 1000
/** A gap of more beats than single losses make. */
const gapMs = 5000

export async function holdOn(subject: Subject, traffic: Traffic, passage: Passage): Promise<void> {
  const { wanted, notes, ports, options } = subject
  const { holdMs } = wanted
  if (holdMs === undefined) {
    notes.noteLate('nonce-lifetime', 'not-tested', 'takes --hold')
    return notes.noteLate('hold', 'not-tested', 'takes --hold')
  }
  wanted.onProgress?.({ kind: 'waiting', why: 'hold', seconds: Math.round(holdMs / 1000) })
  const { clock } = ports
  const startedAt = clock.now()
  const endsAt = after(startedAt, holdMs)
  const out = new Direction(startedAt)
  const into = new Direction(startedAt)
  const { near, peer, ear } = passage
  const first = traffic.take(2 * Math.ceil(holdMs / beatMs) + 4)
  const isOurs = (sequence: number): boolean => sequence >= first
  const stops = [
    ear.listen((sequence) => isOurs(sequence) && out.arrived(clock.now())),
    near.ear.listen((sequence) => isOurs(sequence) && into.arrived(clock.now())),
  ]
  let sequence = first
  while (clock.now() < endsAt && !options.signal.aborted) {
    out.sent++
    into.sent++
    near.session.send(peer, traffic.payloads.make(sequence++), 'channel')
    passage.back(traffic.payloads.make(sequence++), 'channel')
    await pause(clock, Math.min(beatMs, elapsed(clock.now(), endsAt)), options.signal)
  }
  await pause(clock, traffic.waitMs, options.signal)
  for (const stop of stops) stop()
  // One more request: it tells whether the nonce is still good, where the hold was too short for a renewal.
  if (!options.signal.aborted) await near.session.refresh(undefined, limitOf(subject))
  noteHold(subject, startedAt, clock.now(), out, into)
}

class Direction {
  sent = 0
  received = 0
  longestMs = 0
  #last: Instant

  constructor(startedAt: Instant) {
    this.#last = startedAt
  }

  arrived(now: Instant): void {
    this.received++
    this.longestMs = Math.max(this.longestMs, elapsed(this.#last, now))
    this.#last = now
  }

  /** The longest silence, the one until now among them. */
  gap(now: Instant): number {
    return Math.max(this.longestMs, elapsed(this.#last, now))
  }
}

function noteHold(subject: Subject, startedAt: Instant, now: Instant, out: Direction, into: Direction): void {
  const { notes, session, lost, options } = subject
  const requests = session.observations.filter(
    (each): each is RequestObservation => each.kind === 'request' && each.sentAt >= startedAt,
  )
  const renewed = (method: number): number =>
    requests.filter((each) => each.method === method && each.result === 'success').length
  const seconds = Math.round(elapsed(startedAt, now) / 1000)
  const gap = Math.round(Math.max(out.gap(now), into.gap(now)) / 100) / 10
  const facts = {
    seconds,
    sent: out.sent + into.sent,
    received: out.received + into.received,
    longestGapSeconds: gap,
    refreshes: renewed(Method.refresh),
    permissions: renewed(Method.createPermission),
    channels: renewed(Method.channelBind),
    lost: lost.map(({ what, failure }) => `${what}: ${failure.why}`),
  }
  noteNonce(subject, requests)
  const flowed = `${facts.received} of ${facts.sent} packets in ${seconds} s`
  const renewals = `${facts.refreshes} refreshes, ${facts.permissions} permissions and ${facts.channels} channels renewed`
  const [first] = facts.lost
  if (first !== undefined) return notes.noteLate('hold', 'no', `${first}; ${flowed}`, facts)
  if (gap * 1000 > gapMs) return notes.noteLate('hold', 'no', `a gap of ${gap} s; ${flowed}`, facts)
  if (options.signal.aborted)
    return notes.noteLate('hold', 'not-tested', `ended early, good until then: ${flowed}`, facts)
  notes.noteLate('hold', 'yes', `${flowed}, ${renewals}`, facts)
}

/** How long a nonce was good: from when it was handed out to the first 438 for it, or to the last request that it signed. */
function noteNonce({ notes, session }: Subject, during: readonly RequestObservation[]): void {
  const stale = during.find((each) => each.error?.code === 438)
  const last = stale ?? during.findLast(({ signed, result }) => signed && result === 'success')
  if (!last) return notes.noteLate('nonce-lifetime', 'not-tested', 'nothing was asked in that time')
  const given = session.observations.findLast(
    (each): each is RequestObservation =>
      each.kind === 'request' && each.nonce !== undefined && each.endedAt < last.sentAt,
  )
  if (!given) return notes.noteLate('nonce-lifetime', 'not-tested', 'it uses no nonces')
  const seconds = Math.round(elapsed(given.endedAt, last.endedAt) / 1000)
  const facts = { seconds, stale: stale !== undefined }
  const detail = stale ? `stale after ${seconds} s at most, and renewed` : `good for ${seconds} s at least`
  notes.noteLate('nonce-lifetime', 'yes', detail, facts)
}
