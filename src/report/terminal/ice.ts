/** `natcheck ice` for a person: candidates as they come, then the verdict, the servers over time, the proofs, what to do. */
import { Chalk } from 'chalk'
import type { CandidateObservation, ReachabilityObservation } from '../../probe/ice/index.ts'
import { type IceReport, type IceServerReport, nameAttempt } from '../ice-report.ts'
import { findings } from './findings.ts'
import { type Mark, Page, type TerminalStyle } from './layout.ts'
import { legend, waterfall } from './waterfall.ts'

/**
 * Two lines: when, what and where, and the line to signal, which is not wrapped because it is there to be copied.
 * Printed as the candidate arrives.
 */
export function renderCandidate(candidate: CandidateObservation, { level }: TerminalStyle): string {
  const { atMs, type, protocol, tcpType, ip, port, related, priority, foundation, line, browserOmits } = candidate
  const { dim, bold } = new Chalk({ level })
  const origin = related === null ? (candidate.interface ?? '') : `from ${at(related.ip, related.port)}`
  const relay = candidate.relayProtocol === null ? '' : ` over ${candidate.relayProtocol.toUpperCase()}`
  const kind = tcpType === null ? protocol : `${protocol} ${tcpType}`
  const details = `priority ${priority}, foundation ${foundation}${browserOmits === null ? '' : `; ${browserOmits}`}`
  return [
    `${time(atMs).padStart(9)}  ${bold(type.padEnd(5))}  ${kind}  ${at(ip, port)}  ${origin}${relay}`.trimEnd(),
    dim(`           ${details}`),
    dim(`           ${line}`),
    '',
  ].join('\n')
}

/** All but the candidates, which were printed as they came. */
export function renderIce(report: IceReport, style: TerminalStyle, options: { verbose?: boolean } = {}): string {
  const page = new Page(style)
  page.blank()
  page.marked(verdictMark(report), report.verdict.summary, { bold: true })
  if (report.servers.length > 0) servers(page, report, style.width, options.verbose === true)
  if (report.reachability.length > 0) reachability(page, report)
  findings(page, report.findings)
  if (report.failed.length > 0) {
    page.blank()
    page.marked('bad', `Failed as asked for: ${report.failed.join(', ')}.`)
  }
  return page.toString()
}

const at = (ip: string, port: number): string => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`

const time = (ms: number): string => (ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`)

function verdictMark({ verdict: { kind }, failed, findings: all }: IceReport): Mark {
  if (failed.length > 0 || kind === 'nothing') return 'bad'
  return kind === 'all-good' && all.length === 0 ? 'good' : 'warn'
}

/** Enough for a URL with a name and a port; a longer one gets a line of its own. */
const nameWidth = 34

function servers(
  page: Page,
  { servers: all, durationMs, gatheredMs }: IceReport,
  width: number,
  verbose: boolean,
): void {
  const gathered = gatheredMs === null ? '' : `, gathered in ${time(gatheredMs)}`
  page.heading(`Servers, 0 to ${time(durationMs)}${gathered}`)
  const names = Math.min(nameWidth, Math.max(...all.map((server) => nameAttempt(server).length)))
  for (const server of all) {
    page.row(mark(server), nameAttempt(server), `|${waterfall(server.stages, durationMs, width - names - 8)}|`, names)
    if (!verbose) continue
    for (const { stage, startMs, endMs, detail } of server.stages) {
      page.text('      ', `${stage}: ${time(startMs)} to ${endMs === null ? 'the end' : time(endMs)}: ${detail}`, {
        dim: true,
      })
    }
  }
  page.text('    ', legend(all.flatMap(({ stages }) => stages)), { dim: true })
}

function mark({ ok, causes }: IceServerReport): Mark {
  if (!ok) return 'bad'
  return causes.length === 0 ? 'good' : 'warn'
}

const marks: Readonly<Record<ReachabilityObservation['result'], Mark>> = {
  proven: 'good',
  'not-proven': 'open',
  failed: 'bad',
}

function reachability(page: Page, report: IceReport): void {
  page.heading('Reachable')
  for (const entry of report.reachability) {
    const candidate = report.candidates[entry.candidate]
    if (!candidate) continue
    page.row(marks[entry.result], `${candidate.type} ${at(candidate.ip, candidate.port)}`, proof(entry), nameWidth)
  }
}

function proof({ result, sent, received, rttMs, jitterMs, why }: ReachabilityObservation): string {
  if (result !== 'proven') return `${result === 'failed' ? 'failed' : 'not proven'}: ${why}`
  const parts = [`${received} of ${sent} back`]
  if (rttMs !== null) parts.push(`RTT ${rttMs.toFixed(1)} ms`)
  if (jitterMs !== null) parts.push(`jitter ${jitterMs.toFixed(1)} ms`)
  return parts.join(', ')
}
