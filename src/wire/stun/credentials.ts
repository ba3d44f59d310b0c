/** Attributes of the credential mechanisms. RFC 8489 §9, §14 */
import { NatcheckError } from '../../core/index.ts'
import type { Cursor } from '../cursor.ts'
import { exactText, utf8 } from '../text.ts'
import type { Writer } from '../writer.ts'
import { type AttributeCodec, bytesCodec } from './attribute.ts'

/** USERNAME: fewer than 509 bytes of UTF-8. RFC 8489 §14.3 */
export const username: AttributeCodec<string> = textCodec('USERNAME', 0x0006, 508)

/** REALM: fewer than 128 characters, at most 763 bytes. RFC 8489 §14.9 */
export const realm: AttributeCodec<string> = textCodec('REALM', 0x0014, 763)

/** NONCE: fewer than 128 characters, at most 763 bytes, sent back exactly as it came. RFC 8489 §14.10 */
export const nonce: AttributeCodec<string> = textCodec('NONCE', 0x0015, 763)

/** USERHASH: SHA-256 of username and realm instead of the name in the clear. 32 bytes. RFC 8489 §14.4 */
export const userhash: AttributeCodec<Uint8Array> = {
  ...bytesCodec('USERHASH', 0x001e),
  decode: (cursor) => cursor.expectLength(32).rest(),
}

/** The IANA registry of STUN password algorithms. RFC 8489 §18.5 */
export const PasswordAlgorithmNumber = { md5: 0x0001, sha256: 0x0002 } as const

/** How a long-term key is made from a password. Neither registered algorithm has parameters. */
export interface PasswordAlgorithm {
  /** One of `PasswordAlgorithmNumber`, or somebody else's. */
  readonly algorithm: number
  readonly parameters?: Uint8Array
}

/** PASSWORD-ALGORITHM: the one the client chose. RFC 8489 §14.12 */
export const passwordAlgorithm: AttributeCodec<PasswordAlgorithm> = {
  name: 'PASSWORD-ALGORITHM',
  type: 0x001d,
  encode: (value, writer) => writePasswordAlgorithm(writer, value),
  decode: (cursor) => {
    const value = readPasswordAlgorithm(cursor)
    if (cursor.remaining > 0) cursor.fail(`has ${cursor.remaining} bytes after its parameters`)
    return value
  },
}

/** PASSWORD-ALGORITHMS: what the server offers, best first, and the client sends back unchanged. RFC 8489 §14.11 */
export const passwordAlgorithms: AttributeCodec<readonly PasswordAlgorithm[]> = {
  name: 'PASSWORD-ALGORITHMS',
  type: 0x8002,
  encode: (values, writer) => values.forEach((value) => writePasswordAlgorithm(writer, value)),
  decode: (cursor) => {
    const values: PasswordAlgorithm[] = []
    while (cursor.remaining > 0 && cursor.failure === undefined) values.push(readPasswordAlgorithm(cursor))
    return values
  },
}

function writePasswordAlgorithm(writer: Writer, { algorithm, parameters }: PasswordAlgorithm): void {
  const length = parameters?.length ?? 0
  writer.uint16(algorithm).uint16(length)
  if (parameters) writer.bytes(parameters).fill(-length & 3, 0)
}

function readPasswordAlgorithm(cursor: Cursor): PasswordAlgorithm {
  const algorithm = cursor.uint16()
  const length = cursor.uint16()
  if (length === 0) return { algorithm }
  const parameters = cursor.bytes(length)
  // The last padding may be left to the attribute's own.
  cursor.skip(Math.min(-length & 3, cursor.remaining))
  return { algorithm, parameters }
}

/** Text that is compared or sent back, so its bytes have to survive. `maxBytes` binds the sender, not the reader. */
export function textCodec(name: string, type: number, maxBytes: number): AttributeCodec<string> {
  return {
    name,
    type,
    encode: (text, writer) => {
      const bytes = utf8(text)
      if (bytes.length > maxBytes) {
        throw new NatcheckError('USAGE', `${name} has ${bytes.length} bytes, more than the ${maxBytes} it may have`)
      }
      writer.bytes(bytes)
    },
    decode: exactText,
  }
}
