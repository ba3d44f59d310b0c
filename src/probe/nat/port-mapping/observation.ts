/** What a router said of itself, as plain JSON: it goes into the saved report, and the analysis reads only this. */
import type { IpAddress } from '../../../core/index.ts'

/** The protocols by which home routers hand out port mappings: UPnP IGD, RFC 6886 and RFC 6887. We only ask, never map. */
export type PortMappingProtocol = 'upnp' | 'nat-pmp' | 'pcp'

/**
 * How one protocol's query ended.
 *   answered     the router speaks it; `externalIp` is there only when it told a usable WAN address
 *   no-answer    nothing came back in time: off, filtered, lost or late, which can't be told apart
 *   unsupported  the router said that it does not speak it
 *   refused      the router speaks it and declined
 *   malformed    something answered, but nothing that could be used
 *   not-sent     nothing was asked; `detail` says why
 */
export type RouterOutcome = 'answered' | 'no-answer' | 'unsupported' | 'refused' | 'malformed' | 'not-sent'

export interface RouterObservation {
  readonly protocol: PortMappingProtocol
  readonly outcome: RouterOutcome
  /** The router's own idea of its address on the outer side. */
  readonly externalIp?: IpAddress
  /** The device's name for itself, made printable. */
  readonly server?: string
  /** Milliseconds from the first request to the last answer, retransmissions and the router's own work included. */
  readonly rttMs?: number
  /** Seconds since the router lost or last reset its mapping table (RFC 6886 §3.6, RFC 6887 §8.5). */
  readonly epochSeconds?: number
  /** One sentence for a person. */
  readonly detail?: string
}

/** An answer before it is known whose and how late it is. */
export type RouterAnswer = Omit<RouterObservation, 'protocol' | 'rttMs'>

/**
 * A stranger's text, safe to print: control, format and private-use characters out (a terminal would obey
 * some of them), white space folded, at most `limit` characters.
 */
export function printable(text: string, limit = 64): string {
  const clean = text.replace(/[\p{C}\p{Z}\s]+/gu, ' ').trim()
  const characters = Array.from(clean)
  return characters.length <= limit ? clean : `${characters.slice(0, limit - 1).join('')}…`
}
