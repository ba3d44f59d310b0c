/** Several threads of one relay towards one source that has no credentials; loopback would be exempt. */
import { afterEach, expect, test, vi } from 'vitest'
import { attribute, encodeMessage, Method, requestedTransport } from '../../src/wire/index.ts'
import { launcher } from '../cli/natcheck.ts'
import { Namespaces } from '../support/netns.ts'
import { printed } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'
import { UdpAgent } from '../support/udp-agent.ts'

const ip = '192.0.2.1'
const bareAllocate = encodeMessage({
  class: 'request',
  method: Method.allocate,
  transactionId: new Uint8Array(12),
  attributes: [attribute(requestedTransport, 17)],
})

describeIf(['netns', 'koffi'], 'a relay of four threads', () => {
  let set: Namespaces | undefined
  afterEach(async () => await set?.remove())

  test('answers a source no more than one thread would, whatever its ports', async () => {
    set = await Namespaces.create('relay')
    const here = set.get('relay')
    await here.ip(`addr add ${ip}/32 dev lo`)
    const daemon = here.start(
      [process.execPath, launcher, 'relay', '--json', '--user=alice:a', `--listen=${ip}:3478`].concat([
        '--datapath=mmsg',
        '--threads=4',
      ]),
    )
    await printed(daemon, /^\}$/m)
    const agent = await UdpAgent.start(here)
    const sockets = await Promise.all(Array.from({ length: 16 }, () => agent.open(ip)))
    const startedAt = performance.now()
    const to = { ip, port: 3478 }
    for (let round = 0; round < 50; round++) {
      for (const socket of sockets) socket.send(Buffer.from(bareAllocate).toString('latin1'), to)
    }
    // The agent does one thing after the other: when it has opened another, all requests have left.
    await agent.open(ip)
    const answered = (): number => sockets.reduce((sum, { received }) => sum + received.length, 0)
    await vi.waitFor(() => expect(answered()).toBeGreaterThanOrEqual(100), { interval: 5, timeout: 5000 })
    // Tokens come back meanwhile, a hundred a second.
    const seconds = (performance.now() - startedAt) / 1000
    expect(answered()).toBeLessThanOrEqual(100 * (1 + seconds) + 1)
    expect(answered()).toBeLessThan(400)
  })
})
