/** `natcheck nat` for a person: the verdict in words, the behaviours in RFC terms, what it means, what to do. */
import type { Finding } from '../../probe/nat/behaviors.ts'
import type { FamilyReport, NatReport, SelfTest } from '../nat-report.ts'
import type { ServerReport } from '../servers.ts'
import { renderClassicTrace, renderEvidence } from './evidence.ts'
import { type Mark, Page, type TerminalStyle } from './layout.ts'

const labelWidth = 15

export function renderNat(report: NatReport, style: TerminalStyle, options: { verbose?: boolean } = {}): string {
  const page = new Page(style)
  const verbose = options.verbose === true
  page.marked(verdictMark(report), report.verdict.summary, { bold: true })
  // That UDP is blocked was measured, although no server answered.
  if (!report.selfTest || report.verdict.p2p === 'blocked') measured(page, report, verbose)
  if (report.selfTest) renderSelfTest(page, report.selfTest)
  nextSteps(page, report)
  if (report.failed.length > 0) {
    page.blank()
    page.marked('bad', `Failed as asked for by --fail-on: ${report.failed.join(', ')}.`)
  }
  if (verbose) {
    const nats = report.selfTest ? { 4: report.selfTest.nat, 6: null } : { 4: report.nat.ipv4, 6: report.nat.ipv6 }
    for (const family of report.selfTest?.observations ?? report.observations) {
      renderClassicTrace(page, family.family, nats[family.family])
      renderEvidence(page, family)
    }
  }
  return page.toString()
}

function verdictMark({ verdict, error }: NatReport): Mark {
  if (verdict.p2p === 'direct') return 'good'
  return verdict.p2p === 'blocked' || error !== null ? 'bad' : 'warn'
}

function measured(page: Page, report: NatReport, verbose: boolean): void {
  family(page, 'IPv4', report.nat.ipv4, verbose)
  family(page, 'IPv6', report.nat.ipv6, verbose)
  if (report.verdict.p2p !== 'unknown') {
    page.heading('For WebRTC')
    page.row(undefined, 'direct with', report.verdict.directWith, labelWidth)
    page.row(undefined, 'TURN relay for', report.verdict.relayFor, labelWidth)
  }
  servers(page, report)
}

function family(page: Page, name: string, nat: FamilyReport | null, verbose: boolean): void {
  if (nat === null) return
  if (nat.mapping.kind === 'not-tested') {
    page.blank()
    page.text(`${name}  `, `not tested: ${nat.mapping.why}`)
    return
  }
  page.heading(addresses(nat), `${name}  `)
  if (nat.mapped !== null || verbose) behaviours(page, nat, verbose)
  else if (nat.rfc3489.kind === 'observed') page.row('bad', 'RFC 3489 type', nat.rfc3489.value, labelWidth)
  else
    page.row(
      'warn',
      'inconclusive',
      nat.mapping.kind === 'inconclusive' ? nat.mapping.why : nat.rfc3489.why,
      labelWidth,
    )
}

function addresses({ local, mapped, behindNat, confidence }: FamilyReport): string {
  if (mapped === null) return local === null ? 'no public address seen' : `${local}, no public address seen`
  const nat = behindNat === true ? 'behind a NAT' : behindNat === false ? 'no NAT' : 'NAT not known'
  const path = local === null || local === mapped ? mapped : `${local} → ${mapped}`
  return `${path}, ${nat}, confidence ${confidence}`
}

function behaviours(page: Page, nat: FamilyReport, verbose: boolean): void {
  const rows: readonly (readonly [string, Finding<unknown>, Mark, string?])[] = [
    ['mapping', nat.mapping, isDependent(nat.mapping.value) ? 'warn' : 'good'],
    ['filtering', nat.filtering, 'good'],
    ['RFC 3489 type', nat.rfc3489, classicMark(nat)],
    ['port assignment', nat.portAssignment, 'good', portAssignment(nat)],
    ['pooling', nat.pooling, nat.pooling.value === 'arbitrary' ? 'warn' : 'good'],
    ['hairpinning', nat.hairpinning, nat.hairpinning.value === 'off' ? 'warn' : 'good'],
    ['lifetime', nat.lifetime, (nat.lifetime.value ?? 120) < 120 ? 'warn' : 'good', `${nat.lifetime.value} s idle`],
    ['carrier NAT', nat.cgnat, nat.cgnat.value === 'none' ? 'good' : 'warn'],
    ['ALG', nat.alg, nat.alg.value === true ? 'warn' : 'good', nat.alg.value === true ? 'rewrites packets' : 'none'],
    ['IP fragments', nat.fragments, nat.fragments.value === 'blocked' ? 'warn' : 'good'],
    ['NAT64', nat.nat64, 'good'],
  ]
  const untested: string[] = []
  for (const [label, finding, mark, words] of rows) {
    if (finding.kind === 'not-tested' && !verbose) untested.push(label)
    else if (finding.kind === 'observed') {
      page.row(mark, label, words ?? String(finding.value), labelWidth)
      if (verbose) page.row(undefined, '', finding.why, labelWidth)
    } else if (finding.kind === 'inconclusive') page.row('warn', label, `inconclusive: ${finding.why}`, labelWidth)
    else page.row('open', label, `not tested: ${finding.why}`, labelWidth)
  }
  if (untested.length > 0) page.row('open', 'not tested', untested.join(', '), labelWidth)
  if (nat.disagreement !== null) page.row('warn', 'disagreement', nat.disagreement, labelWidth)
}

