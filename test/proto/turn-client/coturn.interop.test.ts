/** Sessions with coturn and with our relay on loopback, over UDP, TCP and TLS. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TransportAddress, TransportProtocol } from '../../../src/core/index.ts'
import { createRelay, type Relay } from '../../../src/index.ts'
import {
  type AllocateOptions,
  openTurnSession,
  type ReceivedData,
  type TurnOutcome,
  type TurnSession,
  type TurnSessionOptions,
} from '../../../src/proto/turn-client/index.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../../src/transport/index.ts'
import { Method, rawAttribute } from '../../../src/wire/index.ts'
import { type LocalCoturn, startLocalCoturn } from '../../support/local-coturn.ts'
import { describeIf } from '../../support/requirements.ts'
import { certificate } from '../../transport/certificates.ts'
import { alice, first, value } from './lab.ts'

const ports = { network: nodeNetwork(), clock: systemClock, random: systemRandom }
const timeoutMs = 5000
const text = (words: string): Uint8Array => new TextEncoder().encode(words)

/** Bytes by what arrived; resolves when there are as many as were waited for. */
class Inbox {
  readonly data: ReceivedData[] = []
  #wanted: { readonly count: number; readonly resolve: () => void } | undefined

  readonly put = (received: ReceivedData): void => {
    this.data.push(received)
    if (this.#wanted && this.data.length >= this.#wanted.count) this.#wanted.resolve()
  }

  until(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted = { count, resolve }
      if (this.data.length >= count) resolve()
    })
  }

  get summary(): string[] {
    return this.data.map(({ bytes, via }) => `${new TextDecoder().decode(bytes)} by ${via}`)
  }
}

const own = certificate({ commonName: 'turn.example', names: ['turn.example'] })
const transports = ['udp', 'tcp', 'tls'] as const

const openTo = (
  to: TransportAddress,
  protocol: TransportProtocol,
  options: Partial<TurnSessionOptions> = {},
): Promise<TurnOutcome<TurnSession>> =>
  openTurnSession(ports, {
    to,
    protocol,
    serverName: 'turn.example',
    ca: own.cert,
    credentials: alice,
    connectTimeoutMs: timeoutMs,
    ...options,
  })

async function allocated(
  to: TransportAddress,
  protocol: TransportProtocol,
  options: AllocateOptions = {},
): Promise<{ session: TurnSession; relayed: TransportAddress; inbox: Inbox }> {
  const inbox = new Inbox()
  const session = value(await openTo(to, protocol, { onData: inbox.put }))
  const relayed = first(value(await session.allocate(options, { timeoutMs })))
  return { session, relayed, inbox }
}

async function relaysBothWays(to: TransportAddress, protocol: TransportProtocol): Promise<void> {
  const [a, b] = [await allocated(to, protocol), await allocated(to, protocol)]
  value(await a.session.permit([b.relayed], { timeoutMs }))
  value(await b.session.permit([a.relayed], { timeoutMs }))
  a.session.send(b.relayed, text('one'))
  await b.inbox.until(1)
  b.session.send(a.relayed, text('three'))
  await a.inbox.until(1)
  value(await a.session.bindChannel(b.relayed, { timeoutMs }))
  value(await b.session.bindChannel(a.relayed, { timeoutMs }))
  a.session.send(b.relayed, text('fives'), 'channel')
  await b.inbox.until(2)
  b.session.send(a.relayed, text('sixsix'), 'channel')
  await a.inbox.until(2)
  expect(b.inbox.summary).toEqual(['one by indication', 'fives by channel'])
  expect(a.inbox.summary).toEqual(['three by indication', 'sixsix by channel'])
  expect(a.session.tls?.chain.map(({ subject, selfSigned }) => [subject, selfSigned])).toEqual(
    protocol === 'tls' ? [['turn.example', true]] : undefined,
  )
  expect(value(await a.session.refresh(1200, { timeoutMs }))).toBe(1200)
  await Promise.all([a.session.close(), b.session.close()])
}

