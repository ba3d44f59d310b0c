import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  buildCheckup,
  buildIceReport,
  type CheckupReport,
  renderGithub,
  renderJunit,
  renderMarkdown,
} from '../../src/report/index.ts'
import { attempt, failing, observed, startedAt } from './ice-observed.ts'
import { natObservations, reportOf } from './observed.ts'
import { readXml } from './xml.ts'

const symmetric = natObservations({ mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' })

const checkup = (failOn: readonly string[], serversFrom: 'configured' | 'public' = 'configured'): CheckupReport =>
  buildCheckup(
    reportOf(symmetric),
    buildIceReport({
      startedAt,
      observations: observed({
        attempts: [
          attempt({}),
          failing({ code: 'forbidden', facts: { reason: '<b>50% "off"</b>' } }, { uri: 'turn:turn.example.org' }),
        ],
      }),
    }),
    [],
    { serversFrom, durationMs: 1234, expect: [], failOn },
  )

/** A report in which every text that another machine or person may have chosen is `text`. */
function saying(text: string): CheckupReport {
  const report = checkup(['symmetric'])
  return {
    ...report,
    verdict: { ...report.verdict, summary: text },
    findings: report.findings.map((finding) => ({ ...finding, subject: text, message: text, fix: text })),
    path: report.path.map((hop) => ({ ...hop, addresses: [text] })),
    expectations: report.expectations.map((each) => ({ ...each, word: text, meaning: text })),
    ice: {
      ...report.ice,
      servers: report.ice.servers.map((server) => ({ ...server, uri: text })),
      reachability: report.ice.reachability.map((each) => ({ ...each, result: 'failed' as const, why: text })),
    },
    error: { code: 'X', message: text, fix: text },
  }
}

const special = Array.from('<>&"\'%:,\r\n\t`|\\*_[]()!-#@\0\u001b\uffff\ud800 a')

/** Lone surrogates, control characters and what each format gives a meaning to come up often. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...special), maxLength: 40 }),
  fc.constantFrom(']]>', '<![CDATA[', '<!--', '&amp;', '::error::x', '%0A', '</failure>', '```\n# h'),
)

describe('JUnit', () => {
  test('golden', async () => {
    await expect(renderJunit(checkup(['symmetric', 'rtt>150']))).toMatchFileSnapshot('../golden/checkup.junit.xml')
  })

  test('servers fail where nothing else was expected, and only where somebody named them', () => {
    const failures = (report: CheckupReport): string | undefined => readXml(renderJunit(report)).attributes['failures']
    expect(failures(checkup([]))).toBe('1')
    expect(failures(checkup(['alg']))).toBe('0')
    expect(failures(checkup([], 'public'))).toBe('0')
    expect(failures(checkup(['symmetric']))).toBe('1')
  })

  test('the counts are those of the cases', () => {
    const root = readXml(renderJunit(checkup(['symmetric', 'alg'])))
    const cases = root.children.flatMap(({ children }) => children)
    expect(root.attributes['tests']).toBe(String(cases.length))
    const having = (name: string): string =>
      String(cases.filter(({ children }) => children.some((child) => child.name === name)).length)
    expect(root.attributes).toMatchObject({ failures: having('failure'), skipped: having('skipped') })
    for (const suite of root.children) expect(suite.attributes['tests']).toBe(String(suite.children.length))
  })

  test('well-formed whatever anybody says, and nothing of it is lost that XML has a form for', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const root = readXml(renderJunit(saying(text)))
        const expectations = root.children.find(({ attributes }) => attributes['name'] === 'natcheck.expectations')
        const speakable = text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
        expect(expectations?.children[0]?.attributes['name']).toBe(`--fail-on ${speakable}`)
      }),
    )
  })
})

describe('GitHub', () => {
  test('golden', async () => {
    await expect(renderGithub(checkup(['symmetric']))).toMatchFileSnapshot('../golden/checkup.github.txt')
  })

  test('a line is a command, whatever anybody says', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const lines = renderGithub(saying(text)).split('\n')
        expect(lines.pop()).toBe('')
        for (const line of lines) expect(line).toMatch(/^::(?:error|warning|notice) title=[^:,\r]*::[^\r]*$/)
      }),
    )
  })

  test('the runner reads back what was said', () => {
    const data = (text: string): string => text.replace(/%0A/g, '\n').replace(/%0D/g, '\r').replace(/%25/g, '%') // the order of actions/runner
    fc.assert(
      fc.property(anyText, (text) => {
        const [verdict = ''] = renderGithub(saying(text)).split('\n')
        expect(data(verdict.replace(/^::\w+ title=natcheck::/, ''))).toBe(text)
      }),
    )
  })
})

describe('Markdown', () => {
  test('golden', async () => {
    await expect(renderMarkdown(checkup(['symmetric']))).toMatchFileSnapshot('../golden/checkup.md')
  })

  test('nothing that anybody says becomes a row, a heading, a tag or a mention', () => {
    const structure = (markdown: string): string[] => {
      const lines = markdown.replace(/^(`{3,})\n.*\n\1$/gm, 'fence').split('\n')
      // Escaped characters are text; cells end at a bar that is none.
      return lines.map((line) => line.replace(/\\[^\w\s]/g, 'x').replace(/[^|#<>@[\]!`]/g, ''))
    }
    const expected = structure(renderMarkdown(saying('x')))
    fc.assert(
      fc.property(anyText, (text) => {
        expect(structure(renderMarkdown(saying(text)))).toEqual(expected)
      }),
    )
  })
})
