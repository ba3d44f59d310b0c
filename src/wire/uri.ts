/** STUN and TURN server URIs. RFC 7064 (stun:, stuns:), RFC 7065 (turn:, turns:). */
import { NatcheckError, parseIp, type TransportProtocol } from '../core/index.ts'

export type ServerScheme = 'stun' | 'stuns' | 'turn' | 'turns'

/** A parsed server URI. What the text left open is absent here: see `defaultPort` and `uriProtocol`. */
export interface ServerUri {
  readonly scheme: ServerScheme
  /** A canonical IP address without brackets, or a name in lower case. */
  readonly host: string
  readonly hostKind: 'address' | 'name'
  readonly port?: number
  /** The value of `?transport=`. RFC 7065 §3.1; turn: and turns: only. */
  readonly transport?: 'udp' | 'tcp'
}

/** 3478, and 5349 over TLS. RFC 8489 §18.6, RFC 8656 §19 */
export const defaultPort = (scheme: ServerScheme): number => (scheme === 'stuns' || scheme === 'turns' ? 5349 : 3478)

/** How to talk to the server; `dtls` for turns: with ?transport=udp. RFC 7064 §3.2, RFC 7065 §3.2 and RFC 5928 §3 */
export function uriProtocol({ scheme, transport }: ServerUri): TransportProtocol | 'dtls' {
  if (scheme === 'stuns') return 'tls'
  if (scheme === 'turns') return transport === 'udp' ? 'dtls' : 'tls'
  return transport ?? 'udp'
}

/** The URI as text; `parseServerUri` reads it back unchanged. */
export function formatServerUri({ scheme, host, hostKind, port, transport }: ServerUri): string {
  const bracketed = hostKind === 'address' && host.includes(':') ? `[${host.replace('%', '%25')}]` : host
  return `${scheme}:${bracketed}${port === undefined ? '' : `:${port}`}${transport ? `?transport=${transport}` : ''}`
}

/**
 * Reads a server URI. Beyond the RFCs, because people type it: `host` and `host:port` mean `stun:`, schemes and names
 * may be in upper case, and an IPv6 address may have a zone (`[fe80::1%eth0]`).
 * Throws a NatcheckError with code BAD_URI, and nothing else, for every other text.
 */
