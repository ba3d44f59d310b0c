/** `natcheck compare` for a person: the verdict, what each side is, why, and what would change it. */
import type { CompareReport, ComparedReport } from '../compare/index.ts'
import type { FamilyNetwork } from '../compare/network.ts'
import { type Mark, Page, type TerminalStyle } from './layout.ts'

const labelWidth = 9

export function renderCompare({ a, b, verdict }: CompareReport, style: TerminalStyle): string {
  const page = new Page(style)
  if (!a || !b || !verdict) return ''
  const marks = { direct: 'good', relay: 'warn', none: 'bad', unknown: 'warn' } as const satisfies Record<string, Mark>
  page.marked(marks[verdict.outcome], verdict.summary, { bold: true })
  side(page, 'A', a)
  side(page, 'B', b)
  page.heading('Why')
  for (const [index, step] of verdict.reasoning.entries()) page.text(`  ${index + 1}. `, step)
  if (verdict.advice.length > 0) page.heading(verdict.advice.length === 1 ? 'Next step' : 'Next steps')
  for (const advice of verdict.advice) page.text('  → ', advice)
  return page.toString()
}

function side(page: Page, name: string, { file, startedAt, network }: ComparedReport): void {
  page.heading(`${file}, of ${startedAt.slice(0, 10)}`, `${name}  `)
  for (const family of network.families) {
    page.row(familyMarks[family.udp], `IPv${family.family}`, familyWords(family), labelWidth)
  }
  const { relays } = network
  if (relays?.length)
    page.row('good', 'relay', `over ${relays.map((each) => each.toUpperCase()).join(' and ')}`, labelWidth)
  else if (relays) page.row('bad', 'relay', 'none of its TURN servers gave one that works', labelWidth)
  if (network.families.length === 0) page.row('open', 'network', 'nothing was measured', labelWidth)
}

const familyMarks = { usable: 'good', blocked: 'bad', absent: 'open', untested: 'open', unknown: 'warn' } as const

function familyWords({ udp, why, publicIp, mappings, filterings }: FamilyNetwork): string {
  if (udp !== 'usable') return why ?? 'not known'
  const [mapping, filtering] = [mappings, filterings].map((all) => (all.length === 1 ? all[0] : 'not observed'))
  const address = publicIp === null ? '' : `${publicIp}, `
  return mapping === 'none'
    ? `${address}no NAT, filtering ${filtering}`
    : `${address}mapping ${mapping}, filtering ${filtering}`
}
