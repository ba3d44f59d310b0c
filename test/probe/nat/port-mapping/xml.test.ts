import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { childText, descendants, parseXml, type XmlElement } from '../../../../src/probe/nat/port-mapping/xml.ts'

const escape = (text: string): string => text.replace(/[&<>]/g, (one) => `&#${one.charCodeAt(0)};`)
const write = ({ name, text, children }: XmlElement): string =>
  `<p:${name} q="'>">${escape(text)}${children.map(write).join('')}</p:${name}>`

describe('parseXml', () => {
  it('reads elements, text, entities, CDATA, comments, prefixes and attributes', () => {
    const parsed = parseXml(
      '\uFEFF<?xml version="1.0"?>\n<!-- a > b --><s:root xmlns:s="a>b" x=\'"\'><a>1 &amp; 2 &lt;&#51;&#x34;&gt;</a>' +
        '<b><![CDATA[<raw&amp;>]]></b><a/><n:c n:y="1" /></s:root>\n',
    )
    expect(parsed).toEqual({
      ok: true,
      value: {
        name: 'root',
        text: '',
        children: [
          { name: 'a', text: '1 & 2 <34>', children: [] },
          { name: 'b', text: '<raw&amp;>', children: [] },
          { name: 'a', text: '', children: [] },
          { name: 'c', text: '', children: [] },
        ],
      },
    })
  })

  it('takes a bare ampersand for text, as in device names', () => {
    expect(parseXml('<a>AT&T Fritz&Box; &#x110000;</a>')).toMatchObject({
      value: { text: 'AT&T Fritz&Box; &#x110000;' },
    })
  })

  it.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['two roots', '<a/><b/>'],
    ['an open element', '<a><b></b>'],
    ['crossed elements', '<a><b></a></b>'],
    ['a close too many', '<a/></a>'],
    ['a close of another prefix', '<x:a></y:a>'],
    ['an unclosed tag', '<a'],
    ['an unclosed quote', '<a b="c></a>'],
    ['an unclosed comment', '<a><!-- </a>'],
    ['an unclosed CDATA', '<a><![CDATA[ </a>'],
    ['a DTD (entity bombs live there)', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
    ['HTML', '<!doctype html><p>Login'],
    ['an attribute on a closing tag', '<a></a b="c">'],
    ['a name that is none', '<1></1>'],
    ['too many levels', '<a>'.repeat(1000)],
    ['too many elements', `<a>${'<b/>'.repeat(5000)}</a>`],
  ])('refuses %s', (_, text) => {
    expect(parseXml(text).ok).toBe(false)
  })

  it('never throws on any text', () => {
    const noise = fc
      .array(
        fc.constantFrom(
          '<a>',
          '</a>',
          '<b/>',
          '<',
          '>',
          '&',
          '&#',
          '&#99;',
          '"',
          "'",
          '<!--',
          '-->',
          '<![CDATA[',
          ']]>',
          '<?',
          '?>',
          ' ',
          'x',
          '\u{1F600}',
        ),
        { maxLength: 30 },
      )
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(fc.oneof(noise, fc.string({ unit: 'binary', maxLength: 60 })), (text) => {
        const parsed = parseXml(text)
        expect(parsed.ok ? parsed.value.name.length > 0 : parsed.why.length > 0).toBe(true)
      }),
      { numRuns: 5000, seed: 1 },
    )
  })

  it('reads back what a writer wrote', () => {
    const names = fc.constantFrom('device', 'service', 'URLBase', 'a-b.c')
    const texts = fc.string({ maxLength: 12, unit: 'grapheme' }).map((text) => text.trim())
    const leaf = fc.record({ name: names, text: texts, children: fc.constant<XmlElement[]>([]) })
    const { element } = fc.letrec<{ element: XmlElement }>((tie) => ({
      element: fc.oneof(
        { maxDepth: 5 },
        leaf,
        fc.record({ name: names, text: texts, children: fc.array(tie('element'), { maxLength: 3 }) }),
      ),
    }))
    fc.assert(
      fc.property(element, (tree) => {
        expect(parseXml(write(tree))).toEqual({ ok: true, value: tree })
      }),
      { numRuns: 500, seed: 2 },
    )
  })

  it('finds children and descendants', () => {
    const parsed = parseXml('<r><x><s><t>1</t></s></x><s><t>2</t><t>3</t></s></r>')
    if (!parsed.ok) throw new Error(parsed.why)
    expect(descendants(parsed.value, 's').map((service) => childText(service, 't'))).toEqual(['1', '2'])
    expect(childText(parsed.value, 't')).toBeUndefined()
  })
})
