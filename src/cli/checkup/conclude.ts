/** From what the check-up measured to its report. */
import {
  buildCheckup,
  buildIceReport,
  buildReport,
  buildTurnReport,
  type CheckupReport,
  type Redactor,
  redactIce,
  redactTurn,
} from '../../report/index.ts'
import { concludeNat } from '../nat/conclude.ts'
import type { Measured } from './measure.ts'
import type { CheckupSettings } from './settings.ts'

/** Pure. Redaction happens before the analysis, so that nothing slips through in a sentence. */
export function concludeCheckup(
  { nat, ice, turn, durationMs }: Measured,
  settings: CheckupSettings,
  redactor: Redactor | undefined,
): CheckupReport {
  const { failOn } = settings
  const { expect, serversFrom } = settings.ice
  const { startedAt } = nat
  const redacted = redactor !== undefined
  const natReport = settings.nat ? concludeNat(nat, [], redactor) : buildReport({ startedAt, families: [], redacted })
  const iceReport = buildIceReport({ startedAt, observations: redactor ? redactIce(ice, redactor) : ice, redacted })
  const turnReports = turn.map((each) =>
    buildTurnReport({ startedAt, observations: redactor ? redactTurn(each, redactor) : each, redacted }),
  )
  return buildCheckup(natReport, iceReport, turnReports, { serversFrom, durationMs, expect, failOn })
}
