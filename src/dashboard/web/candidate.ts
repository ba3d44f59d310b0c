/** An ICE candidate of this browser, as the table and the waterfall have it. */
import type { CandidateType } from '../../probe/ice/observations.ts'

export interface Candidate {
  /** Milliseconds since gathering began. */
  readonly atMs: number
  readonly type: CandidateType
  readonly protocol: 'udp' | 'tcp'
  readonly tcpType: string | null
  /** How the browser talks to the relay; null where it is none. */
  readonly relayProtocol: string | null
  readonly address: string
  readonly port: number
  readonly related: string | null
  readonly priority: number
  readonly foundation: string
  /** The URL of the server that it comes from; null for host candidates. */
  readonly server: string | null
  readonly line: string
}

/** Newer than the DOM types: the URL moved from the event to the candidate. */
type Gathered = RTCIceCandidate & { readonly url?: string | null; readonly relayProtocol?: string | null }

export function readCandidate(event: RTCPeerConnectionIceEvent, atMs: number): Candidate | undefined {
  const candidate: Gathered | null = event.candidate
  if (!candidate || candidate.candidate === '') return undefined
  const { type, protocol, address, port } = candidate
  if (type === null || protocol === null) return undefined
  const url = candidate.url ?? (event as { readonly url?: string | null }).url
  return {
    atMs,
    type,
    protocol,
    tcpType: candidate.tcpType,
    relayProtocol: type === 'relay' ? (candidate.relayProtocol ?? protocolOf(url ?? '')) : null,
    // Where the address is hidden from scripts it still stands in the line.
    address: address ?? candidate.candidate.split(' ')[4] ?? '',
    port: port ?? 0,
    related:
      type === 'host' || !candidate.relatedAddress
        ? null
        : joinAddress(candidate.relatedAddress, candidate.relatedPort),
    priority: candidate.priority ?? 0,
    foundation: candidate.foundation ?? '',
    server: type === 'host' ? null : (url ?? null),
    line: candidate.candidate,
  }
}

const joinAddress = (ip: string, port: number | null): string =>
  ip.includes(':') ? `[${ip}]:${port ?? 0}` : `${ip}:${port ?? 0}`

/** The transport of a server's URL. RFC 7065 §3.1 */
export function protocolOf(url: string): string {
  if (/^(?:stun|turn)s:/.test(url)) return 'tls'
  return /[?&]transport=tcp/.test(url) ? 'tcp' : 'udp'
}

/** RFC 8828: without a camera's permission browsers hide addresses of the local network behind a random name. */
export const isHidden = ({ address }: Candidate): boolean => address.endsWith('.local')
