/** Configuration files as they lie on the disk. */
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { NatcheckError } from '../../core/index.ts'
import { usage } from '../io.ts'

export interface ConfText {
  readonly text: string
  /** Permission bits. */
  readonly mode: number
  /** The bytes of a text that was made from this one. */
  encode(text: string): Uint8Array
}

/** A thousand times what people write. */
const largest = 1_000_000

/**
 * UTF-8, else Latin-1. Throws BAD_FILE for what is no text, and, unless it is read to be mended, for what coturn reads
 * otherwise than any editor shows it: findings about such a file would name lines that nobody sees.
 */
export function readConf(path: string, shown: string, { toMend = false }: { toMend?: boolean } = {}): ConfText {
  const conf = readAny(path, shown)
  const oddity = toMend ? undefined : oddityOf(conf.text)
  if (oddity === undefined) return conf
  throw bad(
    `${shown} ${oddity}`,
    `save it as UTF-8 with one kind of line ends, or: natcheck coturn lint --fix ${shown}`,
  )
}

function oddityOf(text: string): string | undefined {
  if (text.startsWith('\ufeff')) return 'begins with a byte order mark, which coturn takes for a part of its first line'
  const unix = /(?:^|[^\r])\n/.test(text)
  const windows = text.includes('\r\n')
  const old = /\r(?!\n|$)/.test(text)
  return [unix, windows, old].filter(Boolean).length > 1
    ? 'mixes line ends, and coturn ends no line at a carriage return'
    : undefined
}

function readAny(path: string, shown: string): ConfText {
  const { bytes, mode } = readBytes(path, shown)
  if (bytes.length > largest)
    throw bad(`${shown} has ${bytes.length} bytes: that is no turnserver.conf`, 'name the right file')
  if (isBinary(bytes)) throw bad(`${shown} is binary, no text`, 'name a turnserver.conf; save UTF-16 as UTF-8')
  const utf8 = decodeUtf8(bytes)
  if (utf8 !== undefined) return { text: utf8, mode, encode: (text) => Buffer.from(text, 'utf8') }
  return { text: bytes.toString('latin1'), mode, encode: (text) => Buffer.from(text, 'latin1') }
}

function readBytes(path: string, shown: string): { bytes: Buffer; mode: number } {
  try {
    const stat = statSync(path)
    // A pipe is read as it comes; a device could go on for ever.
    if (stat.isFile() && stat.size > largest)
      throw bad(`${shown} has ${stat.size} bytes: that is no turnserver.conf`, 'name the right file')
    if (!stat.isFile() && !stat.isFIFO()) {
      throw bad(`${shown} is ${stat.isDirectory() ? 'a directory' : 'no file'}`, 'name the turnserver.conf itself')
    }
    return { bytes: readFileSync(path), mode: stat.mode & 0o7777 }
  } catch (cause) {
    if (cause instanceof NatcheckError) throw cause
    const isMissing = codeOf(cause) === 'ENOENT'
    throw isMissing
      ? bad(`there is no file ${shown}`, 'check the name', cause)
      : bad(`${shown} can't be read (${codeOf(cause)})`, 'check that this user may read it', cause)
  }
}

/** Control characters that no text has, beyond a stray one. */
function isBinary(bytes: Buffer): boolean {
  let odd = 0
  for (const byte of bytes) if (byte < 7 || (byte > 13 && byte < 32 && byte !== 27)) odd++
  return odd > bytes.length / 100 + 2
}

/** With its byte order mark, which coturn trips over. */
function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)

const bad = (message: string, fix: string, cause?: unknown): NatcheckError =>
  new NatcheckError('BAD_FILE', message, { fix, cause })

/** A flag that takes a value. */
export const textOf = (flag: unknown): string | undefined => (typeof flag === 'string' ? flag : undefined)

/** The one file that a command needs. Throws USAGE where it is not named, and as `readConf` does. */
export function readNamed(
  named: string | undefined,
  cwd: string,
): ConfText & { readonly file: string; readonly path: string } {
  if (named === undefined || named === '') throw usage('the file is missing', 'name the turnserver.conf')
  const path = resolve(cwd, named)
  return { ...readConf(path, named), file: named, path }
}
