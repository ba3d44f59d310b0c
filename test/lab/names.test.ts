import { beforeEach, describe, expect, test } from 'vitest'
import { type HomeNetwork, homeNetwork } from '../../src/lab/index.ts'

describe('names', () => {
  let home: HomeNetwork

  beforeEach(() => {
    home = homeNetwork()
    home.network.names.latencyMs = 15
    home.network.names.addHost('stun.example.net', ['50.0.0.1', '2a00:50::1'])
  })

  test('resolve in the order of the table, without regard to case, after the latency', async () => {
    const { clock, client } = home
    expect(await clock.run(client.network.resolveHost('STUN.example.NET.', 1000))).toEqual(['50.0.0.1', '2a00:50::1'])
    expect(clock.now()).toBe(15)
  })

  test('an address is its own name', async () => {
    expect(await home.clock.run(home.client.network.resolveHost('2A00:50::0:1', 1000))).toEqual(['2a00:50::1'])
    expect(home.clock.now()).toBe(0)
  })

  test('unknown hosts, silence and refusals are told apart', async () => {
    const { clock, client, network } = home
    network.names.breakName('silent.example.net', 'silent')
    network.names.breakName('refused.example.net', 'refused')
    const failing = (name: string): Promise<unknown> => clock.run(client.network.resolveHost(name, 1000))
    await expect(failing('nowhere.example.net')).rejects.toMatchObject({ code: 'UNKNOWN_HOST' })
    await expect(failing('refused.example.net')).rejects.toMatchObject({ code: 'DNS_FAILED' })
    expect(clock.now()).toBe(30)
    await expect(failing('silent.example.net')).rejects.toMatchObject({ code: 'DNS_FAILED' })
    expect(clock.now()).toBe(1030)
  })

  test('an answer after the deadline is none', async () => {
    const { clock, client } = home
    await expect(clock.run(client.network.resolveHost('stun.example.net', 10))).rejects.toMatchObject({
      code: 'DNS_FAILED',
    })
    expect(clock.now()).toBe(10)
  })

  test('an outage takes every name', async () => {
    const { clock, client, network } = home
    network.names.outage = 'refused'
    await expect(clock.run(client.network.resolveHost('stun.example.net', 1000))).rejects.toMatchObject({
      code: 'DNS_FAILED',
    })
    await expect(clock.run(client.network.resolveService('_stun._udp.example.net', 1000))).rejects.toMatchObject({
      code: 'DNS_FAILED',
    })
  })

  test('services come by priority and weight; none is an empty list', async () => {
    const { clock, client, network } = home
    const record = (host: string, priority: number, weight: number) => ({ host, port: 3478, priority, weight })
    network.names.addService('_stun._udp.example.net', [record('c', 2, 9), record('b', 1, 1), record('a', 1, 5)])
    const resolve = (name: string) => clock.run(client.network.resolveService(name, 1000))
    expect((await resolve('_stun._udp.example.net')).map(({ host }) => host)).toEqual(['a', 'b', 'c'])
    expect(await resolve('_turn._udp.example.net')).toEqual([])
  })
})
