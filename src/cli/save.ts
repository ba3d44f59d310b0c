/** `--save`. */
import { writeFileSync } from 'node:fs'
import type { ReportError } from '../report/nat-report.ts'

/** Returns why it could not be saved. */
export function saveReport(report: object, path: string): ReportError | null {
  try {
    writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`)
    return null
  } catch (cause) {
    const word = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
    return { code: 'BAD_FILE', message: `the report can't be written to ${path}${word}`, fix: 'check --save' }
  }
}