const isDependent = (mapping: string | null): boolean =>
  mapping === 'address-dependent' || mapping === 'address-and-port-dependent'

function classicMark({ rfc3489 }: FamilyReport): Mark {
  if (rfc3489.value === 'udp-blocked') return 'bad'
  return rfc3489.value === 'symmetric' ? 'warn' : 'good'
}

function portAssignment({ portAssignment: { value } }: FamilyReport): string {
  if (value === null) return ''
  const step = value.delta === null ? '' : ` (step ${value.delta})`
  return `${value.kind}${step}, ${value.predictable ? 'predictable' : 'not predictable'}`
}

function servers(page: Page, report: NatReport): void {
  if (report.servers.length === 0) return
  page.heading('Servers')
  const width = Math.min(40, Math.max(...report.servers.map(({ uri }) => uri.length)))
  for (const server of report.servers) page.row(serverMark(server), server.uri, serverWords(server), width)
  page.text('    ', `measured in ${(report.durationMs / 1000).toFixed(2)} s`, { dim: true })
}

function serverMark({ ok, problem }: ServerReport): Mark {
  if (!ok) return 'bad'
  return problem === null ? 'good' : 'warn'
}

function serverWords({ ok, rttMs, rfc5780, problem }: ServerReport): string {
  if (!ok) return problem ?? 'no answer'
  const words = [rttMs === null ? 'answers' : `${rttMs.toFixed(1)} ms`]
  words.push(rfc5780 === true ? 'RFC 5780' : 'no RFC 5780')
  if (problem !== null) words.push(problem)
  return words.join(', ')
}

const causes = {
  dns: 'DNS',
  'no-route': 'no route',
  'udp-blocked': 'UDP blocked',
  'no-answer': 'no answer',
  other: 'failed',
} as const

/** What the check against natcheck's own server showed, and why it was needed. */
export function renderSelfTest(page: Page, { passed, server, problem, nat, unreachable }: SelfTest): void {
  page.blank()
  if (passed) {
    page.marked(
      'good',
      `Self-test passed: the same check against natcheck's own STUN server on ${server} gave the right answer. This proves the tool and not the network.`,
    )
  } else if (problem !== null) page.marked('bad', `Self-test could not run on ${server}: ${problem}.`)
  else
    page.marked('bad', `Self-test failed: the same check against natcheck's own STUN server on ${server} went wrong.`)
  if (nat && problem === null) behaviours(page, nat, false)
  page.heading('Unreachable')
  for (const [why, uris] of byReason(unreachable)) page.marked('bad', `${why}: ${uris.join(', ')}`, { indent: 2 })
}

/** One line for all servers that share a reason: without a network that is every one of them. */
function byReason(unreachable: SelfTest['unreachable']): ReadonlyMap<string, readonly string[]> {
  const reasons = new Map<string, string[]>()
  for (const { uri, cause, why } of unreachable) {
    const host = uri.replace(/^\w+:/, '').replace(/:\d+$/, '')
    const reason = `${causes[cause]}: ${why.replace(` of ${host}`, '')}`
    reasons.set(reason, [...(reasons.get(reason) ?? []), uri])
  }
  return reasons
}

function nextSteps(page: Page, { verdict }: NatReport): void {
  if (verdict.advice.length === 0) return
  page.heading(verdict.advice.length === 1 ? 'Next step' : 'Next steps')
  for (const advice of verdict.advice) page.text('  → ', advice)
}
