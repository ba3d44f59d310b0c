/** Attributes that say what was wrong with a request. RFC 8489 §14.8, §14.13 */
import type { Cursor } from '../cursor.ts'
import { displayText, utf8 } from '../text.ts'
import type { Writer } from '../writer.ts'
import type { AttributeCodec } from './attribute.ts'

export interface ErrorCode {
  /** 300–699. */
  readonly code: number
  /** For people; anything may stand here. */
  readonly reason: string
}

/** ERROR-CODE: hundreds and the rest apart, then a reason phrase in UTF-8. RFC 8489 §14.8 */
export const errorCode: AttributeCodec<ErrorCode> = {
  name: 'ERROR-CODE',
  type: 0x0009,
  encode: ({ code, reason }, writer) => {
    writeErrorNumber(writer.uint16(0), code)
    writer.bytes(utf8(reason))
  },
  decode: (cursor) => {
    const code = readErrorNumber(cursor.skip(2))
    return { code, reason: displayText(cursor) }
  },
}

/** UNKNOWN-ATTRIBUTES: the types that made a request fail with 420. RFC 8489 §14.13 */
export const unknownAttributes: AttributeCodec<readonly number[]> = {
  name: 'UNKNOWN-ATTRIBUTES',
  type: 0x000a,
  encode: (types, writer, { transactionId }) => {
    for (const type of types) writer.uint16(type)
    // RFC 3489 §11.2.10 has no padding: an odd list repeats one of its types.
    const last = types.at(-1)
    if (transactionId.length === 16 && types.length % 2 === 1 && last !== undefined) writer.uint16(last)
  },
  decode: (cursor) => {
    if (cursor.remaining % 2 !== 0) cursor.fail(`has ${cursor.remaining} bytes, which is no list of 16-bit types`)
    const types: number[] = []
    while (cursor.remaining > 0 && cursor.failure === undefined) types.push(cursor.uint16())
    return types
  },
}

/** The class (3 bits after 5 reserved ones) and number (8 bits) of ERROR-CODE and ADDRESS-ERROR-CODE. */
export function readErrorNumber(cursor: Cursor): number {
  const hundreds = cursor.uint8() & 7
  const number = cursor.uint8()
  if (hundreds < 3 || hundreds > 6) cursor.fail(`class ${hundreds} is not between 3 and 6`)
  if (number > 99) cursor.fail(`number ${number} is not between 0 and 99`)
  return hundreds * 100 + number
}

export function writeErrorNumber(writer: Writer, code: number): void {
  writer.uint8(Math.trunc(code / 100)).uint8(code % 100)
}
