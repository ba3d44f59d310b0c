/** The server's alternate address, and whether it can be believed: checked before anything is concluded from it. */
import { addressFamily, formatAddress, parseAddress, scopeOf } from '../../core/index.ts'
import { answer } from './evidence.ts'
import type { AddressText, ExchangeObservation, ReplyObservation } from './observations.ts'

export interface AlternateAddress {
  readonly address: AddressText
  /** Why nothing can be learned from it, and nothing may be sent to it; null when it looks right. */
  readonly problem: string | null
}

/** The address with primary IP and alternate port (`P:a`), or alternate IP and primary port (`A:p`). */
export function mixAddress(ipFrom: AddressText, portFrom: AddressText): AddressText {
  const ip = parseAddress(ipFrom)?.ip ?? ''
  return formatAddress({ ip, port: parseAddress(portFrom)?.port ?? 0 })
}

/** The server's first answer to a plain Binding request, whichever socket got it. */
export function firstAnswer(exchanges: readonly ExchangeObservation[], server: number): ReplyObservation | undefined {
  let first: ReplyObservation | undefined
  for (const exchange of exchanges) {
    if (exchange.server !== server || exchange.change !== 'none') continue
    if (exchange.test !== 'mapping-1' && exchange.test !== 'filtering-1' && exchange.test !== 'reachability') continue
    const reply = answer(exchange)
    if (reply && (!first || reply.atMs < first.atMs)) first = reply
  }
  return first
}

/**
 * OTHER-ADDRESS (RFC 5780 §7.4) as frozen from the first answer: a later answer's value would send test III
 * elsewhere. undefined: no answer yet; null: the server offers none.
 */
export function alternateOf(
  exchanges: readonly ExchangeObservation[],
  server: number,
  primary: AddressText,
): AlternateAddress | null | undefined {
  const first = firstAnswer(exchanges, server)
  if (!first) return undefined
  if (first.otherAddress === null) return null
  return { address: first.otherAddress, problem: problemOf(first.otherAddress, primary) }
}

function problemOf(alternateText: AddressText, primaryText: AddressText): string | null {
  const alternate = parseAddress(alternateText)
  const primary = parseAddress(primaryText)
  if (!alternate || !primary || alternate.port === 0) return `its alternate address ${alternateText} is not an address`
  if (addressFamily(alternate) !== addressFamily(primary)) {
    return `its alternate address ${alternateText} is of another address family`
  }
  if (alternate.ip === primary.ip) return `its alternate address ${alternateText} has the same IP as the server itself`
  if (alternate.port === primary.port)
    return `its alternate address ${alternateText} has the same port as the server itself`
  const scope = scopeOf(alternate.ip)
  // A laboratory's servers are all private; a public server with a private alternate is misconfigured.
  if (scope !== 'global' && scope !== 'reserved' && scope !== scopeOf(primary.ip)) {
    return `its alternate address ${alternateText} is ${scope === 'private' ? 'private' : `a ${scope} address`} and can't be reached from here`
  }
  return null
}
