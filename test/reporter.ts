/**
 * Runs beside vitest's default reporter and says last which tests passed only when they were run again, what did not run
 * and why, then one line for machines:
 * `N passed, N failed, N skipped`. With CI=true a skipped test fails the run: there, a missing tool is a fault.
 */
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node'

interface Tally {
  passed: number
  failed: number
  /** Names of tests that failed first and passed when they were run again. */
  readonly flaky: string[]
  /** Names of skipped tests by the reason they were skipped for. */
  readonly skipped: Map<string, string[]>
}

export interface Summary {
  readonly lines: readonly string[]
  readonly skippedInCi: boolean
}

/** What the end of a run says. `filtered`: run with `-t`, where tests that don't match are nobody's loss. */
export function summarize(
  modules: readonly TestModule[],
  unhandled: number,
  options: { ci: boolean; filtered: boolean },
): Summary {
  const tally: Tally = { passed: 0, failed: unhandled, flaky: [], skipped: new Map() }
  for (const module of modules) {
    // A file that does not load, or a beforeAll that throws, has no failed test of its own, yet must count.
    if (module.errors().length > 0) tally.failed++
    for (const suite of module.children.allSuites()) if (suite.errors().length > 0) tally.failed++
    for (const test of module.children.allTests()) count(tally, test, options.filtered)
  }
  const skipped = [...tally.skipped.values()].reduce((sum, names) => sum + names.length, 0)
  const skippedInCi = options.ci && skipped > 0
  const lines = tally.flaky.map((name) => `flaky: passed only when it was run again: ${name}`)
  for (const [reason, names] of tally.skipped) {
    lines.push(`skipped: ${names.length} ${names.length === 1 ? 'test' : 'tests'}: ${reason}`)
    for (const name of names) lines.push(`  ${name}`)
  }
  if (skippedInCi) lines.push('failed: tests were skipped, and with CI=true every test has to run')
  lines.push(`${tally.passed} passed, ${tally.failed} failed, ${skipped} skipped`)
  return { lines, skippedInCi }
}

function count(tally: Tally, test: TestCase, filtered: boolean): void {
  const result = test.result()
  const name = `${test.module.relativeModuleId} > ${test.fullName}`
  if (test.diagnostic()?.flaky === true) tally.flaky.push(name)
  if (result.state === 'passed') tally.passed++
  else if (result.state === 'failed') tally.failed++
  else if (!filtered) {
    const reason = skipReason(test, result.state === 'skipped' ? result.note : undefined)
    tally.skipped.set(reason, [...(tally.skipped.get(reason) ?? []), name])
  }
}

/** The note given to `ctx.skip`, or `(skipped: …)` in the title of the test or of a suite around it. */
function skipReason(test: TestCase, note: string | undefined): string {
  if (note) return note
  for (const title of titles(test)) {
    const match = /\(skipped: (.+)\)$/.exec(title)
    if (match?.[1]) return match[1]
  }
  if (failedSuite(test)) return 'what its suite prepares before all tests failed'
  if (test.options.mode === 'todo') return 'not written yet'
  return test.options.mode === 'skip' ? 'no reason given' : 'the run ended before it'
}

function* titles(test: TestCase): Generator<string> {
  let task: TestCase | TestSuite | TestModule = test
  while (task.type !== 'module') {
    yield task.name
    task = task.parent
  }
}

function failedSuite(test: TestCase): boolean {
  for (let task: TestSuite | TestModule = test.parent; ; task = task.parent) {
    if (task.errors().length > 0) return true
    if (task.type === 'module') return false
  }
}

export default class SummaryReporter implements Reporter {
  #vitest: Vitest | undefined

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const filtered = this.#vitest?.config.testNamePattern !== undefined
    const { lines, skippedInCi } = summarize(modules, unhandled.length, {
      ci: process.env['CI'] === 'true',
      filtered,
    })
    if (skippedInCi) process.exitCode = 1
    process.stdout.write(`${lines.join('\n')}\n`)
  }
}
