/**
 * As much XML 1.0 as UPnP descriptions and SOAP answers use: elements and text, in bounds. No DTD, so no entities
 * of the document's own; namespaces are dropped; attributes are skipped. Any input gives a value, never an exception.
 */
import type { Decoded } from '../../../core/index.ts'

export interface XmlElement {
  /** Without its namespace prefix. */
  readonly name: string
  /** The text directly inside, trimmed. */
  readonly text: string
  readonly children: readonly XmlElement[]
}

/** UPnP IGD descriptions nest about ten deep and hold some hundred elements. */
const maxDepth = 32
const maxElements = 4096

interface OpenElement {
  name: string
  qualifiedName: string
  text: string
  children: XmlElement[]
}

const broken = (where: string, why: string): Decoded<never> => ({ ok: false, where, why })

/** The root element. Bare ampersands are taken as text: device names hold them. */
export function parseXml(document: string): Decoded<XmlElement> {
  const top: OpenElement = { name: '', qualifiedName: '', text: '', children: [] }
  const open: OpenElement[] = [top]
  let elements = 0
  for (let at = 0; at < document.length; ) {
    const inner = open.at(-1) ?? top
    const next = document.indexOf('<', at)
    inner.text += unescape(document.slice(at, next < 0 ? document.length : next))
    if (next < 0) break
    const skipped = skipNonElement(document, next)
    if (skipped) {
      if (!skipped.ok) return skipped
      inner.text += skipped.value.text
      at = skipped.value.end
      continue
    }
    const end = tagEnd(document, next)
    const tag = end === undefined ? undefined : readTag(document.slice(next + 1, end))
    if (end === undefined || tag === undefined) return broken('tag', 'not well formed')
    at = end + 1
    if (tag.kind === 'close') {
      if (open.length === 1 || tag.name !== inner.qualifiedName) return broken('tag', `</${tag.name}> closes nothing`)
      open.pop()
      open.at(-1)?.children.push(closed(inner))
      continue
    }
    if (++elements > maxElements) return broken('document', `over ${maxElements} elements`)
    const element = { name: localName(tag.name), qualifiedName: tag.name, text: '', children: [] }
    if (tag.kind === 'empty') inner.children.push(closed(element))
    else if (open.push(element) > maxDepth) return broken('document', `over ${maxDepth} levels deep`)
  }
  const [root] = top.children
  if (open.length > 1) return broken('document', 'ended early')
  if (!root || top.children.length > 1 || top.text.replace('\uFEFF', '').trim() !== '') {
    return broken('document', 'not one root element')
  }
  return { ok: true, value: root }
}

/** All elements of this name below `element`, in document order. */
export function descendants(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.flatMap((child) => [...(child.name === name ? [child] : []), ...descendants(child, name)])
}

/** The text of the first child of this name. */
export const childText = (element: XmlElement, name: string): string | undefined =>
  element.children.find((child) => child.name === name)?.text

const closed = ({ name, text, children }: OpenElement): XmlElement => ({ name, text: text.trim(), children })

const localName = (name: string): string => name.slice(name.indexOf(':') + 1)

/** Comments, processing instructions and CDATA; undefined: an element's tag stands here. */
function skipNonElement(document: string, at: number): Decoded<{ text: string; end: number }> | undefined {
  for (const [start, stop] of [
    ['<!--', '-->'],
    ['<![CDATA[', ']]>'],
    ['<?', '?>'],
  ] as const) {
    if (!document.startsWith(start, at)) continue
    const end = document.indexOf(stop, at + start.length)
    if (end < 0) return broken(start, 'never ends')
    const text = start === '<![CDATA[' ? document.slice(at + start.length, end) : ''
    return { ok: true, value: { text, end: end + stop.length } }
  }
  return document.startsWith('<!', at) ? broken('document', 'has a DTD, which UPnP does not use') : undefined
}

/** Index of the `>` that ends the tag at `at`: not one inside an attribute's quotes. */
function tagEnd(document: string, at: number): number | undefined {
  let quote = ''
  for (let i = at + 1; i < document.length; i++) {
    const character = document[i] ?? ''
    if (quote !== '') {
      if (character === quote) quote = ''
    } else if (character === '>') return i
    else if (character === '<') return undefined
    else if (character === '"' || character === "'") quote = character
  }
  return undefined
}

/** `content` is what stands between the angle brackets. */
function readTag(content: string): { kind: 'open' | 'close' | 'empty'; name: string } | undefined {
  const match = /^(\/?)([\p{L}_][\p{L}\p{N}_.:-]*)(?=[\s/]|$)/u.exec(content)
  const name = match?.[2]
  if (!match || name === undefined) return undefined
  const rest = content.slice(match[0].length).trim()
  if (match[1] === '/') return rest === '' ? { kind: 'close', name } : undefined
  return { kind: rest.endsWith('/') ? 'empty' : 'open', name }
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescape(text: string): string {
  return text.replace(/&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([\da-f]{1,6}));/gi, (whole, name, decimal, hex) => {
    if (typeof name === 'string') return named[name.toLowerCase()] ?? whole
    const code = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hex), 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