export function parseServerUri(text: string): ServerUri {
  const trimmed = text.trim()
  const { scheme, rest } = splitScheme(trimmed)
  if (rest.startsWith('//')) {
    throw bad(trimmed, 'it has no slashes after the scheme', `write ${scheme}:${rest.replace(/^\/+/, '')}`)
  }
  const [authority = '', ...queries] = rest.split('?')
  const transport = parseQuery(trimmed, scheme, authority, queries)
  if (/[/#]/.test(authority)) throw bad(trimmed, 'it has no path', `write ${scheme}:${authority.split(/[/#]/)[0]}`)
  if (authority.includes('@')) {
    const host = authority.slice(authority.lastIndexOf('@') + 1)
    throw bad(trimmed, 'it can not hold a user name or password', `write ${scheme}:${host} and give them separately`)
  }
  const { host, hostKind, port } = parseAuthority(trimmed, scheme, authority)
  return { scheme, host, hostKind, ...(port === undefined ? {} : { port }), ...(transport && { transport }) }
}

/** What a text is quoted as in a message: one line, not the whole of a pasted file, no control characters, no secret. */
function quoted(text: string): string {
  const withoutSecret = text.replace(/^([^@]*?:)?(?:\/\/)?[^@]*@/, '$1…@')
  const clean = withoutSecret.replace(/[^\x21-\x7e\u00a0-\uffff]/g, ' ')
  return clean.length > 80 ? `${clean.slice(0, 79)}…` : clean
}

const bad = (text: string, what: string, fix: string): NatcheckError =>
  new NatcheckError('BAD_URI', `"${quoted(text)}" is not a STUN or TURN server: ${what}`, {
    fix: fix.replace(/[^\x20-\x7e\u00a0-\uffff]/g, ' ').slice(0, 200),
  })

const isScheme = (word: string): word is ServerScheme => /^(?:stun|turn)s?$/.test(word)

function splitScheme(text: string): { scheme: ServerScheme; rest: string } {
  if (text === '') throw bad(text, 'it is empty', 'write stun:host or stun:host:port')
  const [, word = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? []
  const scheme = word.toLowerCase()
  if (isScheme(scheme)) return { scheme, rest }
  // `localhost:3478` looks like a scheme too, but no scheme is followed by a bare number, and none in use has a dot.
  if (word === '' || /^\d+$/.test(rest) || word.includes('.')) return { scheme: 'stun', rest: text }
  if (parseIp(text) !== undefined) return { scheme: 'stun', rest: text }
  const host = rest.replace(/^\/+/, '').split(/[/?#]/)[0] ?? ''
  throw bad(text, `${word}: is no STUN or TURN scheme`, `write stun:${host || 'host'}, or stuns:, turn:, turns:`)
}

function parseQuery(
  text: string,
  scheme: ServerScheme,
  authority: string,
  queries: readonly string[],
): 'udp' | 'tcp' | undefined {
  if (queries.length === 0) return undefined
  if (scheme === 'stun' || scheme === 'stuns') {
    throw bad(text, `${scheme}: takes no ?transport=`, `write ${scheme}:${authority}, or stuns: for TLS`)
  }
  const value = /^transport=(.*)$/is.exec(queries.join('?'))?.[1]?.toLowerCase()
  if (value === 'udp' || value === 'tcp') return value
  const what = value === undefined ? 'only ?transport= may follow the host' : `there is no transport "${quoted(value)}"`
  throw bad(text, what, 'write ?transport=udp or ?transport=tcp')
}

interface Authority {
  readonly host: string
  readonly hostKind: 'address' | 'name'
  readonly port: number | undefined
}

function parseAuthority(text: string, scheme: ServerScheme, authority: string): Authority {
  const bare = parseIp(authority)
  if (bare?.includes(':')) throw bad(text, 'an IPv6 address needs brackets', `write ${scheme}:[${authority}]`)
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(authority)
  if (bracketed) {
    // RFC 6874 writes the zone's % as %25; a person does not.
    const ip = parseIp((bracketed[1] ?? '').replace(/%25(?=.)/, '%'))
    if (!ip?.includes(':')) {
      throw bad(text, 'what stands in brackets is no IPv6 address', `write ${scheme}:[2001:db8::1]`)
    }
    return { host: ip, hostKind: 'address', port: parsePort(text, scheme, `[${ip}]`, bracketed[2]) }
  }
  if (/[[\]]/.test(authority)) throw bad(text, 'the brackets do not match', `write ${scheme}:[2001:db8::1]:3478`)
  const [name = '', ...ports] = authority.split(':')
  if (ports.length > 1) {
    throw bad(text, 'it has more than one colon after the host', `write ${scheme}:host:port; IPv6 goes in brackets`)
  }
  if (name === '') throw bad(text, 'the host is missing', `write ${scheme}:host`)
  const host = parseName(text, scheme, name)
  const hostKind = parseIp(host) === undefined ? 'name' : 'address'
  return { host, hostKind, port: parsePort(text, scheme, host, ports[0]) }
}

function parsePort(text: string, scheme: ServerScheme, host: string, digits: string | undefined): number | undefined {
  if (digits === undefined) return undefined
  const port = Number(digits)
  if (/^\d{1,5}$/.test(digits) && port >= 1 && port <= 65_535) return port
  throw bad(text, 'the port is not a number from 1 to 65535', `write ${scheme}:${host}:${defaultPort(scheme)}`)
}

/** Letters, digits, hyphens, and the underscore that some networks use in spite of RFC 952. Lengths: RFC 1035 §2.3.4 */
const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/

function parseName(text: string, scheme: ServerScheme, name: string): string {
  const host = name.toLowerCase()
  if (parseIp(host) !== undefined) return host
  const labels = host.replace(/\.$/, '').split('.')
  // RFC 3986 §3.2.2: a name whose last label is a number was meant to be an IPv4 address, and resolvers read it as one.
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) {
    throw bad(text, `${quoted(name)} is no IPv4 address`, `write ${scheme}: and four numbers from 0 to 255`)
  }
  if (host.length <= 254 && labels.every((part) => label.test(part))) return host
  if (/\s/.test(host)) throw bad(text, 'a host name has no spaces', `write one ${scheme}:host each time`)
  const ascii = asciiName(host)
  throw ascii === undefined
    ? bad(text, 'that is no host name', `write ${scheme}:host or ${scheme}:host:port`)
    : bad(text, 'an international name has to be in its ASCII form', `write ${scheme}:${ascii}`)
}

/** The xn-- form of an international name (IDNA, by the platform's URL parser). */
function asciiName(host: string): string | undefined {
  if (!/[\u0080-\uffff]/.test(host) || !URL.canParse(`http://${host}`)) return undefined
  const ascii = new URL(`http://${host}`).hostname
  return ascii.split('.').every((part) => label.test(part)) ? ascii : undefined
}
