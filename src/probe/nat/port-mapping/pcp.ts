/**
 * PCP (RFC 6887), the one request that changes nothing: ANNOUNCE. It tells that a PCP server is there; the
 * external address it would tell only together with a new mapping (MAP, PEER), so we do without.
 */
import { type IpAddress, ipToBytes } from '../../../core/index.ts'
import type { RouterAnswer } from './observation.ts'

const version = 2
const headerLength = 24
/** RFC 6887 §7 */
const maxLength = 1100

/**
 * ANNOUNCE: version 2, opcode 0, lifetime 0, and the client's address, which the server compares with the
 * source address. RFC 6887 §7.1, §14.1
 */
export function encodeAnnounceRequest(clientIp: IpAddress): Uint8Array {
  const bytes = new Uint8Array(headerLength)
  bytes[0] = version
  const address = ipToBytes(clientIp)
  if (address.length === 4) bytes.set([0xff, 0xff], 18) // IPv4-mapped, RFC 6887 §5
  bytes.set(address, headerLength - address.length)
  return bytes
}

/** RFC 6887 §7.4 */
const resultNames: readonly string[] = [
  'SUCCESS',
  'UNSUPP_VERSION',
  'NOT_AUTHORIZED',
  'MALFORMED_REQUEST',
  'UNSUPP_OPCODE',
  'UNSUPP_OPTION',
  'MALFORMED_OPTION',
  'NETWORK_FAILURE',
  'NO_RESOURCES',
  'UNSUPP_PROTOCOL',
  'USER_EX_QUOTA',
  'CANNOT_PROVIDE_EXTERNAL',
  'ADDRESS_MISMATCH',
  'EXCESSIVE_REMOTE_PEERS',
]

const present = 'PCP is there; it tells the WAN address only together with a new mapping, which was not asked for'

const malformed = (detail: string): RouterAnswer => ({ outcome: 'malformed', detail })

/** Reads the answer to ANNOUNCE. The first epoch of a server is valid by definition. RFC 6887 §7.2, §8.3, §8.5, §9 */
export function decodeAnnounceResponse(bytes: Uint8Array): RouterAnswer {
  const answeredVersion = bytes[0]
  if (answeredVersion === 0) return decodeNatPmpAnswer(bytes)
  if (bytes.length < headerLength || bytes.length > maxLength || bytes.length % 4 !== 0) {
    return malformed(`an answer of ${bytes.length} bytes`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const operation = view.getUint8(1)
  const result = view.getUint8(3)
  if ((operation & 0x80) === 0) return malformed('a request where an answer was due')
  const epochSeconds = view.getUint32(8)
  if (answeredVersion !== version) {
    if (result !== 1) return malformed(`version ${answeredVersion}, which was not asked`)
    return { outcome: 'unsupported', epochSeconds, detail: `the router speaks PCP version ${answeredVersion}, not 2` }
  }
  if (operation !== 0x80) return malformed(`an answer to opcode ${operation & 0x7f}, which was not asked`)
  return { ...decodeResult(result), epochSeconds }
}

function decodeResult(result: number): RouterAnswer {
  const name = resultNames[result] ?? `result code ${result}`
  if (result === 0) return { outcome: 'answered', detail: present }
  // Only a PCP server can say so.
  if (result === 4) return { outcome: 'answered', detail: `${present} (${name} to ANNOUNCE)` }
  if (result === 1) return { outcome: 'unsupported', detail: name }
  if (result === 12) return { outcome: 'refused', detail: `${name}: a NAT stands between this host and the PCP server` }
  return { outcome: 'refused', detail: name }
}

/** A NAT-PMP-only server answers version 0 and UNSUPP_VERSION to anything newer. RFC 6886 §3.5, RFC 6887 appendix A */
function decodeNatPmpAnswer(bytes: Uint8Array): RouterAnswer {
  const isUnsupportedVersion = bytes.length >= 4 && (bytes[1] ?? 0) >= 128 && bytes[2] === 0 && bytes[3] === 1
  if (!isUnsupportedVersion) return malformed('version 0, which PCP does not have')
  return { outcome: 'unsupported', detail: 'the router speaks NAT-PMP and no PCP' }
}
