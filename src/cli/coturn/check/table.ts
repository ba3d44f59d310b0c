/** The claims on a terminal: file and reality side by side. */
import { type Mark, Page, type TerminalStyle } from '../../../report/terminal/layout.ts'
import type { Claim, ClaimResult } from './claim.ts'
import type { CheckDocument } from './run.ts'

const marks: Readonly<Record<ClaimResult, Mark>> = {
  same: 'good',
  differs: 'bad',
  warning: 'warn',
  'not-shown': 'open',
}

const titleWidth = 20

export function renderCheck(document: CheckDocument, style: TerminalStyle): string {
  const { claims, summary, coturnVersion, server, file } = document
  const page = new Page(style)
  const verdict =
    summary.differs > 0
      ? `turnserver ${coturnVersion} does not do what ${file} says: ${summary.differs} of ${claims.length} differ.`
      : `turnserver ${coturnVersion} does what ${file} says, as far as ${claims.length - summary.notShown} of ${claims.length} checks show.`
  page.marked(summary.differs > 0 ? 'bad' : summary.warnings > 0 ? 'warn' : 'good', verdict, { bold: true })
  page.text('  ', server.how, { dim: true })
  page.blank()
  const half = Math.floor((style.width - titleWidth - 8) / 2)
  page.columns(undefined, 'What', ['The file says', 'The server does'], titleWidth, half)
  for (const each of claims) page.columns(marks[each.result], each.title, sides(each), titleWidth, half)
  const flaws = claims.filter(({ fix }) => fix !== null)
  if (flaws.length > 0) page.heading('What to change')
  for (const { result, title, reality, fix } of flaws) {
    page.marked(marks[result], `${title}: ${reality}`, { indent: 2 })
    page.text('    → ', fix ?? '')
  }
  return page.toString()
}

const sides = ({ file, reality, result }: Claim): readonly [string, string] => [
  file,
  result === 'not-shown' ? `not shown: ${reality}` : reality,
]
