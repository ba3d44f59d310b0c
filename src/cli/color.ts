/** Whether to use colour: the flag first, then FORCE_COLOR, then NO_COLOR (no-color.org), then the terminal. */
import type { CliIo } from './io.ts'

export type ColorLevel = 0 | 1 | 2 | 3

export function colorLevel(flag: boolean | undefined, { env, stdoutIsTty }: CliIo): ColorLevel {
  if (flag !== undefined) return flag ? 1 : 0
  const forced = env['FORCE_COLOR']
  if (forced !== undefined) {
    if (forced === '0' || forced === 'false') return 0
    return forced === '2' ? 2 : forced === '3' ? 3 : 1
  }
  // Set to anything but the empty string, whatever it says.
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return 0
  return stdoutIsTty && env['TERM'] !== 'dumb' ? 1 : 0
}
