/** What gathering showed of relays. */
import type { IceReport } from './ice-report.ts'

type Transport = IceReport['servers'][number]['transport']

export interface RelayState {
  /** Transports over which TURN servers were asked; empty: none was named. */
  readonly tried: readonly Transport[]
  /** Transports over which a relay was allocated and not shown to fail. */
  readonly working: readonly Transport[]
  /** Those over which data was echoed through it. */
  readonly proven: readonly Transport[]
}

export function relayState({ servers, candidates, reachability }: IceReport): RelayState {
  const resultOf = (index: number): string | undefined =>
    reachability.find(({ candidate }) => candidate === index)?.result
  const relays = candidates.flatMap(({ type, relayProtocol }, index) =>
    type === 'relay' && relayProtocol !== null ? [{ transport: relayProtocol, result: resultOf(index) }] : [],
  )
  return {
    tried: order(servers.filter(({ scheme }) => scheme.startsWith('turn')).map(({ transport }) => transport)),
    working: order(relays.filter(({ result }) => result !== 'failed').map(({ transport }) => transport)),
    proven: order(relays.filter(({ result }) => result === 'proven').map(({ transport }) => transport)),
  }
}

const order = (found: readonly Transport[]): readonly Transport[] =>
  (['udp', 'tcp', 'tls'] as const).filter((transport) => found.includes(transport))
