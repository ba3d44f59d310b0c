import { afterEach, describe, expect, it } from 'vitest'
import {
  type DatagramEndpoint,
  type DatagramHandlers,
  type DatagramOptions,
  formatAddress,
  NatcheckError,
  type Network,
  type TransportAddress,
} from '../../src/core/index.ts'
import { homeAddresses, homeNetwork, SeededRandom } from '../../src/lab/index.ts'
import { type ServedRequest, startStunServer, type StunServer } from '../../src/relay/index.ts'
import { nodeNetwork } from '../../src/transport/index.ts'
import {
  attribute,
  changeRequest,
  decodeMessage,
  get,
  otherAddress,
  responseOrigin,
  xorMappedAddress,
} from '../../src/wire/index.ts'
import { bindingRequestBytes, expectOk, transactionId } from '../proto/stun/messages.ts'

/** Sends one request and waits for what comes back. */
async function ask(network: Network, ip: string, to: TransportAddress, bytes: Uint8Array) {
  const handlers: { -readonly [name in keyof DatagramHandlers]: DatagramHandlers[name] } = {
    onDatagram: () => {},
    onFailure: () => {},
  }
  const endpoint = await network.openDatagram(
    { family: ip.includes(':') ? 6 : 4, ip },
    {
      onDatagram: (bytes, from) => handlers.onDatagram(bytes, from),
      onFailure: (failure) => handlers.onFailure(failure),
    },
  )
  const arrived = await new Promise<{ answer: Uint8Array; from: TransportAddress }>((resolve, reject) => {
    handlers.onDatagram = (answer, from) => resolve({ answer, from })
    handlers.onFailure = (failure) => reject(new Error(failure.detail))
    endpoint.send(bytes, to)
  })
  endpoint.close()
  return { message: expectOk(decodeMessage(arrived.answer)), from: arrived.from, local: endpoint.local }
}

const changeBoth = bindingRequestBytes([attribute(changeRequest, { changeIp: true, changePort: true })])

