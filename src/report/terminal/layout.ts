/** Text on a terminal: colour, wrapping and the three marks. Widths count characters; wide glyphs don't occur. */
import { Chalk, type ChalkInstance } from 'chalk'

export type Mark = 'good' | 'warn' | 'bad' | 'open'

/** How to draw. `level` is chalk's: 0 is no colour at all. */
export interface TerminalStyle {
  readonly level: 0 | 1 | 2 | 3
  readonly width: number
}

/** Each mark stands beside words that say the same, so none depends on colour or on the glyph. */
const glyphs: Record<Mark, string> = { good: '✓', warn: '!', bad: '✗', open: '–' }

export class Page {
  readonly #lines: string[] = []
  readonly #chalk: ChalkInstance
  readonly #width: number

  constructor({ level, width }: TerminalStyle) {
    this.#chalk = new Chalk({ level })
    this.#width = Math.max(40, width)
  }

  blank(): void {
    if (this.#lines.length > 0 && this.#lines.at(-1) !== '') this.#lines.push('')
  }

  /** A line above what belongs to it, wrapped under the text behind `prefix`. */
  heading(title: string, prefix = ''): void {
    this.blank()
    for (const [index, line] of wrap(title, this.#width - prefix.length).entries())
      this.#lines.push(this.#chalk.bold(`${index === 0 ? prefix : ' '.repeat(prefix.length)}${line}`))
  }

  /** `✓ text`, wrapped under itself. */
  marked(mark: Mark, text: string, options: { indent?: number; bold?: boolean } = {}): void {
    const indent = ' '.repeat(options.indent ?? 0)
    const [first = '', ...rest] = wrap(text, this.#width - indent.length - 2)
    const style = options.bold === true ? this.#chalk.bold : (line: string) => line
    this.#lines.push(`${indent}${this.#paint(mark)} ${style(first)}`)
    for (const line of rest) this.#lines.push(`${indent}  ${style(line)}`)
  }

  /** `  ✓ label      text`, wrapped under the text, which begins a line below a label that is too long. */
  row(mark: Mark | undefined, label: string, text: string, labelWidth: number): void {
    const lines = wrap(text, this.#width - labelWidth - 6)
    const [first = '', ...rest] = label.length > labelWidth ? ['', ...lines] : lines
    const start = mark === undefined ? ' ' : this.#paint(mark)
    this.#lines.push(`  ${start} ${this.#chalk.dim(label.padEnd(labelWidth))}  ${first}`.trimEnd())
    for (const line of rest) this.#lines.push(`${' '.repeat(labelWidth + 6)}${line}`)
  }

  /** `  ✓ label  left  right`: two texts side by side, each wrapped in its own column. */
  columns(
    mark: Mark | undefined,
    label: string,
    sides: readonly [string, string],
    labelWidth: number,
    width: number,
  ): void {
    const [labels, left, right] = [wrap(label, labelWidth), ...sides.map((side) => wrap(cut(side, width), width))]
    const height = Math.max(labels?.length ?? 0, left?.length ?? 0, right?.length ?? 0)
    for (let at = 0; at < height; at++) {
      const start = at > 0 || mark === undefined ? ' ' : this.#paint(mark)
      const name = this.#chalk.dim((labels?.[at] ?? '').padEnd(labelWidth))
      this.#lines.push(`  ${start} ${name}  ${(left?.[at] ?? '').padEnd(width)}  ${right?.[at] ?? ''}`.trimEnd())
    }
  }

  /** Plain text behind `prefix`, wrapped under itself. */
  text(prefix: string, text: string, options: { dim?: boolean } = {}): void {
    const style = options.dim === true ? this.#chalk.dim : (line: string) => line
    const [first = '', ...rest] = wrap(text, this.#width - prefix.length)
    this.#lines.push(style(`${prefix}${first}`.trimEnd()))
    for (const line of rest) this.#lines.push(style(`${' '.repeat(prefix.length)}${line}`))
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`
  }

  #paint(mark: Mark): string {
    const { green, yellow, red, dim } = this.#chalk
    return { good: green, warn: yellow, bad: red, open: dim }[mark](glyphs[mark])
  }
}

/** In a column a word that is too long, such as a path, would push the next one away. */
const cut = (text: string, width: number): string => text.replace(new RegExp(`\\S{${width}}(?=\\S)`, 'g'), '$& ')

/**
 * Lines of at most `width` characters, broken at spaces; a longer word stands alone and is not cut. Control and format
 * characters count as spaces: a terminal would obey some of them, and servers choose words of their own.
 */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/[\s\p{C}]+/u)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  if (line !== '' || lines.length === 0) lines.push(line)
  return lines
}
