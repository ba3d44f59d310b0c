/** Shows that packets come back to a server-reflexive address: the server sends one there for each request. */
import { formatAddress, sameAddress } from '../../core/index.ts'
import { Method } from '../../wire/index.ts'
import { mappedOf, type Reflexive } from './binding.ts'
import { Burst, defaultBurst, echoWaitMs, summarize } from './burst.ts'
import { type IceOptions, type IcePorts, ownSignal } from './options.ts'
import type { Recorder } from './recorder.ts'

/** Tells what a burst of Binding requests shows; an answer that names another address is none from this one. */
export async function proveReflexive(
  { clock }: IcePorts,
  options: IceOptions,
  recorder: Recorder,
  { candidate, socket, server, mapped }: Reflexive,
): Promise<void> {
  const { packets, spacingMs } = options.burst ?? defaultBurst
  const waitMs = echoWaitMs(socket.client(server).rtt.rto() / 2)
  const client = socket.client(server, 'single')
  let moved: string | undefined
  const ask = async (sequence: number): Promise<void> => {
    const request = {
      method: Method.binding,
      timeoutMs: packets * spacingMs + waitMs,
      signal: ownSignal(options.signal),
    }
    const outcome = await client.request(request)
    const seen = outcome.kind === 'success' ? mappedOf(outcome.message) : undefined
    if (seen && sameAddress(seen, mapped)) burst.echoed(sequence)
    else if (seen) moved ??= formatAddress(seen)
  }
  const burst = new Burst(clock, 0, {
    packets,
    spacingMs,
    waitMs,
    signal: options.signal,
    send: (sequence) => void ask(sequence),
  })
  const summary = summarize([{ via: 'binding', direction: 'round-trip', ...(await burst.run()) }])
  const from = formatAddress(server)
  const why =
    summary.received > 0
      ? `answers of ${from} came back to it`
      : moved === undefined
        ? `no more answers of ${from} came back to it`
        : `the NAT has moved it to ${moved} meanwhile`
  recorder.reachable({ candidate, result: summary.received > 0 ? 'proven' : 'failed', peer: null, ...summary, why })
}
