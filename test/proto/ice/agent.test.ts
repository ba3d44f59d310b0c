import { expect, it } from 'vitest'
import { SeededRandom, twoHomes } from '../../../src/lab/index.ts'
import { startStunServer } from '../../../src/relay/index.ts'
import { IcePeer, runIce } from '../../support/ice-peer.ts'

it('two home routers', async () => {
  const homes = twoHomes({})
  const { clock } = homes
  await clock.run(startStunServer(homes.server, { primaryIp: '50.0.0.1', primaryPort: 3478 }))
  const stun = [{ ip: '50.0.0.1', port: 3478 }]
  const a = new IcePeer({ host: homes.a, role: 'controlling', random: new SeededRandom('a'), stun })
  const b = new IcePeer({ host: homes.b, role: 'controlled', random: new SeededRandom('b'), stun })
  const [x, y] = await clock.run(runIce(a, b))
  console.log(
    x.pairs
      .map(
        (p) =>
          `${p.local.type} ${p.local.host}→${p.remote.type} ${p.remote.host} ${p.state} ${p.why} ${p.rttMs} ${p.sent}/${p.received} ${p.valid?.local.type} ${p.nominated}`,
      )
      .join('\n'),
  )
  console.log(
    y.pairs
      .map(
        (p) =>
          `${p.local.type} ${p.local.host}→${p.remote.type} ${p.remote.host} ${p.state} ${p.why} ${p.rttMs} ${p.sent}/${p.received} ${p.valid?.local.type} ${p.nominated}`,
      )
      .join('\n'),
  )
  console.log(clock.now())
  expect(x.nominated).not.toBeNull()
})
