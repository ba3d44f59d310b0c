/** Runs the rules over a configuration; silences what the file silences; applies safe edits. */
import { type CommandLine, parseCommand } from '../command.ts'
import { Conf } from '../conf.ts'
import { type ConfFile, type Line, parseConf, renderConf } from '../parse.ts'
import type { CoturnVersion } from '../version.ts'
import type { Observations } from './observations.ts'
import type { Edit, Problem, Rule, Severity } from './rule.ts'
import { allRules } from './rules/all.ts'

export interface LintInput {
  readonly text: string
  readonly version: CoturnVersion
  /** `turnserver -v …`, read next to the file. */
  readonly command?: string | undefined
  readonly observed?: Observations | undefined
}

/** A problem with all that a reader needs. */
export interface Finding {
  readonly rule: string
  readonly severity: Severity
  /** The line of the file; absent: the command line, or the file as a whole. */
  readonly line?: number
  readonly message: string
  readonly why: string
  readonly fix: string
  readonly reference: string
  /** `--fix` mends it. */
  readonly fixable: boolean
}

const lineOf = ({ line = Number.MAX_SAFE_INTEGER }: Finding): number => line

interface Found extends Finding {
  readonly edits: readonly Edit[]
}

/** What is wrong with it, in the order of its lines; what concerns the whole file comes last. */
export const lint = (input: LintInput): Finding[] => found(input).map(({ edits: _, ...finding }) => finding)

function found({ text, version, command, observed = {} }: LintInput): Found[] {
  const file = parseConf(text)
  const conf = new Conf(file, version, commandOf(command, version))
  const silenced = readDirectives(file)
  const findings: Found[] = [...silenced.problems]
  for (const rule of allRules) {
    for (const problem of rule.check(conf, observed)) {
      const each = describe(rule, problem)
      if (!silenced.silences(each)) findings.push(each)
    }
  }
  return findings.toSorted((a, b) => lineOf(a) - lineOf(b))
}

const commandOf = (command: string | undefined, version: CoturnVersion): CommandLine | undefined =>
  command === undefined ? undefined : parseCommand(command, version)

function describe(rule: Rule, { at, message, edits = [] }: Problem): Found {
  const { id, severity, why, fix, reference } = rule
  const line = at && 'spec' in at ? at.line : at
  const where = line ? { line: line.number } : {}
  return { rule: id, severity, ...where, message, why, fix, reference, fixable: edits.length > 0, edits }
}

export interface Fixed {
  readonly text: string
  /** The rules whose edits were made, each once. */
  readonly rules: readonly string[]
}

/** More rounds than any file needs: each mends what the one before it laid open. */
const rounds = 8

/** Makes the safe edits and no others; lines that need none stay as they are, to the byte. */
export function fix(input: LintInput): Fixed {
  let { text } = input
  const rules = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    const findings = found({ ...input, text }).filter(({ edits }) => edits.length > 0)
    const next = apply(text, findings, rules)
    if (next === text) break
    text = next
  }
  return { text, rules: [...rules] }
}

/** One edit a line and round: the next round sees what is left. */
function apply(text: string, findings: readonly Found[], rules: Set<string>): string {
  const file = parseConf(text)
  const end = file.lines.some(({ raw }) => raw.endsWith('\r\n')) ? '\r\n' : '\n'
  const replaced = new Map<number, string | undefined>()
  const appended = new Set<string>()
  for (const { rule, edits } of findings) {
    for (const edit of edits) {
      if (edit.kind === 'append') appended.add(edit.text)
      else if (replaced.has(edit.line.number) && replaced.get(edit.line.number) !== edit.text) continue
      else replaced.set(edit.line.number, edit.text)
      rules.add(rule)
    }
  }
  const lines = file.lines.flatMap((line): Line[] => {
    if (!replaced.has(line.number)) return [line]
    const ending = /\r?\n$/.exec(line.raw)?.[0] ?? ''
    const anew = replaced.get(line.number)
    return anew === undefined ? [] : [{ ...line, raw: anew.replace(/\n/g, end) + ending }]
  })
  const body = renderConf({ lines })
  if (appended.size === 0) return body
  const gap = body === '' || body.endsWith('\n') ? '' : end
  return body + gap + [...appended].map((each) => each + end).join('')
}

interface Directives {
  silences(finding: Finding): boolean
  readonly problems: readonly Found[]
}

const directive = /natcheck-disable(-next-line)?(?:[ \t]+([^:\r\n]*))?(?::[ \t]*(\S.*))?/

/**
 * `# natcheck-disable-next-line RULE[, RULE]: reason` silences the next setting, `# natcheck-disable RULE: reason` the
 * file, for what is missing from it and so has no line. A directive without rule or reason is a finding itself.
 */
function readDirectives({ lines }: ConfFile): Directives {
  const whole = new Set<string>()
  const byLine = new Map<number, Set<string>>()
  const problems: Found[] = []
  for (const [index, line] of lines.entries()) {
    const match = line.kind === 'comment' ? directive.exec(line.raw) : null
    if (!match) continue
    const ids = (match[2] ?? '').split(/[\s,]+/).filter((id) => id !== '')
    const unknown = ids.find((id) => !allRules.some((rule) => rule.id === id))
    if (ids.length === 0 || unknown !== undefined || match[3] === undefined)
      problems.push(
        badDirective(line, unknown === undefined ? 'it names no rule, or no reason' : `there is no rule "${unknown}"`),
      )
    else if (match[1] === undefined) for (const id of ids) whole.add(id)
    else {
      const next = lines.slice(index + 1).find(({ kind }) => kind === 'setting')
      if (next) byLine.set(next.number, new Set([...(byLine.get(next.number) ?? []), ...ids]))
    }
  }
  const silences = ({ rule, line }: Finding): boolean =>
    whole.has(rule) || (line !== undefined && byLine.get(line)?.has(rule) === true)
  return { silences, problems }
}

const badDirective = ({ number }: Line, message: string): Found => ({
  rule: 'disable-comment',
  severity: 'warning',
  line: number,
  message: `the natcheck-disable comment does nothing: ${message}`,
  why: 'A finding is silenced for a stated reason only, so that the next reader can judge it.',
  fix: 'write # natcheck-disable-next-line RULE: reason',
  reference: 'natcheck coturn lint --help',
  fixable: false,
  edits: [],
})
