/** The check-up as a list of checks, each passed, failed or skipped: what test reports are made of. */
import type { CheckupFinding, CheckupReport } from '../checkup.ts'
import { type IceReport, nameAttempt } from '../ice-report.ts'

export interface CheckCase {
  readonly suite: 'nat' | 'servers' | 'reachability' | 'expectations'
  readonly name: string
  readonly seconds: number
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Why, in words; empty when it passed. */
  readonly why: string
  /** What to do; null where nothing is known to help. */
  readonly fix: string | null
}

/**
 * Where expectations were given, they alone can fail: everything else is told, as skipped. Servers that nobody chose
 * never fail.
 */
export function checkCases(report: CheckupReport): readonly CheckCase[] {
  const isStrict = report.expectations.length === 0
  const soften = (each: CheckCase): CheckCase =>
    each.outcome === 'failed' && !isStrict ? { ...each, outcome: 'skipped' } : each
  return [
    soften(natCase(report)),
    ...report.ice.servers.map((server) => soften(serverCase(server, report))),
    ...report.ice.reachability.flatMap((entry) => reachabilityCases(entry, report.ice)).map(soften),
    ...report.expectations.map(expectationCase),
  ]
}

function natCase({ nat, error }: CheckupReport): CheckCase {
  const { p2p, summary, advice } = nat.verdict
  const base = { suite: 'nat', name: 'the network was measured', seconds: nat.durationMs / 1000 } as const
  if (error && error.code !== 'BAD_FILE') return { ...base, outcome: 'failed', why: error.message, fix: error.fix }
  if (p2p === 'unknown') return { ...base, outcome: 'skipped', why: summary, fix: advice[0] ?? null }
  return { ...base, outcome: 'passed', why: '', fix: null }
}

function serverCase(server: IceReport['servers'][number], { findings, serversFrom }: CheckupReport): CheckCase {
  const name = nameAttempt(server)
  const end = Math.max(0, ...server.stages.map(({ startMs, endMs }) => endMs ?? startMs))
  const start = Math.min(end, ...server.stages.map(({ startMs }) => startMs))
  const own = findings.filter(({ subject }) => subject === name)
  const base = { suite: 'servers', name, seconds: (end - start) / 1000 } as const
  if (server.ok) return { ...base, outcome: 'passed', why: '', fix: null }
  const why = own.map(({ message }: CheckupFinding) => message).join('; ') || codesOf(server)
  return { ...base, outcome: serversFrom === 'public' ? 'skipped' : 'failed', why, fix: own[0]?.fix ?? null }
}

const codesOf = ({ causes }: IceReport['servers'][number]): string => causes.map(({ code }) => code).join(', ')

function reachabilityCases(entry: IceReport['reachability'][number], { candidates }: IceReport): readonly CheckCase[] {
  const candidate = candidates[entry.candidate]
  if (!candidate) return []
  const { type, ip, port } = candidate
  const name = `${type} ${ip.includes(':') ? `[${ip}]` : ip}:${port} can be reached`
  const outcomes = { proven: 'passed', 'not-proven': 'skipped', failed: 'failed' } as const
  const why = entry.result === 'proven' ? '' : entry.why
  return [{ suite: 'reachability', name, seconds: 0, outcome: outcomes[entry.result], why, fix: null }]
}

const expectationCase = ({ flag, word, meaning, ok }: CheckupReport['expectations'][number]): CheckCase => ({
  suite: 'expectations',
  name: `--${flag} ${word}`,
  seconds: 0,
  outcome: ok ? 'passed' : 'failed',
  why: ok ? '' : flag === 'expect' ? `missing: ${meaning}` : meaning,
  fix: null,
})
