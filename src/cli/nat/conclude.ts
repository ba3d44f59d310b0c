/** From one run's raw results to its report. */
import { analyseFamily, type FamilyObservations } from '../../probe/nat/index.ts'
import {
  type AnalysedFamily,
  buildReport,
  failedExpectations,
  hasMeasured,
  type NatReport,
  type Redactor,
  toFamilyReport,
  unmeasuredError,
  unreachableServers,
} from '../../report/index.ts'
import type { SelfTestRun } from './world.ts'

/** One run's raw result: what `--save` keeps and `--from` reads. */
export interface RunRecord {
  readonly startedAt: string
  readonly observations: readonly FamilyObservations[]
  readonly selfTest: SelfTestRun | null
  readonly interrupted: boolean
  /** Was the record redacted when it was saved? */
  readonly redacted: boolean
}

const analyse = (observations: FamilyObservations): AnalysedFamily => ({
  observations,
  finding: analyseFamily(observations),
})

/** From raw results to the report. Pure, so that a saved run concludes the same again. */
export function concludeNat(record: RunRecord, failOn: readonly string[], redactor: Redactor | undefined): NatReport {
  for (const { uri } of record.observations.flatMap(({ servers }) => servers)) redactor?.hide(hostOf(uri))
  const { startedAt, observations, selfTest } = redactor ? redactor.value(record) : record
  const families = observations.map(analyse)
  const unmeasured = !hasMeasured(buildReport({ startedAt, families }))
  const tested = selfTest ? concludeSelfTest(selfTest, families) : null
  const whyNot = unmeasured && tested?.passed !== true ? unmeasuredError(families) : null
  const interrupted = { code: 'CANCELLED', message: 'interrupted: this is what was known by then', fix: null }
  const result = buildReport({
    startedAt,
    families,
    selfTest: tested,
    error: record.interrupted ? interrupted : whyNot,
    redacted: record.redacted || redactor !== undefined,
  })
  return { ...result, failed: failedExpectations(result, failOn) }
}

/** The embedded server is on this machine, so there is one right answer: no NAT and no filter. */
function concludeSelfTest(
  { server, problem, observations }: SelfTestRun,
  families: readonly AnalysedFamily[],
): NonNullable<NatReport['selfTest']> {
  const finding = observations[0] ? analyseFamily(observations[0]) : undefined
  const passed = finding?.mapping.value === 'none' && finding.filtering.value === 'endpoint-independent'
  const nat = finding ? toFamilyReport(finding) : null
  return { passed, server, problem, unreachable: unreachableServers(families), nat, observations }
}

export const hostOf = (uri: string): string => /^[a-z]+:(.*?)(?::\d+)?(?:\?.*)?$/i.exec(uri)?.[1] ?? uri
