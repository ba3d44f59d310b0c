/** Sessions over lines that lose packets, and servers that say anything at all. */
import { describe, expect, it } from 'vitest'
import { instant } from '../../../src/core/index.ts'
import { SeededRandom } from '../../../src/lab/index.ts'
import { type Loss, TurnClient, type TurnClientEffect } from '../../../src/proto/turn-client/index.ts'
import {
  attribute,
  data,
  decodeMessage,
  encodeMessage,
  has,
  messageIntegrity,
  Method,
  xorPeerAddress,
} from '../../../src/wire/index.ts'
import { openEcho } from '../../lab/helpers.ts'
import { alice, protocols, turnLab, value } from './lab.ts'
import { afterChallenge, challenge, granted, replyBytes } from './scripted.ts'

const peer = { ip: '60.0.0.1', port: 5000 }
const bound = { ip: '60.0.0.1', port: 5001 }
const text = (words: string): Uint8Array => new TextEncoder().encode(words)

describe.each(protocols)('over %s', (protocol) => {
  it.each([0, 0.05, 0.2])('an allocation is got and held eleven minutes at %s loss', async (loss) => {
    for (let seed = 1; seed <= 20; seed++) {
      const lab = turnLab({ seed: `${loss} ${seed}`, loss, jitter: 0.3, duplication: loss / 4 })
      const relay = await lab.relay({ lifetimes: { nonce: 200 } })
      for (const { ip, port } of [peer, bound]) await openEcho(lab.peer, ip, port)
      const lost: Loss[] = []
      let heard = 0
      await lab.clock.run(
        (async () => {
          const session = await lab.session({ protocol, onLost: (each) => lost.push(each), onData: () => heard++ })
          value(await session.allocate())
          value(await session.permit([peer]))
          value(await session.bindChannel(bound))
          for (let minute = 1; minute <= 11; minute++) {
            await lab.clock.sleep(60_000)
            for (let index = 0; index < 5; index++) {
              session.send(peer, text('indication'))
              session.send(bound, text('channel'), 'channel')
            }
          }
          await lab.clock.sleep(5000)
          expect(session.allocation).toBeDefined()
          await session.close(60_000)
        })(),
      )
      expect({ seed, lost }).toEqual({ seed, lost: [] })
      if (loss === 0) expect(heard).toBe(110)
      else expect(heard).toBeGreaterThan(110 * (1 - loss) ** 2 * 0.7)
      expect((await relay.stats()).allocations).toBe(0)
      await relay.close()
    }
  })
})

describe('whatever a server says', () => {
  const server = { ip: '50.0.0.1', port: 3478 }
  const rounds = 10_000

  /** One to three things that happen to packets. */
  function mutate(original: Uint8Array, random: SeededRandom): Uint8Array {
    let bytes = Uint8Array.from(original)
    for (let times = random.integer(1, 3); times > 0 && bytes.length > 0; times--) {
      const at = random.integer(0, bytes.length - 1)
      const kind = random.integer(0, 4)
      if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7))
      else if (kind === 1) bytes[at] = random.integer(0, 255)
      else if (kind === 2) bytes = bytes.slice(0, at)
      else if (kind === 3) bytes = Uint8Array.from([...bytes, ...random.bytes(random.integer(1, 24))])
      else bytes[3] = random.integer(0, 60) * 4
    }
    return bytes
  }

  it.each(['udp', 'tcp'] as const)('over %s, nothing throws and only what is signed is believed', (protocol) => {
    const random = new SeededRandom(`mutations ${protocol}`)
    let allocated = 0
    let unmeant = 0
    for (let round = 0; round < rounds; round++) {
      const client = new TurnClient({
        random: random.fork(`client ${round}`),
        to: server,
        protocol,
        credentials: { kind: 'long-term', ...alice },
      })
      const script = afterChallenge((request) =>
        request.method === Method.allocate ? granted() : random.chance(0.2) ? challenge(438, 'new') : granted(),
      )
      const now = instant(round)
      let clean = true
      const settle = (): void => {
        for (let effect: TurnClientEffect | undefined = client.pollEffect(); effect; effect = client.pollEffect()) {
          if (effect.kind === 'allocated') {
            allocated++
            if (!clean) unmeant++
          }
          if (effect.kind !== 'send') continue
          const decoded = decodeMessage(effect.bytes)
          if (!decoded.ok || decoded.value.class !== 'request') continue
          const reply = replyBytes(decoded.value, script(decoded.value, 0) ?? challenge())
          const bytes = random.chance(0.5) ? mutate(reply, random) : reply
          // A challenge is believed from anybody: what has changed there leads to no allocation that is not signed.
          const isAllocate = decoded.value.method === Method.allocate
          if (isAllocate && has(decoded.value, messageIntegrity)) clean = sameUpToSeal(bytes, reply)
          client.handleInput({ kind: 'received', bytes, from: server }, now)
        }
      }
      client.handleInput({ kind: 'allocate', id: 1, options: {} }, now)
      settle()
      client.handleInput({ kind: 'bind-channel', id: 2, peer }, now)
      settle()
      const loose = random.chance(0.5)
        ? random.bytes(random.integer(0, 60))
        : mutate(
            encodeMessage({
              class: 'indication',
              method: Method.data,
              transactionId: random.bytes(12),
              attributes: [attribute(xorPeerAddress, peer), attribute(data, random.bytes(8))],
            }),
            random,
          )
      client.handleInput({ kind: 'received', bytes: loose, from: server }, now)
      settle()
      client.handleTimeout(instant(round + 600_000))
      settle()
    }
    expect(unmeant).toBe(0)
    expect(allocated).toBeGreaterThan(rounds / 10)
  })

  /** Whether all that MESSAGE-INTEGRITY covers is as it was: bytes behind it may be anything. */
  function sameUpToSeal(bytes: Uint8Array, original: Uint8Array): boolean {
    return original.every((byte, index) => index === 2 || index === 3 || bytes[index] === byte)
  }
})
