/** README's table of NAT pairs is what the code says. README_UPDATE=1 writes it anew. */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { pairTable } from '../../../src/report/index.ts'

const readme = new URL('../../../README.md', import.meta.url)
const marked = /<!-- pairs: begin -->\n(.*?)\n<!-- pairs: end -->/s

test('the table in README is generated', () => {
  const text = readFileSync(readme, 'utf8')
  if (process.env['README_UPDATE']) {
    writeFileSync(
      readme,
      text.replace(marked, () => `<!-- pairs: begin -->\n${pairTable()}\n<!-- pairs: end -->`),
    )
  }
  expect(marked.exec(readFileSync(readme, 'utf8'))?.[1]).toBe(pairTable())
})

test('it has all 81 pairs, each as its mirror', () => {
  const rows = pairTable()
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .split('|')
        .slice(2, -1)
        .map((cell) => cell.trim()),
    )
  expect(rows.map((row) => row.length)).toEqual(Array.from({ length: 9 }, () => 9))
  for (const [a, row] of rows.entries()) {
    for (const [b, cell] of row.entries()) expect(rows[b]?.[a]?.split('–').toReversed().join('–')).toBe(cell)
  }
})
