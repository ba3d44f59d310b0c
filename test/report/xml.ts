/** A strict reader of the XML that JUnit takes: elements, attributes, text; anything not well-formed throws. */
export interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Element[]
  readonly text: string
}

/** What XML 1.0 §2.2 calls a Char. */
const characters = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u

export function readXml(document: string): Element {
  if (!characters.test(document)) throw new Error('a character that XML has no form for')
  const body = document.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '')
  const reader = new Reader(body)
  const root = reader.element()
  if (reader.rest.trim() !== '') throw new Error(`after the root: ${reader.rest.slice(0, 40)}`)
  return root
}

class Reader {
  rest: string

  constructor(text: string) {
    this.rest = text
  }

  element(): Element {
    const [, name = ''] = this.#take(/^\s*<([a-z]+)/)
    const attributes: Record<string, string> = {}
    while (/^\s+[a-z]/.test(this.rest)) {
      const [, key = '', value = ''] = this.#take(/^\s+([a-z]+)="([^"<]*)"/)
      if (Object.hasOwn(attributes, key)) throw new Error(`${key} twice`)
      // §3.3.3: white space that is not escaped is read as a space.
      attributes[key] = unescaped(value.replace(/[\t\n\r]/g, ' '))
    }
    if (this.rest.startsWith('/>')) {
      this.#take(/^\/>/)
      return { name, attributes, children: [], text: '' }
    }
    this.#take(/^>/)
    const children: Element[] = []
    let text = ''
    while (!this.rest.startsWith('</')) {
      const [chunk = ''] = this.#take(/^[^<]*/)
      if (chunk.includes(']]>')) throw new Error(']]> in text')
      text += unescaped(chunk)
      if (this.rest.startsWith('</')) break
      children.push(this.element())
    }
    this.#take(new RegExp(`^</${name}>`))
    return { name, attributes, children, text }
  }

  #take(pattern: RegExp): RegExpExecArray {
    const match = pattern.exec(this.rest)
    if (!match) throw new Error(`expected ${pattern.source} at ${JSON.stringify(this.rest.slice(0, 60))}`)
    this.rest = this.rest.slice(match[0].length)
    return match
  }
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const unescaped = (text: string): string =>
  text.replace(/&(?:(\w+);|#(\d+);)?/g, (match, name: string | undefined, code: string | undefined) => {
    const value = name === undefined ? code && String.fromCodePoint(Number(code)) : named[name]
    if (!value) throw new Error(`no entity: ${match}`)
    return value
  })
