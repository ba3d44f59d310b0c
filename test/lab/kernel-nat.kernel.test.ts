import { afterAll, beforeAll, expect, test } from 'vitest'
import { natLab, NatLab, natLabRequirements, client, servers } from '../support/nat-lab.ts'
import { describeIf } from '../support/requirements.ts'
import { startCoturn } from '../support/coturn.ts'

describeIf(natLabRequirements('kernel', 'coturn'), 'x', () => {
  test('lab', async () => {
    let t = performance.now()
    const lap = (what: string) => { console.log(what, Math.round(performance.now() - t)); t = performance.now() }
    const lab2 = await natLab({ nat: { kind: 'masquerade' }, server: 'none' })
    const coturn = await startCoturn(lab2.server.namespace, {ips: [servers.ip4[0], servers.ip4[1]]})
    lap('create coturn')
    await coturn.stop()
    lap('stop')
    await lab2.close()
    lap('close')
  })
})
