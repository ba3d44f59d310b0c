/** Linting a turnserver.conf of 1,000 lines: it has to stay under 100 ms. */
import { bench, describe } from 'vitest'
import { fix, lint } from '../../src/coturn/lint/lint.ts'
import { parseConf } from '../../src/coturn/parse.ts'
import { generateConf } from '../../src/coturn/generate/generate.ts'
import { referenceFiles } from '../../src/coturn/generate/reference.ts'

const clean = referenceFiles.map(({ plan }) => generateConf({ ...plan, version: '4.6.1' }))[0] ?? ''
const fill = (line: (index: number) => string): string =>
  Array.from({ length: 1000 }, (_, index) => line(index)).join('\n')

const files: Readonly<Record<string, string>> = {
  comments: clean + fill((index) => `# comment ${index}`),
  'peer ranges':
    clean + fill((index) => `denied-peer-ip=10.${index >> 8}.${index & 255}.0-10.${index >> 8}.${index & 255}.255`),
  users: clean + fill((index) => `user=user${index}:password${index}`),
  misspellings: fill((index) => `listening-prt${index}=3478`),
}

describe('1,000 lines', () => {
  for (const [name, text] of Object.entries(files)) {
    bench(`parse ${name}`, () => void parseConf(text))
    bench(`lint ${name}`, () => void lint({ text, version: '4.6.1' }))
  }
  bench('fix peer ranges', () => void fix({ text: files['peer ranges'] ?? '', version: '4.17.2' }))
})
