/** DONT-FRAGMENT and ICMP as the network has them: a relay, a router, and a link of 1280 bytes to the peer. RFC 8656 §11 */
import { afterEach, expect, test, vi } from 'vitest'
import type { TransportAddress } from '../../../src/core/index.ts'
import {
  attribute,
  dontFragment,
  type EncodableAttribute,
  encodeMessage,
  lifetime,
  Method,
  requestedAddressFamily,
  requestedTransport,
  RequestedTransport,
} from '../../../src/wire/index.ts'
import { launcher } from '../../cli/natcheck.ts'
import { Namespaces } from '../../support/netns.ts'
import { printed } from '../../support/process.ts'
import { describeIf } from '../../support/requirements.ts'
import { type AgentSocket, UdpAgent } from '../../support/udp-agent.ts'
import { createPermission, describePacket, sendIndication } from './turn-messages.ts'

const addresses = {
  4: { relay: '192.0.2.1', near: '192.0.2.254', far: '198.51.100.254', peer: '198.51.100.1', length: 24 },
  6: { relay: '2001:db8:1::1', near: '2001:db8:1::fe', far: '2001:db8:2::fe', peer: '2001:db8:2::1', length: 64 },
} as const
const mtu = 1280
const large = 'l'.repeat(1400)

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const describe = ({ text }: { text: string }): string => describePacket(Uint8Array.from(Buffer.from(text, 'latin1')))

/** Counts on the router what comes from the relay. */
const counters = `
table inet watch {
  counter df { }
  counter fragments { }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "near" ip frag-off & 0x4000 != 0 counter name df
    iifname "near" ip frag-off & 0x3fff != 0 counter name fragments
    iifname "near" exthdr frag exists counter name fragments
  }
}`

class Client {
  readonly #socket: AgentSocket
  readonly #server: TransportAddress

  constructor(socket: AgentSocket, server: TransportAddress) {
    this.#socket = socket
    this.#server = server
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(latin1(bytes), this.#server)
  }

  /** All that was heard, in words, once the last of it is `last`. */
  async hears(last: string): Promise<string[]> {
    return await vi.waitFor(
      () => {
        const heard = this.#socket.received.map(describe)
        expect(heard.at(-1)).toBe(last)
        this.#socket.received.length = 0
        return heard
      },
      { timeout: 5000, interval: 5 },
    )
  }
}

describeIf(['netns', 'nft', 'koffi'], 'the mmsg datapath on a path of 1280 bytes', () => {
  let set: Namespaces | undefined
  afterEach(async () => await set?.remove())

  test.each([4, 6] as const)('IPv%i', async (family) => {
    const { relay: ip, near, far, peer: peerIp, length } = addresses[family]
    set = await Namespaces.create('relay', 'router', 'peer')
    const [relay, router, peers] = [set.get('relay'), set.get('router'), set.get('peer')]
    await set.link(
      { in: 'relay', as: 'eth0', addresses: [`${ip}/${length}`] },
      { in: 'router', as: 'near', addresses: [`${near}/${length}`] },
    )
    await set.link(
      { in: 'router', as: 'far', addresses: [`${far}/${length}`] },
      { in: 'peer', as: 'eth0', addresses: [`${peerIp}/${length}`] },
    )
    await router.sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 })
    await router.ip(`link set far mtu ${mtu}`)
    await peers.ip(`link set eth0 mtu ${mtu}`)
    await (family === 4 ? relay.ip(`route add default via ${near}`) : relay.ip6(`route add default via ${near}`))
    await (family === 4 ? peers.ip(`route add default via ${far}`) : peers.ip6(`route add default via ${far}`))
    await router.nft(counters)
    const count = async (name: string): Promise<number> =>
      Number(/packets (\d+)/.exec(await router.check(['nft', 'list', 'counter', 'inet', 'watch', name]))?.[1])

    // Sockets made under this leave DF alone unless they are told, so that DF shows who was.
    await relay.sysctl({ 'net.ipv4.ip_no_pmtu_disc': 1 })
    const daemon = relay.start([
      process.execPath,
      launcher,
      'relay',
      '--json',
      '--no-auth',
      '--datapath=mmsg',
      `--listen=${family === 4 ? ip : `[${ip}]`}:3478`,
      `--allow-peer=${peerIp}`,
    ])
    await printed(daemon, /^\}$/m)
    const [here, there] = [await UdpAgent.start(relay), await UdpAgent.start(peers)]
    const client = new Client(await here.open(ip), { ip, port: 3478 })
    const peer = await there.open(peerIp)

    client.send(
      encodeMessage({
        class: 'request',
        method: Method.allocate,
        transactionId: new Uint8Array(12),
        attributes: [
          attribute(requestedTransport, RequestedTransport.udp),
          attribute(lifetime, 600),
          attribute(requestedAddressFamily, family),
          attribute(dontFragment, true),
        ],
      }),
    )
    await client.hears('allocate success')
    // How the system handles path MTUs from here on: a socket's own way was decided when it was made.
    await relay.sysctl({ 'net.ipv4.ip_no_pmtu_disc': 0 })
    client.send(createPermission(peer.local))
    await client.hears('createPermission success')
    const send = (text: string, ...more: readonly EncodableAttribute[]): void =>
      client.send(sendIndication(peer.local, new TextEncoder().encode(text), more))
    const whole = attribute(dontFragment, true)

    send('plain')
    await peer.datagram('plain')
    expect(await count('df')).toBe(0)
    send('whole', whole)
    await peer.datagram('whole')
    send('plain again')
    await peer.datagram('plain again')
    expect(await count('df')).toBe(family === 4 ? 1 : 0)

    const tooBig = `icmp ${family === 4 ? '3/4' : '2/0'} ${mtu} of ${peer.local.port}`
    send(large, whole)
    expect(await client.hears(tooBig)).toEqual([tooBig])
    // Now the kernel knows the path, and refuses by itself.
    send(large, whole)
    expect(await client.hears(tooBig)).toEqual([tooBig])
    expect(await count('fragments')).toBe(0)
    send(large)
    await peer.datagram(large)
    expect(peer.received.map(({ text }) => text)).toEqual(['plain', 'whole', 'plain again', large])

    // A port where nobody is, beyond the router.
    const gone = await there.open(peerIp)
    gone.close()
    // The agent does one thing after the other, so it is closed when another is open.
    await there.open(peerIp)
    client.send(sendIndication(gone.local, new TextEncoder().encode('?')))
    await client.hears(`icmp ${family === 4 ? '3/3' : '1/4'} 0 of ${gone.local.port}`)
    send('still there')
    await peer.datagram('still there')
  })
})
