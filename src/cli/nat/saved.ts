/** Reads what `--save` wrote. */
import { readFileSync } from 'node:fs'
import { NatcheckError } from '../../core/index.ts'
import type { CheckupReport, IceReport, NatReport } from '../../report/index.ts'
import type { RunRecord } from './conclude.ts'

/** What one file holds. */
export interface SavedRun {
  readonly nat: RunRecord
  /** What a check-up found beside it; null: the file is of the NAT alone. */
  readonly ice: IceReport | null
}

/** The raw results in a saved report; its conclusions are drawn anew. Throws BAD_FILE. */
export async function readSavedReport(path: string): Promise<SavedRun> {
  const bad = (what: string, cause?: unknown): NatcheckError =>
    new NatcheckError('BAD_FILE', `${path} ${what}`, {
      cause,
      fix: 'give a file that natcheck nat or natcheck wrote with --save or --json',
    })
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw bad(cause instanceof SyntaxError ? 'is not JSON' : "can't be read", cause)
  }
  const version =
    typeof value === 'object' && value !== null && 'schemaVersion' in value ? value.schemaVersion : undefined
  if (version !== 1) throw bad(`is not a report of schema version 1 (it says ${JSON.stringify(version) ?? 'nothing'})`)
  const isCheckup = typeof value === 'object' && value !== null && 'command' in value && value.command === 'checkup'
  const [schema, { Check, Errors }] = await Promise.all([
    isCheckup
      ? import('../../report/checkup-schema.ts').then(({ checkupReportSchema }) => checkupReportSchema)
      : import('../../report/schema.ts').then(({ natReportSchema }) => natReportSchema),
    import('typebox/value'),
  ])
  if (!Check(schema, value)) {
    const first = Errors(schema, value)[0]
    throw bad(`does not keep to the schema: ${first?.instancePath || 'the document'} ${first?.message ?? 'is wrong'}`)
  }
  if (!isCheckup) return { nat: recordOf(value as NatReport), ice: null }
  const { nat, ice } = value as CheckupReport
  return { nat: recordOf(nat), ice }
}

function recordOf({ startedAt, observations, selfTest, error, redacted }: NatReport): RunRecord {
  return {
    startedAt,
    observations,
    selfTest: selfTest && {
      server: selfTest.server,
      problem: selfTest.problem,
      observations: selfTest.observations,
    },
    interrupted: error?.code === 'CANCELLED',
    redacted,
  }
}
