/** A StunClient and what answers it, 10 ms apart in virtual time. */
import { after } from '../../../src/core/index.ts'
import { VirtualClock } from '../../../src/lab/index.ts'
import { StunClient, type StunClientOptions } from '../../../src/proto/stun/index.ts'
import { CountingRandom, server } from './messages.ts'

/** The answers to a request, in order; none: it is lost. */
export type Answerer = (request: Uint8Array, nth: number) => readonly Uint8Array[]

export interface VirtualClient {
  readonly clock: VirtualClock
  readonly client: StunClient
  /** When each datagram left. */
  readonly sentAt: number[]
}

export function virtualClient(answer: Answerer, options: Partial<StunClientOptions> = {}): VirtualClient {
  const clock = new VirtualClock()
  const sentAt: number[] = []
  const later = (task: () => void): void => void clock.schedule(after(clock.now(), 10), task)
  const client: StunClient = new StunClient({
    clock,
    random: new CountingRandom(),
    to: server,
    send: (bytes) => {
      const nth = sentAt.push(clock.now()) - 1
      later(() => {
        for (const reply of answer(bytes, nth)) later(() => client.receiveDatagram(reply, server))
      })
    },
    ...options,
  })
  return { clock, client, sentAt }
}
