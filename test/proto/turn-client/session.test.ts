/** Sessions with our own relay on the virtual network. */
import { describe, expect, it } from 'vitest'
import type { ReceivedData, TurnSession } from '../../../src/proto/turn-client/index.ts'
import { Method, methodName } from '../../../src/wire/index.ts'
import { openEcho } from '../../lab/helpers.ts'
import { first, protocols, secondIp, type TurnLab, turnLab, value } from './lab.ts'

const text = (words: string): Uint8Array => new TextEncoder().encode(words)
const words = ({ bytes }: ReceivedData): string => new TextDecoder().decode(bytes)
const peer = { ip: '60.0.0.1', port: 5000 }

const methods = (session: TurnSession): string[] =>
  session.observations.flatMap((each) =>
    each.kind === 'request' ? [`${methodName(each.method)} ${each.error?.code ?? each.result}`] : [each.kind],
  )

/** Runs the work in virtual time, then ends the relay. */
async function withRelay(
  lab: TurnLab,
  options: Parameters<TurnLab['relay']>[0],
  work: () => Promise<void>,
): Promise<void> {
  const relay = await lab.relay(options)
  try {
    await lab.clock.run(work())
    expect((await relay.stats()).allocations).toBe(0)
  } finally {
    await relay.close()
  }
}

describe.each(protocols)('over %s', (protocol) => {
  it('runs calls side by side', async () => {
    const lab = turnLab()
    await withRelay(lab, {}, async () => {
      const session = await lab.session({ protocol })
      value(await session.allocate())
      const others = ['60.0.0.2', '60.0.0.3'].map((ip) => session.permit([{ ip, port: 1 }]))
      const outcomes = await Promise.all([...others, session.bindChannel(peer), session.refresh()])
      expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true, true])
      await session.close()
    })
  })

  it('gets an allocation, sends both ways and gives it back', async () => {
    const lab = turnLab()
    const echo = await openEcho(lab.peer, peer.ip, peer.port)
    const heard: ReceivedData[] = []
    await withRelay(lab, {}, async () => {
      const session = await lab.session({ protocol, onData: (data) => heard.push(data) })
      const allocation = value(await session.allocate())
      expect(allocation).toMatchObject({ lifetimeSeconds: 600, mapped: session.local, addressErrors: [] })
      value(await session.permit([peer]))
      expect(session.send(peer, text('one'))).toBe(true)
      expect(session.send(peer, text('two'), 'channel')).toBe(false)
      await lab.clock.sleep(100)
      expect(value(await session.bindChannel(peer))).toEqual({ channel: 0x4000, peer })
      expect(session.send(peer, text('three'), 'channel')).toBe(true)
      await lab.clock.sleep(100)
      const relayed = `50.0.0.1:${first(allocation).port}`
      expect(echo.heard).toEqual([`one<${relayed}`, `three<${relayed}`])
      expect(heard.map(words)).toEqual([relayed, relayed])
      expect(heard.map(({ via, peer: from, permitted }) => ({ via, from, permitted }))).toEqual([
        { via: 'indication', from: peer, permitted: true },
        { via: 'channel', from: peer, permitted: true },
      ])
      await session.close()
      expect(methods(session)).toEqual([
        'connected',
        'Allocate 401',
        'Allocate success',
        'CreatePermission success',
        'ChannelBind success',
        'Refresh success',
      ])
      const [connected, challenged] = session.observations
      expect(connected).toMatchObject({ kind: 'connected', protocol, startedAt: 0, at: protocol === 'udp' ? 0 : 20 })
      expect(challenged).toMatchObject({ rttMs: 20, transmissions: 1, signed: false, realm: 'natcheck' })
    })
  })

  it('keeps what it holds for twelve minutes', async () => {
    const lab = turnLab()
    await openEcho(lab.peer, peer.ip, peer.port)
    const bound = { ip: '60.0.0.1', port: 5001 }
    await openEcho(lab.peer, bound.ip, bound.port)
    const other = { ip: '2a00:60::1', port: 6000 }
    await openEcho(lab.peer, other.ip, other.port)
    const heard: ReceivedData[] = []
    const lost: unknown[] = []
    await withRelay(lab, {}, async () => {
      const session = await lab.session({
        protocol,
        onData: (data) => heard.push(data),
        onLost: (loss) => lost.push(loss),
      })
      value(await session.allocate({ families: [4, 6] }))
      value(await session.permit([peer, other]))
      value(await session.bindChannel(bound))
      for (let minute = 1; minute <= 12; minute++) {
        await lab.clock.sleep(60_000)
        session.send(other, text('6'))
        session.send(peer, text('4'))
        session.send(bound, text('c'), 'channel')
      }
      await lab.clock.sleep(1000)
      expect(heard).toHaveLength(36)
      expect(lost).toEqual([])
      expect(methods(session).filter((each) => each.startsWith('Refresh'))).toEqual(['Refresh success'])
      await session.close()
    })
  })
})

