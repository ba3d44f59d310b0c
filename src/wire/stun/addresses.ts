/** Attributes whose value is a transport address, plain or masked. RFC 8489 §14.1, §14.2 */
import { addressFamily, bytesToIp, ipToBytes, type TransportAddress } from '../../core/index.ts'
import type { Cursor } from '../cursor.ts'
import type { Writer } from '../writer.ts'
import type { AttributeCodec } from './attribute.ts'
import { xorMask } from './transaction-id.ts'

/** MAPPED-ADDRESS: where the request came from, in the clear. RFC 8489 §14.1 */
export const mappedAddress: AttributeCodec<TransportAddress> = addressCodec('MAPPED-ADDRESS', 0x0001)

/** XOR-MAPPED-ADDRESS: the same, masked against NATs that rewrite addresses they see. RFC 8489 §14.2 */
export const xorMappedAddress: AttributeCodec<TransportAddress> = xorAddressCodec('XOR-MAPPED-ADDRESS', 0x0020)

/** ALTERNATE-SERVER: the server to ask instead, in a 300 response. RFC 8489 §14.15 */
export const alternateServer: AttributeCodec<TransportAddress> = addressCodec('ALTERNATE-SERVER', 0x8023)

/** An attribute in MAPPED-ADDRESS's format. */
export function addressCodec(name: string, type: number): AttributeCodec<TransportAddress> {
  return {
    name,
    type,
    encode: (address, writer) => writeAddress(writer, address, ipToBytes(address.ip)),
    decode: (cursor) => {
      const { port, bytes } = readAddress(cursor)
      return { ip: toIp(bytes), port }
    },
  }
}

/** An attribute in XOR-MAPPED-ADDRESS's format. */
export function xorAddressCodec(name: string, type: number): AttributeCodec<TransportAddress> {
  return {
    name,
    type,
    encode: ({ ip, port }, writer, { transactionId }) => {
      const mask = xorMask(transactionId)
      writeAddress(writer, { ip, port: port ^ portMask(mask) }, xor(ipToBytes(ip), mask))
    },
    decode: (cursor, { transactionId }) => {
      const { port, bytes } = readAddress(cursor)
      const mask = xorMask(transactionId)
      return { ip: toIp(xor(bytes, mask)), port: port ^ portMask(mask) }
    },
  }
}

/** The family byte of address attributes, REQUESTED-ADDRESS-FAMILY and their like: 0x01 is IPv4, 0x02 IPv6. */
export function readFamily(cursor: Cursor): 4 | 6 {
  const family = cursor.uint8()
  if (family !== 1 && family !== 2) cursor.fail(`address family ${family} is neither IPv4 (1) nor IPv6 (2)`)
  return family === 2 ? 6 : 4
}

export const familyByte = (family: 4 | 6): number => (family === 6 ? 2 : 1)

function writeAddress(writer: Writer, address: TransportAddress, ipBytes: Uint8Array): void {
  writer
    .uint8(0)
    .uint8(familyByte(addressFamily(address)))
    .uint16(address.port)
    .bytes(ipBytes)
}

function readAddress(cursor: Cursor): { port: number; bytes: Uint8Array } {
  const family = readFamily(cursor.skip(1))
  const port = cursor.uint16()
  const length = family === 6 ? 16 : 4
  return { port, bytes: cursor.expectLength(length).bytes(length) }
}

/** The bytes are none when the cursor has failed. */
const toIp = (bytes: Uint8Array): string => (bytes.length === 0 ? '' : bytesToIp(bytes))

const portMask = (mask: Uint8Array): number => ((mask[0] ?? 0) << 8) | (mask[1] ?? 0)

const xor = (bytes: Uint8Array, mask: Uint8Array): Uint8Array => bytes.map((byte, i) => byte ^ (mask[i] ?? 0))
