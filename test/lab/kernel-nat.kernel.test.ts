/** Linux's own NATs and firewalls, measured with single packets: what the lab's other tests may take for granted. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { client, type NatLab, natLab, natLabRequirements, router, servers } from '../support/nat-lab.ts'
import { Bench, observe } from '../support/raw-probe.ts'
import { describeIf } from '../support/requirements.ts'

describeIf(natLabRequirements('kernel', 'none'), 'the kernel as a NAT', () => {
  let lab: NatLab
  let bench: Bench
  beforeAll(async () => {
    lab = await natLab({ nat: { kind: 'masquerade' }, server: 'none' })
    bench = await Bench.create(lab)
    // A second inside host, as far as the router can tell.
    await lab.client.namespace.ip('addr add 192.168.77.3/24 dev eth0')
    for (const ip of [servers.ip4[0], servers.ip6[0]]) await bench.server.listenTcp({ ip, port: 5001 })
  })
  afterAll(async () => await lab?.close())

  const families = [
    { family: 4, external: router.wan4, local: client.ip4 },
    { family: 6, external: router.wan6, local: client.ip6 },
  ] as const

  for (const { family, external, local } of families) {
    test(`masquerade looks endpoint-independent and keeps the port, IPv${family}`, async () => {
      await lab.setNat({ kind: 'masquerade' })
      const seen = await observe(bench, family)
      expect(seen).toMatchObject({
        mapping: 'endpoint-independent',
        filtering: 'address-and-port-dependent',
        mapped: { ip: external, port: seen.local.port },
      })
    })

    test(`masquerade fully-random maps by address and port, IPv${family}`, async () => {
      await lab.setNat({ kind: 'masquerade-random' })
      expect(await observe(bench, family)).toMatchObject({
        mapping: 'address-and-port-dependent',
        filtering: 'address-and-port-dependent',
        mapped: { ip: external },
      })
    })

    test(`one-to-one is endpoint-independent in both, IPv${family}`, async () => {
      await lab.setNat({ kind: 'one-to-one' })
      const seen = await observe(bench, family)
      expect(seen).toMatchObject({
        mapping: 'endpoint-independent',
        filtering: 'endpoint-independent',
        mapped: { ip: external, port: seen.local.port },
      })
    })

    test(`a plain router neither translates nor filters, IPv${family}`, async () => {
      await lab.setNat({ kind: 'routed' })
      expect(await observe(bench, family)).toMatchObject({
        mapping: 'none',
        filtering: 'endpoint-independent',
        mapped: { ip: local },
      })
    })

    test(`a stateful firewall filters by address and port and translates nothing, IPv${family}`, async () => {
      await lab.setNat({ kind: 'firewall' })
      expect(await observe(bench, family)).toMatchObject({
        mapping: 'none',
        filtering: 'address-and-port-dependent',
        mapped: { ip: local },
      })
    })

    test(`blocked UDP vanishes without a word while TCP passes, IPv${family}`, async () => {
      await lab.setNat({ kind: 'udp-blocked' })
      const { first, second } = bench.peers(family)
      const socket = await bench.client.open(local, 0, first.local)
      const text = bench.text('blocked')
      socket.send(text)
      expect(await bench.client.tcp(first.local)).toBe('connected')
      // The server's own process is asked last: what it heard by then is all there is to hear.
      const last = bench.text('last')
      second.send(last, first.local)
      await first.datagram(last)
      expect(first.received.map((datagram) => datagram.text)).not.toContain(text)
      expect(socket.failures).toEqual([])
      socket.close()
    })

    test(`rejected UDP is told to a connected socket while TCP passes, IPv${family}`, async () => {
      await lab.setNat({ kind: 'udp-rejected' })
      const { first } = bench.peers(family)
      const socket = await bench.client.open(local, 0, first.local)
      socket.send(bench.text('rejected'))
      // ICMP type 3 code 13 becomes EHOSTUNREACH, ICMPv6 type 1 code 1 EACCES.
      expect(await socket.failure()).toBe(family === 4 ? 'EHOSTUNREACH' : 'EACCES')
      expect(await bench.client.tcp(first.local)).toBe('connected')
      socket.close()
    })
  }

  test('masquerade gives two inside hosts one port until they write to the same place', async () => {
    await lab.setNat({ kind: 'masquerade' })
    const { first, second } = bench.peers(4)
    const one = await bench.client.open(client.ip4)
    const two = await bench.client.open('192.168.77.3', one.local.port)
    const port = one.local.port
    expect(await bench.mappedTowards(one, first)).toEqual({ ip: router.wan4, port })
    expect(await bench.mappedTowards(two, second)).toEqual({ ip: router.wan4, port })
    const collided = await bench.mappedTowards(two, first)
    expect(collided.ip).toBe(router.wan4)
    expect(collided.port).not.toBe(port)
    // So the second host's mapping depends on whom it writes to.
    expect(await bench.mappedTowards(two, second)).toEqual({ ip: router.wan4, port })
    one.close()
    two.close()
  })

  test('masquerade: a dropped uninvited packet leaves no trace, an answered one takes the port', async () => {
    await lab.setNat({ kind: 'masquerade' })
    const { first, second } = bench.peers(4)
    const uninvitedThenInvited = async (): Promise<boolean> => {
      const socket = await bench.openClient(4)
      const mapped = await bench.mappedTowards(socket, first)
      second.send(bench.text('uninvited'), mapped)
      await bench.settle(socket, first)
      const port = (await bench.mappedTowards(socket, second)).port
      socket.close()
      return port === mapped.port
    }
    expect(await uninvitedThenInvited()).toBe(true)
    await lab.router.namespace.nft('flush chain inet router input')
    expect(await uninvitedThenInvited()).toBe(false)
  })
})
