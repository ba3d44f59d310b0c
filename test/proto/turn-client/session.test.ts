/** Sessions with our own relay on the virtual network. */
import { describe, expect, it } from 'vitest'
import type { ReceivedData } from '../../../src/proto/turn-client/index.ts'
import { openEcho } from '../../lab/helpers.ts'
import { first, protocols, turnLab, value } from './lab.ts'

const text = (words: string): Uint8Array => new TextEncoder().encode(words)
const words = ({ bytes }: ReceivedData): string => new TextDecoder().decode(bytes)

describe.each(protocols)('over %s', (protocol) => {
  it('gets an allocation, sends both ways and gives it back', async () => {
    const lab = turnLab()
    const relay = await lab.relay()
    const echo = await openEcho(lab.peer, '60.0.0.1', 5000)
    const peer = { ip: '60.0.0.1', port: 5000 }
    const heard: ReceivedData[] = []
    await lab.clock.run(
      (async () => {
        const session = await lab.session({ protocol, onData: (data) => heard.push(data) })
        const allocation = value(await session.allocate())
        expect(allocation).toMatchObject({ lifetimeSeconds: 600, mapped: session.local })
        value(await session.permit([peer]))
        expect(session.send(peer, text('one'))).toBe(true)
        expect(session.send(peer, text('two'), 'channel')).toBe(false)
        await lab.clock.sleep(100)
        expect(value(await session.bindChannel(peer))).toEqual({ channel: 0x4000, peer })
        expect(session.send(peer, text('three'), 'channel')).toBe(true)
        await lab.clock.sleep(100)
        const relayed = first(allocation)
        expect(echo.heard).toEqual([`one<${relayed.ip}:${relayed.port}`, `three<${relayed.ip}:${relayed.port}`])
        expect(heard.map(({ via, peer: from, permitted }) => [via, from, permitted])).toEqual([
          ['indication', peer, true],
          ['channel', peer, true],
        ])
        expect(heard.map(words)).toEqual([`${relayed.ip}:${relayed.port}`, `${relayed.ip}:${relayed.port}`])
        await session.close()
        expect((await relay.stats()).allocations).toBe(0)
      })(),
    )
    await relay.close()
  })
})
