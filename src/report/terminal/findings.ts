/** What to change, one finding after the other. */
import type { IceFinding } from '../ice-report.ts'
import type { Page } from './layout.ts'

export function findings(page: Page, all: readonly IceFinding[]): void {
  const marked = { error: 'bad', warning: 'warn' } as const
  if (all.length > 0) page.heading('What to change')
  for (const { severity, subject, message, fix } of all) {
    page.marked(marked[severity], `${subject}: ${message}`, { indent: 2 })
    if (fix !== null) page.text('    → ', fix)
  }
}
