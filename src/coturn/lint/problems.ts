/** The shapes that most rules have. */
import type { Conf, Setting } from '../conf.ts'
import type { SettingLine } from '../parse.ts'
import { type NewSetting, settingLine } from '../parse.ts'
import type { Edit, Problem, Sample } from './rule.ts'

/** Takes a line of the file out; nothing for the command line. */
export const remove = ({ line }: Pick<Setting, 'line'>): Edit[] => (line ? [{ kind: 'replace', line }] : [])

/** Writes the line anew, with another name or value. */
export function rewrite(line: SettingLine | undefined, setting: NewSetting): Edit[] {
  const text = settingLine(setting)
  return line && !line.continued && text !== undefined ? [{ kind: 'replace', line, text }] : []
}

export const append = (...texts: readonly string[]): Edit[] => texts.map((text) => ({ kind: 'append', text }))

/** A flag that should be on and is not. */
export function* missingFlag(conf: Conf, name: string, message: string): Generator<Problem> {
  if (conf.isOn(name)) return
  const setting = conf.last(name)
  yield { at: setting, message, edits: setting ? rewrite(setting.line, { name }) : append(name) }
}

/** A flag that should not be on and is. Somebody chose it, so taking it out is not for `--fix`. */
export function* unwantedFlag(conf: Conf, name: string, message: string): Generator<Problem> {
  if (!conf.isOn(name)) return
  yield { at: conf.last(name), message }
}

export const sample = (text: string, rest: Omit<Sample, 'text'> = {}): Sample => ({ text, ...rest })

/** A sample for the releases from 4.7 on. */
export const recent = (text: string, rest: Omit<Sample, 'text' | 'version'> = {}): Sample => ({
  text,
  version: '4.17.2',
  ...rest,
})

/** A connection string may do without a password. */
export const holdsSecret = ({ spec, value }: Setting): boolean =>
  spec.secret === true && value !== '' && (spec.type !== 'connection' || /password=\S|\/\/[^/]*:[^/]*@/.test(value))

/** More than its owner and its group's reading. */
export const beyond0640 = (mode: number): boolean => (mode & 0o137) !== 0

/** `alice` of `alice:password`: never the password. */
export const userName = (value: string): string => (value.includes(':') ? (value.split(':', 1)[0] ?? '') : '…')
