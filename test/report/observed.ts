/** Observations as a run would have made them, for NATs of every behaviour: what reports are built from in tests. */
import type { FilteringBehavior, MappingBehavior } from '../../src/core/index.ts'
import { analyseFamily } from '../../src/probe/nat/index.ts'
import type {
  Change,
  ExchangeObservation,
  FamilyObservations,
  ServerObservation,
  TestName,
} from '../../src/probe/nat/observations.ts'
import { type AnalysedFamily, buildReport, type NatReport } from '../../src/report/index.ts'

const primary = '198.51.100.10:3478'
const alternate = '198.51.100.11:3479'
const alternateIp = '198.51.100.11:3478'
const alternatePort = '198.51.100.10:3479'
const rttMs = 20
/** Rounds of the filtering tests: enough for silence to be believed. */
const rounds = 16

export const startedAt = '2026-11-02T09:30:00.000Z'

interface Sent {
  readonly to: string
  readonly socket: 'mapping' | 'filtering' | 'reachability-0' | `port-${number}`
  readonly change?: Change
  readonly atMs?: number
  readonly times?: number
  /** Where the answer came from; undefined: none came. */
  readonly from?: string | undefined
  readonly mapped?: string
  readonly mappedPlain?: string
  readonly otherAddress?: string | null
}

const localPorts: Record<string, number> = { mapping: 40_000, filtering: 40_002, 'reachability-0': 40_004 }

export function exchange(test: TestName, localIp: string, sent: Sent): ExchangeObservation {
  const sentAtMs = Array.from({ length: sent.times ?? 1 }, (_, index) => (sent.atMs ?? 0) + index * 12)
  const port = localPorts[sent.socket] ?? 41_000 + Number(sent.socket.split('-')[1])
  const from = sent.from
  return {
    test,
    socket: sent.socket,
    local: `${localIp}:${port}`,
    server: 0,
    to: sent.to,
    change: sent.change ?? 'none',
    sentAtMs,
    replies:
      from === undefined
        ? []
        : sentAtMs.map((atMs) => ({
            atMs: atMs + rttMs,
            from,
            mapped: sent.mapped ?? null,
            mappedPlain: sent.mappedPlain ?? sent.mapped ?? null,
            otherAddress: sent.otherAddress === undefined ? alternate : sent.otherAddress,
            bytes: 80,
            errorCode: null,
          })),
    failure: null,
  }
}

export const server = (over: Partial<ServerObservation> = {}): ServerObservation => ({
  uri: 'stun:198.51.100.10:3478',
  address: primary,
  problem: null,
  asked: true,
  ...over,
})

export const nothing = (over: Partial<FamilyObservations> = {}): FamilyObservations => ({
  family: 4,
  localIp: '192.168.77.2',
  localInterface: 'eth0',
  servers: [server()],
  exchanges: [],
  streams: [],
  notStun: [],
  unmatched: [],
  router: [],
  hairpinArrivals: [],
  lifetime: [],
  endedAtMs: 400,
  ...over,
})

export interface Nat {
  readonly mapping: MappingBehavior | 'none'
  readonly filtering: FilteringBehavior
  readonly publicIps?: readonly string[]
}

/** The external address of `socket` for the destination `to`. */
function mappedTo({ mapping, publicIps = ['203.0.113.2'] }: Nat, localIp: string, socket: string, to: string): string {
  const port = localPorts[socket] ?? 41_000 + Number(socket.split('-')[1])
  if (mapping === 'none') return `${localIp}:${port}`
  const [ip = ''] = to.split(':')
  const destination = mapping === 'endpoint-independent' ? '' : mapping === 'address-dependent' ? ip : to
  const order = ['', '198.51.100.10', '198.51.100.11', primary, alternateIp, alternatePort, alternate]
  const offset = order.indexOf(destination)
  return `${publicIps[port % publicIps.length] ?? publicIps[0]}:${port + 10_000 + 7 * offset}`
}

