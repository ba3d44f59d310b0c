/** Port assignment and IP pooling (RFC 4787 §4.1, §4.2) from the mappings of several virgin sockets. */
import { type Finding, inconclusive, notTested, observed, type PortAssignment } from './behaviors.ts'
import { answer, ipOf, outward, portOf } from './evidence.ts'
import type { AddressText, ExchangeObservation } from './observations.ts'

interface NewMapping {
  readonly localPort: number
  readonly mapped: AddressText
  readonly createdAtMs: number
}

/** Nobody keeps two ports out of 65,535 by chance. */
const preservationNeeds = 2
/** Four ports in equal steps don't come about by chance either, not even in a block of 64. */
const sequenceNeeds = 4
/** Chance keeps the parity of ten ports once in a thousand times; of fewer, too often to claim anything. */
const parityNeeds = 10
/** A pool of two hides from eight sockets once in 128 times. */
const poolingNeeds = 8
/** Steps further apart than this look like chance. */
const largestStep = 1024

/** The mappings that our packets created, one for each that a socket was seen under, in order of creation. */
function newMappings(exchanges: readonly ExchangeObservation[]): readonly NewMapping[] {
  const created = new Map<string, NewMapping>()
  for (const exchange of outward(exchanges)) {
    const mapped = answer(exchange)?.mapped
    const createdAtMs = exchange.sentAtMs[0]
    if (!mapped || createdAtMs === undefined || exchange.test === 'hairpin') continue
    const key = `${exchange.socket} ${mapped}`
    const known = created.get(key)
    if (!known || createdAtMs < known.createdAtMs) {
      created.set(key, { localPort: portOf(exchange.local), mapped, createdAtMs })
    }
  }
  return [...created.values()].toSorted((a, b) => a.createdAtMs - b.createdAtMs)
}

export function judgePortAssignment(
  exchanges: readonly ExchangeObservation[],
  behindNat: boolean | null,
): Finding<PortAssignment> {
  if (behindNat === false) return notTested('there is no NAT that could assign ports')
  const mappings = newMappings(exchanges)
  if (mappings.length < preservationNeeds) return inconclusive(`only ${mappings.length} mappings were seen`)
  const ports = mappings.map(({ mapped }) => portOf(mapped))
  const kept = mappings.filter(({ localPort, mapped }) => localPort === portOf(mapped)).length
  const of = `of ${mappings.length} mappings`
  if (kept === mappings.length) {
    return observed({ kind: 'preservation', delta: null, predictable: true }, `every one ${of} kept its port`)
  }
  // Some ports may have been taken, by a socket's own earlier mappings above all.
  if (kept * 3 > mappings.length) {
    return observed({ kind: 'preservation', delta: null, predictable: false }, `${kept} ${of} kept their port`)
  }
  const list = `ports ${ports.join(', ')} in order of creation`
  const delta = mappings.length >= sequenceNeeds ? commonStep(ports) : undefined
  if (delta !== undefined) return observed({ kind: 'sequential', delta, predictable: true }, list)
  if (mappings.every(({ localPort, mapped }) => localPort % 2 === portOf(mapped) % 2)) {
    if (mappings.length < parityNeeds) {
      return inconclusive(`${list} kept their parity; more are needed to tell that from chance (--ports)`)
    }
    return observed({ kind: 'parity', delta: null, predictable: false }, `every one ${of} kept its port's parity`)
  }
  // A few ports close to each other may be a busy NAT's sequence or chance in a small block.
  if (mappings.length < parityNeeds && Math.max(...ports) - Math.min(...ports) <= largestStep * 4) {
    return inconclusive(`${list} are close, but not in equal steps; more would tell (--ports)`)
  }
  return observed({ kind: 'random', delta: null, predictable: false }, list)
}

/** The step from one new mapping to the next; others' mappings in between make it a small multiple. */
function commonStep(ports: readonly number[]): number | undefined {
  const steps = ports.slice(1).map((port, index) => port - (ports[index] ?? 0))
  const step = Math.min(...steps.map(Math.abs))
  if (step === 0 || step > largestStep) return undefined
  const sign = Math.sign(steps[0] ?? 0)
  const regular = steps.every((it) => Math.sign(it) === sign && it % step === 0 && Math.abs(it) <= 3 * step)
  return regular ? sign * step : undefined
}

export function judgePooling(
  exchanges: readonly ExchangeObservation[],
  behindNat: boolean | null,
): Finding<'paired' | 'arbitrary'> {
  if (behindNat === false) return notTested('there is no NAT that could choose an address')
  const ips = newMappings(exchanges).map(({ mapped }) => ipOf(mapped))
  const distinct = new Set(ips)
  if (distinct.size > 1) return observed('arbitrary', `our sockets got the addresses ${[...distinct].join(', ')}`)
  if (ips.length < poolingNeeds)
    return notTested('opt in with --ports: few mappings got one address, which may be chance')
  return observed('paired', `all ${ips.length} mappings got ${ips[0]}`)
}
