/** What GitHub Actions shows of a run by itself: annotations, and the summary of the step. */
import { appendFileSync } from 'node:fs'
import { type CheckupReport, renderGithub, renderMarkdown } from '../../report/index.ts'
import type { CliIo } from '../io.ts'

/**
 * The runner reads its commands from stderr as well, so that stdout stays what was asked for. A summary that can't be
 * written is a line on stderr: it is no part of the check.
 */
export function tellGithub(report: CheckupReport, io: CliIo, reporter: string): void {
  if (io.env['GITHUB_ACTIONS'] !== 'true') return
  if (reporter !== 'github') io.err(renderGithub(report))
  const path = io.env['GITHUB_STEP_SUMMARY']
  if (!path) return
  try {
    appendFileSync(path, renderMarkdown(report))
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
    io.err(`natcheck: the step summary can't be written to ${path}${why}\n`)
  }
}
