/** One allocation on a TURN server of the virtual network, for an ICE peer in a test. */
import { formatAddress, type TransportAddress } from '../../src/core/index.ts'
import type { Host, SeededRandom } from '../../src/lab/index.ts'
import { openTurnSession } from '../../src/proto/turn-client/index.ts'

export interface TurnServerAddress {
  readonly to: TransportAddress
  readonly protocol: 'udp' | 'tcp'
}

export interface TurnLine {
  readonly relayed: TransportAddress
  readonly mapped: TransportAddress
  /** Permits the peer first. What the server does not permit is not sent. */
  send(bytes: Uint8Array, to: TransportAddress): void
}

export const turnUser = { username: 'alice', password: 'a' } as const

/** Undefined: no allocation could be had. */
export async function openTurnLine(
  host: Host,
  random: SeededRandom,
  server: TurnServerAddress,
  onData: (bytes: Uint8Array, from: TransportAddress) => void,
): Promise<TurnLine | undefined> {
  const timeoutMs = 3000
  const opened = await openTurnSession(
    { network: host, clock: host.clock, random },
    { ...server, credentials: turnUser, connectTimeoutMs: timeoutMs, onData: ({ bytes, peer }) => onData(bytes, peer) },
  )
  if (!opened.ok) return undefined
  const session = opened.value
  const allocated = await session.allocate({}, { timeoutMs })
  const relayed = allocated.ok ? allocated.value.relayed[0] : undefined
  if (!allocated.ok || !relayed) return undefined
  const permissions = new Map<string, Promise<boolean>>()
  const sendWhenPermitted = async (bytes: Uint8Array, peer: TransportAddress): Promise<void> => {
    const key = formatAddress(peer)
    const permission = permissions.get(key) ?? session.permit([peer]).then(({ ok }) => ok)
    permissions.set(key, permission)
    if (await permission) session.send(peer, bytes)
  }
  return {
    relayed,
    mapped: allocated.value.mapped,
    send: (bytes, peer) => void sendWhenPermitted(bytes, peer),
  }
}