describeIf(['turnserver'], 'coturn', () => {
  let coturn: LocalCoturn

  beforeAll(async () => {
    coturn = await startLocalCoturn(['--allow-loopback-peers', '--mobility', '--denied-peer-ip=203.0.113.9'], own)
  })
  afterAll(() => coturn?.stop())

  const open = (
    protocol: TransportProtocol,
    options?: Partial<TurnSessionOptions>,
  ): Promise<TurnOutcome<TurnSession>> => openTo(protocol === 'tls' ? coturn.tlsTo : coturn.to, protocol, options)

  it.each(transports)('relays between two sessions over %s, by indication and channel', async (protocol) => {
    await relaysBothWays(protocol === 'tls' ? coturn.tlsTo : coturn.to, protocol)
  })

  it('gives even ports, reservations and mobility tickets', async () => {
    const { session, relayed } = await allocated(coturn.to, 'udp', { evenPort: 'reserve-next', mobility: true })
    const held = session.allocation
    expect(relayed.port % 2).toBe(0)
    const token = held?.reservationToken
    expect(token).toHaveLength(8)
    expect(held?.mobilityTicket?.length).toBeGreaterThan(0)
    const claimed = await allocated(coturn.to, 'udp', { reservationToken: token })
    expect(claimed.relayed.port).toBe(relayed.port + 1)
    const elsewhere = value(await open('udp'))
    if (!held) throw new Error('nothing is held')
    const moved = value(await elsewhere.move(held, { timeoutMs }))
    expect(moved.relayed).toEqual([relayed])
    expect(moved.mobilityTicket).not.toEqual(held.mobilityTicket)
    await Promise.all([session.close(), claimed.session.close(), elsewhere.close()])
  })

  it('answers a repeated Allocate with the same address, and unknown attributes with 420', async () => {
    const { session, relayed } = await allocated(coturn.to, 'udp')
    const again = value(await session.exchange({ method: Method.allocate, repeat: true }, { timeoutMs }))
    expect(again.error).toBeUndefined()
    const unknown = { method: Method.refresh, attributes: [rawAttribute(0x7ffd, new Uint8Array(4))] }
    expect(value(await session.exchange(unknown, { timeoutMs })).error?.code).toBe(420)
    expect(relayed.ip).toBe('127.0.0.1')
    await session.close()
  })

  it('says which step failed and why', async () => {
    const wrong = value(await open('udp', { credentials: { username: 'alice', password: 'guess' } }))
    expect(await wrong.allocate({}, { timeoutMs })).toMatchObject({
      failure: { stage: '401', cause: 'wrong-credentials', error: { code: 401 } },
    })
    await wrong.close()
    const anonymous = value(await open('tcp', { credentials: undefined }))
    expect(await anonymous.allocate({}, { timeoutMs })).toMatchObject({
      failure: { stage: '401', cause: 'credentials-missing', error: { code: 401 } },
    })
    await anonymous.close()
    expect(await open('tls', { serverName: 'other.example' })).toMatchObject({
      failure: { stage: 'tls', cause: 'tls', tls: { problem: 'wrong-name', chain: [{ names: ['turn.example'] }] } },
    })
    expect(await open('tls', { ca: undefined })).toMatchObject({ failure: { tls: { problem: 'self-signed' } } })
    const { session } = await allocated(coturn.to, 'udp')
    expect(await session.permit([{ ip: '203.0.113.9', port: 9 }], { timeoutMs })).toMatchObject({
      failure: { stage: 'permission', error: { code: 403 } },
    })
    await session.close()
  })
})

describe('our relay', () => {
  let relay: Relay

  beforeAll(async () => {
    relay = await createRelay({
      listen: [{ ip: '127.0.0.1', port: 0 }],
      tlsListen: [{ ip: '127.0.0.1', port: 0 }],
      certificate: own,
      users: [alice],
      datapath: 'dgram',
      allowPeers: ['127.0.0.0/8'],
    })
  })
  afterAll(() => relay?.close())

  it.each(transports)('relays between two sessions over %s, by indication and channel', async (protocol) => {
    const to = relay.listeners.find((each) => each.protocol === protocol)?.address
    if (!to) throw new Error(`it does not listen on ${protocol}`)
    await relaysBothWays(to, protocol)
    expect((await relay.stats()).allocations).toBe(0)
  })
})

describeIf(['turnserver'], 'coturn with an alternate server', () => {
  it('is left for the other one', async () => {
    const target = await startLocalCoturn()
    const balancer = await startLocalCoturn([`--alternate-server=127.0.0.1:${target.to.port}`])
    const options = { to: balancer.to, protocol: 'udp', credentials: alice, connectTimeoutMs: timeoutMs } as const
    try {
      const stays = value(await openTurnSession(ports, options))
      expect(await stays.allocate({}, { timeoutMs })).toMatchObject({
        failure: { cause: 'redirected', error: { code: 300 }, alternate: { server: target.to } },
      })
      await stays.close()
      const follows = value(await openTurnSession(ports, { ...options, maxRedirects: 3 }))
      expect(first(value(await follows.allocate({}, { timeoutMs }))).ip).toBe('127.0.0.1')
      expect(follows.server).toEqual(target.to)
      await follows.close()
    } finally {
      await Promise.all([target.stop(), balancer.stop()])
    }
  })
})
