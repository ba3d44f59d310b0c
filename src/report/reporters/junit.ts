/** JUnit XML, as CI systems read it. */
import type { CheckupReport } from '../checkup.ts'
import { type CheckCase, checkCases } from './cases.ts'

/** One document, UTF-8, well-formed whatever servers and names say. */
export function renderJunit(report: CheckupReport): string {
  const cases = checkCases(report)
  const counts = (list: readonly CheckCase[]): Attributes => ({
    tests: String(list.length),
    failures: String(list.filter(({ outcome }) => outcome === 'failed').length),
    errors: '0',
    skipped: String(list.filter(({ outcome }) => outcome === 'skipped').length),
  })
  const names = [...new Set(cases.map(({ suite }) => suite))]
  const suites = names.map((name) => {
    const own = cases.filter(({ suite }) => suite === name)
    const time = own.reduce((sum, { seconds }) => sum + seconds, 0)
    const attributes = { name: `natcheck.${name}`, ...counts(own), time: time.toFixed(3), timestamp: report.startedAt }
    return element('testsuite', attributes, own.map(renderCase), 1)
  })
  const properties = { name: 'natcheck', ...counts(cases), time: (report.durationMs / 1000).toFixed(3) }
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element('testsuites', properties, suites, 0)}`
}

function renderCase({ suite, name, seconds, outcome, why, fix }: CheckCase): string {
  const attributes = { classname: `natcheck.${suite}`, name, time: seconds.toFixed(3) }
  const words = fix === null ? why : `${why} — ${fix}`
  if (outcome === 'passed') return element('testcase', attributes, [], 2)
  if (outcome === 'skipped') return element('testcase', attributes, [element('skipped', { message: words }, [], 3)], 2)
  return element('testcase', attributes, [element('failure', { message: why, type: suite }, [], 3, words)], 2)
}

type Attributes = Readonly<Record<string, string>>

function element(
  name: string,
  attributes: Attributes,
  children: readonly string[],
  depth: number,
  text: string = '',
): string {
  const indent = '  '.repeat(depth)
  const opening = [name, ...Object.entries(attributes).map(([key, value]) => `${key}="${escapeXml(value)}"`)].join(' ')
  if (text !== '') return `${indent}<${opening}>${escapeXml(text)}</${name}>\n`
  return children.length === 0
    ? `${indent}<${opening}/>\n`
    : `${indent}<${opening}>\n${children.join('')}${indent}</${name}>\n`
}

/** Characters that XML 1.0 §2.2 has no form for, escaped or not; the rest of the text stays. */
const unspeakable = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  // As they stand, a reader would take them for spaces.
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
}

const escapeXml = (text: string): string =>
  text.replace(unspeakable, '\ufffd').replace(/[&<>"'\t\n\r]/g, (character) => entities[character] ?? '')
