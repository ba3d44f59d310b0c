/** Attributes that inform: who speaks, where else to ask, how the packets fared. */
import { displayText, utf8 } from '../text.ts'
import type { AttributeCodec } from './attribute.ts'
import { textCodec } from './credentials.ts'

/** SOFTWARE: what the sender runs. Printed only after cleaning: anything may stand here. RFC 8489 §14.14 */
export const software: AttributeCodec<string> = {
  name: 'SOFTWARE',
  type: 0x8022,
  encode: (text, writer) => void writer.bytes(utf8(text)),
  decode: displayText,
}

/** ALTERNATE-DOMAIN: the name that the certificate of the ALTERNATE-SERVER is for. RFC 8489 §14.16 */
export const alternateDomain: AttributeCodec<string> = textCodec('ALTERNATE-DOMAIN', 0x8003, 255)

/** How many times each side has sent in this transaction. */
export interface TransmitCounter {
  /** 0–255; the request sets it, the response repeats it. */
  readonly requests: number
  /** 0–255; zero in requests. */
  readonly responses: number
}

/** TRANSACTION_TRANSMIT_COUNTER: tells which copy of a retransmitted request was answered. RFC 7982 §3.1 */
export const transactionTransmitCounter: AttributeCodec<TransmitCounter> = {
  name: 'TRANSACTION_TRANSMIT_COUNTER',
  type: 0x8025,
  encode: ({ requests, responses }, writer) => void writer.uint16(0).uint8(requests).uint8(responses),
  decode: (cursor) => {
    const body = cursor.expectLength(4).skip(2)
    return { requests: body.uint8(), responses: body.uint8() }
  },
}

/** The ECN field that a request's packet arrived with. */
export interface EcnCheck {
  /** Two bits: Not-ECT, ECT(1), ECT(0), CE. */
  readonly ecn: number
  /** Whether the responder could read the field at all. */
  readonly valid: boolean
}

/** ECN-CHECK STUN: does ECN survive the path? RFC 6679 §7.2.2 */
export const ecnCheck: AttributeCodec<EcnCheck> = {
  name: 'ECN-CHECK STUN',
  type: 0x802d,
  encode: ({ ecn, valid }, writer) => void writer.uint32(((ecn & 3) << 1) | (valid ? 1 : 0)),
  decode: (cursor) => {
    const bits = cursor.expectLength(4).uint32()
    return { ecn: (bits >> 1) & 3, valid: (bits & 1) === 1 }
  },
}
