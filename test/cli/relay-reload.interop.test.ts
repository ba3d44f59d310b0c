/** SIGHUP to the relay as a process, with a call over TLS that must not notice. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RelayDocument } from '../../src/cli/relay/announce.ts'
import { parseAddress, type StreamConnection, type TransportAddress } from '../../src/core/index.ts'
import { StunClient } from '../../src/proto/stun/index.ts'
import { timeLimitedCredentials } from '../../src/relay/credentials.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../src/transport/index.ts'
import {
  attribute,
  channelNumber,
  type EncodableAttribute,
  encodeChannelData,
  Method,
  requestedTransport,
  StreamDecoder,
  toChannelNumber,
  xorPeerAddress,
} from '../../src/wire/index.ts'
import { type Daemon, printed, startDaemon } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'
import { type Certificate, certificate } from '../transport/certificates.ts'
import { launcher } from './natcheck.ts'

const ip = '127.0.0.1'
const channel = toChannelNumber(0x4000)
const network = nodeNetwork()
let directory = ''
const cleanups: (() => Promise<void> | void)[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'natcheck-reload-'))
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  rmSync(directory, { recursive: true })
})

const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}
const install = ({ cert, key }: Pick<Certificate, 'cert' | 'key'>): void => {
  file('cert.pem', cert)
  file('key.pem', key)
}

/** A TURN client on a TLS stream. */
class TlsClient {
  readonly heard: string[] = []
  #stream: StreamConnection | undefined
  readonly #stun: StunClient
  closed = false

  constructor(to: TransportAddress, username: string, password: string) {
    this.#stun = new StunClient({
      clock: systemClock,
      random: systemRandom,
      to,
      reliable: true,
      credentials: { kind: 'long-term', username, password },
      send: (bytes) => this.#stream?.send(bytes),
    })
  }

  static async connect(to: TransportAddress, ca: string, user: string, password: string): Promise<TlsClient> {
    const client = new TlsClient(to, user, password)
    const decoder = new StreamDecoder()
    client.#stream = await network.connectStream(
      { to, tls: { serverName: ip, ca }, timeoutMs: 5000 },
      {
        onData: (bytes) => {
          for (const frame of decoder.push(bytes)) {
            if (frame.kind === 'message') client.#stun.receive(frame.message, to)
            if (frame.kind === 'channel-data') client.heard.push(Buffer.from(frame.channelData.data).toString())
          }
        },
        onClose: () => {
          client.closed = true
        },
      },
    )
    cleanups.push(() => client.#stream?.close())
    return client
  }

  async ask(method: number, attributes: readonly EncodableAttribute[] = []): Promise<number> {
    const outcome = await this.#stun.request({ method, attributes, timeoutMs: 5000 })
    return outcome.kind === 'success' ? 0 : outcome.kind === 'error-response' ? outcome.error.code : -1
  }

  allocate = (): Promise<number> => this.ask(Method.allocate, [attribute(requestedTransport, 17)])
  bind = (peer: TransportAddress): Promise<number> =>
    this.ask(Method.channelBind, [attribute(channelNumber, channel), attribute(xorPeerAddress, peer)])

  /** Through the relay to the echoing peer and back. */
  async echoes(text: string): Promise<void> {
    this.#stream?.send(encodeChannelData({ channel, data: new TextEncoder().encode(text) }, { pad: true }))
    await expect.poll(() => this.heard, { interval: 5, timeout: 5000 }).toContain(text)
  }
}

/** The name in the certificate that a new connection is shown. */
const shownTo = (to: TransportAddress): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: to.ip, port: to.port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.once('error', reject)
  })

async function echo(): Promise<TransportAddress> {
  const endpoint = await network.openDatagram(
    { family: 4, ip },
    { onDatagram: (bytes, from) => endpoint.send(bytes, from), onFailure: () => {} },
  )
  cleanups.push(() => endpoint.close())
  return endpoint.local
}

interface Running {
  readonly daemon: Daemon
  readonly to: TransportAddress
  /** Sends SIGHUP and waits for what is logged of it. */
  readonly reload: (logged: RegExp) => Promise<string>
}

async function start(datapath: string, ...more: readonly string[]): Promise<Running> {
  const daemon = startDaemon([
    process.execPath,
    launcher,
    'relay',
    '--json',
    `--datapath=${datapath}`,
    `--tls-listen=${ip}:0`,
    `--cert=${join(directory, 'cert.pem')}`,
    `--key=${join(directory, 'key.pem')}`,
    `--config=${join(directory, 'natcheck.yaml')}`,
    ...more,
  ])
  cleanups.push(() => daemon.stop('SIGKILL'))
  const [text] = await printed(daemon, /^\{$[^]*^\}$/m)
  await printed(daemon, /"msg":"relay started"/)
  const { listeners } = JSON.parse(text) as RelayDocument
  const to = parseAddress(listeners?.find(({ protocol }) => protocol === 'tls')?.address ?? '')
  if (!to) throw new Error(text)
  return {
    daemon,
    to,
    reload: async (logged) => {
      const before = daemon.output().length
      daemon.child.kill('SIGHUP')
      const later = (): string => daemon.output().slice(before)
      await expect.poll(later, { interval: 5, timeout: 5000 }).toMatch(logged)
      return later()
    },
  }
}

