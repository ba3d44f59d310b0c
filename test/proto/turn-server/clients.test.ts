/** Eleven virtual minutes of the clients there are, by what is known of their habits: not one packet is lost. */
import { describe, expect, it } from 'vitest'
import type { TransportProtocol } from '../../../src/core/index.ts'
import { restPassword } from '../../../src/proto/stun/index.ts'
import type { RelayId, TurnEffect } from '../../../src/proto/turn-server/index.ts'
import {
  attribute,
  data,
  decodeChannelData,
  decodeMessage,
  get,
  lifetime,
  loggingId,
  type StunMessage,
  xorMappedAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'
import { channelDataBytes, type Client, outcome, peer, Rig, type RigOptions, sendIndication } from './rig.ts'

/** What a client does by the clock, in seconds since its allocation. */
interface Habits {
  readonly lifetime?: number
  /** Sends by ChannelData from this second on; before that, and otherwise, by Send indication. */
  readonly channelFrom?: number
  /** Whether it can do anything with a Data indication. */
  readonly understandsData?: boolean
  /** Seconds between two of each. */
  readonly permission?: number
  readonly channel?: number
  /** Seconds from one Refresh to the next, by the lifetime granted. */
  readonly refresh: (granted: number) => number
}

const clients: Readonly<Record<string, Habits>> = {
  // Permissions every 240 s until bound; ChannelBind on the first payload; Refresh a minute before the end.
  Chromium: {
    channelFrom: 5,
    permission: 240,
    channel: 240,
    refresh: (granted) => (granted < 120 ? granted / 2 : granted - 60),
  },
  // No channels at all. The permission is renewed when it is used after 290 s.
  Firefox: { lifetime: 3600, permission: 290, refresh: (granted) => granted - 10 },
  // No CreatePermission, ChannelBind every 500 s, and Data indications are ignored.
  aioice: {
    lifetime: 600,
    channelFrom: 0,
    channel: 500,
    understandsData: false,
    refresh: (granted) => (granted * 5) / 6,
  },
  libnice: { channelFrom: 1, permission: 240, channel: 540, refresh: (granted) => granted - 60 },
  pion: { channelFrom: 1, permission: 120, channel: 300, refresh: (granted) => granted / 2 },
}

class Call {
  readonly rig: Rig
  readonly client: Client
  readonly habits: Habits
  readonly relay: RelayId
  granted: number
  #due: { at: number; act: () => number }[] = []
  #bound = false

  constructor(name: string, options: RigOptions, protocol: TransportProtocol = 'udp') {
    this.rig = new Rig(options)
    this.client = this.rig.client({ protocol })
    this.habits = clients[name] ?? { refresh: (granted) => granted }
    const { channelFrom, permission, channel, refresh } = this.habits
    const reply = this.client.allocate([
      ...(this.habits.lifetime === undefined ? [] : [attribute(lifetime, this.habits.lifetime)]),
      attribute(loggingId, name),
    ])
    // Without any of these Chromium ignores the success.
    this.granted = get(reply, lifetime) ?? 0
    const relayed = get(reply, xorRelayedAddress)
    if (!relayed || !get(reply, xorMappedAddress)) throw new Error(`${outcome(reply)}`)
    this.relay = this.client.relayId(relayed)
    this.#every(refresh(this.granted), refresh(this.granted), () => {
      this.granted = get(must(this.client.refresh(this.habits.lifetime)), lifetime) ?? 0
      return refresh(this.granted)
    })
    if (permission !== undefined) {
      // Chromium stops asking when it has a channel.
      this.#every(0, permission, () =>
        this.#bound && name === 'Chromium' ? undefined : must(this.client.permit(peer)),
      )
    }
    if (channel !== undefined && channelFrom !== undefined) {
      this.#every(channelFrom, channel, () => {
        must(this.client.bind(0x4000))
        this.#bound = true
      })
    }
  }

  /** Does what is due, then has one packet go each way. */
  second(at: number): void {
    for (const item of this.#due) while (item.at <= at) item.at += item.act()
    const payload = Uint8Array.of(at >> 8, at, 1, 2, 3)
    const out = this.#bound
      ? channelDataBytes(0x4000, payload, this.client.path.protocol === 'udp' ? 0 : -payload.length & 3)
      : sendIndication(this.rig.random.bytes(12), payload, peer)
    expect(this.rig.fromClient(this.client.path, out)).toMatchObject([{ kind: 'send-to-peer', peer, bytes: payload }])
    expect(this.#received(this.rig.fromPeer(this.relay, peer, payload))).toEqual(payload)
    this.rig.pass(1)
  }

  #received([effect]: TurnEffect[]): Uint8Array | undefined {
    if (effect?.kind !== 'send-to-client' || effect.path !== this.client.path) return undefined
    const channelData = decodeChannelData(effect.bytes)
    if (channelData.ok) return channelData.value.data
    const decoded = decodeMessage(effect.bytes)
    return decoded.ok && this.habits.understandsData !== false ? get(decoded.value, data) : undefined
  }

  #every(first: number, seconds: number, act: () => unknown): void {
    this.#due.push({
      at: first,
      act: () => {
        const next = act()
        return typeof next === 'number' ? next : seconds
      },
    })
  }
}

