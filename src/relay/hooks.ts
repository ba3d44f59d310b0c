/** Decisions of the embedding program, asked so that one that throws is a refusal. */
import type { ClientContext } from '../proto/turn-server/index.ts'
import type { RelayClient } from './relay.ts'

export function safely<T>(decide: () => T, otherwise: T): T {
  try {
    return decide()
  } catch {
    return otherwise
  }
}

export function passwordFrom(decide: () => string | undefined): { password: string } | undefined {
  const password = safely(decide, undefined)
  return password === undefined ? undefined : { password }
}

export const clientOf = ({ path: { protocol, client, server }, username }: ClientContext): RelayClient => ({
  protocol,
  client,
  server,
  username,
})
