/** A relay's counters in Prometheus' text form, read from the running relay at each scrape. */
import { Counter, Gauge, Registry } from 'prom-client'
import type { RelayStats, TrafficCount } from './stats.ts'

export interface MetricsSource {
  readonly datapath: string
  readonly engine: string
  stats(): Promise<RelayStats>
  /** Until when the certificate of the TLS listeners is valid; undefined without TLS. */
  readonly certificateValidTo: Date | undefined
  readonly draining: boolean
}

export interface RelayMetrics {
  readonly contentType: string
  /** Rejects when the relay does not answer. */
  text(): Promise<string>
}

type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number]

interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly labels: readonly string[]
  readonly read: (stats: RelayStats, source: MetricsSource) => readonly Sample[]
}

const single = (value: number): readonly Sample[] => [[{}, value]]

/** `client malformed` → { from: 'client', reason: 'malformed' } */
const split = (counts: Readonly<Record<string, number | undefined>>, labels: readonly string[]): readonly Sample[] =>
  Object.entries(counts).map(([key, count = 0]) => {
    const words = key.split(' ')
    return [Object.fromEntries(labels.map((label, index) => [label, words[index] ?? ''])), count]
  })

const directions =
  (value: (traffic: TrafficCount) => number) =>
  (stats: RelayStats): readonly Sample[] => [
    [{ direction: 'to-peer' }, value(stats.toPeer)],
    [{ direction: 'to-client' }, value(stats.toClient)],
  ]

const gauge = (name: string, help: string, read: Metric['read']): Metric => ({
  name,
  help,
  type: 'gauge',
  labels: [],
  read,
})
const counter = (name: string, help: string, labels: readonly string[], read: Metric['read']): Metric => ({
  name,
  help,
  type: 'counter',
  labels,
  read,
})

const metrics: readonly Metric[] = [
  gauge('allocations', 'Allocations that live now.', (stats) => single(stats.allocations)),
  gauge('permissions', 'Permissions that are installed now.', (stats) => single(stats.permissions)),
  gauge('channels', 'Channels that are bound now.', (stats) => single(stats.channels)),
  gauge('draining', '1 while no new allocations are taken.', (_, source) => single(source.draining ? 1 : 0)),
  {
    name: 'certificate_not_after_seconds',
    help: 'When the certificate of the TLS listeners ends, in seconds since the epoch.',
    type: 'gauge',
    // Without a label it would be there, and 0, without TLS too.
    labels: ['protocol'],
    read: (_, { certificateValidTo: end }) => (end ? [[{ protocol: 'tls' }, end.getTime() / 1000]] : []),
  },
  {
    name: 'info',
    help: 'Always 1; says which engine and datapath run.',
    type: 'gauge',
    labels: ['engine', 'datapath'],
    read: (_, { engine, datapath }) => [[{ engine, datapath }, 1]],
  },
  counter(
    'relayed_packets_total',
    'Packets relayed.',
    ['direction'],
    directions(({ packets }) => packets),
  ),
  counter(
    'relayed_bytes_total',
    'Payload relayed, without TURN headers.',
    ['direction'],
    directions(({ bytes }) => bytes),
  ),
  counter(
    'refused_packets_total',
    'Packets that a bandwidth cap refused.',
    ['direction'],
    directions(({ refused }) => refused),
  ),
  counter('undelivered_packets_total', 'Datagrams that the operating system did not take.', [], ({ undelivered }) =>
    single(undelivered),
  ),
  counter('allocations_created_total', "Allocations granted, by the client's protocol.", ['protocol'], (stats) =>
    split(stats.allocationsCreated, ['protocol']),
  ),
  counter('allocations_ended_total', 'Allocations ended, by reason.', ['reason'], (stats) =>
    split(stats.allocationsEnded, ['reason']),
  ),
  counter('responses_total', 'Responses, by method and error code; 0 is success.', ['method', 'code'], (stats) =>
    split(stats.responses, ['method', 'code']),
  ),
  counter('dropped_packets_total', 'Packets thrown away without an answer.', ['from', 'reason'], (stats) =>
    split(stats.drops, ['from', 'reason']),
  ),
  counter('auth_failures_total', 'Requests whose credentials were not accepted.', ['reason'], (stats) =>
    split(stats.authFailures, ['reason']),
  ),
  counter('relay_failures_total', 'Relayed addresses that could not be opened (508).', ['reason'], (stats) =>
    split(stats.relayFailures, ['reason']),
  ),
]

/** Metrics are named natcheck_relay_*. No label holds an address or a name that a client chose. */
export function relayMetrics(source: MetricsSource): RelayMetrics {
  const registry = new Registry()
  const made = metrics.map(({ name, help, labels, type, read }) => {
    const options = { name: `natcheck_relay_${name}`, help, labelNames: [...labels], registers: [registry] }
    return { metric: type === 'counter' ? new Counter(options) : new Gauge(options), read }
  })
  return {
    contentType: registry.contentType,
    async text() {
      const stats = await source.stats()
      for (const { metric, read } of made) {
        metric.reset()
        for (const [labels, value] of read(stats, source)) metric.inc(labels, value)
      }
      return await registry.metrics()
    },
  }
}
