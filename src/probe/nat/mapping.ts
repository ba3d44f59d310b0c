/** Mapping behaviour (RFC 4787 §4.1) from the reflexive addresses that different destinations saw of one socket. */
import type { MappingBehavior } from '../../core/index.ts'
import { type Finding, inconclusive, observed } from './behaviors.ts'
import { ipOf, outward } from './evidence.ts'
import type { AddressText, ExchangeObservation, ReplyObservation } from './observations.ts'

/** One destination, and the mapping it saw. */
interface Sighting {
  readonly to: AddressText
  readonly mapped: AddressText
}

/** Sightings further apart than this, in milliseconds, may show an old mapping and a new one rather than two of a kind. */
const comparableMs = 300

/** Is the exchange's last answer too old to be compared with the newest ones? It is to be asked again then. */
export const isStale = (exchange: ExchangeObservation, exchanges: readonly ExchangeObservation[]): boolean => {
  const answered = exchanges.filter((it) => isMapping(it) && lastAnswer(it))
  // What agrees needs no comparing: a mapping does not come back by chance.
  if (new Set(answered.map((it) => lastAnswer(it)?.mapped)).size < 2) return false
  const newest = Math.max(...answered.map(({ sentAtMs }) => sentAtMs[0] ?? 0))
  const last = lastAnswer(exchange)
  return last !== undefined && last.atMs < newest - comparableMs
}

const isMapping = ({ test }: ExchangeObservation): boolean => test.startsWith('mapping-')

const lastAnswer = (exchange: ExchangeObservation): ReplyObservation | undefined =>
  exchange.replies.findLast(({ from, errorCode, mapped }) => from === exchange.to && errorCode === null && mapped)

/** The mappings of the mapping socket as its destinations saw them at about the same time. */
function sightings(exchanges: readonly ExchangeObservation[]): readonly Sighting[] {
  return exchanges.filter(isMapping).flatMap((exchange) => {
    const mapped = lastAnswer(exchange)?.mapped
    return mapped && !isStale(exchange, exchanges) ? [{ to: exchange.to, mapped }] : []
  })
}

/**
 * Works with RFC 5780 servers and with any set of ordinary ones: endpoint-independent needs two IPs that see
 * the same; telling address-dependent from address-and-port-dependent needs two ports of one IP.
 */
export function judgeMapping(exchanges: readonly ExchangeObservation[]): Finding<MappingBehavior | 'none'> {
  const seen = sightings(outward(exchanges))
  const first = seen[0]
  if (!first) return inconclusive('no server told a reflexive address')
  const local = exchanges.find(({ test, to }) => test === 'mapping-1' && to === first.to)?.local
  if (seen.every(({ mapped }) => mapped === local))
    return observed('none', `the server sees ${first.mapped}, our own address`)

  const byIp = new Map<string, Sighting[]>()
  for (const sighting of seen) byIp.set(ipOf(sighting.to), [...(byIp.get(ipOf(sighting.to)) ?? []), sighting])
  const distinct = new Set(seen.map(({ mapped }) => mapped)).size
  if (distinct === 1) {
    if (byIp.size > 1) return observed('endpoint-independent', `${byIp.size} addresses all see ${first.mapped}`)
    return inconclusive(`only ${ipOf(first.to)} answered: one more server with another IP is needed`)
  }
  return judgeDependent(seen, byIp)
}

/** Some destinations see different mappings: does the port matter, or only the address? */
function judgeDependent(
  seen: readonly Sighting[],
  byIp: ReadonlyMap<string, readonly Sighting[]>,
): Finding<MappingBehavior> {
  const list = seen.map(({ to, mapped }) => `${to} sees ${mapped}`).join(', ')
  const mappingsOf = (group: readonly Sighting[]): number => new Set(group.map(({ mapped }) => mapped)).size
  const samePorts = [...byIp.values()].filter((group) => new Set(group.map(({ to }) => to)).size > 1)
  const allDiffer = new Set(seen.map(({ mapped }) => mapped)).size === new Set(seen.map(({ to }) => to)).size
  if (samePorts.length > 0 && allDiffer) return observed('address-and-port-dependent', list)
  const perAddress = samePorts.every((group) => mappingsOf(group) === 1)
  const addressesDiffer = new Set([...byIp.values()].map((group) => group[0]?.mapped)).size === byIp.size
  if (samePorts.length > 0 && perAddress && addressesDiffer) return observed('address-dependent', list)
  if (samePorts.length === 0 && addressesDiffer) {
    return inconclusive(
      `the mapping depends on the destination (${list}), but no two ports of one address answered to tell how`,
    )
  }
  return inconclusive(`the answers contradict each other: ${list}`)
}
