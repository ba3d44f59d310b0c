/** STUN messages as they go out. RFC 8489 §5, §6.1 */
import { NatcheckError } from '../../core/index.ts'
import { Writer } from '../writer.ts'
import type { AttributeContext, EncodableAttribute } from './attribute.ts'
import { fingerprint, fingerprintOf } from './fingerprint.ts'
import { integrityOf, isSha256Length, messageIntegrity, messageIntegritySha256 } from './integrity.ts'
import { headerLength } from './message.ts'
import { encodeMessageType, type MessageClass } from './method.ts'
import { magicCookie } from './transaction-id.ts'

/** The key that proves who wrote a message, and which proof to add. */
export interface IntegrityOptions {
  readonly key: Uint8Array
  /** Default: `sha1`, which every server knows. `both` is for a request whose server's abilities are unknown (RFC 8489 §9.1.2). */
  readonly algorithm?: 'sha1' | 'sha256' | 'both' | undefined
  /** Bytes of MESSAGE-INTEGRITY-SHA256: 16, 20, 24, 28 or 32, the default. */
  readonly truncateTo?: number | undefined
}

export interface MessageToEncode {
  readonly class: MessageClass
  readonly method: number
  /** 12 bytes; with 16 the message is framed as in RFC 3489, without magic cookie. */
  readonly transactionId: Uint8Array
  /** In this order. MESSAGE-INTEGRITY and FINGERPRINT come after them by the options below. */
  readonly attributes?: readonly EncodableAttribute[] | undefined
  readonly integrity?: IntegrityOptions | undefined
  readonly fingerprint?: boolean | undefined
  /** What padding is filled with; default 0. Nobody may depend on it (RFC 8489 §14). */
  readonly paddingByte?: number | undefined
}

/** The message's bytes. Throws USAGE for values that no message can carry. */
export function encodeMessage(message: MessageToEncode): Uint8Array {
  const { transactionId } = message
  const writer = new Writer()
  writeHeader(writer, message)
  for (const attribute of message.attributes ?? []) {
    writeAttribute(writer, attribute.type, message.paddingByte ?? 0, () => attribute.write(writer, { transactionId }))
  }
  if (message.integrity) writeIntegrity(writer, message.integrity, message)
  if (message.fingerprint) {
    const offset = writer.length
    writer.patchUint16(2, offset + 8 - headerLength)
    const value = fingerprintOf(writer.written(), offset)
    writer.uint16(fingerprint.type).uint16(4).uint32(value)
  }
  patchLength(writer)
  return writer.written()
}

function writeHeader(writer: Writer, { class: messageClass, method, transactionId }: MessageToEncode): void {
  if (!(Number.isInteger(method) && method >= 0 && method <= 0xfff)) {
    throw new NatcheckError('USAGE', `method ${method} has more than 12 bits`)
  }
  writer.uint16(encodeMessageType(messageClass, method)).uint16(0)
  if (transactionId.length === 12) writer.uint32(magicCookie)
  else if (transactionId.length !== 16) {
    throw new NatcheckError('USAGE', `a transaction id has 12 bytes (16 in RFC 3489), not ${transactionId.length}`)
  }
  writer.bytes(transactionId)
}

function writeAttribute(writer: Writer, type: number, paddingByte: number, writeValue: () => void): void {
  const start = writer.uint16(type).uint16(0).length
  writeValue()
  const length = writer.length - start
  writer.patchUint16(start - 2, length)
  writer.fill(-length & 3, paddingByte)
}

function writeIntegrity(writer: Writer, options: IntegrityOptions, { transactionId }: AttributeContext): void {
  const { key, algorithm = 'sha1', truncateTo = 32 } = options
  if (!isSha256Length(truncateTo)) {
    throw new NatcheckError('USAGE', `MESSAGE-INTEGRITY-SHA256 has 16, 20, 24, 28 or 32 bytes, not ${truncateTo}`)
  }
  if (algorithm !== 'sha256') {
    const classic = transactionId.length === 16
    const mac = integrityOf('sha1', key, writer.written(), writer.length, 20, classic)
    writer.uint16(messageIntegrity.type).uint16(20).bytes(mac)
  }
  if (algorithm !== 'sha1') {
    const mac = integrityOf('sha256', key, writer.written(), writer.length, truncateTo, false)
    writer.uint16(messageIntegritySha256.type).uint16(truncateTo).bytes(mac.subarray(0, truncateTo))
  }
}

function patchLength(writer: Writer): void {
  const length = writer.length - headerLength
  if (length > 0xffff) throw new NatcheckError('USAGE', `a message of ${length} bytes does not fit its length field`)
  writer.patchUint16(2, length)
}