describe.each(['dgram', 'mmsg'])('on the %s datapath', (datapath) => {
  describeIf(datapath === 'mmsg' ? ['linux', 'koffi'] : ['linux'], 'SIGHUP', () => {
    test('brings a new certificate to new connections, and a broken one to none', async () => {
      const [first, second] = ['first', 'second'].map((commonName) => certificate({ commonName, names: [ip] }))
      if (!first || !second) throw new Error('no certificates')
      install(first)
      file('natcheck.yaml', 'allowPeer: 127.0.0.0/8\nuser: alice:a\n')
      const { daemon, to, reload } = await start(datapath)
      const call = await TlsClient.connect(to, first.cert, 'alice', 'a')
      expect([await call.allocate(), await call.bind(await echo())]).toEqual([0, 0])
      await call.echoes('before')
      expect(await shownTo(to)).toBe('first')

      install(second)
      await reload(/configuration reloaded/)
      expect(await shownTo(to)).toBe('second')
      await call.echoes('after')
      const later = await TlsClient.connect(to, second.cert, 'alice', 'a')
      expect(await later.allocate()).toBe(0)

      const expired = certificate({ commonName: 'expired', notAfter: new Date('2020-02-01') })
      for (const [broken, why] of [
        [{ cert: 'no PEM', key: second.key }, /the certificate can't be read/],
        [{ cert: second.cert, key: 'no PEM' }, /the certificate's key can't be read/],
        [{ cert: second.cert, key: first.key }, /the key is not the one of the certificate/],
        [expired, /the certificate expired on 2020-02-01/],
      ] as const) {
        install(broken)
        const logged = await reload(/the new configuration is refused, the old one stays/)
        expect(logged).toMatch(why)
        expect(logged).toContain('"level":"error"')
        expect(logged).not.toContain('PRIVATE KEY')
        expect(await shownTo(to)).toBe('second')
      }
      await call.echoes('all the while')
      expect(await call.ask(Method.refresh)).toBe(0)
      expect([call.closed, later.closed, daemon.child.exitCode]).toEqual([false, false, null])
    })

    test('brings users, secrets and peer rules, and ends no call but those with denied peers', async () => {
      const own = certificate({ commonName: 'own', names: [ip] })
      install(own)
      const users = file('users', 'alice:a\n')
      file('natcheck.yaml', `allowPeer: 127.0.0.0/8\nusersFile: ${users}\n`)
      const { to, reload } = await start(datapath)
      const call = await TlsClient.connect(to, own.cert, 'alice', 'a')
      const peer = await echo()
      expect([await call.allocate(), await call.bind(peer)]).toEqual([0, 0])

      file('users', 'bob:b\n')
      await reload(/configuration reloaded/)
      await call.echoes('removed, and still talking')
      expect(await call.ask(Method.refresh)).toBe(0)
      expect(await (await TlsClient.connect(to, own.cert, 'alice', 'a')).allocate()).toBe(401)
      expect(await (await TlsClient.connect(to, own.cert, 'bob', 'b')).allocate()).toBe(0)

      // The first secret: names are no longer all known, so clients must stop hashing them.
      const secret = 'sixteen bytes or more'
      const rest = timeLimitedCredentials({ secret, user: 'carol', ttlSeconds: 60, now: systemClock.wallTime() })
      const carol = async (): Promise<number> =>
        await (await TlsClient.connect(to, own.cert, rest.username, rest.credential)).allocate()
      expect(await carol()).toBe(401)
      const withSecret = `usersFile: ${users}\nauthSecretFile: ${file('secret', `${secret}\n`)}\n`
      file('natcheck.yaml', `allowPeer: 127.0.0.0/8\n${withSecret}`)
      await reload(/configuration reloaded.*"secrets":1|"secrets":1.*configuration reloaded/)
      expect(await carol()).toBe(0)
      expect(await call.ask(Method.refresh)).toBe(0)

      file('natcheck.yaml', `allowPeer: 127.0.0.0/8\nusersFile: ${users}\ndenyPeer: 127.0.0.1\n`)
      await reload(/configuration reloaded/)
      expect(await call.bind(peer)).toBe(403)
      expect(await call.ask(Method.refresh)).toBe(0)
      file('natcheck.yaml', `allowPeer: 127.0.0.0/8\nusersFile: ${users}\n`)
      await reload(/configuration reloaded/)
      expect(await call.bind(peer)).toBe(0)
      await call.echoes('again')
    })
  })
})
