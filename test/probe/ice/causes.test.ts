/** Each cause comes from a server or a network that really fails in that way, and no other cause beside it. */
import { createServer, type Server } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { afterAll, describe, expect, it, test } from 'vitest'
import { type TransportAddress, wallTime } from '../../../src/core/index.ts'
import {
  type FirewallRule,
  type Host,
  natBehavior,
  nothingPasses,
  tcpBlackHole,
  udpBlackHole,
  udpProhibited,
} from '../../../src/lab/index.ts'
import {
  type AttemptObservation,
  type CauseCode,
  gatherIce,
  type IceObservations,
  type IceOptions,
  readIceServers,
} from '../../../src/probe/ice/index.ts'
import { concludeBlocks } from '../../../src/probe/ice/causes.ts'
import { explainCause } from '../../../src/report/index.ts'
import { timeLimitedCredentials } from '../../../src/relay/credentials.ts'
import { nodeNetwork, systemClock, systemRandom } from '../../../src/transport/index.ts'
import {
  alternateServer,
  attribute,
  decodeMessage,
  has,
  lifetime,
  messageIntegrity,
  Method,
  xorMappedAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'
import { alice as scriptedAlice } from '../../proto/turn-client/lab.ts'
import {
  afterChallenge,
  challenge,
  granted,
  type Reply,
  replyBytes,
  type Script,
  serve,
} from '../../proto/turn-client/scripted.ts'
import { attempt, failing } from '../../report/ice-observed.ts'
import { startScriptedServer } from '../../support/scripted-stun-server.ts'
import { type CertificateOptions, certificate } from '../../transport/certificates.ts'
import { codes, IceLab, only, stagesOf } from './lab.ts'

const server = '50.0.0.1'
const seen = new Set<string>()
afterAll(() => {
  // All of them, or the table below lacks one.
  expect([...seen].toSorted()).toEqual([...every].toSorted())
})

/** What one failing attempt shows: `cause@stage`, and the stages. */
function failure(attempt: AttemptObservation): readonly string[] {
  for (const cause of attempt.causes) {
    seen.add(cause.code)
    expect(explainCause(cause, attempt).message).not.toMatch(/undefined|NaN/)
  }
  return [attempt.causes.map(({ code, stage }) => `${code}@${stage}`).join(', '), stagesOf(attempt)]
}

const natLab = (rule?: FirewallRule): IceLab =>
  new IceLab({
    addresses: ['192.168.1.10'],
    behind: (network) =>
      network.addRouter({ name: 'home', ipv4: natBehavior(), externalIps: ['80.0.0.1'], ...(rule && { rule }) }),
  })

describe('names', () => {
  it('that do not exist, and resolvers that are silent or refuse', async () => {
    const lab = natLab()
    lab.network.names.breakName('silent.example', 'silent')
    lab.network.names.breakName('refusing.example', 'refused')
    lab.network.names.addHost('six.example', ['2a00:50::1'])
    const urls = ['turn:nowhere.example', 'stun:silent.example', 'stun:refusing.example:3478', 'stun:six.example']
    const { attempts } = await lab.gather(urls, { families: [4] })
    expect(attempts.map(failure)).toEqual([
      ['unknown-host@dns', 'dns!'],
      ['dns-failed@dns', 'dns!'],
      ['dns-failed@dns', 'dns!'],
      ['no-route@dns', 'dns!'],
    ])
  })

  it('of a transport that natcheck does not speak', async () => {
    const { attempts } = await natLab().gather(['turns:50.0.0.1?transport=udp'])
    expect(attempts.map(failure)).toEqual([['unsupported@dns', 'dns!']])
  })
})

describe('the network', () => {
  const run = async (rule: FirewallRule, urls: readonly string[]): Promise<IceObservations> => {
    const lab = natLab(rule)
    await lab.relay(lab.host('server', 20, server))
    return await lab.gather(urls)
  }

  it.each<[string, FirewallRule, string, Record<string, unknown>]>([
    ['drops UDP', udpBlackHole, `turn:${server}`, { worksOver: 'TCP 3478' }],
    ['drops UDP', udpBlackHole, `stun:${server}`, { worksOver: 'TCP 3478' }],
    ['refuses UDP', udpProhibited, `turn:${server}`, { reason: 'admin-prohibited' }],
    ['refuses UDP', udpProhibited, `stun:${server}`, { reason: 'admin-prohibited' }],
  ])('%s: blocked', async (_, rule, uri, facts) => {
    const { attempts, candidates } = await run(rule, [uri])
    expect(failure(only(attempts))[0]).toMatch(/^blocked@(challenge|binding)$/)
    expect(only(only(attempts).causes).facts).toMatchObject(facts)
    expect(candidates.every(({ type }) => type === 'host')).toBe(true)
  })

  it('drops UDP, while the relay over TCP works and is proven by a second allocation', async () => {
    const lab = natLab(udpBlackHole)
    await lab.relay(lab.host('server', 20, server))
    const { attempts, reachability } = await lab.gather([`turn:${server}`, `turn:${server}?transport=tcp`])
    expect(attempts.map((attempt) => codes(attempt))).toEqual([['blocked'], []])
    expect(only(reachability)).toMatchObject({ result: 'proven', peer: 'second-allocation', received: 20 })
  })

  it('drops UDP, and a relay that refuses itself as a peer is not proven, and not called broken', async () => {
    const lab = natLab(udpBlackHole)
    await lab.relay(lab.host('server', 20, server), { denyPeers: [server] })
    const { attempts, reachability } = await lab.gather([`turn:${server}?transport=tcp`])
    expect(only(attempts).causes).toEqual([])
    expect(only(reachability)).toMatchObject({
      result: 'not-proven',
      sent: 0,
      why: expect.stringContaining('our own UDP') as string,
    })
  })

  it('lets few ICMP errors through: silence of a port that refuses another attempt is a refusal', () => {
    const over = { address: '50.0.0.1:3478', rttMs: null }
    const silent = failing({ code: 'no-answer', stage: 'challenge' }, over)
    const refused = failing({ code: 'refused', stage: 'binding' }, { ...over, scheme: 'stun' })
    const byTcp = attempt({ address: '50.0.0.1:3478', transport: 'tcp', rttMs: 20 })
    const none = { open: new Map<string, string>(), answersBinding: new Set<number>() }
    const conclude = (...attempts: readonly AttemptObservation[]): string[] =>
      concludeBlocks(attempts, none).flatMap((each) => codes(each))
    expect(conclude(silent, refused, byTcp)).toEqual(['refused', 'refused'])
    expect(conclude(silent, byTcp)).toEqual(['blocked'])
  })

  it('drops a TCP port: blocked, since UDP gets through', async () => {
    const { attempts } = await run(tcpBlackHole, [`turn:${server}`, `turn:${server}?transport=tcp`, `turns:${server}`])
    expect(attempts.map((attempt) => failure(attempt)[0])).toEqual(['', 'blocked@connect', 'blocked@connect'])
    expect(attempts[1]?.causes[0]?.facts).toMatchObject({ worksOver: 'UDP 3478' })
  })

  it("is stopped by this machine's own firewall", async () => {
    const lab = natLab()
    await lab.relay(lab.host('server', 20, server))
    lab.client.rule = (packet, direction) => (packet.kind === 'udp' && direction === 'outbound' ? 'drop' : 'pass')
    const { attempts } = await lab.gather([`stun:${server}`, `turn:${server}`])
    expect(attempts.map((attempt) => failure(attempt)[0])).toEqual(['blocked@binding', 'blocked@challenge'])
    expect(attempts[0]?.causes[0]?.facts).toMatchObject({ reason: 'local-firewall' })
  })

  it('lets nothing through: no answer, no connection, but no word of blocking, since nothing shows it', async () => {
    const { attempts } = await run(nothingPasses, [`stun:${server}`, `turn:${server}`, `turn:${server}?transport=tcp`])
    expect(attempts.map(failure)).toEqual([
      ['no-answer@binding', 'binding!'],
      ['no-answer@challenge', 'challenge!'],
      ['connect-timeout@connect', 'connect!'],
    ])
  })

  it('has no way there', async () => {
    const lab = natLab()
    const { attempts } = await lab.gather(['stun:[2a00:50::1]', 'turn:[2a00:50::1]', 'turn:[2a00:50::1]?transport=tcp'])
    expect(attempts.map((attempt) => codes(attempt))).toEqual([['no-route'], ['no-route'], ['no-route']])
  })
})

describe('what listens', () => {
  it('is nothing: refused', async () => {
    const lab = natLab()
    lab.host('server', 20, server)
    const { attempts, gatheredAtMs } = await lab.gather([
      `stun:${server}`,
      `turn:${server}`,
      `turn:${server}?transport=tcp`,
      `turns:${server}`,
    ])
    expect(attempts.map(failure)).toEqual([
      ['refused@binding', 'binding!'],
      ['refused@challenge', 'challenge!'],
      ['refused@connect', 'connect!'],
      ['refused@connect', 'connect!'],
    ])
    expect(gatheredAtMs).toBeLessThan(400)
  })

  it.each<[string, (host: Host) => void, string, string]>([
    [
      'hangs up',
      (host) => host.acceptStreams(3478, (stream) => (stream.close(), quiet)),
      'closed@challenge',
      'connect challenge!',
    ],
    ['says nothing', (host) => host.acceptStreams(3478, () => quiet), 'no-answer@challenge', 'connect challenge!'],
    [
      'speaks HTTP',
      (host) =>
        host.acceptStreams(3478, (stream) => ({
          ...quiet,
          onData: () => stream.send(text('HTTP/1.1 400 Bad Request\r\n\r\n')),
        })),
      'not-stun@challenge',
      'connect challenge!',
    ],
  ])('over TCP %s', async (_, listen, cause, stages) => {
    const lab = natLab()
    const host = lab.host('server', 20, server)
    listen(host)
    // That UDP works there changes nothing: the connection was let through.
    await serve(host, { ip: server, port: 3478 }, () => ({
      attributes: [attribute(xorMappedAddress, { ip: '80.0.0.1', port: 1 })],
    }))
    const { attempts } = await lab.gather([`turn:${server}?transport=tcp`, `stun:${server}`])
    expect(failure(attempts[0] ?? never())).toEqual([cause, stages])
  })

  it.each([
    ['echoes', (bytes: Uint8Array) => bytes],
    ['speaks something else', () => text('no such service')],
  ])('over UDP %s: not STUN', async (_, reply) => {
    const lab = natLab()
    const host = lab.host('server', 20, server)
    const endpoint = await host.openDatagram(
      { family: 4, ip: server, port: 3478 },
      { onDatagram: (bytes, from) => endpoint.send(reply(bytes), from), onFailure: () => {} },
    )
    const { attempts } = await lab.gather([`stun:${server}`, `turn:${server}`])
    expect(attempts.map((attempt) => failure(attempt)[0])).toEqual(['not-stun@binding', 'not-stun@challenge'])
  })

  it('answers from another address', async () => {
    const lab = new IceLab()
    const host = lab.host('server', 20, server, '50.0.0.2')
    await startScriptedServer(host, { ips: [server], answersFrom: { ip: '50.0.0.2', port: 3478 } })
    const { attempts } = await lab.gather([`stun:${server}`, `turn:${server}`])
    expect(attempts.map((attempt) => failure(attempt)[0])).toEqual(['other-source@binding', 'other-source@challenge'])
    expect(attempts.map(({ causes }) => causes[0]?.facts['from'])).toEqual(['50.0.0.2:3478', '50.0.0.2:3478'])
  })

  it('answers Binding with an error', async () => {
    const lab = natLab()
    const host = lab.host('server', 20, server)
    await startScriptedServer(host, { ips: [server], error: 500 })
    expect(failure(only((await lab.gather([`stun:${server}`])).attempts))).toEqual([
      'error-response@binding',
      'binding!',
    ])
  })

  it('does not speak TLS', async () => {
    const lab = natLab()
    await lab.relay(lab.host('server', 20, server))
    const { attempts } = await lab.gather([`turns:${server}:3478`, `stuns:${server}:3478`])
    expect(attempts.map(failure)).toEqual([
      ['not-tls@tls', 'connect tls!'],
      ['not-tls@tls', 'connect tls!'],
    ])
  })
})

describe('a server for STUN only', () => {
  const binding: Script = (request) =>
    request.method === Method.binding
      ? { attributes: [attribute(xorMappedAddress, { ip: '80.0.0.1', port: 1 })] }
      : undefined

  it('that leaves Allocate unanswered, as coturn 4.6 does', async () => {
    const lab = natLab()
    const host = lab.host('server', 20, server)
    await serve(host, { ip: server, port: 3478 }, binding)
    host.acceptStreams(3478, (stream) => ({
      ...quiet,
      onData: (bytes) => {
        const request = decodeMessage(bytes)
        const reply = request.ok ? binding(request.value, 0) : undefined
        if (request.ok && reply) stream.send(replyBytes(request.value, reply))
      },
    }))
    const { attempts } = await lab.gather([`turn:${server}`, `turn:${server}?transport=tcp`])
    expect(attempts.map((attempt) => failure(attempt)[0])).toEqual(['not-turn@allocate', 'not-turn@allocate'])
  })
})

describe('credentials', () => {
  const attemptWith = async (
    options: Parameters<IceLab['gather']>[1],
    users: Parameters<IceLab['relay']>[1] = {},
  ): Promise<AttemptObservation> => {
    const lab = natLab()
    await lab.relay(lab.host('server', 20, server), users)
    return only((await lab.gather([`turn:${server}`], options)).attempts)
  }

  it('are wrong: 401 again', async () => {
    const failed = await attemptWith({ user: { username: 'alice', password: 'guess' } })
    expect(failure(failed)).toEqual(['wrong-credentials@challenge', 'challenge challenge!'])
    expect(only(failed.causes).facts).toMatchObject({ realm: 'natcheck' })
  })

  it('have expired, and says for how long', async () => {
    const secret = 'shared between web service and relay'
    const now = wallTime(Date.UTC(2026, 0, 1) - 3 * 3_600_000)
    const { username, credential: password } = timeLimitedCredentials({ secret, user: 'alice', ttlSeconds: 3600, now })
    const failed = await attemptWith({ user: { username, password } }, { users: [], authSecrets: [secret] })
    expect(failure(failed)[0]).toBe('expired-credentials@challenge')
    expect(explainCause(only(failed.causes), failed).message).toBe('the credentials expired 2 hours ago')
  })

  it.each([
    ['a number that could be a time, with a password of its own', '1555123456', 'guess', 'wrong-credentials'],
    ['a time, with a password that was derived', '1555123456', 'ua2aBp5DrSl3iVhEeR1wTdbXm0k=', 'expired-credentials'],
    ['a time and a name', '1555123456:alice', 'guess', 'expired-credentials'],
  ])('name %s', async (_, username, password, code) => {
    expect(codes(await attemptWith({ user: { username, password } }))).toEqual([code])
  })

  it('are not given', async () => {
    const lab = natLab()
    await lab.relay(lab.host('server', 20, server))
    const [named] = readIceServers([{ urls: `turn:${server}`, username: '', credential: '' }])
    const servers = [{ ...(named ?? never()), username: undefined, credential: undefined }]
    expect(failure(only((await lab.gather([], { servers })).attempts))).toEqual([
      'no-credentials@challenge',
      'challenge challenge!',
    ])
  })
})

describe('what the server says', () => {
  const run = async (script: Script): Promise<AttemptObservation> => {
    const lab = new IceLab()
    await serve(lab.host('server', 20, server), { ip: server, port: 3478 }, script)
    return only((await lab.gather([`turn:${server}`], { user: scriptedAlice })).attempts)
  }
  const allocated = (reply: Reply): Script =>
    afterChallenge((request) => (request.method === Method.allocate ? reply : { code: 400 }))

  it.each<[string, Script, string]>([
    ['403', allocated({ code: 403 }), 'forbidden@allocate'],
    ['437, from each of our ports', allocated({ code: 437 }), 'allocation-mismatch@allocate'],
    ['486', allocated({ code: 486 }), 'quota@allocate'],
    ['508', allocated({ code: 508 }), 'no-capacity@allocate'],
    ['400, though it knows who we are', allocated({ code: 400 }), 'error-response@allocate'],
    ['a success without an address', allocated({ attributes: [attribute(lifetime, 600)] }), 'error-response@allocate'],
    [
      '438 again and again',
      (request, nth) => (has(request, messageIntegrity) ? challenge(438, `nonce ${nth}`) : challenge()),
      'stale-nonce-loop@challenge',
    ],
    [
      'a success with another key',
      allocated({ ...granted(), signedWith: new Uint8Array(16) }),
      'bad-integrity@allocate',
    ],
    ['a success without integrity', allocated({ ...granted(), signedWith: 'nothing' }), 'bad-integrity@allocate'],
    ['300 without an address', () => ({ code: 300 }), 'redirect@allocate'],
    ['300 to itself', () => redirect({ ip: server, port: 3478 }), 'redirect@allocate'],
    ['300 to nobody', () => redirect({ ip: '50.0.0.77', port: 3478 }), 'redirect@challenge'],
    ['404', () => ({ code: 404 }), 'not-turn@allocate'],
  ])('is %s', async (_, script, cause) => {
    expect(failure(await run(script))[0]).toBe(cause)
  })

  it('is 300 in a circle', async () => {
    const lab = new IceLab()
    const host = lab.host('server', 20, server, '50.0.0.2')
    await serve(host, { ip: server, port: 3478 }, () => redirect({ ip: '50.0.0.2', port: 3478 }))
    await serve(host, { ip: '50.0.0.2', port: 3478 }, () => redirect({ ip: server, port: 3478 }))
    const { attempts } = await lab.gather([`turn:${server}`])
    expect(failure(only(attempts))[0]).toBe('redirect@allocate')
  })

  it('is 300 to a server that works: no cause', async () => {
    const lab = new IceLab()
    await serve(lab.host('server', 20, server), { ip: server, port: 3478 }, () =>
      redirect({ ip: '50.0.0.2', port: 3478 }),
    )
    await lab.relay(lab.host('other', 20, '50.0.0.2'))
    const { attempts, reachability } = await lab.gather([`turn:${server}`])
    expect(failure(only(attempts))[0]).toBe('')
    expect(reachability.map(({ result }) => result)).toContain('proven')
  })

  it.each<[string, TransportAddress['ip'], string]>([
    ['loopback', '127.0.0.1', 'relay-address-loopback@allocate'],
    ['private', '10.0.0.7', 'relay-address-private@allocate'],
    ['private IPv6', 'fd00::7', 'relay-address-private@allocate'],
    ['of carriers', '100.64.0.7', 'relay-address-private@allocate'],
  ])('is a relayed address that is %s', async (_, ip, cause) => {
    const attributes = [
      attribute(xorRelayedAddress, { ip, port: 50_000 }),
      attribute(xorMappedAddress, { ip: '80.0.0.10', port: 40_000 }),
      attribute(lifetime, 600),
    ]
    const [said] = failure(
      await run(afterChallenge((request) => (request.method === Method.allocate ? { attributes } : undefined))),
    )
    expect(said).toContain(cause)
  })

  it('is 486 and 508 by our relay, when its quota or its ports are used up', async () => {
    for (const [options, cause] of [
      [{ userQuota: 1 }, 'quota'],
      [{ ports: { min: 50_000, max: 50_000 } }, 'no-capacity'],
    ] as const) {
      const lab = natLab()
      await lab.relay(lab.host('server', 20, server), options)
      const { attempts } = await lab.gather([`turn:${server}`, `turn:${server}?transport=tcp`])
      expect(attempts.flatMap((each) => codes(each))).toEqual([cause])
    }
  })

  it('is a private address by our relay with a wrong external-ip', async () => {
    const lab = natLab()
    await lab.relay(lab.host('server', 20, server), { externalIps: [{ external: '10.0.0.7' }] })
    const failed = only((await lab.gather([`turn:${server}`])).attempts)
    expect(codes(failed)).toEqual(['relay-address-private'])
  })
})

describe('data', () => {
  const isRelayPort = (port: number): boolean => port >= 49_152
  /** UDP between the world and the relay's ports; the relay's own packets to itself are not the world's. */
  const world =
    (direction: 'in' | 'out' | 'both'): FirewallRule =>
    (packet, way) => {
      if (packet.kind !== 'udp' || packet.source.ip === packet.destination.ip) return 'pass'
      const inbound = way === 'inbound' && isRelayPort(packet.destination.port) && direction !== 'out'
      const outbound = way === 'outbound' && isRelayPort(packet.source.port) && direction !== 'in'
      return inbound || outbound ? 'drop' : 'pass'
    }
  const run = async (rule: FirewallRule, options: Parameters<IceLab['relay']>[1] = {}): Promise<IceObservations> => {
    const lab = natLab()
    const host = lab.host('server', 20, server)
    await lab.relay(host, options)
    host.rule = rule
    return await lab.gather([`turn:${server}`])
  }

  it.each([
    ['in', 'one-way-to-peer', [0, 10]],
    ['out', 'one-way-from-peer', [10, 0]],
  ] as const)('does not come %s: %s', async (direction, cause, [fromPeer, toPeer]) => {
    const { attempts, reachability, candidates } = await run(world(direction))
    expect(failure(only(attempts))[0]).toBe(`${cause}@data`)
    const relay = candidates.findIndex(({ type }) => type === 'relay')
    const entry = reachability.find(({ candidate }) => candidate === relay)
    const count = (wanted: string): number =>
      (entry?.bursts ?? [])
        .filter((burst) => burst.direction === wanted)
        .reduce((sum, { received }) => sum + received, 0)
    expect([entry?.result, entry?.received, count('from-peer'), count('to-peer')]).toEqual([
      'failed',
      0,
      fromPeer,
      toPeer,
    ])
  })

  it.each([
    ['refuses itself as a peer: no data', { denyPeers: [server] }, 'error', ['failed', 'mapped-address']],
    ['reaches itself: it may be our network, and is no error', {}, 'warning', ['proven', 'second-allocation']],
  ] as const)('comes neither in nor out, and the relay %s', async (_, options, severity, entry) => {
    const { attempts, reachability } = await run(world('both'), options)
    expect(failure(only(attempts))[0]).toBe('no-data@data')
    expect(only(only(attempts).causes).severity).toBe(severity)
    expect(reachability.map(({ result, peer }) => [result, peer])).toEqual([['proven', null], entry])
  })

  it.each([
    ['that nobody has seen us from: a second allocation', ['turn:[2a00:50::1]'], 'second-allocation'],
    ['that another server has seen us from', ['turn:[2a00:50::1]', 'stun:50.0.0.1'], 'mapped-address'],
  ])('leaves from a relay of the other family, %s', async (_, urls, peer) => {
    const lab = new IceLab({ addresses: ['80.0.0.10', '2a00:80::10'] })
    await lab.relay(lab.host('server', 20, server, '2a00:50::1'))
    const { attempts, candidates, reachability } = await lab.gather(urls)
    expect(attempts.flatMap((attempt) => codes(attempt))).toEqual([])
    const relay = candidates.findIndex(({ type }) => type === 'relay')
    expect(candidates[relay]?.ip).toBe(server)
    expect(reachability.find(({ candidate }) => candidate === relay)).toMatchObject({ result: 'proven', peer })
  })

  it('that goes to us is denied: told, and only a warning', async () => {
    const { attempts, reachability } = await run(() => 'pass', { denyPeers: ['80.0.0.0/8'] })
    expect(failure(only(attempts))[0]).toBe('peer-denied@permission')
    expect(only(only(attempts).causes)).toMatchObject({ severity: 'warning', facts: { peer: '80.0.0.1' } })
    expect(reachability.map(({ result, peer }) => [result, peer])).toEqual([
      ['proven', null],
      ['proven', 'second-allocation'],
    ])
  })
})

it('ends before the server does: cancelled', async () => {
  const lab = natLab()
  await lab.relay(lab.host('server', 20, server))
  const { attempts } = await lab.gather([`turn:${server}`], { timeoutMs: 30 })
  expect(failure(only(attempts))).toEqual(['cancelled@allocate', 'challenge allocate!'])
})

describe('certificates, on loopback', () => {
  const authority = certificate({ commonName: 'Test Root', isAuthority: true })
  const names = ['127.0.0.1']
  const past = new Date('2021-01-01')
  const future = new Date('2048-01-01')
  const servers: Server[] = []
  afterAll(() => servers.forEach((each) => each.close()))

  const listen = async (listener: Server): Promise<number> => {
    servers.push(listener)
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    return (listener.address() as AddressInfo).port
  }
  const ask = async (port: number, options: Partial<IceOptions> = {}): Promise<readonly AttemptObservation[]> => {
    const [turns, stuns] = [`turns:127.0.0.1:${port}`, `stuns:127.0.0.1:${port}`]
    const { attempts } = await gatherIce(
      { network: nodeNetwork(), clock: systemClock, random: systemRandom },
      {
        servers: readIceServers([{ urls: [turns, stuns], username: 'alice', credential: 'secret' }]),
        policy: 'relay',
        families: [4],
        timeoutMs: 5000,
        ...options,
      },
    )
    return attempts
  }

  test.each<[string, Omit<CertificateOptions, 'commonName'>, string, Record<string, unknown>]>([
    ['that have expired', { names, notAfter: past, issuer: authority }, 'certificate-expired', { date: '2021-01-01' }],
    [
      'that are not valid yet',
      { names, notBefore: future, issuer: authority },
      'certificate-not-yet-valid',
      { date: '2048-01-01' },
    ],
    [
      'for another name',
      { names: ['other.example'], issuer: authority },
      'certificate-wrong-name',
      { names: ['other.example'] },
    ],
    ['of its own', { names }, 'certificate-self-signed', { names }],
  ])('%s', async (_, options, code, facts) => {
    const { cert, key } = certificate({ commonName: 'turn.example', ...options })
    const port = await listen(createTlsServer({ cert, key }))
    for (const attempt of await ask(port, { ca: authority.cert })) {
      expect(failure(attempt)).toEqual([`${code}@tls`, 'connect tls!'])
      expect(only(attempt.causes).facts).toMatchObject(facts)
      expect(attempt.tls).toMatchObject({
        version: null,
        names: options.names,
        validTo: (options.notAfter ?? new Date('2049-01-01')).toISOString(),
      })
    }
  })

  test('of an authority that nobody knows', async () => {
    const { cert, key } = certificate({ commonName: 'turn.example', names, issuer: authority })
    const port = await listen(createTlsServer({ cert, key }))
    for (const attempt of await ask(port)) {
      expect(failure(attempt)).toEqual(['certificate-untrusted@tls', 'connect tls!'])
      expect(only(attempt.causes).facts).toMatchObject({ issuer: 'Test Root' })
    }
  })

  test('that are good are told with their names and dates, and the server behind them is asked', async () => {
    const { cert, key } = certificate({ commonName: 'turn.example', names, issuer: authority })
    const port = await listen(
      createTlsServer(
        { cert, key },
        (socket) => void socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).on('error', () => {}),
      ),
    )
    const [turns, stuns] = await ask(port, { ca: authority.cert })
    expect([turns, stuns].map((attempt) => failure(attempt ?? never()))).toEqual([
      ['not-stun@challenge', 'connect tls challenge!'],
      ['not-stun@binding', 'connect tls binding!'],
    ])
    expect(turns?.tls).toEqual({
      version: 'TLSv1.3',
      names,
      issuer: 'Test Root',
      validFrom: '2020-01-01T00:00:00.000Z',
      validTo: '2049-01-01T00:00:00.000Z',
    })
  })

  test('are not to blame where the handshake breaks off, or is not answered', async () => {
    const { cert, key } = certificate({ commonName: 'turn.example', names, issuer: authority })
    const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    const servers = [
      [await listen(createTlsServer({ cert, key, ...old })), 'handshake'],
      [await listen(createServer((socket) => void socket.resume().on('error', () => {}))), 'timeout'],
    ] as const
    for (const [port, problem] of servers) {
      for (const attempt of await ask(port, { ca: authority.cert, patienceMs: 200 })) {
        expect(failure(attempt)).toEqual(['tls-failed@tls', 'connect tls!'])
        expect(only(attempt.causes).facts).toMatchObject({ problem })
      }
    }
  })

  test('are not what a server without TLS shows', async () => {
    const port = await listen(createServer((socket) => void socket.end('hello\n').on('error', () => {})))
    for (const attempt of await ask(port)) {
      expect(failure(attempt)[0]).toBe('not-tls@tls')
      expect(attempt.tls).toBeNull()
    }
  })
})

