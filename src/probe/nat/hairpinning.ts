/** Hairpinning (RFC 4787 §6): do two hosts behind this NAT reach each other by their external addresses? Opt-in. */
import { formatAddress } from '../../core/index.ts'
import { decodeMessage } from '../../wire/index.ts'
import { type FamilyFinding, type Finding, inconclusive, notTested, observed } from './behaviors.ts'
import { answer, find } from './evidence.ts'
import { bindingRequest, type Exchange, exchangeKey, newExchange } from './exchange.ts'
import type { FamilyObservations, HairpinArrival } from './observations.ts'
import { horizonMs, roundMs } from './pacing.ts'
import { addressOf, type Requester } from './requester.ts'

const rounds = 12
const pair = ['hairpin-1', 'hairpin-2'] as const

/**
 * Two sockets learn their mappings, then send to each other's: both ways at once, so that each has opened
 * its own filter for the other.
 */
export async function probeHairpin(requester: Requester): Promise<readonly HairpinArrival[]> {
  const { random, server, path, stopwatch, clock } = requester.context
  const arrivals: HairpinArrival[] = []
  const local = [await requester.open(pair[0]), await requester.open(pair[1])] as const
  const mapped = [
    addressOf(answer(await requester.ask('port-assignment', pair[0]))?.mapped),
    addressOf(answer(await requester.ask('port-assignment', pair[1]))?.mapped),
  ] as const
  if (!mapped[0] || !mapped[1]) return arrivals

  const make = (from: 0 | 1, to: NonNullable<(typeof mapped)[0]>): Exchange =>
    newExchange(
      { test: 'hairpin', server, socket: pair[from], local: local[from], to, change: 'none' },
      bindingRequest(random, 'none'),
    )
  const exchanges = [make(0, mapped[1]), make(1, mapped[0])] as const
  for (const _ of exchanges) await requester.transaction()
  requester.exchanges.push(...exchanges)
  requester.onDatagram = (socket, bytes, from) => {
    const message = decodeMessage(bytes)
    if (!message.ok || message.value.class !== 'request') return
    const sender = exchanges.find(
      (it) => it.socket !== socket && it.key === exchangeKey(it.socket, message.value.transactionId),
    )
    if (sender) arrivals.push({ atMs: stopwatch.at(clock.now()), sender: sender.socket, from: formatAddress(from) })
  }
  for (let i = 0; i < rounds && arrivals.length === 0; i++) {
    for (const exchange of exchanges) requester.send(exchange)
    await requester.wait(roundMs(path), () => arrivals.length > 0)
  }
  await requester.wait(horizonMs(path), () => arrivals.length > 0)
  requester.onDatagram = undefined
  return arrivals
}

export function judgeHairpinning(
  { exchanges, hairpinArrivals }: FamilyObservations,
  mapping: FamilyFinding['mapping'],
  behindNat: boolean | null,
): Finding<'off' | 'internal-source' | 'external-source'> {
  const sent = find(exchanges, 'hairpin')
  if (!sent) return notTested(behindNat === false ? 'there is no NAT to come back through' : 'opt in with --hairpin')
  const arrival = hairpinArrivals[0]
  if (arrival) {
    const sender = exchanges.find(({ test, socket }) => test === 'hairpin' && socket === arrival.sender)
    const internal = arrival.from === sender?.local
    return observed(internal ? 'internal-source' : 'external-source', `it arrived from ${arrival.from}`)
  }
  if (mapping.kind === 'observed' && mapping.value === 'endpoint-independent') {
    // Linux drops what claims to come from itself, so that RFC 4787 REQ-9's forbidden variant can't be seen from one host.
    return observed(
      'off',
      `none of ${sent.sentAtMs.length} packets each way came back in (nor would they where the NAT shows the internal source and this system drops its own)`,
    )
  }
  return inconclusive(
    'nothing came back, but the mapping depends on the destination, so the right address is not known',
  )
}
