/** `natcheck turn` on a terminal: verdict, transports, checks by group, and what to change. */
import type { CheckResult } from '../../probe/turn/index.ts'
import { type TurnCheck, turnCheckGroups } from '../turn-checks.ts'
import type { TurnReport, TurnTransportReport } from '../turn-report.ts'
import { findings } from './findings.ts'
import { type Mark, Page, type TerminalStyle } from './layout.ts'
import { legend, waterfall } from './waterfall.ts'

export function renderTurn(report: TurnReport, style: TerminalStyle, options: { verbose?: boolean } = {}): string {
  const page = new Page(style)
  const verdicts = { good: 'good', flawed: 'warn', unusable: 'bad' } as const
  const mark = report.findings.some(({ severity }) => severity === 'error') ? 'bad' : verdicts[report.verdict.kind]
  page.marked(mark, report.verdict.summary, { bold: true })
  if (report.transports.length > 0) transports(page, report, style.width, options.verbose === true)
  if (report.subject !== null) {
    for (const group of turnCheckGroups) {
      page.heading(group)
      for (const check of report.checks) if (check.group === group) row(page, check)
    }
  }
  findings(page, report.findings)
  return page.toString()
}

const titleWidth = 24
/** ` RTT 123.4 ms` */
const rttWidth = 13

/** `UDP 198.51.100.10:3478`; a transport whose name was not resolved has no address. */
const nameOf = ({ transport, address, uri }: TurnTransportReport): string =>
  `${transport.toUpperCase()} ${address ?? uri}`

function transports(
  page: Page,
  { transports: all, durationMs, subject }: TurnReport,
  width: number,
  verbose: boolean,
): void {
  page.heading(`Transports, 0 to ${time(durationMs)}`)
  const names = Math.min(34, Math.max(...all.map((each) => nameOf(each).length)))
  for (const [index, each] of all.entries()) {
    const rtt = each.rttMs === null ? '' : ` RTT ${time(each.rttMs)}`
    const bar = `|${waterfall(each.stages, durationMs, width - names - 8 - rttWidth)}|`
    page.row(markOf(each), nameOf(each), `${bar}${rtt}`, names)
    if (!verbose) continue
    for (const { stage, startMs, endMs, detail } of each.stages) {
      const when = `${time(startMs)} to ${endMs === null ? 'the end' : time(endMs)}`
      page.text('      ', `${stage}: ${when}: ${detail}`, { dim: true })
    }
    if (index === subject) page.text('      ', 'the checks below used this one', { dim: true })
  }
  page.text('    ', legend(all.flatMap(({ stages }) => stages)), { dim: true })
}

/** What nobody asked for and is not there is no failure. */
const markOf = ({ ok, named, causes }: TurnTransportReport): Mark =>
  ok ? (causes.length > 0 ? 'warn' : 'good') : named ? 'bad' : 'open'

const time = (ms: number): string => (ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`)

const words: Readonly<Record<CheckResult, string>> = {
  yes: '',
  no: 'no: ',
  warning: '',
  'not-tested': 'not tested: ',
  inconclusive: 'inconclusive: ',
}

function row(page: Page, { title, result, severity, detail }: TurnCheck): void {
  const marks = { error: 'bad', warning: 'warn' } as const
  const mark: Mark = severity === null ? (result === 'yes' ? 'good' : 'open') : marks[severity]
  page.row(mark, title, `${words[result]}${detail}`, titleWidth)
}
