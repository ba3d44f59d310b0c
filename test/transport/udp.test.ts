import { afterEach, describe, expect, test } from 'vitest'
import { NatcheckError } from '../../src/core/index.ts'
import { icmpFailureReason } from '../../src/transport/failures.ts'
import { nodeNetwork } from '../../src/transport/index.ts'
import { bytes, RecordedDatagrams } from './handlers.ts'

const network = nodeNetwork()
const open: { close(): void }[] = []
afterEach(() => {
  for (const endpoint of open.splice(0)) endpoint.close()
})
const closing = <T extends { close(): void }>(endpoint: T): T => {
  open.push(endpoint)
  return endpoint
}

const failure = async (attempt: Promise<{ close(): void }>): Promise<NatcheckError> => {
  const result = await attempt.then(closing, (error: unknown) => error)
  if (result instanceof NatcheckError) return result
  throw new Error('expected a NatcheckError', { cause: result })
}

describe.each([
  [4, '127.0.0.1', '0.0.0.0'],
  [6, '::1', '::'],
] as const)('UDP over IPv%i', (family, loopback, wildcard) => {
  test('unconnected endpoints hear each other, with canonical addresses and plain bytes', async () => {
    const heard = new RecordedDatagrams()
    const a = closing(await network.openDatagram({ family, ip: loopback }, heard))
    const b = closing(await network.openDatagram({ family, ip: loopback }, new RecordedDatagrams()))
    b.send(bytes('hello'), a.local)
    await heard.hasDatagrams(1)
    expect(heard.datagrams).toMatchObject([{ text: 'hello', from: b.local }])
    expect(heard.datagrams[0]?.bytes.constructor).toBe(Uint8Array)
    expect(a.local).toEqual({ ip: loopback, port: a.local.port })
    expect(a.local.port).toBeGreaterThan(1023)
  })

  test('without an address, the wildcard is bound and told', async () => {
    const endpoint = closing(await network.openDatagram({ family }, new RecordedDatagrams()))
    expect(endpoint.local.ip).toBe(wildcard)
  })

  test('a connected endpoint knows its real address, and hears only its peer', async () => {
    const [heardA, heardC] = [new RecordedDatagrams(), new RecordedDatagrams()]
    const a = closing(await network.openDatagram({ family, ip: loopback }, heardA))
    const stranger = closing(await network.openDatagram({ family, ip: loopback }, new RecordedDatagrams()))
    const connected = closing(await network.connectDatagram(a.local, {}, heardC))
    expect(connected.local.ip).toBe(loopback)
    expect(connected.remote).toEqual(a.local)
    stranger.send(bytes('from a stranger'), connected.local)
    connected.send(bytes('ping'))
    await heardA.hasDatagrams(1)
    a.send(bytes('pong'), connected.local)
    await heardC.hasDatagrams(1)
    expect(heardC.datagrams.map(({ text }) => text)).toEqual(['pong'])
  })

  test('a connected endpoint hears that the port is closed, again and again, and stays open', async () => {
    const heard = new RecordedDatagrams()
    const gone = await network.openDatagram({ family, ip: loopback }, new RecordedDatagrams())
    gone.close()
    const connected = closing(await network.connectDatagram(gone.local, { ip: loopback }, heard))
    const refused = { to: gone.local, reason: 'port-unreachable', detail: 'ECONNREFUSED' }
    connected.send(bytes('1'))
    await heard.hasFailures(1)
    connected.send(bytes('2'))
    await heard.hasFailures(2)
    expect(heard.failures).toEqual([refused, refused])

    const heardBack = new RecordedDatagrams()
    closing(await network.openDatagram({ family, ip: loopback, port: gone.local.port }, heardBack))
    connected.send(bytes('3'))
    await heardBack.hasDatagrams(1)
  })

  test('a receive buffer of a given size holds as much, and the rest is lost', async () => {
    const burst = async (receiveBuffer?: number): Promise<number> => {
      const heard = new RecordedDatagrams()
      const sink = closing(await network.openDatagram({ family, ip: loopback, receiveBuffer }, heard))
      const source = closing(await network.openDatagram({ family, ip: loopback }, new RecordedDatagrams()))
      // In one tick, so that nothing is read in between.
      for (let i = 0; i < 50; i++) source.send(new Uint8Array(1000), sink.local)
      await heard.hasDatagrams(1)
      // What the buffer held has been read by then, so there is room again.
      await new Promise((resolve) => setImmediate(resolve))
      source.send(bytes('last'), sink.local)
      await heard.hasDatagram('last')
      return heard.datagrams.length - 1
    }
    expect(await burst()).toBe(50)
    expect(await burst(8192)).toBeLessThan(25)
  })

  test('a bound port is ADDRESS_IN_USE, with the address and what to do', async () => {
    const { local } = closing(await network.openDatagram({ family, ip: loopback }, new RecordedDatagrams()))
    const problem = await failure(
      network.openDatagram({ family, ip: loopback, port: local.port }, new RecordedDatagrams()),
    )
    expect(problem.code).toBe('ADDRESS_IN_USE')
    expect(problem.message).toContain(`${local.port} is already in use`)
    expect(problem.fix).toBe('choose another port, or stop the program that holds it')
  })

  test("somebody else's address is BAD_ADDRESS", async () => {
    const ip = family === 4 ? '192.0.2.1' : '2001:db8::1'
    for (const attempt of [
      network.openDatagram({ family, ip }, new RecordedDatagrams()),
      network.connectDatagram({ ip: loopback, port: 9 }, { ip }, new RecordedDatagrams()),
    ]) {
      const problem = await failure(attempt)
      expect(problem.code).toBe('BAD_ADDRESS')
      expect(problem.message).toBe(`${ip} is not an address of this machine`)
    }
  })

  test('what can not be sent is a failure, never an exception, and later sends go on', async () => {
    const heard = new RecordedDatagrams()
    const endpoint = closing(await network.openDatagram({ family, ip: loopback }, heard))
    endpoint.send(bytes('x'), { ip: loopback, port: 0 })
    endpoint.send(bytes('x'), { ip: family === 4 ? '::1' : '127.0.0.1', port: 9 })
    endpoint.send(new Uint8Array(70_000), endpoint.local)
    await heard.hasFailures(3)
    expect(heard.failures.map(({ reason, detail }) => `${reason} ${detail}`).toSorted()).toEqual([
      'message-too-big EMSGSIZE',
      'other EAFNOSUPPORT',
      'other ERR_SOCKET_BAD_PORT',
    ])
    endpoint.send(bytes('still here'), endpoint.local)
    await heard.hasDatagrams(1)
  })

  test('after close nothing is heard, and sending and closing again do nothing', async () => {
    const [heard, heardOther] = [new RecordedDatagrams(), new RecordedDatagrams()]
    const endpoint = await network.openDatagram({ family, ip: loopback }, heard)
    const other = closing(await network.openDatagram({ family, ip: loopback }, heardOther))
    other.send(bytes('too late'), endpoint.local)
    endpoint.send(bytes('x'), { ip: loopback, port: 0 })
    endpoint.close()
    endpoint.close()
    endpoint.send(bytes('y'), other.local)
    other.send(bytes('done'), other.local)
    await heardOther.hasDatagrams(1)
    expect(heardOther.datagrams.map(({ text }) => text)).toEqual(['done'])
    expect([heard.datagrams, heard.failures]).toEqual([[], []])
  })
})

test('an IPv6 wildcard endpoint leaves the IPv4 port to others', async () => {
  const six = closing(await network.openDatagram({ family: 6 }, new RecordedDatagrams()))
  const four = closing(await network.openDatagram({ family: 4, port: six.local.port }, new RecordedDatagrams()))
  expect(four.local.port).toBe(six.local.port)
})

test('elsewhere than on Linux, unreachable is not read as prohibited', () => {
  const reasons = (platform: NodeJS.Platform): string[] =>
    ['EHOSTUNREACH', 'ENETUNREACH', 'EACCES', 'ECONNREFUSED', 'ECONNRESET'].map((word) =>
      icmpFailureReason(word, platform),
    )
  expect(reasons('darwin')).toEqual([
    'host-unreachable',
    'network-unreachable',
    'other',
    'port-unreachable',
    'port-unreachable',
  ])
  expect(reasons('linux').slice(0, 3)).toEqual(['admin-prohibited', 'admin-prohibited', 'admin-prohibited'])
})
