/** Attributes of NAT behavior discovery. RFC 5780 §7 */
import type { TransportAddress } from '../../core/index.ts'
import { addressCodec } from './addresses.ts'
import { type AttributeCodec, bytesCodec, uint32Codec } from './attribute.ts'

/** Which parts of its address the server shall change before it answers. */
export interface ChangeRequest {
  readonly changeIp: boolean
  readonly changePort: boolean
}

/** CHANGE-REQUEST: answer from another address. RFC 5780 §7.2, RFC 3489 §11.2.4 */
export const changeRequest: AttributeCodec<ChangeRequest> = {
  name: 'CHANGE-REQUEST',
  type: 0x0003,
  encode: ({ changeIp, changePort }, writer) => void writer.uint32((changeIp ? 4 : 0) | (changePort ? 2 : 0)),
  decode: (cursor) => {
    const flags = cursor.expectLength(4).uint32()
    return { changeIp: (flags & 4) !== 0, changePort: (flags & 2) !== 0 }
  },
}

/** RESPONSE-ORIGIN: the address the response was sent from. RFC 5780 §7.3 */
export const responseOrigin: AttributeCodec<TransportAddress> = addressCodec('RESPONSE-ORIGIN', 0x802b)

/** OTHER-ADDRESS: where a response would come from if both IP and port were changed. RFC 5780 §7.4 */
export const otherAddress: AttributeCodec<TransportAddress> = addressCodec('OTHER-ADDRESS', 0x802c)

/**
 * RESPONSE-PORT: the port to send the response to, at the request's IP address. RFC 5780 §7.5
 * The RFC's figure has two bytes and two of padding, which some count and some don't: both lengths are read, 2 is written.
 */
export const responsePort: AttributeCodec<number> = {
  name: 'RESPONSE-PORT',
  type: 0x0027,
  encode: (port, writer) => void writer.uint16(port),
  decode: (cursor) => {
    if (cursor.remaining !== 4) cursor.expectLength(2)
    return cursor.uint16()
  },
}

/** PADDING: bytes that make a message too big for one packet. Their number matters, their values don't. RFC 5780 §7.6 */
export const padding: AttributeCodec<Uint8Array> = bytesCodec('PADDING', 0x0026)

/** CACHE-TIMEOUT: seconds the server remembers a XOR-REFLECTED-FROM. Registered by RFC 5780 §9.1, described in its drafts. */
export const cacheTimeout: AttributeCodec<number> = uint32Codec('CACHE-TIMEOUT', 0x8027)
