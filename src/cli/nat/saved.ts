/** Reads what `--save` wrote. */
import { readFileSync } from 'node:fs'
import { NatcheckError } from '../../core/index.ts'
import type { NatReport } from '../../report/index.ts'
import type { RunRecord } from './conclude.ts'

/** The raw results in a saved report; its conclusions are drawn anew. Throws BAD_FILE. */
export async function readSavedReport(path: string): Promise<RunRecord> {
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
  // A check-up holds one.
  if (typeof value === 'object' && value !== null && 'command' in value && value.command === 'checkup') {
    value = 'nat' in value ? value.nat : undefined
  }
  const version =
    typeof value === 'object' && value !== null && 'schemaVersion' in value ? value.schemaVersion : undefined
  if (version !== 1) throw bad(`is not a report of schema version 1 (it says ${JSON.stringify(version) ?? 'nothing'})`)
  const [{ natReportSchema }, { Check, Errors }] = await Promise.all([
    import('../../report/schema.ts'),
    import('typebox/value'),
  ])
  if (!Check(natReportSchema, value)) {
    const first = Errors(natReportSchema, value)[0]
    throw bad(`does not keep to the schema: ${first?.instancePath || 'the document'} ${first?.message ?? 'is wrong'}`)
  }
  const { startedAt, observations, selfTest, error, redacted } = value as NatReport
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