function must(reply: StunMessage): StunMessage {
  if (reply.class !== 'success') throw new Error(`${outcome(reply)}`)
  return reply
}

describe.each(Object.keys(clients))('%s', (name) => {
  it.each<[string, RigOptions, TransportProtocol]>([
    ['with the default lifetimes', {}, 'udp'],
    ['with nonces that last two minutes', { auth: { nonceLifetime: 120 } }, 'udp'],
    ['over TLS', {}, 'tls'],
  ])('keeps its call for eleven minutes %s', (_, options, protocol) => {
    const call = new Call(name, options, protocol)
    for (let second = 0; second < 660; second++) call.second(second)
    expect(call.rig.allocations.length).toBe(1)
    expect(call.rig.allocations[0]?.toPeer.packets).toBe(660)
    expect(call.rig.allocations[0]?.toClient.packets).toBe(660)
    expect(call.rig.told().filter((told) => told.startsWith('drop'))).toEqual([])
    expect(outcome(call.client.refresh(0))).toBe('success')
    call.rig.pass(60)
    expect(call.rig.idle).toBe(true)
  })
})

it('Chromium refreshes short lifetimes at half, so that a test need not wait nine minutes', () => {
  const call = new Call('Chromium', { lifetimes: { allocation: 20, maxAllocation: 20 } })
  for (let second = 0; second < 60; second++) call.second(second)
  expect(call.granted).toBe(20)
})

it('a call outlives its REST credentials', () => {
  const expiry = 1_700_000_000 + 60
  const call = new Rig({ auth: { secrets: ['0123456789abcdef'], users: new Map() } })
  const client = call.client({ username: `${expiry}:alice`, password: restPasswordOf(`${expiry}:alice`) })
  client.relayed()
  for (let minute = 0; minute < 11; minute++) {
    call.pass(60)
    expect(outcome(client.refresh())).toBe('success')
  }
  expect(
    outcome(call.client({ username: `${expiry}:alice`, password: restPasswordOf(`${expiry}:alice`) }).allocate()),
  ).toBe(401)
})

it('a call outlives the secret it was granted by', () => {
  const rig = new Rig()
  const client = rig.client()
  client.allocate()
  rig.auth?.replace({ users: new Map() })
  for (let minute = 0; minute < 30; minute++) {
    rig.pass(60)
    expect(outcome(client.refresh())).toBe('success')
  }
  expect(outcome(rig.client().allocate())).toBe(401)
})

const restPasswordOf = (username: string): string => restPassword('0123456789abcdef', username)
