/** Do IP fragments get through, out and in? Opt-in. RFC 5780 §4.5 and PADDING (§7.6); RFC 4787 §11. */
import { attribute, padding } from '../../wire/index.ts'
import { type Finding, inconclusive, notTested, observed } from './behaviors.ts'
import { answer, find } from './evidence.ts'
import type { FamilyObservations } from './observations.ts'
import type { Requester } from './requester.ts'

/** Larger than Ethernet's 1500 with every header, small enough for two fragments. */
const paddingBytes = 1700

/** A plain control request, then one with PADDING: the server pads its answer, so both directions carry fragments. */
export async function probeFragments(requester: Requester): Promise<void> {
  const socket = 'fragments'
  await requester.open(socket)
  await requester.ask('fragment-control', socket)
  await requester.ask('fragment', socket, { attributes: [attribute(padding, new Uint8Array(paddingBytes))] })
}

export function judgeFragments({ exchanges }: FamilyObservations): Finding<'pass' | 'blocked'> {
  const control = find(exchanges, 'fragment-control')
  const padded = find(exchanges, 'fragment')
  if (!control || !padded) return notTested('opt in with --fragments')
  const reply = answer(padded)
  if (reply && reply.bytes < paddingBytes / 2) {
    return inconclusive('a request went out in fragments, but the server does not pad its answer (RFC 5780 §7.6)')
  }
  if (reply)
    return observed(
      'pass',
      `a request of ${paddingBytes} bytes and an answer of ${reply.bytes} came through in fragments`,
    )
  if (padded.replies.length > 0) return inconclusive('the server refuses PADDING')
  if (!answer(control)) return inconclusive('the server stopped answering')
  return observed(
    'blocked',
    `none of ${padded.sentAtMs.length} requests of ${paddingBytes} bytes was answered, a small one was`,
  )
}
