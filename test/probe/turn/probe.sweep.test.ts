/** Bad lines are not the server's fault. */
import { expect, test } from 'vitest'
import { IceLab } from '../ice/lab.ts'
import { checkOf, look, reportOn } from './lab.ts'

const lines = [
  { loss: 0.05, jitter: 0.3 },
  { loss: 0.02, duplication: 0.1, reordering: 0.2, jitter: 0.5 },
] as const

test.each(lines)('a line with %o', async (line) => {
  for (let seed = 0; seed < 40; seed++) {
    const lab = new IceLab({ seed, addresses: ['80.0.0.10'], latencyMs: 15, ...line })
    const relay = await lab.relay(lab.host('turn', 20, '50.0.0.1'))
    const observations = await look(lab, ['turn:50.0.0.1'])
    const wrong = reportOn(observations).checks.filter(({ severity }) => severity !== null)
    expect({ seed, wrong }).toEqual({ seed, wrong: [] })
    expect(checkOf(observations, 'data').result).toBe('yes')
    expect(observations.endedAtMs).toBeLessThan(8000)
    await lab.settle()
    await relay.close()
  }
})