/** A whole run against one honest RFC 5780 server. */
export function natObservations(nat: Nat, over: Partial<FamilyObservations> = {}): FamilyObservations {
  const localIp = nat.mapping === 'none' ? '203.0.113.77' : '192.168.77.2'
  const mapped = (socket: string, to: string): string => mappedTo(nat, localIp, socket, to)
  const plain = (test: TestName, to: string, socket: Sent['socket'], extra: Partial<Sent> = {}): ExchangeObservation =>
    exchange(test, localIp, { to, socket, from: to, mapped: mapped(socket, to), ...extra })
  const hears2 = nat.filtering === 'endpoint-independent'
  const hears3 = hears2 || nat.filtering === 'address-dependent'
  const filteringMapped = mapped('filtering', primary)
  const changed = (test: TestName, change: Change, from: string, heard: boolean): ExchangeObservation => {
    const base = exchange(test, localIp, {
      to: primary,
      socket: 'filtering',
      change,
      times: rounds,
      mapped: filteringMapped,
    })
    const reply = {
      from,
      mapped: filteringMapped,
      mappedPlain: filteringMapped,
      otherAddress: alternate,
      bytes: 80,
      errorCode: null,
    }
    if (heard) return { ...base, replies: [{ atMs: 21, ...reply }] }
    return base
  }
  const exchanges = [
    plain('mapping-1', primary, 'mapping'),
    plain('mapping-2', alternateIp, 'mapping', { atMs: 22 }),
    plain('mapping-3', alternate, 'mapping', { atMs: 23 }),
    plain('filtering-1', primary, 'filtering', { times: rounds }),
    changed('filtering-2', 'ip-and-port', alternate, hears2),
    changed('filtering-3', 'port', alternatePort, hears3),
  ]
  if (!hears2) {
    const opener = plain('open-alternate', alternate, 'filtering', { atMs: 260 })
    const again = [0, 12, 24, 36]
    exchanges.push({
      ...opener,
      sentAtMs: again.map((later) => 260 + later),
      replies: opener.replies.flatMap((reply) => again.map((later) => ({ ...reply, atMs: reply.atMs + later }))),
    })
  }
  if (!hears3) exchanges.push(plain('open-port', alternatePort, 'filtering', { atMs: 262 }))
  // Once our own packet has opened the way, the server's ability to answer from there shows.
  const proof = (test: TestName, change: Change, from: string): ExchangeObservation =>
    plain(test, primary, 'filtering', { change, atMs: 300, from })
  if (!hears2) exchanges.push(proof('prove-alternate', 'ip-and-port', alternate))
  if (!hears3) exchanges.push(proof('prove-port', 'port', alternatePort))
  if (nat.mapping !== 'none') {
    for (let i = 1; i <= 8; i++) exchanges.push(plain('port-assignment', primary, `port-${i}`, { atMs: 24 + i }))
  }
  return nothing({ localIp, exchanges, ...over })
}

/** A server that never answers. */
export const silent = (over: Partial<FamilyObservations> = {}): FamilyObservations =>
  nothing({
    exchanges: [
      exchange('mapping-1', '192.168.77.2', { to: primary, socket: 'mapping', times: 9 }),
      exchange('filtering-1', '192.168.77.2', { to: primary, socket: 'filtering', times: 9 }),
    ],
    endedAtMs: 1600,
    ...over,
  })

export const blocked = (): FamilyObservations =>
  silent({ streams: [{ server: 0, to: '198.51.100.10:443', connected: true, problem: null }] })

export const noIpv6 = (): FamilyObservations =>
  nothing({ family: 6, localIp: null, servers: [server({ address: null, asked: false })], endedAtMs: 0 })

export const analysed = (...observations: readonly FamilyObservations[]): AnalysedFamily[] =>
  observations.map((family) => ({ observations: family, finding: analyseFamily(family) }))

export const reportOf = (...observations: readonly FamilyObservations[]): NatReport =>
  buildReport({ startedAt, families: analysed(...observations) })
