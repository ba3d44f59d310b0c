/**
 * Silence counts as filtering only for a server that can answer from its other addresses. It shows that it can once a
 * packet of our own has opened the way: the same request is then answered. Where the NAT maps that destination to
 * another port, only that port was opened, so the answer is asked for there (RESPONSE-PORT, RFC 5780 §7.5).
 */
import { answer, find, isSilent } from './evidence.ts'
import type { View } from './filtering.ts'
import type { AddressText, TestName } from './observations.ts'
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
  alternate: { changed: 'filtering-2', opener: 'open-alternate', direct: 'prove-alternate' },
  port: { changed: 'filtering-3', opener: 'open-port', direct: 'prove-port' },
} as const

export function prove(view: View, which: keyof typeof tests): Proof {
  const names = tests[which]
  const { exchanges, control, nowMs } = view
  const far = view.far ?? view.near
  const opener = find(exchanges, names.opener)
  const changed = find(exchanges, names.changed)
  const openedAt = opener?.sentAtMs[0]
  if (!opener || !changed || openedAt === undefined) return pending(names.opener, names.changed)
  if (changed.replies.some(({ atMs, from }) => atMs > openedAt && from === opener.to)) return done('proved')
  const mapped = answer(opener)?.mapped
  if (!mapped) {
    const dead = nowMs - openedAt >= deadAfterMs && isSilent(opener, control, nowMs, far)
    return dead ? done('dead') : pending(names.opener, names.changed)
  }
  if (mapped !== answer(control)?.mapped) return proveDirectly(view, names.direct, opener.to)
  return isSilent(changed, control, nowMs, far, openedAt) ? done('failed') : pending(names.changed)
}

function proveDirectly({ exchanges, control, nowMs, far, near }: View, test: TestName, from: AddressText): Proof {
  const direct = find(exchanges, test)
  if (!direct) return pending(test)
  if (direct.replies.some((reply) => reply.from === from && reply.errorCode === null)) return done('proved')
  const refused = direct.replies.length > 0
  return refused || isSilent(direct, control, nowMs, far ?? near) ? done('unproved') : pending(test)
}

const done = (result: Exclude<Proof['result'], 'pending'>): Proof => ({ result, wanted: [] })
const pending = (...wanted: readonly TestName[]): Proof => ({ result: 'pending', wanted })
