/** When one socket is not enough: redirects, allocations that somebody else left, answers from elsewhere. */
import { expect, it } from 'vitest'
import type { TransportAddress } from '../../../src/core/index.ts'
import { alternateDomain, alternateServer, attribute } from '../../../src/wire/index.ts'
import { secondIp, serverIp, turnLab, value } from './lab.ts'
import { afterChallenge, challenge, granted, type Reply, relayed, type Script, serve } from './scripted.ts'

const first: TransportAddress = { ip: serverIp, port: 3478 }
const second: TransportAddress = { ip: secondIp, port: 3478 }

const redirect = (to: TransportAddress, domain?: string): Reply => ({
  code: 300,
  attributes: [attribute(alternateServer, to), ...(domain === undefined ? [] : [attribute(alternateDomain, domain)])],
})
const grants: Script = afterChallenge((request) => (request.method === 3 ? granted() : {}))

it('a redirect is followed when that was asked for', async () => {
  const lab = turnLab()
  await serve(lab.server, first, () => redirect(second))
  await serve(lab.server, second, grants)
  await lab.clock.run(
    (async () => {
      const stays = await lab.session()
      expect(await stays.allocate()).toMatchObject({ failure: { cause: 'redirected', alternate: { server: second } } })
      await stays.close()
      const follows = await lab.session({ maxRedirects: 1 })
      expect(value(await follows.allocate()).relayed).toEqual([relayed])
      expect(follows.server).toEqual(second)
      expect(follows.observations.filter(({ kind }) => kind === 'connected')).toMatchObject([
        { to: first },
        { to: second },
      ])
      await follows.close()
    })(),
  )
})

it('redirects that lead back, or on and on, end', async () => {
  const lab = turnLab()
  await serve(lab.server, first, () => redirect(second))
  await serve(lab.server, second, () => redirect(first))
  const farm = [5001, 5002, 5003, 5004, 5005].map((port) => ({ ip: serverIp, port }))
  for (const [index, address] of farm.entries()) {
    await serve(lab.server, address, () => redirect({ ip: serverIp, port: address.port + 1 }))
    expect(index).toBeLessThan(farm.length)
  }
  await lab.clock.run(
    (async () => {
      const loop = await lab.session({ maxRedirects: 3 })
      expect(await loop.allocate()).toMatchObject({ failure: { stage: 'allocate', cause: 'redirect-loop' } })
      await loop.close()
      const far = await lab.session({ maxRedirects: 9, to: { ip: serverIp, port: 5001 } })
      expect(await far.allocate()).toMatchObject({
        failure: { cause: 'too-many-redirects', why: 'redirected 4 times' },
      })
      expect(far.server.port).toBe(5004)
      await far.close()
    })(),
  )
})

it('a redirect to a server that does not answer fails there, within the caller’s time', async () => {
  const lab = turnLab()
  await serve(lab.server, first, () => redirect({ ip: '70.0.0.1', port: 3478 }))
  await lab.clock.run(
    (async () => {
      const session = await lab.session({ maxRedirects: 3 })
      expect(await session.allocate({}, { timeoutMs: 2000 })).toMatchObject({
        failure: { stage: '401', cause: 'timeout' },
      })
      expect(lab.clock.now()).toBe(2000)
      await session.close()
    })(),
  )
})

it('over TLS the redirected server’s certificate is for ALTERNATE-DOMAIN', async () => {
  const lab = turnLab()
  const names: string[] = []
  for (const [port, name] of [
    [5349, 'turn.example'],
    [5350, 'other.example'],
  ] as const) {
    lab.server.acceptStreams(
      port,
      () => {
        names.push(name)
        return { onData: () => undefined, onClose: () => undefined }
      },
      { tls: { names: [name] } },
    )
  }
  await lab.clock.run(
    (async () => {
      const to = { ip: serverIp, port: 5350 }
      const wrong = await lab.open({ protocol: 'tls', to, serverName: 'turn.example' })
      expect(wrong).toMatchObject({ failure: { stage: 'tls', cause: 'tls', tls: { problem: 'wrong-name' } } })
      const right = await lab.session({ protocol: 'tls', to, serverName: 'other.example' })
      expect(await right.allocate({}, { timeoutMs: 500 })).toMatchObject({
        failure: { stage: '401', cause: 'timeout' },
      })
      await right.close()
      expect(names).toEqual(['other.example'])
    })(),
  )
})

it('437 on Allocate is met with two new sockets, and then believed', async () => {
  const lab = turnLab()
  const ports = new Set<number>()
  lab.network.capture(({ packet }) => {
    if (packet.kind === 'udp' && packet.destination.ip === serverIp) ports.add(packet.source.port)
  })
  await serve(
    lab.server,
    first,
    afterChallenge(() => ({ code: 437 })),
  )
  await serve(
    lab.server,
    second,
    afterChallenge((request) => (request.method === 3 ? granted() : {})),
  )
  let refusals = 0
  await serve(
    lab.server,
    { ip: serverIp, port: 3479 },
    afterChallenge((request) => (request.method === 3 && refusals++ === 0 ? { code: 437 } : granted())),
  )
  await lab.clock.run(
    (async () => {
      const stuck = await lab.session()
      expect(await stuck.allocate()).toMatchObject({ failure: { stage: 'allocate', error: { code: 437 } } })
      expect(ports.size).toBe(3)
      await stuck.close()
      const lucky = await lab.session({ to: { ip: serverIp, port: 3479 } })
      expect(value(await lucky.allocate()).relayed).toEqual([relayed])
      await lucky.close()
    })(),
  )
})

it('a server that answers from another of its addresses is heard, and not believed', async () => {
  const lab = turnLab()
  const elsewhere = await lab.server.openDatagram(
    { family: 4, ip: secondIp, port: 3478 },
    { onDatagram: () => undefined, onFailure: () => undefined },
  )
  await serve(lab.server, first, () => challenge(), elsewhere)
  await lab.clock.run(
    (async () => {
      const session = await lab.session()
      expect(await session.allocate({}, { timeoutMs: 2000 })).toMatchObject({
        failure: { stage: '401', cause: 'other-address', why: expect.stringContaining('50.0.0.2:3478 answered') },
      })
      expect(session.observations.filter(({ kind }) => kind === 'stray')).toHaveLength(3)
      await session.close()
    })(),
  )
})
