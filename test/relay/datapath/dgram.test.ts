import { afterEach, describe, expect, test } from 'vitest'
import type { DatagramEndpoint, StreamConnection, TransportAddress } from '../../../src/core/index.ts'
import { type HomeNetwork, homeNetwork, SeededRandom } from '../../../src/lab/index.ts'
import type { TurnServerOptions } from '../../../src/proto/turn-server/index.ts'
import type { Datapath, ListenerOptions } from '../../../src/relay/datapath/datapath.ts'
import { startDgram } from '../../../src/relay/datapath/dgram.ts'
import { encodeChannelData, StreamDecoder, toChannelNumber } from '../../../src/wire/index.ts'
import { certificate } from '../../transport/certificates.ts'
import {
  allocate,
  channel,
  channelBind,
  createPermission,
  describePacket,
  openServer,
  refresh,
  relayedAddress,
  sendIndication,
} from './turn-messages.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const serverIp = '50.0.0.1'
const listening = { ip: serverIp, port: 3478 }
const onUdp: ListenerOptions = { protocol: 'udp', address: listening }

interface Client {
  readonly heard: string[]
  readonly relayed: () => TransportAddress
  send(packet: Uint8Array): Promise<void>
  close(): Promise<void>
}

class Setup {
  readonly home: HomeNetwork = homeNetwork({ behavior: 'open' })
  readonly told: unknown[] = []
  readonly peerHeard: string[] = []
  datapath: Datapath | undefined
  peer: DatagramEndpoint | undefined

  async start(settings: Partial<TurnServerOptions> = {}, listeners = [onUdp]): Promise<void> {
    const { home } = this
    const ports = { network: home.server.network, clock: home.clock, random: new SeededRandom(1) }
    const options = { relayAddresses: [{ ip: serverIp }], ...settings }
    const handlers = { onMessage: (message: unknown) => void this.told.push(message), onFailed: () => undefined }
    this.datapath = await home.clock.run(startDgram(ports, listeners, options, openServer, handlers))
    this.peer?.close()
    this.peer = await home.clock.run(
      home.neighbour.network.openDatagram(
        { family: 4, ip: '80.0.0.11', port: 5000 },
        {
          onDatagram: (payload, from) =>
            void this.peerHeard.push(`${new TextDecoder().decode(payload)}<${from.ip}:${from.port}`),
          onFailure: () => undefined,
        },
      ),
    )
  }

  get peerAddress(): TransportAddress {
    return { ip: '80.0.0.11', port: 5000 }
  }

  async udpClient(): Promise<Client> {
    const { home } = this
    const heard: Uint8Array[] = []
    const endpoint = await home.clock.run(
      home.client.network.openDatagram(
        { family: 4, ip: '80.0.0.10' },
        { onDatagram: (packet) => void heard.push(packet), onFailure: () => undefined },
      ),
    )
    return this.#client(
      heard,
      (packet) => endpoint.send(packet, listening),
      () => endpoint.close(),
    )
  }

  async streamClient(tls?: { serverName: string }): Promise<Client> {
    const { home } = this
    const heard: Uint8Array[] = []
    const decoder = new StreamDecoder()
    const stream: StreamConnection = await home.clock.run(
      home.client.network.connectStream(
        { to: listening, tls, timeoutMs: 1000 },
        {
          onData: (chunk) => {
            for (const frame of decoder.push(chunk)) {
              if (frame.kind === 'message') heard.push(frame.message.bytes)
              if (frame.kind === 'channel-data') heard.push(encodeChannelData(frame.channelData))
            }
          },
          onClose: () => void heard.push(bytes('@@@@')),
        },
      ),
    )
    return this.#client(
      heard,
      (packet) => stream.send(packet),
      () => stream.close(),
    )
  }

  async settle(milliseconds = 100): Promise<void> {
    await this.home.clock.advance(milliseconds)
  }

  async counts(): Promise<unknown> {
    return (await this.datapath?.request('counts'))?.[0]
  }

  #client(heard: Uint8Array[], send: (packet: Uint8Array) => void, close: () => void): Client {
    const words: string[] = []
    let relayed: TransportAddress | undefined
    const collect = async (): Promise<void> => {
      await this.settle()
      for (const packet of heard.splice(0)) {
        const word = packet[0] === 0x40 && packet[1] === 0x40 ? 'closed' : describePacket(packet)
        if (word === 'allocate success') relayed = relayedAddress(packet)
        words.push(word)
      }
    }
    return {
      get heard() {
        return words
      },
      relayed: () => relayed ?? { ip: 'none', port: 0 },
      send: async (packet) => {
        send(packet)
        await collect()
      },
      close: async () => {
        close()
        await collect()
      },
    }
  }
}

const data = (text: string, pad = false): Uint8Array =>
  encodeChannelData({ channel: toChannelNumber(channel), data: bytes(text) }, { pad })

let setup: Setup
afterEach(async () => {
  await setup.datapath?.close()
})

