/** turnserver.conf as text: read the way coturn reads it, kept to the byte, written back. */

export type Line = BlankLine | SettingLine

/** An empty line or a comment. */
export interface BlankLine {
  readonly kind: 'blank' | 'comment'
  /** Counted from 1, as editors do. */
  readonly number: number
  /** With its line end. */
  readonly raw: string
}

/** What coturn takes for an option, known or not. */
export interface SettingLine {
  readonly kind: 'setting'
  readonly number: number
  readonly raw: string
  /** Up to the first space, tab or `=`. */
  readonly name: string
  /** As coturn has it: no blanks around it, no leading double quote nor the one that closes it; '' when there is none. */
  readonly value: string
  /** The value as it stands in the file, quotes and all. */
  readonly written: string
  /** The tail of a line that was too long: coturn reads it as a line of its own. */
  readonly continued: boolean
}

export interface ConfFile {
  readonly lines: readonly Line[]
}

/** coturn reads at most this many bytes at a time; what is left of the line is the next one to it. */
const longestPiece = 1023

/** Never fails: whatever is no option is a setting with an unknown name. */
export function parseConf(text: string): ConfFile {
  const lines: Line[] = []
  let number = 0
  for (const physical of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    number++
    let isFirst = true
    for (const piece of pieces(physical)) {
      lines.push(parseLine(piece, number, !isFirst))
      isFirst = false
    }
  }
  return { lines }
}

/** The text that was parsed, to the byte. */
export const renderConf = ({ lines }: ConfFile): string => lines.map(({ raw }) => raw).join('')

/** As fgets cuts it; a character that would be cut in two goes on whole. */
function pieces(line: string): string[] {
  if (line.length * 3 <= longestPiece || byteLength(line) <= longestPiece) return [line]
  const result: string[] = []
  let piece = ''
  let bytes = 0
  for (const character of line) {
    const size = byteLength(character)
    if (bytes + size > longestPiece) {
      result.push(piece)
      piece = ''
      bytes = 0
    }
    piece += character
    bytes += size
  }
  return [...result, piece]
}

/** In UTF-8. */
export function byteLength(text: string): number {
  let bytes = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}

function parseLine(raw: string, number: number, continued: boolean): Line {
  // A C string ends at the first NUL.
  const text = (raw.split('\0', 1)[0] ?? '').replace(/^[ \t\n]+/, '')
  if (text.startsWith('#')) return { kind: 'comment', number, raw }
  const trimmed = text.replace(/[ \t\n\v\f\r]+$/, '')
  if (trimmed === '') return { kind: 'blank', number, raw }
  return { kind: 'setting', number, raw, continued, ...parseSetting(trimmed) }
}

function parseSetting(text: string): { name: string; value: string; written: string } {
  const end = text.search(/[ =\t]/)
  if (end < 0) return { name: text, value: '', written: '' }
  const written = text.slice(end).replace(/^[ =\t]+/, '')
  return { name: text.slice(0, end), value: unquoted(written), written }
}

/** A quote counts only where it opens the value. */
function unquoted(value: string): string {
  if (!value.startsWith('"')) return value
  return value
    .slice(1)
    .replace(/[\n\r \t]+$/, '')
    .replace(/"$/, '')
}

/** One setting for a file to be written. */
export interface NewSetting {
  readonly name: string
  /** Absent or '': a flag. */
  readonly value?: string
}

/**
 * The line that coturn reads as this setting, without line end; undefined where no line can say it: a line holds no
 * line end and no NUL, and a value neither begins nor ends with a blank, nor begins with `=`.
 */
export function settingLine({ name, value = '' }: NewSetting): string | undefined {
  const line = value === '' ? name : `${name}=${value.startsWith('"') ? `"${value}"` : value}`
  if (/[\n\0]/.test(line) || byteLength(line) >= longestPiece) return undefined
  const read = parseLine(line, 1, false)
  return read.kind === 'setting' && read.name === name && read.value === value ? line : undefined
}
