import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { NatcheckError, type StreamOptions, type TlsProblem, type TransportAddress } from '../../src/core/index.ts'
import { nodeNetwork } from '../../src/transport/index.ts'
import { type Certificate, type CertificateOptions, certificate } from './certificates.ts'
import { bytes, RecordedStream } from './handlers.ts'

const network = nodeNetwork()
const servers: Server[] = []
const accepted: Socket[] = []
afterEach(() => {
  for (const socket of accepted.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

async function listen(server: Server, host = '127.0.0.1'): Promise<TransportAddress> {
  servers.push(server)
  server.on('connection', (socket: Socket) => accepted.push(socket.on('error', () => undefined)))
  server.listen(0, host)
  await once(server, 'listening')
  return { ip: host, port: (server.address() as AddressInfo).port }
}

const echo = (): Server => createServer((socket) => socket.pipe(socket))

const tlsEcho = (own: Certificate, onConnection: (socket: TLSSocket) => void = () => undefined): Server => {
  const server = createTlsServer({ cert: own.cert, key: own.key }, (socket) => {
    socket.on('error', () => undefined)
    onConnection(socket)
    socket.pipe(socket)
  })
  return server.on('tlsClientError', () => undefined)
}

const failure = async (options: StreamOptions): Promise<NatcheckError> => {
  const error: unknown = await network.connectStream(options, new RecordedStream()).catch((thrown: unknown) => thrown)
  if (error instanceof NatcheckError) return error
  throw new Error('expected a NatcheckError', { cause: error })
}

const timeoutMs = 5000

describe('TCP', () => {
  test.each(['127.0.0.1', '::1'])('to %s: bytes there and back, with the addresses of both ends', async (host) => {
    const to = await listen(echo(), host)
    const heard = new RecordedStream()
    const stream = await network.connectStream({ to, timeoutMs }, heard)
    const sent = bytes('hello')
    stream.send(sent)
    sent.fill(0) // the caller's buffer is the caller's again
    await heard.hasReceived('hello')
    expect(stream.local).toEqual({ ip: host, port: accepted[0]?.remotePort })
    expect(stream.remote).toEqual(to)
    stream.close()
  })

  test("the server's orderly close is told once, without an error", async () => {
    const to = await listen(createServer((socket) => socket.end('bye')))
    const heard = new RecordedStream()
    const stream = await network.connectStream({ to, timeoutMs }, heard)
    await heard.hasClosed()
    stream.close()
    stream.send(bytes('x'))
    expect([heard.received, heard.closes]).toEqual(['bye', [undefined]])
  })

  test("the server's reset is told once, as CONNECTION_CLOSED", async () => {
    const to = await listen(createServer((socket) => socket.once('data', () => socket.resetAndDestroy())))
    const heard = new RecordedStream()
    const stream = await network.connectStream({ to, timeoutMs }, heard)
    stream.send(bytes('x'))
    await heard.hasClosed()
    stream.send(bytes('y'))
    expect(heard.closes).toMatchObject([{ code: 'CONNECTION_CLOSED' }])
  })

  test('our close lets what was sent leave, and is told once', async () => {
    let received = ''
    const server = createServer((socket) => socket.setEncoding('utf8').on('data', (text: string) => (received += text)))
    const to = await listen(server)
    const heard = new RecordedStream()
    const stream = await network.connectStream({ to, timeoutMs }, heard)
    stream.send(bytes('last '))
    stream.send(bytes('words'))
    stream.close()
    stream.close()
    const socket = accepted[0] ?? (await once(server, 'connection'))[0]
    if (!socket.readableEnded) await once(socket, 'end')
    if (heard.closes.length === 0) await heard.hasClosed()
    expect(received).toBe('last words')
    expect(heard.closes).toEqual([undefined])
  })

  test('a closed port is CONNECTION_REFUSED', async () => {
    const to = await listen(echo())
    await new Promise((resolve) => servers.pop()?.close(resolve))
    const problem = await failure({ to, timeoutMs })
    expect(problem.code).toBe('CONNECTION_REFUSED')
    expect(problem.message).toBe(`127.0.0.1:${to.port} refused the TCP connection`)
  })

  test('from a given local address, which has to be ours', async () => {
    const to = await listen(echo())
    const stream = await network.connectStream({ to, localIp: '127.0.0.2', timeoutMs }, new RecordedStream())
    expect(stream.local.ip).toBe('127.0.0.2')
    stream.close()
    expect((await failure({ to, localIp: '192.0.2.1', timeoutMs })).code).toBe('BAD_ADDRESS')
  })

  test('an impossible port is an error, not an exception of another kind', async () => {
    expect((await failure({ to: { ip: '127.0.0.1', port: 70_000 }, timeoutMs })).code).toBe('UNREACHABLE')
  })
})

describe('TLS', () => {
  const authority = certificate({ commonName: 'Test Authority', isAuthority: true })
  const issue = (options: Omit<CertificateOptions, 'issuer' | 'commonName'>): Certificate =>
    certificate({ ...options, commonName: 'server', issuer: authority })
  const valid = issue({ names: ['turn.example', '*.wild.example', '127.0.0.1'] })

  const tls = (serverName: string): NonNullable<StreamOptions['tls']> => ({ serverName, ca: authority.cert })

  test.each([
    ['turn.example', 'turn.example'],
    ['a.wild.example', 'a.wild.example'],
    ['127.0.0.1', false],
  ] as const)('with a valid certificate for %s sends %s as SNI', async (serverName, sni) => {
    const names: unknown[] = []
    const to = await listen(tlsEcho(valid, (socket) => names.push((socket as { servername?: unknown }).servername)))
    const heard = new RecordedStream()
    let connected = 0
    const onConnected = (): void => void connected++
    const stream = await network.connectStream({ to, tls: tls(serverName), timeoutMs, onConnected }, heard)
    expect(connected).toBe(1)
    stream.send(bytes('over TLS'))
    await heard.hasReceived('over TLS')
    expect(names).toEqual([sni])
    expect(stream.local).toEqual({ ip: '127.0.0.1', port: accepted[0]?.remotePort })
    expect(stream.tls).toMatchObject({
      version: expect.stringMatching(/^TLSv1/),
      chain: [
        {
          subject: 'server',
          issuer: 'Test Authority',
          selfSigned: false,
          names: expect.arrayContaining(['127.0.0.1']),
        },
        { subject: 'Test Authority', selfSigned: true },
      ],
    })
    const [own] = stream.tls?.chain ?? []
    expect(own?.validTo).toBeGreaterThan(own?.validFrom ?? Infinity)
    stream.close()
    await heard.hasClosed()
    expect(heard.closes).toEqual([undefined])
  })

  test.each<[string, Certificate, NonNullable<StreamOptions['tls']>, TlsProblem, string]>([
    [
      'expired',
      issue({ names: ['turn.example'], notAfter: new Date('2021-03-04') }),
      tls('turn.example'),
      'expired',
      'the certificate expired on 2021-03-04',
    ],
    [
      'not yet valid',
      issue({ names: ['turn.example'], notBefore: new Date('2048-03-04') }),
      tls('turn.example'),
      'not-yet-valid',
      'the certificate is not valid before 2048-03-04: check the clocks of both sides',
    ],
    [
      'of another name',
      valid,
      tls('stun.example'),
      'wrong-name',
      'the certificate is not valid for stun.example: it is valid for turn.example, *.wild.example, 127.0.0.1',
    ],
    [
      'of another address',
      valid,
      tls('127.0.0.9'),
      'wrong-name',
      'the certificate is not valid for the address 127.0.0.9: it is valid for turn.example, *.wild.example, 127.0.0.1',
    ],
    [
      'without a name',
      issue({}),
      tls('turn.example'),
      'wrong-name',
      'the certificate is not valid for turn.example: it is valid for server',
    ],
    [
      'self-signed',
      certificate({ commonName: 'turn.example', names: ['turn.example'] }),
      tls('turn.example'),
      'self-signed',
      'the certificate is self-signed',
    ],
    [
      'of an unknown issuer',
      valid,
      { serverName: 'turn.example' },
      'untrusted',
      "the certificate's issuer, Test Authority, is unknown (the server may not send its intermediate certificate)",
    ],
  ])('a certificate %s is TLS_FAILED in one line, and nothing is sent', async (_kind, own, options, word, line) => {
    let received = 0
    const to = await listen(tlsEcho(own, (socket) => socket.on('data', ({ length }) => (received += length))))
    const problem = await failure({ to, tls: options, timeoutMs })
    expect(problem).toMatchObject({ code: 'TLS_FAILED', problem: word })
    expect(problem).toHaveProperty('chain.0.subject')
    expect(problem.message).toBe(`TLS with 127.0.0.1:${to.port}: ${line}`)
    expect(problem.fix).toMatch(/^(?:install|give) /)
    const [socket] = accepted
    if (socket && !socket.destroyed) await once(socket, 'close')
    expect(received).toBe(0)
  })

  test('a self-signed certificate that is given as CA is trusted', async () => {
    const own = certificate({ commonName: 'turn.example', names: ['turn.example'] })
    const to = await listen(tlsEcho(own))
    const heard = new RecordedStream()
    const options = { to, tls: { serverName: 'turn.example', ca: own.cert }, timeoutMs }
    const stream = await network.connectStream(options, heard)
    stream.send(bytes('trusted'))
    await heard.hasReceived('trusted')
    stream.close()
  })

  test.each<[string, (socket: Socket) => void, string]>([
    [
      'answers in another protocol',
      (socket) => socket.end('220 hello\r\n'),
      'the server does not speak TLS on this port',
    ],
    ['closes', (socket) => socket.end(), 'the server closed the connection during the handshake'],
    ['resets', (socket) => socket.resetAndDestroy(), 'the server closed the connection during the handshake'],
  ])('a server that %s is TLS_FAILED', async (_what, answer, line) => {
    const to = await listen(createServer((socket) => socket.once('data', () => answer(socket))))
    const problem = await failure({ to, tls: tls('turn.example'), timeoutMs })
    expect(problem.code).toBe('TLS_FAILED')
    expect(problem.message).toBe(`TLS with 127.0.0.1:${to.port}: ${line}`)
  })

  test('a server that never shakes hands is a TIMEOUT that says so', async () => {
    const to = await listen(createServer())
    const problem = await failure({ to, tls: tls('turn.example'), timeoutMs: 100 })
    expect(problem.code).toBe('TIMEOUT')
    expect(problem.message).toBe(`127.0.0.1:${to.port} accepted the TCP connection but not the TLS handshake in time`)
    const [socket] = accepted
    if (socket && !socket.destroyed) await once(socket.resume(), 'close')
  })

  test('a CA that is no certificate is named', async () => {
    const to = await listen(tlsEcho(valid))
    for (const ca of ['nonsense', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
      const problem = await failure({ to, tls: { serverName: 'turn.example', ca }, timeoutMs })
      expect(problem.code).toBe('TLS_FAILED')
      expect(problem.message).toContain("the given CA certificate can't be read")
      expect(problem.fix).toBe('give a PEM file')
    }
  })
})