describe('the dgram datapath on the virtual network', () => {
  test('ChannelData there and back, from the relayed address', async () => {
    setup = new Setup()
    await setup.start()
    const client = await setup.udpClient()
    await client.send(allocate())
    await client.send(channelBind(setup.peerAddress))
    await client.send(data('hello'))
    const relayed = client.relayed()
    expect(setup.peerHeard).toEqual([`hello<${relayed.ip}:${relayed.port}`])
    setup.peer?.send(bytes('welcome'), relayed)
    // Padding is tolerated over UDP, and an empty packet is a packet.
    await client.send(data('x', true))
    await client.send(data(''))
    expect(client.heard).toEqual(['allocate success', 'channelBind success', 'channel 4000 welcome'])
    expect(setup.peerHeard.slice(1)).toEqual([`x<${relayed.ip}:${relayed.port}`, `<${relayed.ip}:${relayed.port}`])
  })

  test('Send and Data indications for those who bind no channel', async () => {
    setup = new Setup()
    await setup.start()
    const client = await setup.udpClient()
    await client.send(allocate())
    await client.send(createPermission(setup.peerAddress))
    await client.send(sendIndication(setup.peerAddress, bytes('hello')))
    setup.peer?.send(bytes('welcome'), client.relayed())
    await setup.settle()
    await client.send(sendIndication(setup.peerAddress, bytes('again')))
    expect(client.heard).toEqual(['allocate success', 'createPermission success', 'data welcome'])
    expect(setup.peerHeard.map((word) => word.split('<')[0])).toEqual(['hello', 'again'])
  })

  test.each(['tcp', 'tls'] as const)('%s clients, cut and padded as streams need it', async (protocol) => {
    setup = new Setup()
    const own = certificate({ commonName: 'relay', names: ['relay.example'] })
    await setup.start({}, [{ protocol, address: listening, certificate: own }])
    const client = await setup.streamClient(protocol === 'tls' ? { serverName: 'relay.example' } : undefined)
    await client.send(allocate())
    const bind = channelBind(setup.peerAddress)
    await client.send(bind.subarray(0, 7))
    await client.send(Uint8Array.from([...bind.subarray(7), ...data('one', true), ...data('two!', true)]))
    setup.peer?.send(bytes('welcome'), client.relayed())
    await client.send(data('three', true))
    expect(client.heard).toEqual(['allocate success', 'channelBind success', 'channel 4000 welcome'])
    expect(setup.peerHeard.map((word) => word.split('<')[0])).toEqual(['one', 'two!', 'three'])
    await client.close()
    expect(await setup.counts()).toMatchObject({ allocations: 0 })
    expect(setup.told).toEqual(['ended: client-gone'])
  })

  test('a stream that speaks something else is closed, one that says nothing too', async () => {
    setup = new Setup()
    await setup.start({}, [{ protocol: 'tcp', address: listening }])
    const web = await setup.streamClient()
    await web.send(bytes('GET / HTTP/1.1\r\nHost: relay\r\n\r\n'))
    const silent = await setup.streamClient()
    const client = await setup.streamClient()
    await client.send(allocate())
    await setup.settle(21_000)
    await silent.send(bytes(''))
    await web.send(bytes(''))
    expect([silent.heard, web.heard]).toEqual([['closed'], ['closed']])
    await client.send(refresh(600))
    expect(client.heard).toEqual(['allocate success', 'refresh success'])
  })

  test('an allocation that ends gives its port back at once', async () => {
    setup = new Setup()
    await setup.start({ ports: { min: 50_000, max: 50_000 } })
    const [first, second] = [await setup.udpClient(), await setup.udpClient()]
    await first.send(allocate())
    await second.send(allocate())
    await first.send(refresh(0))
    await second.send(allocate())
    expect(first.heard).toEqual(['allocate success', 'refresh success'])
    expect(second.heard).toEqual(['allocate 508', 'allocate success'])
    await setup.settle(601_000)
    expect(setup.told).toContain('ended: expired')
    const bindAgain = setup.home.server.network.openDatagram(
      { family: 4, ip: serverIp, port: 50_000 },
      { onDatagram: () => undefined, onFailure: () => undefined },
    )
    ;(await setup.home.clock.run(bindAgain)).close()
  })

  test('a port that another program holds is no obstacle while there are others', async () => {
    setup = new Setup()
    const taken = await setup.home.clock.run(
      setup.home.server.network.openDatagram(
        { family: 4, ip: serverIp, port: 50_000 },
        { onDatagram: () => undefined, onFailure: () => undefined },
      ),
    )
    await setup.start({ ports: { min: 50_000, max: 50_001 } })
    const [first, second] = [await setup.udpClient(), await setup.udpClient()]
    await first.send(allocate())
    await second.send(allocate())
    expect(first.heard).toEqual(['allocate success'])
    expect(first.relayed().port).toBe(50_001)
    expect(second.heard).toEqual(['allocate 508'])
    taken.close()
  })

  test('what makes no sense reaches the machine, and nobody else', async () => {
    setup = new Setup()
    await setup.start()
    const client = await setup.udpClient()
    for (const packet of ['', '@', '@\0', 'hello', '\x40\0\0\x09x', '\x00\x01\x00\x04'])
      await client.send(bytes(packet))
    expect(client.heard).toEqual([])
    expect(setup.told).toHaveLength(6)
  })

  test('after close nothing is bound, and nothing waits', async () => {
    setup = new Setup()
    await setup.start({}, [onUdp, { protocol: 'tcp', address: listening }])
    const client = await setup.udpClient()
    await client.send(allocate())
    await setup.datapath?.close()
    await setup.start({}, [onUdp, { protocol: 'tcp', address: listening }])
    await expect(setup.datapath?.request('nonsense')).rejects.toThrow('what is nonsense?')
    await client.send(allocate())
    expect(client.heard).toEqual(['allocate success', 'allocate success'])
  })

  test('a listener that is taken leaves nothing bound', async () => {
    setup = new Setup()
    const { home } = setup
    const stop = home.server.acceptStreams(3478, () => ({ onData: () => undefined, onClose: () => undefined }))
    await expect(setup.start({}, [onUdp, { protocol: 'tcp', address: listening }])).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
    })
    stop()
    await setup.start({}, [onUdp, { protocol: 'tcp', address: listening }])
    expect(setup.datapath?.listening).toEqual([
      { protocol: 'udp', address: listening },
      { protocol: 'tcp', address: listening },
    ])
  })
})
