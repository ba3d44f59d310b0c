/**
 * Silence counts as filtering only for a server that can answer from its other addresses. It shows that it can once a
 * packet of our own has opened the way: the same question is then answered. Where the NAT maps that destination to
 * another port, only that port was opened, so the answer is asked for there (RESPONSE-PORT, RFC 5780 §7.5).
 */
import { answer, find, isSilent } from './evidence.ts'
import type { View } from './filtering.ts'
import type { TestName } from './observations.ts'
import { deadAfterMs } from './pacing.ts'

/**
 * `dead`: the other address does not answer at all; `failed`: it answers, but not when asked by CHANGE-REQUEST;
 * `unproved`: behind this NAT only RESPONSE-PORT could show it, which the server does not honour.
 */
export interface Proof {
  readonly result: 'pending' | 'proved' | 'dead' | 'failed' | 'unproved'
  readonly wanted: readonly TestName[]
}

const tests = {
  alternate: { opener: 'open-alternate', proof: 'prove-alternate' },
  port: { opener: 'open-port', proof: 'prove-port' },
} as const

/**
 * The proof is a transaction of its own: a late answer to the test itself must not pass for it.
 */
export function prove(view: View, which: keyof typeof tests): Proof {
  const names = tests[which]
  const { exchanges, control, nowMs } = view
  const far = view.far ?? view.near
  const opener = find(exchanges, names.opener)
  const openedAt = opener?.sentAtMs[0]
  if (!opener || openedAt === undefined) return pending(names.opener)
  const mapped = answer(opener)?.mapped
  if (!mapped) {
    const dead = nowMs - openedAt >= deadAfterMs && isSilent(opener, control, nowMs, far)
    return dead ? done('dead') : pending(names.opener)
  }
  const proof = find(exchanges, names.proof)
  if (!proof) return pending(names.proof)
  if (proof.replies.some(({ from, errorCode }) => from === opener.to && errorCode === null)) return done('proved')
  const elsewhere = mapped !== answer(control)?.mapped
  const failed = proof.replies.length > 0 || isSilent(proof, control, nowMs, far)
  return failed ? done(elsewhere ? 'unproved' : 'failed') : pending(names.proof)
}

const done = (result: Exclude<Proof['result'], 'pending'>): Proof => ({ result, wanted: [] })
const pending = (...wanted: readonly TestName[]): Proof => ({ result: 'pending', wanted })
