/** Decisions of the embedding program, asked so that whatever is no answer is a refusal. */
import type { ClientContext, UserQuota } from '../proto/turn-server/index.ts'
import type { RelayClient } from './relay.ts'

/** What stands for a hook's answer when it has none. No hook can give it. */
const failed: unique symbol = Symbol('failed')

/** What a hook answers. Hooks are others' code, so that may be anything, whatever its type says. */
export function answerOf(ask: () => unknown): unknown {
  try {
    const answer = ask()
    // The answer is needed now. That nobody waits for it must not end the process when it fails.
    if (answer instanceof Promise) answer.catch(() => {})
    return answer
  } catch {
    return failed
  }
}

export const passwordFrom = (answer: unknown): { password: string } | undefined =>
  typeof answer === 'string' && answer !== '' ? { password: answer } : undefined

/** Limits that are none refuse: what the hook wanted to say is unknown. */
export function quotaFrom(answer: unknown): UserQuota | undefined {
  if (answer === undefined) return undefined
  const refusal = { allocations: 0 }
  if (typeof answer !== 'object' || answer === null || 'then' in answer) return refusal
  const { allocations, bytesPerSecond } = answer as { allocations?: unknown; bytesPerSecond?: unknown }
  return isLimit(allocations) && isLimit(bytesPerSecond) ? { allocations, bytesPerSecond } : refusal
}

const isLimit = (value: unknown): value is number | undefined =>
  value === undefined || (typeof value === 'number' && value >= 0)

export const clientOf = ({ path: { protocol, client, server }, username }: ClientContext): RelayClient => ({
  protocol,
  client,
  server,
  username,
})
