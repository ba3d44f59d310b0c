/** One request to the gateway's port 5351, sent until it is answered: the exchange of NAT-PMP and of PCP. */
import {
  after,
  type DeliveryFailure,
  elapsed,
  type IpAddress,
  sameAddress,
  type TransportAddress,
} from '../../../core/index.ts'
import { decodeExternalAddressResponse, encodeExternalAddressRequest, portMappingPort } from './nat-pmp.ts'
import type { RouterAnswer, RouterObservation } from './observation.ts'
import { decodeAnnounceResponse, encodeAnnounceRequest } from './pcp.ts'
import { Deferred, type Session } from './session.ts'

/**
 * When a request leaves, in milliseconds since the first. RFC 6886 §3.1 doubles from 250 ms and RFC 6887 §8.1.1
 * starts at 3 s, because a client there has time; ours ends with the verdict, and the gateway is one hop away
 * (a few milliseconds by wire, up to a hundred on a busy Wi-Fi).
 */
export const resendAtMs: readonly number[] = [0, 100, 300, 700, 1500, 3100]

export interface GatewayProtocol {
  readonly protocol: 'nat-pmp' | 'pcp'
  readonly encode: (clientIp: IpAddress) => Uint8Array
  readonly decode: (bytes: Uint8Array) => RouterAnswer
}

export const natPmp: GatewayProtocol = {
  protocol: 'nat-pmp',
  encode: encodeExternalAddressRequest,
  decode: decodeExternalAddressResponse,
}

export const pcp: GatewayProtocol = {
  protocol: 'pcp',
  encode: encodeAnnounceRequest,
  decode: decodeAnnounceResponse,
}

/**
 * Asks `gateway`. `report` hears what is known whenever that changes; the promise resolves when nothing can
 * change it any more, and stays open when the session ends first. Rejects as Network.connectDatagram does.
 */
export async function askGateway(
  session: Session,
  { protocol, encode, decode }: GatewayProtocol,
  target: { readonly gateway: IpAddress; readonly localIp: IpAddress | undefined },
  report: (observation: RouterObservation) => void,
): Promise<void> {
  const server: TransportAddress = { ip: target.gateway, port: portMappingPort }
  const settled = new Deferred<void>()
  let startedAt = session.clock.now()
  const conclude = (answer: RouterAnswer): void => {
    if (answer.outcome === 'no-answer') return report({ protocol, ...answer })
    report({ protocol, ...answer, rttMs: elapsed(startedAt, session.clock.now()) })
    // An unreadable answer may be followed by a good one: a stray, a truncated copy.
    if (answer.outcome !== 'malformed') settled.resolve()
  }
  // A connected socket hears the server alone, which RFC 6886 §3.1 asks for, and the ICMP errors.
  const socket = await session.connectDatagram(server, target.localIp === undefined ? {} : { ip: target.localIp }, {
    onDatagram: (bytes, from) => {
      if (sameAddress(from, server)) conclude(decode(bytes))
    },
    onFailure: (failure) => {
      conclude(fromFailure(failure))
    },
  })
  const request = encode(socket.local.ip)
  startedAt = session.clock.now()
  const cancels = resendAtMs.map((ms) => session.schedule(after(startedAt, ms), () => socket.send(request)))
  await settled.promise
  for (const cancel of cancels) cancel()
  session.close(socket)
}

/** What an ICMP error, or this machine's refusal to send, says about the protocol. */
function fromFailure({ reason, detail }: DeliveryFailure): RouterAnswer {
  if (reason === 'port-unreachable') {
    return { outcome: 'unsupported', detail: `the router has nothing on UDP port ${portMappingPort}` }
  }
  if (reason === 'admin-prohibited') return { outcome: 'refused', detail: 'a firewall prohibits the query (ICMP)' }
  // A retransmission may still get through.
  return { outcome: 'no-answer', detail: `the query does not get to the router: ${reason} (${detail})` }
}