const quiet = { onData: () => {}, onClose: () => {} }
const text = (words: string): Uint8Array => new TextEncoder().encode(words)
const redirect = (to: TransportAddress): Reply => ({ code: 300, attributes: [attribute(alternateServer, to)] })
const never = (): never => {
  throw new Error('nothing there')
}

/** One key for each, so that the compiler knows when one is missing. */
const every = Object.keys({
  'unknown-host': 0,
  'dns-failed': 0,
  'no-route': 0,
  blocked: 0,
  refused: 0,
  'connect-timeout': 0,
  closed: 0,
  'not-tls': 0,
  'tls-failed': 0,
  'certificate-expired': 0,
  'certificate-not-yet-valid': 0,
  'certificate-wrong-name': 0,
  'certificate-self-signed': 0,
  'certificate-untrusted': 0,
  'not-stun': 0,
  'no-answer': 0,
  'other-source': 0,
  'not-turn': 0,
  'no-credentials': 0,
  'wrong-credentials': 0,
  'expired-credentials': 0,
  'bad-integrity': 0,
  forbidden: 0,
  'allocation-mismatch': 0,
  'stale-nonce-loop': 0,
  quota: 0,
  'no-capacity': 0,
  redirect: 0,
  'error-response': 0,
  unsupported: 0,
  'relay-address-loopback': 0,
  'relay-address-private': 0,
  'peer-denied': 0,
  'one-way-to-peer': 0,
  'one-way-from-peer': 0,
  'no-data': 0,
  cancelled: 0,
} satisfies Record<CauseCode, 0>)