describe('on the virtual network', () => {
  const [primaryIp, alternateIp] = homeAddresses.servers

  it('answers from all four of its addresses', async () => {
    const { clock, client, server } = homeNetwork({ behavior: 'open' })
    const work = async () => {
      const running = await startStunServer(server.network, {
        primaryIp,
        alternateIp,
        primaryPort: 3478,
        alternatePort: 3479,
      })
      const seen = new Set<string>()
      for (const changeIp of [false, true]) {
        for (const changePort of [false, true]) {
          const request = bindingRequestBytes([attribute(changeRequest, { changeIp, changePort })])
          const { message, from, local } = await ask(client.network, '80.0.0.10', running.primary, request)
          expect(get(message, responseOrigin)).toEqual(from)
          expect(get(message, xorMappedAddress)).toEqual(local)
          expect(get(message, otherAddress)).toEqual(running.alternate)
          seen.add(formatAddress(from))
        }
      }
      return [...seen]
    }
    expect(await clock.run(work())).toEqual(['50.0.0.1:3478', '50.0.0.1:3479', '50.0.0.2:3478', '50.0.0.2:3479'])
  })

  it('tells what it served, also what it ignored', async () => {
    const { clock, client, server } = homeNetwork({ behavior: 'open' })
    const served: ServedRequest[] = []
    const work = async () => {
      const onRequest = (request: ServedRequest): void => void served.push(request)
      const { primary } = await startStunServer(server.network, { primaryIp, primaryPort: 3478, onRequest })
      const garbage = await client.network.openDatagram(
        { family: 4, port: 5000 },
        { onDatagram: () => {}, onFailure: () => {} },
      )
      garbage.send(new Uint8Array([1, 2, 3]), primary)
      await ask(client.network, '80.0.0.10', primary, bindingRequestBytes())
      return primary
    }
    const primary = await clock.run(work())
    expect(served).toMatchObject([
      { from: { ip: '80.0.0.10', port: 5000 }, at: primary, answer: undefined },
      { from: { ip: '80.0.0.10' }, at: primary, answer: { from: primary, to: { ip: '80.0.0.10' } } },
    ])
  })

  it('is silent after close, and its ports are free again', async () => {
    const { clock, server } = homeNetwork({ behavior: 'open' })
    const options = { primaryIp, alternateIp, primaryPort: 3478, alternatePort: 3479 }
    const work = async () => {
      const first = await startStunServer(server.network, options)
      await expect(startStunServer(server.network, options)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
      first.close()
      first.close()
      const again = await startStunServer(server.network, options)
      again.close()
      return again.alternate
    }
    expect(await clock.run(work())).toEqual({ ip: alternateIp, port: 3479 })
  })
})

describe('binding', () => {
  /** A network on which some addresses are taken; it counts what is open. */
  class ScarceNetwork {
    readonly open = new Set<string>()
    attempts = 0
    readonly #taken: (address: TransportAddress) => boolean
    #nextPort = 40_000

    constructor(taken: (address: TransportAddress) => boolean) {
      this.#taken = taken
    }

    get network(): Network {
      const openDatagram = async ({ ip = '0.0.0.0', port = 0 }: DatagramOptions): Promise<DatagramEndpoint> => {
        const local = { ip, port: port || this.#nextPort++ }
        this.attempts++
        if (this.#taken(local)) throw new NatcheckError('ADDRESS_IN_USE', `${formatAddress(local)} is taken`)
        this.open.add(formatAddress(local))
        return { local, send: () => {}, close: () => void this.open.delete(formatAddress(local)) }
      }
      return { ...nodeNetwork(), openDatagram }
    }
  }
  const ips = { primaryIp: '192.0.2.1', alternateIp: '192.0.2.2' }

  it('looks for a port that is free on both IPs', async () => {
    const scarce = new ScarceNetwork(({ ip, port }) => ip === ips.alternateIp && port < 40_003)
    const { primary, alternate } = await startStunServer(scarce.network, ips)
    expect([primary.port, alternate?.port]).toEqual([40_003, 40_004])
    expect([...scarce.open]).toHaveLength(4)
  })

  it('gives up after a while, and leaves nothing bound', async () => {
    const scarce = new ScarceNetwork(({ ip }) => ip === ips.alternateIp)
    await expect(startStunServer(scarce.network, ips)).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
    expect([...scarce.open]).toEqual([])
  })

  it('does not exchange a port that was asked for', async () => {
    const scarce = new ScarceNetwork(({ ip, port }) => ip === ips.alternateIp && port === 3479)
    const asked = startStunServer(scarce.network, { ...ips, primaryPort: 3478, alternatePort: 3479 })
    await expect(asked).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
    expect([...scarce.open]).toEqual([])
    expect(scarce.attempts).toBe(4)
  })

  it('opens one socket for one IP, two when a second port is asked for', async () => {
    const scarce = new ScarceNetwork(() => false)
    await startStunServer(scarce.network, { primaryIp: '0.0.0.0', primaryPort: 3478 })
    expect([...scarce.open]).toEqual(['0.0.0.0:3478'])
    await startStunServer(scarce.network, { primaryIp: '192.0.2.1', primaryPort: 3478, alternatePort: 0 })
    expect([...scarce.open]).toEqual(['0.0.0.0:3478', '192.0.2.1:3478', '192.0.2.1:40000'])
  })

  it('refuses addresses that make no sense together before it binds any', async () => {
    const scarce = new ScarceNetwork(() => false)
    for (const bad of [
      { ...ips, alternateIp: ips.primaryIp },
      { ...ips, alternateIp: '::1' },
      { ...ips, primaryPort: 3478, alternatePort: 3478 },
    ]) {
      await expect(startStunServer(scarce.network, bad)).rejects.toMatchObject({ code: 'USAGE' })
    }
    expect([...scarce.open]).toEqual([])
  })
})

describe('on loopback', () => {
  const running: StunServer[] = []
  afterEach(() => {
    for (const server of running.splice(0)) server.close()
  })

  it('runs on real sockets, RFC 5780 included', async () => {
    const server = await startStunServer(nodeNetwork(), { primaryIp: '127.0.0.1', alternateIp: '127.0.0.2' })
    running.push(server)
    const { message, from } = await ask(nodeNetwork(), '127.0.0.1', server.primary, changeBoth)
    expect(from).toEqual(server.alternate)
    expect(get(message, responseOrigin)).toEqual(server.alternate)
  })

  it('lives through ten thousand datagrams of noise and one-bit errors', async () => {
    const server = await startStunServer(nodeNetwork(), { primaryIp: '127.0.0.1', alternateIp: '127.0.0.2' })
    running.push(server)
    const random = new SeededRandom('noise')
    const noise = await nodeNetwork().openDatagram(
      { family: 4, ip: '127.0.0.1' },
      { onDatagram: () => {}, onFailure: () => {} },
    )
    for (let i = 0; i < 10_000; i++) {
      const bytes = i % 2 ? random.bytes(random.integer(0, 80)) : Uint8Array.from(changeBoth)
      const at = random.integer(0, Math.max(0, bytes.length - 1))
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7))
      noise.send(bytes, server.primary)
    }
    const id = transactionId(99)
    const { message } = await ask(
      nodeNetwork(),
      '127.0.0.1',
      server.alternate ?? server.primary,
      bindingRequestBytes([], id),
    )
    expect([...message.transactionId]).toEqual([...id])
    noise.close()
  })
})
