/** Bad lines may cost time and packets, but no working server is ever said to fail; over many seeds. */
import { expect, it } from 'vitest'
import { natBehavior } from '../../../src/lab/index.ts'
import { codes, IceLab } from './lab.ts'

const lines = [
  { loss: 0.05, latencyMs: 10 },
  { loss: 0.05, latencyMs: 75, jitter: 0.3 },
  { duplication: 0.2, reordering: 0.3, latencyMs: 25, jitter: 0.5 },
  { latencyMs: 200, jitter: 0.1 },
]

it.each(lines)('%o', async (line) => {
  const wrong: string[] = []
  for (let seed = 1; seed <= 50; seed++) {
    const lab = new IceLab({
      ...line,
      seed,
      addresses: ['192.168.1.10'],
      behind: (network) =>
        network.addRouter({
          name: 'home',
          ipv4: natBehavior({ mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' }),
          externalIps: ['80.0.0.1'],
        }),
    })
    await lab.relay(lab.host('server', 10, '50.0.0.1'))
    const urls = ['stun:50.0.0.1', 'turn:50.0.0.1', 'turn:50.0.0.1?transport=tcp', 'turns:50.0.0.1']
    const observed = await lab.gather(urls)
    const found = (type: string): number => observed.candidates.filter((each) => each.type === type).length
    const seen = [observed.attempts.flatMap(codes).join(), found('srflx'), found('relay')].join(' ')
    const proven = observed.reachability.every(({ result }) => result === 'proven')
    if (seen !== ' 1 3' || !proven) wrong.push(`${seed}: ${seen} ${proven}`)
  }
  expect(wrong).toEqual([])
})
