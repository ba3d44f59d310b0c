/** The lab's own NAT on a TUN device, measured with single packets on a real network stack. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mappingsAndFilterings } from '../../src/lab/nat-behavior.ts'
import { client, type NatLab, natLab, natLabRequirements, servers, tunExternal } from '../support/nat-lab.ts'
import { Bench, observe } from '../support/raw-probe.ts'
import { describeIf } from '../support/requirements.ts'

describeIf(natLabRequirements('tun', 'none'), 'the NAT model on a TUN device', () => {
  let lab: NatLab
  let bench: Bench
  beforeAll(async () => {
    lab = await natLab({ nat: { kind: 'routed' }, server: 'none' })
    bench = await Bench.create(lab)
    for (const ip of [servers.ip4[0], servers.ip6[0]]) await bench.server.listenTcp({ ip, port: 5001 })
  })
  afterAll(async () => await lab?.close())

  for (const [mapping, filtering] of mappingsAndFilterings) {
    test(`${mapping} mapping, ${filtering} filtering`, async () => {
      await lab.setNat({ kind: 'tun', mapping, filtering })
      for (const family of [4, 6] as const) {
        expect(await observe(bench, family)).toMatchObject({
          mapping,
          filtering,
          mapped: { ip: family === 4 ? tunExternal.ip4[0] : tunExternal.ip6[0] },
        })
      }
    })
  }

  for (const filtering of ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const) {
    test(`a firewall that translates nothing, ${filtering} filtering`, async () => {
      await lab.setNat({ kind: 'tun', mapping: 'none', filtering })
      for (const family of [4, 6] as const) {
        expect(await observe(bench, family)).toMatchObject({ mapping: 'none', filtering })
      }
    })
  }

  const endpointIndependent = {
    kind: 'tun',
    mapping: 'endpoint-independent',
    filtering: 'endpoint-independent',
  } as const

  test('sequential ports: each new mapping gets the next one', async () => {
    await lab.setNat({ ...endpointIndependent, portAssignment: 'sequential', sequentialStep: 2 })
    const ports: number[] = []
    for (let count = 0; count < 3; count++) {
      const socket = await bench.openClient(4)
      ports.push((await bench.mappedTowards(socket, bench.peers(4).first)).port)
      socket.close()
    }
    const [one = 0, two = 0, three = 0] = ports
    expect([two - one, three - two]).toEqual([2, 2])
  })

  test('arbitrary pooling: one host is seen under several addresses, all of the pool', async () => {
    await lab.setNat({ ...endpointIndependent, pooling: 'arbitrary', externalIps: 4 })
    const seen = new Set<string>()
    for (let count = 0; count < 12; count++) {
      const socket = await bench.openClient(4)
      seen.add((await bench.mappedTowards(socket, bench.peers(4).first)).ip)
      socket.close()
    }
    expect(seen.size).toBeGreaterThan(1)
    for (const ip of seen) expect(tunExternal.ip4).toContain(ip)
  })

  describe('hairpinning', () => {
    /** What the second of two inside sockets sees when the first writes to its mapped address. */
    const hairpin = async (): Promise<{ seen: unknown; local: unknown; mapped: unknown }> => {
      const { first } = bench.peers(4)
      const [one, two] = [await bench.openClient(4), await bench.openClient(4)]
      const [mapped, mappedTwo] = [await bench.mappedTowards(one, first), await bench.mappedTowards(two, first)]
      const text = bench.text('hairpin')
      one.send(text, mappedTwo)
      // The device hands packets back in the order it took them: what comes after has not overtaken.
      await bench.settle(one, first)
      await bench.settle(two, first)
      one.close()
      two.close()
      return { seen: two.received.find((datagram) => datagram.text === text)?.from, local: one.local, mapped }
    }
    const accept = async (value: 0 | 1): Promise<void> =>
      await lab.client.namespace.sysctl({ 'net.ipv4.conf.all.accept_local': value })

    test('off: nothing comes back', async () => {
      await lab.setNat({ ...endpointIndependent, hairpinning: 'off' })
      expect((await hairpin()).seen).toBeUndefined()
    })

    test('with the external source', async () => {
      await lab.setNat({ ...endpointIndependent, hairpinning: 'external-source' })
      const { seen, mapped } = await hairpin()
      expect(seen).toEqual(mapped)
    })

    test('with the internal source, which Linux refuses when it is its own address', async () => {
      await lab.setNat({ ...endpointIndependent, hairpinning: 'internal-source' })
      expect((await hairpin()).seen).toBeUndefined()
      await accept(1)
      const { seen, local } = await hairpin()
      await accept(0)
      expect(seen).toEqual(local)
    })
  })

  for (const family of [4, 6] as const) {
    const [server, clientIp] = family === 4 ? [servers.ip4[0], client.ip4] : [servers.ip6[0], client.ip6]

    test(`a closed port outside is told to the socket inside, IPv${family}`, async () => {
      await lab.setNat({ ...endpointIndependent, portAssignment: 'random' })
      const socket = await bench.client.open(clientIp, 0, { ip: server, port: 9 })
      socket.send(bench.text('anybody?'))
      expect(await socket.failure()).toBe('ECONNREFUSED')
      socket.close()
    })

    test(`a closed port inside is told to the socket outside, IPv${family}`, async () => {
      await lab.setNat({ ...endpointIndependent, portAssignment: 'random' })
      const inside = await bench.openClient(family)
      const mapped = await bench.mappedTowards(inside, bench.peers(family).first)
      const outside = await bench.server.open(server, 0, mapped)
      // Nothing tells when the client has closed: a datagram to the agent's other socket, after it, does.
      inside.close()
      const witness = await bench.openClient(family)
      await bench.mappedTowards(witness, bench.peers(family).first)
      outside.send(bench.text('still there?'))
      expect(await outside.failure()).toBe('ECONNREFUSED')
      witness.close()
      outside.close()
    })

    test(`a full-sized datagram and an empty one pass unharmed, IPv${family}`, async () => {
      await lab.setNat(endpointIndependent)
      const socket = await bench.openClient(family)
      const { first } = bench.peers(family)
      const large = 'x'.repeat(1500 - (family === 4 ? 28 : 48))
      socket.send(large, first.local)
      const { from } = await first.datagram(large)
      first.send('', from)
      expect((await socket.datagram('')).from).toEqual(first.local)
      socket.close()
    })

    test(`TCP passes beside the NAT, IPv${family}`, async () => {
      await lab.setNat(endpointIndependent)
      expect(await bench.client.tcp({ ip: server, port: 5001 })).toBe('connected')
    })
  }
})
