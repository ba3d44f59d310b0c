import { describe, expect, test } from 'vitest'
import { formatAddress } from '../../src/core/index.ts'
import { homeAddresses, homeNetwork } from '../../src/lab/index.ts'
import { at, openEcho, openSocket } from './helpers.ts'

const [primary, alternate] = homeAddresses.servers

describe('homeNetwork', () => {
  test('a datagram takes one round trip through the NAT and back', async () => {
    const { clock, client, server } = homeNetwork({ rttMs: 30 })
    await openEcho(server, primary, 3478)
    const socket = await openSocket(client, undefined, 40000)
    socket.send('hello', at(primary, 3478))
    await clock.advance(29.9)
    expect(socket.heard).toEqual([])
    await clock.advance(0.2)
    expect(socket.heard).toEqual([`80.0.0.1:40000<${formatAddress(at(primary, 3478))}`])
  })

  test('the server hears on both addresses', async () => {
    const { clock, client, server } = homeNetwork()
    const second = await openEcho(server, alternate, 3479)
    const socket = await openSocket(client)
    socket.send('hello', at(alternate, 3479))
    await clock.advance(20)
    expect(second.heard).toHaveLength(1)
    expect(socket.heard).toHaveLength(1)
  })
})