describe('an allocation', () => {
  it('has an address of each family, or says why not', async () => {
    const lab = turnLab()
    await withRelay(lab, {}, async () => {
      const session = await lab.session()
      const both = value(await session.allocate({ families: [4, 6] }))
      expect(both.relayed.map(({ ip }) => ip)).toEqual(['50.0.0.1', '2a00:50::1'])
      await session.close()
    })
    const lab4 = turnLab()
    await withRelay(lab4, { relayIps: ['50.0.0.1'] }, async () => {
      const session = await lab4.session()
      const one = value(await session.allocate({ families: [4, 6] }))
      expect(one).toMatchObject({ relayed: [{ ip: '50.0.0.1' }], addressErrors: [{ family: 6, code: 440 }] })
      await session.close()
      const none = await lab4.session()
      expect(await none.allocate({ families: [6] })).toMatchObject({
        failure: { stage: 'allocate', cause: 'error', error: { code: 440, reason: 'Address Family not Supported' } },
      })
      await none.close()
    })
  })

  it('lives on with a nonce that has gone stale in between', async () => {
    const lab = turnLab()
    await withRelay(lab, { lifetimes: { nonce: 60 } }, async () => {
      const session = await lab.session()
      value(await session.allocate())
      await lab.clock.sleep(120_000)
      value(await session.permit([peer]))
      expect(methods(session).slice(-2)).toEqual(['CreatePermission 438', 'CreatePermission success'])
      await session.close()
    })
  })

  it('is refused with the server’s words: quota, transport, peer, peer family', async () => {
    const lab = turnLab()
    await withRelay(lab, { userQuota: 1 }, async () => {
      const session = await lab.session()
      value(await session.allocate())
      const second = await lab.session()
      const failed = async (outcome: Promise<unknown>): Promise<unknown> => {
        const { failure } = (await outcome) as { failure: { stage: string; error: { code: number } } }
        return [failure.stage, failure.error.code]
      }
      expect(await failed(second.allocate())).toEqual(['allocate', 486])
      expect(await failed(second.allocate({ transport: 6 }))).toEqual(['allocate', 442])
      expect(await failed(second.refresh())).toEqual(['refresh', 437])
      expect(await failed(session.permit([{ ip: '10.0.0.1', port: 1 }]))).toEqual(['permission', 403])
      expect(await failed(session.bindChannel({ ip: '10.0.0.1', port: 1 }))).toEqual(['channel', 403])
      expect(await failed(session.permit([{ ip: '2a00:60::1', port: 1 }]))).toEqual(['permission', 443])
      await second.close()
      await session.close()
    })
  })

  it('of a wrong user is another failure than of none', async () => {
    const lab = turnLab()
    await withRelay(lab, {}, async () => {
      const wrong = await lab.session({ credentials: { username: 'alice', password: 'guess' } })
      expect(await wrong.allocate()).toMatchObject({
        failure: { stage: '401', cause: 'wrong-credentials', error: { code: 401 } },
      })
      await wrong.close()
      const nobody = await lab.session({ credentials: undefined })
      expect(await nobody.allocate()).toMatchObject({ failure: { stage: '401', cause: 'credentials-missing' } })
      await nobody.close()
    })
  })

  it('takes no credentials where the relay asks for none', async () => {
    const lab = turnLab()
    await withRelay(lab, { users: undefined, noAuth: true }, async () => {
      const session = await lab.session({ credentials: undefined })
      expect(first(value(await session.allocate())).ip).toBe('50.0.0.1')
      await session.close()
    })
  })

  it('is kept with short lifetimes and released at once', async () => {
    const lab = turnLab()
    await withRelay(lab, { lifetimes: { allocation: 20 } }, async () => {
      const session = await lab.session()
      expect(value(await session.allocate()).lifetimeSeconds).toBe(20)
      await lab.clock.sleep(60_000)
      expect(methods(session).filter((each) => each === 'Refresh success')).toHaveLength(5)
      value(await session.release())
      expect(session.allocation).toBeUndefined()
      await session.close()
    })
  })
})

