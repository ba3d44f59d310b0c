/** Sockets that leave some descriptors to others, in a process whose limit can be set. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { check } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'

const built = fileURLToPath(new URL('../../dist/transport/index.js', import.meta.url))

describeIf(['linux'], 'spare descriptors', () => {
  test('datagram sockets and streams end before the limit does', async () => {
    const script = `
      import { connect } from 'node:net'
      import { once } from 'node:events'
      const { nodeNetwork } = await import(${JSON.stringify(built)})
      const network = nodeNetwork()
      const handlers = { onDatagram() {}, onFailure() {} }
      const at = { family: 4, ip: '127.0.0.1', spareDescriptors: 20 }
      let accepted = 0
      const listener = await network.listenStream(at, () => (accepted++, { onData() {}, onClose() {} }))
      const sockets = []
      let why
      while (why === undefined) await network.openDatagram(at, handlers).then((each) => sockets.push(each), (error) => (why = error.message))
      const stream = connect(listener.local.port, '127.0.0.1').on('error', () => {})
      await once(stream, 'close')
      const others = []
      while (others.length < 100) {
        const open = await network.openDatagram({ family: 4, ip: '127.0.0.1' }, handlers).catch(() => undefined)
        if (!open) break
        others.push(open)
      }
      console.log(JSON.stringify({ why, some: sockets.length > 20, accepted, others: others.length }))
      process.exit()`
    const limited = ['prlimit', '--nofile=100:100', process.execPath, '--input-type=module', '-e', script]
    const told = JSON.parse(await check(limited)) as Record<string, unknown>
    expect(told).toEqual({ why: expect.stringContaining('EMFILE'), some: true, accepted: 0, others: 20 })
  })
})
