/** UPnP IGD: find the router (SSDP), read its description, call GetExternalIPAddress. Nothing else is ever called. */
import { after, elapsed, familyOf, formatAddress, type IpAddress, parseIp } from '../../../core/index.ts'
import { exchange, type HttpResponse, type HttpResult } from './http.ts'
import { noWanAddress } from './nat-pmp.ts'
import { printable, type RouterAnswer, type RouterObservation } from './observation.ts'
import { Deferred, type Session } from './session.ts'
import {
  type DeviceUrl,
  decodeSearchResponse,
  deviceUrl,
  encodeSearch,
  searchTargets,
  ssdpGroup,
  ssdpPort,
} from './ssdp.ts'
import { childText, descendants, parseXml } from './xml.ts'

/**
 * When the searches leave, in milliseconds since the first. UPnP Device Architecture 1.1 §1.3.2 asks for repetition
 * because UDP loses; the spacing is ours, close because the answer has to come before the verdict.
 */
const searchAtMs: readonly number[] = [0, 150, 500, 1500]

/** Places visited in one query: a router announces one, the rest is somebody else's noise. */
const maxDevices = 3
/** WAN connections asked of one device: DSL routers list an IP and a PPP one of which one is in use. */
const maxServices = 4

/** The services that know the external address, best first. UPnP IGD:1 and IGD:2 */
const wanServices: readonly string[] = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
]

export interface UpnpTarget {
  /** Only this router's answers count, where it is known. */
  readonly gateway: IpAddress | undefined
  readonly localIp: IpAddress | undefined
}

/** Asks the routers on this link. Reports and settles as `askGateway` does; rejects as Network.openDatagram does. */
export async function askUpnp(
  session: Session,
  target: UpnpTarget,
  report: (observation: RouterObservation) => void,
): Promise<void> {
  const seen = new Set<string>()
  const settled = new Deferred<void>()
  let startedAt = session.clock.now()
  let done = false
  const conclude = (answer: RouterAnswer): void => {
    const rtt = answer.outcome === 'no-answer' ? {} : { rttMs: elapsed(startedAt, session.clock.now()) }
    report({ protocol: 'upnp', ...answer, ...rtt })
    // Another device, or the next answer, may do better than a useless one.
    if (answer.outcome !== 'answered' && answer.outcome !== 'refused') return
    done = true
    settled.resolve()
  }
  /** One device after the other: the first good one ends it. */
  const visit = async (earlier: Promise<void>, device: Followed): Promise<void> => {
    await earlier
    if (!done) conclude(await readDevice(session, target.localIp, device))
  }
  let visits = Promise.resolve()
  const found = (bytes: Uint8Array, from: IpAddress): void => {
    const followed = follow(bytes, from, target.gateway)
    if (followed === undefined) return
    if (!('url' in followed)) return conclude(followed)
    const place = `${formatAddress(followed.url.address)}${followed.url.path}`
    if (seen.has(place) || seen.size >= maxDevices) return
    seen.add(place)
    visits = visit(visits, followed)
    visits.catch((cause: unknown) => settled.reject(cause))
  }
  const socket = await session.openDatagram(
    { family: 4, ...(target.localIp === undefined ? {} : { ip: target.localIp }) },
    { onDatagram: (bytes, from) => found(bytes, from.ip), onFailure: () => {} },
  )
  startedAt = session.clock.now()
  // Also straight to the router: a host firewall takes the answer to a multicast for an unasked packet.
  const searched = target.gateway === undefined ? [ssdpGroup] : [ssdpGroup, { ip: target.gateway, port: ssdpPort }]
  const searches = searched.flatMap((to) => searchTargets.map((name) => ({ to, bytes: encodeSearch(name, to) })))
  const cancels = searchAtMs.map((ms) =>
    session.schedule(after(startedAt, ms), () => {
      for (const { to, bytes } of searches) socket.send(bytes, to)
    }),
  )
  await settled.promise
  for (const cancel of cancels) cancel()
  session.close(socket)
}

interface Followed {
  readonly url: DeviceUrl
  readonly server: string | undefined
}

/** Where a search answer leads, what to report instead, or undefined: it is not for us. */
function follow(
  bytes: Uint8Array,
  from: IpAddress,
  gateway: IpAddress | undefined,
): Followed | RouterAnswer | undefined {
  const response = decodeSearchResponse(bytes)
  if (response === undefined) return undefined
  // A repeater or a second router on this link is not on our way out: its WAN address would mislead.
  if (gateway !== undefined && from !== gateway) {
    return { outcome: 'no-answer', detail: `${from} answered, but the default gateway ${gateway} did not` }
  }
  const url = deviceUrl(response.location, from)
  if ('refused' in url) {
    return {
      outcome: 'malformed',
      detail: `the answer leads to a place ${url.refused}: ${printable(response.location)}`,
    }
  }
  return { url, server: response.server }
}

