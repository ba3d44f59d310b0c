/** Addresses, ids and messages that the STUN tests share. */
import { type Decoded, type Random, type TransportAddress } from '../../../src/core/index.ts'
import {
  attribute,
  decodeMessage,
  type EncodableAttribute,
  encodeMessage,
  errorCode,
  type MessageToEncode,
  Method,
  type StunMessage,
  xorMappedAddress,
} from '../../../src/wire/index.ts'

export const server: TransportAddress = { ip: '192.0.2.1', port: 3478 }
export const client: TransportAddress = { ip: '203.0.113.9', port: 40_000 }

export const transactionId = (fill: number): Uint8Array => new Uint8Array(12).fill(fill)

export const expectOk = <T>(result: Decoded<T>): T => {
  if (!result.ok) throw new Error(`${result.where}: ${result.why}`)
  return result.value
}

export const message = (parts: Partial<MessageToEncode>): StunMessage =>
  expectOk(
    decodeMessage(
      encodeMessage({ class: 'success', method: Method.binding, transactionId: transactionId(7), ...parts }),
    ),
  )

export const bindingRequestBytes = (
  attributes: readonly EncodableAttribute[] = [],
  id = transactionId(7),
): Uint8Array => encodeMessage({ class: 'request', method: Method.binding, transactionId: id, attributes })

export const success = (parts: Partial<MessageToEncode> = {}): StunMessage =>
  message({ attributes: [attribute(xorMappedAddress, client)], ...parts })

export const failure = (code: number, reason: string, attributes: readonly EncodableAttribute[] = []): StunMessage =>
  message({ class: 'error', attributes: [attribute(errorCode, { code, reason }), ...attributes] })

/** Counts up: every id differs, every run is the same. */
export class CountingRandom implements Random {
  #next = 1

  bytes(length: number): Uint8Array {
    return new Uint8Array(length).fill(this.#next++)
  }

  integer(min: number): number {
    return min
  }
}
