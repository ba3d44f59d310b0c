/** The check-up for a person: what was measured in a few lines, then the verdict, and under it what to change. */
import type { CheckupFinding, CheckupReport } from '../checkup.ts'
import { type IceReport, type IceServerReport, nameAttempt } from '../ice-report.ts'
import type { FamilyReport } from '../nat-report.ts'
import { pathLine } from '../path.ts'
import { renderIce } from './ice.ts'
import { type Mark, Page, type TerminalStyle } from './layout.ts'
import { renderNat, renderSelfTest } from './nat.ts'
import { renderTurn } from './turn.ts'

/** The verdict comes last but for what to do about it: there the eye rests when the command has ended. */
export function renderCheckup(
  report: CheckupReport,
  style: TerminalStyle,
  options: { verbose?: boolean } = {},
): string {
  const page = new Page(style)
  measured(page, report)
  page.blank()
  page.marked(verdictMark(report), report.verdict.summary, { bold: true })
  for (const group of groups(report.findings)) finding(page, group)
  const failed = report.expectations.filter(({ ok }) => !ok)
  if (failed.length > 0) page.blank()
  for (const { flag, word, meaning } of failed) {
    page.marked(
      'bad',
      flag === 'expect' ? `Expected and missing: ${word} (${meaning})` : `Failed on ${word}: ${meaning}`,
    )
  }
  if (options.verbose !== true) return page.toString()
  const parts = [
    renderNat(report.nat, style, options),
    renderIce(report.ice, style, options),
    ...report.turn.map((each) => renderTurn(each, style, options)),
  ]
  return [...parts, page.toString()].join('\n')
}

/** The verdict alone, for a round of --watch that found what the one before did. */
export function renderVerdict(report: CheckupReport, style: TerminalStyle): string {
  const page = new Page(style)
  page.marked(verdictMark(report), report.verdict.summary)
  return page.toString()
}

const verdictMarks: Readonly<Record<CheckupReport['verdict']['kind'], Mark>> = {
  ready: 'good',
  degraded: 'warn',
  'not-ready': 'bad',
  unknown: 'warn',
}

function verdictMark({ verdict, error, failed }: CheckupReport): Mark {
  if (failed.length > 0) return 'bad'
  if (error === null) return verdictMarks[verdict.kind]
  return error.code === 'CANCELLED' ? 'warn' : 'bad'
}

const labelWidth = 10

function measured(page: Page, report: CheckupReport): void {
  const { nat, ice, path, serversFrom } = report
  if (path.length > 0) page.text('  ', pathLine(path))
  if (nat.selfTest) renderSelfTest(page, nat.selfTest)
  else {
    page.blank()
    family(page, 'IPv4', nat.nat.ipv4)
    family(page, 'IPv6', nat.nat.ipv6)
    candidates(page, ice)
  }
  // What nobody chose and nobody could reach is said once.
  if (path.length > 0 || serversFrom === 'configured') servers(page, report)
}

function family(page: Page, name: string, nat: FamilyReport | null): void {
  if (nat === null) return
  const { mapping, filtering, mapped, behindNat, rfc3489 } = nat
  if (mapping.kind === 'not-tested') return page.row('open', name, `not tested: ${mapping.why}`, labelWidth)
  if (rfc3489.value === 'udp-blocked') return page.row('bad', name, 'UDP is blocked', labelWidth)
  if (mapped === null) return page.row('warn', name, `no answer over UDP: ${mapping.why}`, labelWidth)
  const words = [
    behindNat === true ? `behind a NAT as ${mapped}` : behindNat === false ? `${mapped}, no NAT` : mapped,
    ...(mapping.value === 'none' ? [] : [mapping.value === null ? 'mapping not clear' : `${mapping.value} mapping`]),
    filtering.value === null ? 'filtering not clear' : `${filtering.value} filtering`,
  ]
  const isDependent = mapping.value === 'address-dependent' || mapping.value === 'address-and-port-dependent'
  page.row(isDependent || mapping.value === null ? 'warn' : 'good', name, words.join(', '), labelWidth)
}

function candidates(page: Page, { candidates: all }: IceReport): void {
  const counts = (['host', 'srflx', 'relay'] as const).map(
    (type) => `${all.filter((each) => each.type === type && each.browserOmits === null).length} ${type}`,
  )
  page.row(all.length > 0 ? 'good' : 'bad', 'candidates', counts.join(', '), labelWidth)
}

/** Enough for a URL with a name and a port; a longer one gets a line of its own. */
const longestName = 44

function servers(page: Page, report: CheckupReport): void {
  const { ice, serversFrom } = report
  if (ice.servers.length === 0) return
  page.heading('Servers')
  const width = Math.min(longestName, Math.max(...ice.servers.map((server) => nameAttempt(server).length)))
  for (const [index, server] of ice.servers.entries()) {
    const bad = serversFrom === 'public' ? 'open' : 'bad'
    const mark = server.ok ? (server.causes.length === 0 ? 'good' : 'warn') : bad
    page.row(mark, nameAttempt(server), serverWords(server, index, ice), width)
  }
  page.text('    ', `measured in ${(report.durationMs / 1000).toFixed(2)} s`, { dim: true })
}

function serverWords(server: IceServerReport, index: number, { candidates: all, reachability }: IceReport): string {
  const [cause] = server.causes
  const words = server.rttMs === null ? [] : [`${server.rttMs.toFixed(1)} ms`]
  const relay = reachability.find(({ candidate }) => {
    const found = all[candidate]
    return found?.type === 'relay' && found.attempt === index
  })
  if (relay)
    words.push(relay.result === 'proven' ? `relays, ${relay.received} of ${relay.sent} back` : `relay ${relay.result}`)
  else if (server.relayed !== null) words.push('relay granted')
  if (cause) words.push(cause.code.replaceAll('-', ' '))
  return words.join(', ') || 'no answer'
}

const findingMarks: Readonly<Record<CheckupFinding['severity'], Mark>> = { error: 'bad', warning: 'warn', hint: 'open' }

/** The same thing said of several servers is said once. */
function groups(findings: readonly CheckupFinding[]): readonly (readonly CheckupFinding[])[] {
  const byWords = new Map<string, CheckupFinding[]>()
  for (const each of findings) {
    const key = JSON.stringify([each.severity, each.message, each.fix])
    byWords.set(key, [...(byWords.get(key) ?? []), each])
  }
  return [...byWords.values()]
}

function finding(page: Page, group: readonly CheckupFinding[]): void {
  const [first] = group
  if (!first) return
  const subjects = [...new Set(group.map(({ subject }) => subject))]
  page.marked(findingMarks[first.severity], `${subjects.join(', ')}: ${first.message}`, { indent: 2 })
  if (first.fix !== null) page.text('    → ', first.fix)
}
