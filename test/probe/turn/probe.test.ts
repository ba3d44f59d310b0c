import { expect, test } from 'vitest'
import { turnLab } from '../../proto/turn-client/lab.ts'
import { look, told } from './lab.ts'

test('our relay', async () => {
  const lab = turnLab({ latencyMs: 25 })
  await lab.relay()
  const seen = await look(lab, ['turn:50.0.0.1', 'turn:50.0.0.1?transport=tcp'])
  console.log(told(seen).join('\n'), JSON.stringify(seen.transports, null, 1), seen.endedAtMs, seen.allocations)
  expect(seen.ended).toBe('complete')
})
