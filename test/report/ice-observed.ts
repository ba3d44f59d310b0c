/** A gathering run put together by hand, as a home network sees it. */
import type {
  AttemptObservation,
  CandidateObservation,
  Cause,
  IceObservations,
  StageName,
  StageObservation,
} from '../../src/probe/ice/index.ts'

export const startedAt = '2026-11-21T12:00:00.000Z'

/** Stages one after the other, each as long as given; the last one fails where `cause` says so. */
export const stages = (
  lengths: readonly (readonly [StageName, number])[],
  failed = false,
): readonly StageObservation[] => {
  let at = 0
  return lengths.map(([stage, length], index) => {
    const startMs = at
    at += length
    return { stage, startMs, endMs: at, ok: !(failed && index === lengths.length - 1), detail: `${stage} of the test` }
  })
}

export const attempt = (over: Partial<AttemptObservation>): AttemptObservation => ({
  uri: 'turn:198.51.100.10',
  scheme: 'turn',
  transport: 'udp',
  family: 4,
  address: '198.51.100.10:3478',
  local: '192.168.77.2:41150',
  stages: stages([
    ['binding', 20],
    ['challenge', 1],
    ['allocate', 21],
    ['permission', 20],
    ['channel', 20],
    ['data', 60],
  ]),
  rttMs: 20,
  mapped: '203.0.113.65:41150',
  relayed: '198.51.100.10:51000',
  software: null,
  realm: 'example.org',
  tls: null,
  causes: [],
  ...over,
})

export const failing = (cause: Partial<Cause> & Pick<Cause, 'code'>, over: Partial<AttemptObservation> = {}) =>
  attempt({
    stages: stages([['binding', 142]], true),
    mapped: null,
    relayed: null,
    rttMs: null,
    ...over,
    causes: [{ stage: 'binding', severity: 'error', facts: {}, ...cause }],
  })

const base = { protocol: 'udp', tcpType: null, component: 1, interface: 'eth0', temporary: null } as const

export const candidates: readonly CandidateObservation[] = [
  {
    ...base,
    atMs: 0.4,
    type: 'host',
    ip: '192.168.77.2',
    port: 41150,
    related: null,
    priority: 2_130_706_431,
    foundation: '1',
    line: 'candidate:1 1 udp 2130706431 192.168.77.2 41150 typ host',
    interfaceKind: 'physical',
    attempt: null,
    relayProtocol: null,
    browserOmits: null,
  },
  {
    ...base,
    atMs: 20.2,
    type: 'srflx',
    ip: '203.0.113.65',
    port: 41150,
    related: { ip: '192.168.77.2', port: 41150 },
    priority: 1_694_498_815,
    foundation: '2',
    line: 'candidate:2 1 udp 1694498815 203.0.113.65 41150 typ srflx raddr 192.168.77.2 rport 41150',
    interfaceKind: 'physical',
    attempt: 0,
    relayProtocol: null,
    browserOmits: null,
  },
  {
    ...base,
    atMs: 42,
    type: 'relay',
    ip: '198.51.100.10',
    port: 51_000,
    related: { ip: '203.0.113.65', port: 41150 },
    priority: 16_777_215,
    foundation: '3',
    line: 'candidate:3 1 udp 16777215 198.51.100.10 51000 typ relay raddr 203.0.113.65 rport 41150',
    interfaceKind: 'physical',
    attempt: 0,
    relayProtocol: 'udp',
    browserOmits: null,
  },
]

export const observed = (over: Partial<IceObservations> = {}): IceObservations => ({
  policy: 'all',
  candidates,
  attempts: [attempt({})],
  reachability: [
    {
      candidate: 2,
      result: 'proven',
      peer: 'mapped-address',
      bursts: [
        { via: 'send-data', direction: 'round-trip', sent: 5, received: 5, rttsMs: [40, 41, 40, 42, 40] },
        { via: 'channel-data', direction: 'round-trip', sent: 5, received: 5, rttsMs: [40, 40, 40, 40, 40] },
      ],
      sent: 10,
      received: 10,
      rttMs: 40,
      jitterMs: 0.6,
      loss: 0,
      why: 'echoed by our own mapped address',
    },
  ],
  gatheredAtMs: 42,
  endedAtMs: 142,
  interrupted: false,
  ...over,
})