describe('a request of the caller’s own', () => {
  it('repeats the last one byte for byte, is sent unsigned, or with another nonce', async () => {
    const lab = turnLab()
    await withRelay(lab, {}, async () => {
      const session = await lab.session()
      const { relayed } = value(await session.allocate())
      const code = async (raw: Parameters<TurnSession['exchange']>[0]): Promise<number | undefined> =>
        value(await session.exchange(raw)).error?.code
      expect(await code({ method: Method.allocate, repeat: true })).toBeUndefined()
      expect(await code({ method: Method.refresh, sign: 'never' })).toBe(401)
      const fresh = session.challenge?.nonce ?? ''
      expect(await code({ method: Method.refresh, nonce: `${fresh.slice(0, -8)}AAAAAAAA` })).toBe(438)
      expect(await code({ method: Method.refresh })).toBeUndefined()
      expect(session.allocation?.relayed).toEqual(relayed)
      await session.close()
    })
  })
})

describe('a session', () => {
  it('ends its calls when it is closed, aborted or out of time', async () => {
    const lab = turnLab()
    await lab.server.openDatagram(
      { family: 4, ip: secondIp, port: 3478 },
      { onDatagram: () => undefined, onFailure: () => undefined },
    )
    const to = { ip: secondIp, port: 3478 }
    await lab.clock.run(
      (async () => {
        const session = await lab.session({ to })
        expect(await session.allocate({}, { timeoutMs: 1500 })).toMatchObject({
          failure: { stage: '401', cause: 'timeout' },
        })
        expect(lab.clock.now()).toBe(1500)
        const abort = new AbortController()
        const aborted = session.allocate({}, { signal: abort.signal })
        abort.abort()
        expect(await aborted).toMatchObject({ failure: { cause: 'cancelled' } })
        const pending = session.allocate()
        await session.close()
        expect(await pending).toMatchObject({ failure: { cause: 'cancelled' } })
        expect(await session.permit([peer])).toMatchObject({ failure: { cause: 'cancelled' } })
        expect(await lab.open({ to, signal: abort.signal })).toMatchObject({
          failure: { stage: 'connect', cause: 'cancelled' },
        })
      })(),
    )
  })

  it('tells a closed port, a refused one, a silent address and a server that hangs up apart', async () => {
    const lab = turnLab()
    const cut = lab.server.acceptStreams(81, (stream) => {
      stream.close()
      return { onData: () => undefined, onClose: () => undefined }
    })
    lab.server.acceptStreams(80, (stream) => ({
      onData: () => stream.send(text('HTTP/1.1 400 Bad Request\r\n\r\n')),
      onClose: () => undefined,
    }))
    await lab.clock.run(
      (async () => {
        const failure = async (port: number, protocol: 'udp' | 'tcp', ip = '50.0.0.1'): Promise<string> => {
          const opened = await lab.open({ to: { ip, port }, protocol })
          const outcome = opened.ok ? await opened.value.allocate({}, { timeoutMs: 5000 }) : opened
          if (opened.ok) await opened.value.close()
          return outcome.ok ? 'ok' : `${outcome.failure.stage} ${outcome.failure.cause}`
        }
        expect(await failure(9, 'udp')).toBe('401 unreachable')
        expect(await failure(9, 'tcp')).toBe('connect refused')
        expect(await failure(9, 'tcp', '70.0.0.1')).toBe('connect timeout')
        expect(await failure(9, 'udp', '70.0.0.1')).toBe('401 timeout')
        expect(await failure(80, 'tcp')).toBe('401 not-turn')
        expect(await failure(81, 'tcp')).toBe('401 closed')
        cut()
      })(),
    )
  })
})
