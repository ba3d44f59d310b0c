/** UTF-8 of attribute values. */
import type { Cursor } from './cursor.ts'

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const lenientDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** By Buffer: for short texts it takes a quarter of TextEncoder's time. The bytes share memory with others: copy, don't keep. */
export const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8')

/** The rest of the value as text that will be sent back or compared: other bytes than UTF-8 make the value bad. */
export function exactText(cursor: Cursor): string {
  const bytes = cursor.rest()
  try {
    return strictDecoder.decode(bytes)
  } catch {
    cursor.fail('is not UTF-8')
    return ''
  }
}

/**
 * The rest of the value as text for people: bad bytes become U+FFFD, and trailing NULs are dropped, because
 * Vovida's server counts its string terminator.
 */
export const displayText = (cursor: Cursor): string => lenientDecoder.decode(cursor.rest()).replace(/\0+$/, '')
