/** Durations as people write them: `90s`, `30m`, `12h`, `2d`; a bare number is seconds. */
import { usage } from './io.ts'

const secondsOf: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }

/** Seconds; throws USAGE for anything that is no duration, or not within the bounds. */
export function parseDuration(value: unknown, where: string, min: number, max: number): number {
  const text = String(value)
  const [, digits = '', unit = ''] = /^(\d{1,9})\s*([smhd]?)$/i.exec(text.trim()) ?? []
  const seconds = Number(digits) * (secondsOf[unit.toLowerCase()] ?? 1)
  if (digits !== '' && seconds >= min && seconds <= max) return seconds
  throw usage(
    `${where} is "${text}"`,
    `write a duration from ${formatDuration(min)} to ${formatDuration(max)}, such as 90s, 30m or 12h`,
  )
}

/** The shortest exact form: `90s`, `30m`, `12h`, `2d`. */
export function formatDuration(seconds: number): string {
  for (const unit of ['d', 'h', 'm']) {
    const size = secondsOf[unit] ?? 1
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`
  }
  return `${seconds}s`
}
