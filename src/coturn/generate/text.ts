/** Commented lines of a configuration file. */
import { settingLine } from '../parse.ts'

/** A paragraph: why, then the lines. */
export type Entry = string

export interface Section {
  readonly title: string
  readonly entries: readonly Entry[]
}

const width = 110

/** `# …` for each line, wrapped; directives stay whole. */
export function comment(lines: readonly string[]): string {
  return lines
    .flatMap(wrap)
    .map((line) => (line === '' ? '#\n' : `# ${line}\n`))
    .join('')
}

function wrap(text: string): string[] {
  if (text.startsWith('natcheck-disable')) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** Throws RangeError for a value that no line can hold. */
export function option(name: string, value?: string): string {
  const line = settingLine({ name, value: value ?? '' })
  if (line === undefined) throw new RangeError(`no line of turnserver.conf can hold this value of ${name}`)
  return `${line}\n`
}

export const note = (why: string | undefined, ...lines: readonly string[]): Entry =>
  (why === undefined ? '' : comment([why])) + lines.join('')

export const renderSection = ({ title, entries }: Section): string => `\n# ${title}\n#\n${entries.join('')}`