/** One device: its description, then the external address from the first of its WAN connections that has one. */
async function readDevice(session: Session, localIp: IpAddress | undefined, device: Followed): Promise<RouterAnswer> {
  const { address, path } = device.url
  const result = await exchange(session, localIp, { to: address, path })
  if (result.kind !== 'response') return withoutResponse(result, 'description')
  const description = decodeDescription(result.response, device.url)
  if ('outcome' in description) return description
  const server = description.name ?? (device.server === undefined ? undefined : printable(device.server))
  let answer: RouterAnswer = { outcome: 'unsupported', detail: 'the router has no WAN connection service' }
  for (const service of description.services.slice(0, maxServices)) {
    answer = await callGetExternalIpAddress(session, localIp, service)
    if (answer.externalIp !== undefined) break
  }
  return server === undefined ? answer : { ...answer, server }
}

export interface WanService {
  readonly type: string
  readonly control: DeviceUrl
}

export interface DeviceDescription {
  readonly name: string | undefined
  /** Best first. */
  readonly services: readonly WanService[]
}

const malformed = (detail: string): RouterAnswer => ({ outcome: 'malformed', detail })

/** Reads a device description. UPnP Device Architecture 1.1 §2.3; URLBase is its version 1.0's. */
export function decodeDescription({ status, body }: HttpResponse, source: DeviceUrl): DeviceDescription | RouterAnswer {
  if (status !== 200) return malformed(`the description came with HTTP status ${status}`)
  const parsed = parseXml(new TextDecoder().decode(body))
  if (!parsed.ok) return malformed(`the description is no XML: ${parsed.where} ${parsed.why}`)
  const root = parsed.value
  const responder = source.address.ip
  const location = `http://${formatAddress(source.address)}${source.path}`
  const urlBase = childText(root, 'URLBase') ?? ''
  const base = 'refused' in deviceUrl(urlBase, responder) ? location : urlBase
  const services: WanService[] = []
  let refused: string | undefined
  for (const service of descendants(root, 'service')) {
    const type = childText(service, 'serviceType') ?? ''
    if (!wanServices.includes(type)) continue
    const control = deviceUrl(childText(service, 'controlURL') ?? '', responder, base)
    if ('refused' in control) refused = control.refused
    else services.push({ type, control })
  }
  if (services.length === 0 && refused !== undefined) return malformed(`the control URL is ${refused}`)
  services.sort((a, b) => wanServices.indexOf(a.type) - wanServices.indexOf(b.type))
  const name = printable(descendants(root, 'friendlyName')[0]?.text ?? '')
  return { name: name === '' ? undefined : name, services }
}

const soapBody = (type: string): string =>
  `<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ` +
  `s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>` +
  `<u:GetExternalIPAddress xmlns:u="${type}"/></s:Body></s:Envelope>\r\n`

async function callGetExternalIpAddress(
  session: Session,
  localIp: IpAddress | undefined,
  { type, control }: WanService,
): Promise<RouterAnswer> {
  const soap = { action: `${type}#GetExternalIPAddress`, body: soapBody(type) }
  const result = await exchange(session, localIp, { to: control.address, path: control.path, soap })
  return result.kind === 'response' ? decodeExternalIpAddress(result.response) : withoutResponse(result, 'service')
}

/** Reads the answer to GetExternalIPAddress. UPnP WANIPConnection:2 §2.5.17, errors UPnP Device Architecture 1.1 §3.2.2 */
export function decodeExternalIpAddress({ status, body }: HttpResponse): RouterAnswer {
  const parsed = parseXml(new TextDecoder().decode(body))
  if (!parsed.ok) return malformed(`HTTP status ${status}, and no XML: ${parsed.where} ${parsed.why}`)
  const text = descendants(parsed.value, 'NewExternalIPAddress')[0]?.text
  if (status !== 200 || text === undefined) {
    const code = descendants(parsed.value, 'errorCode')[0]?.text ?? ''
    if (!/^\d{3}$/.test(code)) return malformed(`HTTP status ${status}, and no address`)
    const why = printable(descendants(parsed.value, 'errorDescription')[0]?.text ?? '')
    // 401 Invalid Action, 602 Optional Action Not Implemented
    const outcome = code === '401' || code === '602' ? 'unsupported' : 'refused'
    return { outcome, detail: `UPnP error ${code}${why === '' ? '' : `: ${why}`}` }
  }
  if (text === '' || text === '0.0.0.0') return { outcome: 'answered', detail: noWanAddress }
  const externalIp = parseIp(text)
  if (externalIp === undefined || familyOf(externalIp) !== 4) return malformed(`no IPv4 address: ${printable(text)}`)
  return { outcome: 'answered', externalIp }
}

function withoutResponse(result: Exclude<HttpResult, { kind: 'response' }>, what: string): RouterAnswer {
  if (result.kind === 'broken') return malformed(`the ${what}'s HTTP answer: ${result.why}`)
  const detail = `the router was found, but its ${what} can't be reached: ${result.error.message}`
  return { outcome: result.error.code === 'CONNECTION_REFUSED' ? 'refused' : 'no-answer', detail }
}
