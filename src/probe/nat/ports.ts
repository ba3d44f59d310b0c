/** Port assignment and IP pooling (RFC 4787 §4.1, §4.2) from the mappings of several virgin sockets. */
import { type Finding, inconclusive, notTested, observed, type PortAssignment } from './behaviors.ts'
import { answer, ipOf, portOf } from './evidence.ts'
import type { AddressText, ExchangeObservation } from './observations.ts'

interface NewMapping {
  readonly localPort: number
  readonly mapped: AddressText
  readonly createdAtMs: number
}

/** Chance keeps the parity of ten ports once in a thousand times; of fewer, too often to claim anything. */
const parityNeeds = 10
const enough = 3

/** One entry a socket: the mapping its first destination saw, in order of creation. */
function newMappings(exchanges: readonly ExchangeObservation[]): readonly NewMapping[] {
  const bySocket = new Map<string, NewMapping>()
  for (const exchange of exchanges) {
    const mapped = answer(exchange)?.mapped
    const createdAtMs = exchange.sentAtMs[0]
    if (!mapped || createdAtMs === undefined || exchange.test === 'hairpin') continue
    const known = bySocket.get(exchange.socket)
    if (!known || createdAtMs < known.createdAtMs) {
      bySocket.set(exchange.socket, { localPort: portOf(exchange.local), mapped, createdAtMs })
    }
  }
  return [...bySocket.values()].toSorted((a, b) => a.createdAtMs - b.createdAtMs)
}

export function judgePortAssignment(
  exchanges: readonly ExchangeObservation[],
  behindNat: boolean | null,
): Finding<PortAssignment> {
  if (behindNat === false) return notTested('there is no NAT that could assign ports')
  const mappings = newMappings(exchanges)
  if (mappings.length < enough) return inconclusive(`only ${mappings.length} mappings were seen`)
  const ports = mappings.map(({ mapped }) => portOf(mapped))
  const kept = mappings.filter(({ localPort, mapped }) => localPort === portOf(mapped)).length
  const of = `of ${mappings.length} sockets`
  if (kept === mappings.length) {
    return observed({ kind: 'preservation', delta: null, predictable: true }, `every one ${of} kept its port`)
  }
  // Some ports may have been taken; keeping half by chance does not happen among 65,535.
  if (kept * 2 > mappings.length) {
    return observed({ kind: 'preservation', delta: null, predictable: false }, `${kept} ${of} kept their port`)
  }
  const span = Math.max(...ports) - Math.min(...ports)
  if (span > 0 && span <= 8 * mappings.length) {
    const delta = usualStep(ports)
    return observed({ kind: 'sequential', delta, predictable: true }, `ports ${ports.join(', ')} in order of creation`)
  }
  if (mappings.every(({ localPort, mapped }) => localPort % 2 === portOf(mapped) % 2)) {
    if (mappings.length < parityNeeds) {
      return inconclusive(`${mappings.length} ports kept their parity, too few to tell it from chance`)
    }
    return observed({ kind: 'parity', delta: null, predictable: false }, `every one ${of} kept its port's parity`)
  }
  return observed({ kind: 'random', delta: null, predictable: false }, `ports ${ports.join(', ')} in order of creation`)
}

/** The most frequent difference between neighbours. Sorted first: on the way to the NAT packets may overtake each other. */
function usualStep(ports: readonly number[]): number {
  const sorted = ports.toSorted((a, b) => a - b)
  const counts = new Map<number, number>()
  for (const [index, port] of sorted.entries()) {
    const previous = sorted[index - 1]
    if (previous !== undefined) counts.set(port - previous, (counts.get(port - previous) ?? 0) + 1)
  }
  const step = [...counts.entries()].toSorted((a, b) => b[1] - a[1])[0]?.[0] ?? 0
  const rising = (ports[ports.length - 1] ?? 0) >= (ports[0] ?? 0)
  return rising ? step : -step
}

export function judgePooling(
  exchanges: readonly ExchangeObservation[],
  behindNat: boolean | null,
): Finding<'paired' | 'arbitrary'> {
  if (behindNat === false) return notTested('there is no NAT that could choose an address')
  const ips = newMappings(exchanges).map(({ mapped }) => ipOf(mapped))
  const distinct = new Set(ips)
  if (distinct.size > 1) return observed('arbitrary', `our sockets got the addresses ${[...distinct].join(', ')}`)
  // A pool of two hides from eight sockets once in 128 times.
  if (ips.length < 8) return inconclusive(`only ${ips.length} mappings were seen`)
  return observed('paired', `all ${ips.length} sockets got ${ips[0]}`)
}
