/** Findings as text, JSON, SARIF 2.1.0 and GitHub annotations. */
import type { CoturnVersion } from '../version.ts'
import type { Finding } from './lint.ts'
import type { Severity } from './rule.ts'
import { allRules } from './rules/all.ts'

export interface LintReport {
  /** As it was named; `command line` where there is no file. */
  readonly file: string
  readonly version: CoturnVersion
  readonly findings: readonly Finding[]
}

export type Reporter = 'text' | 'json' | 'sarif' | 'github'

export const reporters: readonly Reporter[] = ['text', 'json', 'sarif', 'github']

export function renderReport(reporter: Reporter, report: LintReport): string {
  switch (reporter) {
    case 'text':
      return text(report)
    case 'json':
      return json(document(report))
    case 'sarif':
      return json(sarif(report))
    case 'github':
      return github(report)
  }
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** How many there are of each. */
export const countOf = (findings: readonly Finding[], severity: Severity): number =>
  findings.filter((finding) => finding.severity === severity).length

const signs: Readonly<Record<Severity, string>> = { error: '✗', warning: '!', hint: '–' }

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

function text({ file, version, findings }: LintReport): string {
  if (findings.length === 0) return `✓ ${file} is clean for coturn ${version}.\n`
  const blocks = findings.map(({ severity, line, rule, message, why, fix, reference, fixable }) =>
    [
      `${signs[severity]} ${file}${line === undefined ? '' : `:${line}`}: ${severity}: ${message} [${rule}]`,
      ...indented(why),
      ...indented(`→ ${fix}${fixable ? ' (--fix does it)' : ''}`),
      ...indented(`see ${reference}`),
    ].join('\n'),
  )
  const counts = [
    plural(countOf(findings, 'error'), 'error'),
    plural(countOf(findings, 'warning'), 'warning'),
    plural(countOf(findings, 'hint'), 'hint'),
  ].join(', ')
  return `${blocks.join('\n\n')}\n\n${counts} for coturn ${version}.\n`
}

const indent = '    '
const width = 80

function indented(words: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of words.split(' ')) {
    if (line.length + word.length > width && line !== indent) {
      lines.push(line.trimEnd())
      line = indent
    }
    line += `${word} `
  }
  return [...lines, line.trimEnd()]
}

/** Counted apart from the other documents'. */
export const lintSchemaVersion = 1

const document = ({ file, version, findings }: LintReport): unknown => ({
  schemaVersion: lintSchemaVersion,
  kind: 'coturn-lint',
  file,
  coturnVersion: version,
  summary: {
    errors: countOf(findings, 'error'),
    warnings: countOf(findings, 'warning'),
    hints: countOf(findings, 'hint'),
  },
  findings: findings.map(({ line, ...finding }) => ({ line: line ?? null, ...finding })),
  error: null,
})

const sarifLevels: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', hint: 'note' }

function sarif({ file, findings }: LintReport): unknown {
  const used = allRules.filter(({ id }) => findings.some(({ rule }) => rule === id))
  const others = [...new Set(findings.map(({ rule }) => rule))].filter((id) => !used.some((rule) => rule.id === id))
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'natcheck coturn lint',
            rules: [
              ...used.map(({ id, why, fix, severity }) => ({
                id,
                shortDescription: { text: why },
                help: { text: fix },
                defaultConfiguration: { level: sarifLevels[severity] },
              })),
              ...others.map((id) => ({ id })),
            ],
          },
        },
        results: findings.map(({ rule, severity, message, line }) => ({
          ruleId: rule,
          level: sarifLevels[severity],
          message: { text: message },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: encodeURI(file) },
                region: { startLine: line ?? 1 },
              },
            },
          ],
        })),
      },
    ],
  }
}

const commands: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', hint: 'notice' }

/** Workflow commands; what is special in them is written as percent codes. */
function github({ file, findings }: LintReport): string {
  const data = (words: string): string => words.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A')
  const property = (words: string): string => data(words).replace(/:/g, '%3A').replace(/,/g, '%2C')
  return findings
    .map(({ severity, line, rule, message, fix }) => {
      const where = `file=${property(file)},line=${line ?? 1},title=${property(rule)}`
      return `::${commands[severity]} ${where}::${data(`${message}. ${fix}`)}\n`
    })
    .join('')
}
