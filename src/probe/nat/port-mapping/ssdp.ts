/** SSDP, the search part of UPnP Device Architecture 1.1 §1.3, and which of its answers may be followed. */
import { type IpAddress, parseIp, scopeOf, type TransportAddress } from '../../../core/index.ts'
import { latin1, splitOnce } from './http.ts'

export const ssdpPort = 1900

/** UPnP Device Architecture 1.1 §1.3.2. The multicast TTL stays 1: only this link. */
export const ssdpGroup: TransportAddress = { ip: '239.255.255.250', port: ssdpPort }

/** Only routers are asked for, so that no television answers. Version 2 devices should answer to 1 too; not all do. */
export const searchTargets: readonly string[] = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
]

/** M-SEARCH with the shortest delay there is: a device picks a random one up to MX seconds. */
export const encodeSearch = (target: string, to: TransportAddress): Uint8Array =>
  new TextEncoder().encode(
    ['M-SEARCH * HTTP/1.1', `HOST: ${to.ip}:${to.port}`, 'MAN: "ssdp:discover"', 'MX: 1', `ST: ${target}`, '', ''].join(
      '\r\n',
    ),
  )

export interface SearchResponse {
  readonly location: string
  readonly server: string | undefined
}

/** Longer answers are no honest ones: they fit one Ethernet frame. */
const maxSearchResponse = 1500

/** Reads an answer to M-SEARCH (UPnP Device Architecture 1.1 §1.3.3); undefined when it is none, or not a router's. */
export function decodeSearchResponse(bytes: Uint8Array): SearchResponse | undefined {
  if (bytes.length > maxSearchResponse) return undefined
  const [status = '', ...lines] = latin1(bytes).split('\r\n')
  if (!/^HTTP\/1\.[01] 200(?: |$)/.test(status)) return undefined
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [name = '', value] = splitOnce(line, ':')
    if (value !== undefined) headers.set(name.trim().toLowerCase(), value.trim())
  }
  const location = headers.get('location')
  if (location === undefined || !searchTargets.includes(headers.get('st') ?? '')) return undefined
  return { location, server: headers.get('server') }
}

/** A place to fetch from, already checked. */
export interface DeviceUrl {
  readonly address: TransportAddress
  /** Path and query, percent-encoded. */
  readonly path: string
}

/**
 * The place a device's URL leads to, or why we don't go there: everybody on the link can answer a search, and
 * nobody may thereby send us elsewhere (server-side request forgery). So: plain http, the responder's own address
 * as a literal, that address private or link-local, and its port 80 or an unprivileged one.
 */
export function deviceUrl(text: string, responder: IpAddress, base?: string): DeviceUrl | { readonly refused: string } {
  if (text.length > 1024 || !URL.canParse(text, base)) return { refused: 'not a URL' }
  const url = new URL(text, base)
  if (url.protocol !== 'http:') return { refused: 'not plain http' }
  if (url.username !== '' || url.password !== '') return { refused: 'with credentials in it' }
  const host = parseIp(url.hostname)
  const scope = scopeOf(responder)
  if (host !== responder) return { refused: 'on another host' }
  if (scope !== 'private' && scope !== 'link-local') return { refused: 'on a public host' }
  const port = url.port === '' ? 80 : Number(url.port)
  if (port !== 80 && port < 1024) return { refused: `on port ${port}` }
  return { address: { ip: host, port }, path: `${url.pathname}${url.search}` }
}
