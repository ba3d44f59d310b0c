/** NAT-PMP (RFC 6886), the one request that changes nothing: "what is your external address?" */
import { bytesToIp } from '../../../core/index.ts'
import type { RouterAnswer } from './observation.ts'

/** UDP port of NAT-PMP and PCP servers. RFC 6886 §3.1, RFC 6887 §19.1 */
export const portMappingPort = 5351

/** The 2-byte external address request: version 0, opcode 0. RFC 6886 §3.2 */
export const encodeExternalAddressRequest = (): Uint8Array => new Uint8Array([0, 0])

/** RFC 6886 §3.5 */
const resultNames: readonly string[] = [
  'SUCCESS',
  'UNSUPP_VERSION',
  'NOT_AUTHORIZED',
  'NETWORK_FAILURE',
  'OUT_OF_RESOURCES',
  'UNSUPP_OPCODE',
]

const malformed = (detail: string): RouterAnswer => ({ outcome: 'malformed', detail })

/**
 * Reads the answer to an external address request. The epoch needs no check against an earlier one:
 * the first answer of a server is valid by definition (RFC 6886 §3.6), and we never wait for a second.
 */
export function decodeExternalAddressResponse(bytes: Uint8Array): RouterAnswer {
  // A PCP-only server answers in its own format, where version 2 comes first. RFC 6887 §9
  if (bytes[0] !== undefined && bytes[0] !== 0) return decodeOtherVersion(bytes)
  // An error may come without the address field: RFC 6886 §3.5 leaves its length open, and routers differ.
  if (bytes.length < 8) return malformed(`an answer of ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const opcode = view.getUint8(1)
  const result = view.getUint16(2)
  if (opcode < 128) return malformed('a request where an answer was due')
  const epochSeconds = view.getUint32(4)
  if (result !== 0) return { ...decodeFailure(result), epochSeconds }
  if (opcode !== 128) return malformed(`an answer to opcode ${opcode - 128}, which was not asked`)
  if (bytes.length !== 12) return malformed(`an answer of ${bytes.length} bytes where 12 are due`)
  const externalIp = bytesToIp(bytes.subarray(8, 12))
  if (externalIp === '0.0.0.0') return { outcome: 'answered', epochSeconds, detail: noWanAddress }
  return { outcome: 'answered', externalIp, epochSeconds }
}

/** Shared by the protocols: the router is up, but has (or admits) no address on its outer side. */
export const noWanAddress = 'the router says it has no usable WAN address'

function decodeFailure(result: number): RouterAnswer {
  const name = resultNames[result] ?? `result code ${result}`
  // The router speaks NAT-PMP and answers the question: there is nothing to tell.
  if (result === 3) return { outcome: 'answered', detail: `${name}: ${noWanAddress}` }
  if (result === 1 || result === 5) return { outcome: 'unsupported', detail: name }
  if (result === 2)
    return { outcome: 'refused', detail: `${name}: NAT-PMP is switched off or not allowed for this host` }
  return { outcome: 'refused', detail: name }
}

function decodeOtherVersion(bytes: Uint8Array): RouterAnswer {
  const isPcpAnswer = bytes.length >= 24 && ((bytes[1] ?? 0) & 0x80) !== 0
  if (!isPcpAnswer) return malformed(`version ${bytes[0]}, which NAT-PMP does not have`)
  return { outcome: 'unsupported', detail: `the router speaks PCP version ${bytes[0]} and no NAT-PMP` }
}
