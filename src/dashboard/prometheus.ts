/** A relay watched by its Prometheus endpoint: coturn's, or that of `natcheck relay --metrics`. */
import { NatcheckError } from '../core/index.ts'
import type { Counts } from '../relay/stats.ts'
import type { RelaySource, RelayView } from './relay-view.ts'

const timeoutMs = 3000
/** coturn writes a few lines for each user when told to; more than this is no relay's. */
const longestText = 4_000_000

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export function prometheusRelay(url: URL, fetchText: (url: URL) => Promise<string> = fetchMetrics): RelaySource {
  return {
    async read() {
      const text = await fetchText(url)
      const view = readRelayMetrics(parseMetrics(text))
      if (view) return view
      const what = /^\s*</.test(text) ? 'answers HTML, no metrics' : "has no relay's metrics"
      throw unreadable(
        url,
        what,
        'name the path too: coturn serves http://HOST:9641/metrics when started with --prometheus',
      )
    },
  }
}

async function fetchMetrics(url: URL): Promise<string> {
  let response: Response
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
  } catch (cause) {
    throw unreadable(url, 'does not answer', 'check that the relay runs and serves metrics there', cause)
  }
  if (!response.ok) throw unreadable(url, `answers ${response.status}`, 'check the path')
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.length > longestText) throw unreadable(url, 'does not end', 'check that it serves metrics')
  }
  return text
}

const unreadable = (url: URL, what: string, fix: string, cause?: unknown): NatcheckError =>
  new NatcheckError('UNREACHABLE', `${url.origin}${url.pathname} ${what} — ${fix}`, { fix, cause })

/** The lines of Prometheus' text format that are samples; others are passed over. */
export function parseMetrics(text: string): readonly Sample[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?\s+([^\s]+)/.exec(line)
    const value = Number(match?.[3])
    if (!match || !Number.isFinite(value)) return []
    const labels = [...(match[2] ?? '').matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)]
    return [
      { name: match[1] ?? '', labels: Object.fromEntries(labels.map(([, key = '', word = '']) => [key, word])), value },
    ]
  })
}

/** undefined: there is no relay in it. */
export function readRelayMetrics(samples: readonly Sample[]): RelayView | undefined {
  if (samples.some(({ name }) => name === 'natcheck_relay_allocations')) return natcheckView(samples)
  return samples.some(({ name }) => name.startsWith('turn_')) ? coturnView(samples) : undefined
}

const sumOf = (samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
  samples
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, word]) => sample.labels[key] === word),
    )
    .reduce((sum, { value }) => sum + value, 0)

function countsOf(samples: readonly Sample[], name: string, labels: readonly string[]): Counts {
  const counts = new Map<string, number>()
  for (const sample of samples) {
    if (sample.name !== name) continue
    const key = labels.map((label) => sample.labels[label] ?? '').join(' ')
    counts.set(key, (counts.get(key) ?? 0) + sample.value)
  }
  return Object.fromEntries(counts)
}

function natcheckView(samples: readonly Sample[]): RelayView {
  const sum = (name: string, labels?: Readonly<Record<string, string>>): number =>
    sumOf(samples, `natcheck_relay_${name}`, labels)
  const counts = (name: string, labels: readonly string[]): Counts =>
    countsOf(samples, `natcheck_relay_${name}`, labels)
  const traffic = (direction: string): RelayView['toPeer'] => ({
    packets: sum('relayed_packets_total', { direction }),
    bytes: sum('relayed_bytes_total', { direction }),
  })
  return {
    source: 'natcheck',
    engine: Object.keys(counts('info', ['engine', 'datapath']))[0]?.replace(' ', ', ') ?? '',
    allocations: sum('allocations'),
    permissions: sum('permissions'),
    channels: sum('channels'),
    toPeer: traffic('to-peer'),
    toClient: traffic('to-client'),
    refused: sum('refused_packets_total'),
    allocationsCreated: counts('allocations_created_total', ['protocol']),
    allocationsEnded: counts('allocations_ended_total', ['reason']),
    responses: counts('responses_total', ['method', 'code']),
    authFailures: counts('auth_failures_total', ['reason']),
    relayFailures: counts('relay_failures_total', ['reason']),
    drops: counts('dropped_packets_total', ['from', 'reason']),
  }
}

/**
 * What coturn counts, and only when an allocation ends: the traffic of those that live is not in it. `rcvp` and `rcvb` are
 * packets and bytes from clients, `sentp` and `sentb` those to clients; `peer_` likewise for peers.
 */
function coturnView(samples: readonly Sample[]): RelayView {
  const sum = (name: string): number => sumOf(samples, name)
  return {
    source: 'coturn',
    engine: 'coturn',
    allocations: Math.max(0, sum('turn_total_allocations')),
    permissions: null,
    channels: null,
    toPeer: { packets: sum('turn_total_traffic_peer_sentp'), bytes: sum('turn_total_traffic_peer_sentb') },
    toClient: { packets: sum('turn_total_traffic_sentp'), bytes: sum('turn_total_traffic_sentb') },
    refused: null,
    allocationsCreated: null,
    allocationsEnded: null,
    responses: null,
    authFailures: null,
    relayFailures: null,
    drops: null,
  }
}
