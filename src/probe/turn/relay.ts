/** What the allocations themselves show: addresses, ports, lifetime, quota, and whether they end when they are given back. */
import { formatAddress, scopeOf } from '../../core/index.ts'
import { Method } from '../../wire/index.ts'
import { echoWaitMs } from '../ice/burst.ts'
import { causeOfRelayed } from '../ice/causes.ts'
import { pause } from './pause.ts'
import { limitOf, openAnother, saidBy, usualRtt, type Subject } from './examination.ts'

/** Shorter ones leave a client on a bad line little time for its Refreshes. RFC 8656 §3.2 has 600. */
const shortSeconds = 300

/** What every system reserves for services. */
const privilegedPorts = 1024

export function noteAllocation({ notes, allocation, relayed, target }: Subject): void {
  const cause = causeOfRelayed(relayed, target.to.ip)
  const facts = {
    relayed: formatAddress(relayed),
    mapped: formatAddress(allocation.mapped),
    scope: scopeOf(relayed.ip),
  }
  if (cause) {
    const kind = cause.code === 'relay-address-loopback' ? 'a loopback' : 'a private'
    notes.note('relayed-address', 'no', `${facts.relayed}, ${kind} address that peers can't reach`, facts)
  } else notes.note('relayed-address', 'yes', facts.relayed, facts)
  const { lifetimeSeconds: seconds } = allocation
  notes.note('lifetime', seconds < shortSeconds ? 'warning' : 'yes', `${seconds} s granted`, { seconds })
}

/** RFC 8656 §7.2 recommends the dynamic ports, 49152 to 65535, so that no service of the host is in the way. */
export function notePorts({ notes, seen }: Subject): void {
  const ports = seen.map(({ port }) => port).toSorted((a, b) => a - b)
  const [min = 0] = ports
  const max = ports.at(-1) ?? 0
  const facts = { min, max, seen: ports.length }
  const range = min === max ? `${min}` : `${min} to ${max}`
  const detail = `${range}, of ${ports.length} ${ports.length === 1 ? 'address' : 'addresses'}`
  if (min < privilegedPorts)
    return notes.noteLate('relay-ports', 'warning', `${detail}: below ${privilegedPorts}`, facts)
  notes.noteLate('relay-ports', 'yes', detail, facts)
}

export function noteQuota({ notes, allocations }: Subject): void {
  const [first] = allocations.refusals
  if (!first) {
    return notes.noteLate('quota', 'yes', `not met with ${allocations.made} allocations`, {
      allocations: allocations.made,
    })
  }
  const { code, held } = first
  const what = code === 486 ? 'quota' : 'capacity'
  notes.noteLate('quota', 'warning', `${code} with ${held} held: this is the ${what}`, { code, held })
}

/** coturn ends the allocation by a timer, a second after it has answered. */
const graceMs = 1200

/** Refresh 0 ends it, and the next Refresh finds nothing: 437, which coturn leaves without integrity. RFC 8656 §8.2 */
export async function checkRelease(subject: Subject): Promise<void> {
  const { notes, ports, options } = subject
  const opened = await openAnother(subject)
  if (!opened.ok) return
  const { session, close } = opened
  const released = await session.release(limitOf(subject))
  await pause(ports.clock, graceMs, options.signal)
  const timeoutMs = echoWaitMs(usualRtt(subject))
  const next = await session.exchange({ method: Method.refresh }, { ...limitOf(subject), timeoutMs })
  const isThere = next.ok && !next.value.error
  // A server that has prolonged what was to end is asked to end it again.
  if (isThere) await session.release(limitOf(subject))
  await close()
  if (!released.ok) return notes.note('release', 'no', `Refresh with lifetime 0: ${saidBy(released.failure)}`)
  if (isThere) return notes.note('release', 'no', 'after Refresh with lifetime 0 another Refresh still succeeds')
  const code = next.ok ? next.value.error?.code : undefined
  if (!next.ok && next.failure.cause === 'timeout') {
    return notes.note('release', 'inconclusive', 'Refresh with lifetime 0 succeeds; the next one is not answered')
  }
  notes.note('release', 'yes', `gone after Refresh with lifetime 0${code === undefined ? '' : ` (${code})`}`, {
    code: code ?? null,
  })
}
