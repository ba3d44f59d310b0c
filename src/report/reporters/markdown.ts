/** Markdown, for a step summary, a pull request or a ticket. */
import type { CheckupFinding, CheckupReport } from '../checkup.ts'
import { pathLine } from '../path.ts'
import { type CheckCase, checkCases } from './cases.ts'

export function renderMarkdown(report: CheckupReport): string {
  const { verdict, path, findings, failed, error } = report
  const mark = error !== null || failed.length > 0 ? '✗' : verdictMarks[verdict.kind]
  const sections = [
    `## ${mark} ${escapeText(verdict.summary)}`,
    ...(error ? [escapeText(error.fix === null ? error.message : `${error.message} → ${error.fix}`)] : []),
    ...(path.length > 0 ? [code(pathLine(path))] : []),
    ...(findings.length > 0 ? [findings.map(findingLine).join('\n')] : []),
    [
      '| | Check | |',
      '|---|---|---|',
      ...checkCases(report).map((each) => `| ${caseMarks[each.outcome]} | ${cell(each.name)} | ${cell(each.why)} |`),
    ].join('\n'),
  ]
  return `${sections.join('\n\n')}\n`
}

const verdictMarks = { ready: '✓', degraded: '!', 'not-ready': '✗', unknown: '!' } as const
const findingMarks = { error: '✗', warning: '!', hint: '–' } as const
const caseMarks: Readonly<Record<CheckCase['outcome'], string>> = { passed: '✓', failed: '✗', skipped: '–' }

function findingLine({ severity, subject, message, fix }: CheckupFinding): string {
  const line = `- ${findingMarks[severity]} **${escapeText(subject)}**: ${escapeText(message)}`
  return fix === null ? line : `${line}<br>→ ${escapeText(fix)}`
}

/** Nothing that a server says may become markup or a mention. */
const escapeText = (text: string): string =>
  text
    .replace(/[\s\p{C}]+/gu, ' ')
    .trim()
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/[\\`*_{}[\]()#+!|~>@]/g, String.raw`\$&`)

const cell = escapeText

/** A fence longer than any inside. */
function code(text: string): string {
  const clean = text.replace(/[\s\p{C}]+/gu, ' ')
  const longest = Math.max(0, ...[...clean.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const fence = '`'.repeat(Math.max(3, longest + 1))
  return `${fence}\n${clean}\n${fence}`
}
