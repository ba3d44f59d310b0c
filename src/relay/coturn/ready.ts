/** Whether a server really serves: what it prints comes before it listens. */
import { after, type Clock, formatAddress, NatcheckError, type TransportAddress } from '../../core/index.ts'
import { openStunConnection } from '../../proto/stun/index.ts'
import { Method } from '../../wire/index.ts'
import type { RelayListener, RelayPorts } from '../relay.ts'

/** coturn is up within a second, and within three on a busy machine. */
const limitMs = 15_000
const pauseMs = 25
/** Loopback or this machine's own addresses: an answer takes microseconds, and what was lost is asked again. */
const askMs = 500

/** Resolves when every listener has answered. Rejects with TIMEOUT, or with CANCELLED. */
export async function untilServing(
  ports: RelayPorts,
  listeners: readonly RelayListener[],
  signal: AbortSignal,
): Promise<void> {
  const end = after(ports.clock.now(), limitMs)
  await Promise.all(
    listeners.map(async ({ protocol, address }) => {
      const answers = protocol === 'udp' ? answersBinding : accepts
      while (!(await answers(ports, address))) {
        if (signal.aborted) throw new NatcheckError('CANCELLED', 'the start was cancelled')
        if (ports.clock.now() > end) {
          throw new NatcheckError('TIMEOUT', `turnserver does not answer on ${formatAddress(address)} (${protocol})`, {
            fix: 'look at its log with --log-level debug',
          })
        }
        await pause(ports.clock)
      }
    }),
  )
}

/** RFC 8489 §3: a Binding request, over UDP. */
async function answersBinding(ports: RelayPorts, to: TransportAddress): Promise<boolean> {
  const connection = await openStunConnection(ports, { to, protocol: 'udp', connectTimeoutMs: askMs }).catch(() => {})
  if (!connection) return false
  const { kind } = await connection.client.request({ method: Method.binding, timeoutMs: askMs })
  connection.close()
  return kind === 'success'
}

/** TCP, or the TCP below TLS. */
async function accepts({ network }: RelayPorts, to: TransportAddress): Promise<boolean> {
  const handlers = { onData: () => {}, onClose: () => {} }
  const stream = await network.connectStream({ to, timeoutMs: askMs }, handlers).catch(() => {})
  stream?.close()
  return stream !== undefined
}

const pause = (clock: Clock): Promise<void> =>
  new Promise((resolve) => void clock.schedule(after(clock.now(), pauseMs), resolve))
