/** The pair of candidates that a connection uses. */

export interface Pair {
  readonly local: PairEnd
  readonly remote: PairEnd
  /** One of the ends is a relay. */
  readonly isRelayed: boolean
  /** Of ICE's own checks. */
  readonly rttMs: number | null
  readonly bytesSent: number
  readonly bytesReceived: number
}

export interface PairEnd {
  readonly type: string
  readonly protocol: string
  /** How a relay is reached; null where there is none, or it is not ours. */
  readonly relayProtocol: string | null
  /** Empty: hidden by the browser. */
  readonly address: string
}

type Stats = Readonly<Record<string, unknown>>

export async function selectedPair(connection: RTCPeerConnection): Promise<Pair | null> {
  const report = (await connection.getStats()) as unknown as ReadonlyMap<string, Stats>
  const all = [...report.values()]
  // Firefox has no transport statistics, and marks the pair.
  const id = all.find(({ type }) => type === 'transport')?.['selectedCandidatePairId']
  const pair =
    typeof id === 'string'
      ? report.get(id)
      : all.find(({ type, selected }) => type === 'candidate-pair' && selected === true)
  if (!pair) return null
  const local = endOf(report.get(String(pair['localCandidateId'])))
  const remote = endOf(report.get(String(pair['remoteCandidateId'])))
  const rtt = pair['currentRoundTripTime']
  return {
    local,
    remote,
    isRelayed: local.type === 'relay' || remote.type === 'relay',
    rttMs: typeof rtt === 'number' ? rtt * 1000 : null,
    bytesSent: Number(pair['bytesSent'] ?? 0),
    bytesReceived: Number(pair['bytesReceived'] ?? 0),
  }
}

function endOf(stats: Stats | undefined): PairEnd {
  const word = (name: string): string => (typeof stats?.[name] === 'string' ? stats[name] : '')
  const address = word('address')
  const port = stats?.['port']
  const shown = address.includes(':') ? `[${address}]` : address
  return {
    type: word('candidateType'),
    protocol: word('protocol'),
    relayProtocol: word('relayProtocol') || null,
    address: address === '' ? '' : `${shown}:${typeof port === 'number' ? port : ''}`,
  }
}
