/** Networks and servers built to mislead. What can't be told must stay untold. */
import { describe, expect, it } from 'vitest'
import { after } from '../../../src/core/index.ts'
import {
  type FirewallRule,
  type HomeNetwork,
  SeededRandom,
  udpBlackHole,
  type VirtualClock,
} from '../../../src/lab/index.ts'
import { analyseFamily, probeNat } from '../../../src/probe/nat/index.ts'
import { type ScriptedServerOptions, startScriptedServer } from '../../support/scripted-stun-server.ts'
import { primaryUri, probeOptions, serverIps, type VirtualProbe, type VirtualResult, virtualProbe } from './virtual.ts'

const eim = 'endpoint-independent'
const ad = 'address-dependent'
const apd = 'address-and-port-dependent'
const unknown = { kind: 'inconclusive', value: null }

const withTcp = ({ server }: HomeNetwork): void => void server.acceptStreams(443, () => ({ onData() {}, onClose() {} }))

/** As virtualProbe, with a server whose answers know the clock. */
async function probeWith(
  options: VirtualProbe,
  server: (home: HomeNetwork) => Partial<ScriptedServerOptions>,
): Promise<VirtualResult> {
  const prepare = async (home: HomeNetwork): Promise<void> =>
    startScriptedServer(home.server, { ips: serverIps, ...server(home) })
  return virtualProbe({ ...options, stunServer: null, prepare })
}

const later = (clock: VirtualClock, ms: number, send: () => void): void =>
  void clock.schedule(after(clock.now(), ms), send)

describe('UDP that answers, if badly, is not blocked, though TCP connects', () => {
  it.each<[string, Partial<ScriptedServerOptions>, string]>([
    ['an error', { error: 401 }, 'error 401'],
    ['another address', { answersFrom: { ip: serverIps[0], port: 9 } }, 'answers from'],
    ['no address in the answer', { withoutAddress: 1e9 }, 'without saying what address it sees'],
  ])('%s', async (_, stunServer, words) => {
    const { finding } = await virtualProbe({
      behavior: { filtering: eim },
      stunServer: { plain: true, ...stunServer },
      prepare: withTcp,
    })
    expect(finding.udpBlocked).toBe(false)
    expect(finding.rfc3489).toMatchObject(unknown)
    expect(finding.servers[0]?.problem).toContain(words)
  })
})

describe('an alternate address that takes longer', () => {
  it.each([
    [5, 260],
    [20, 180],
    [20, 600],
    [60, 700],
    [150, 700],
  ])('RTT %i ms and %i ms more', async (rttMs, more) => {
    for (const filtering of [eim, ad, apd] as const) {
      const { finding } = await probeWith({ rttMs, behavior: { filtering } }, ({ clock }) => ({
        delay: (send, origin) => (origin.ip === serverIps[1] ? later(clock, more, send) : send()),
      }))
      expect([filtering, null]).toContain(finding.filtering.value)
      expect([eim, null]).toContain(finding.mapping.value)
      if (more < 700) expect(finding.filtering.value).toBe(filtering)
    }
  })
})

describe('a server that keeps quiet about CHANGE-REQUEST shows nothing, whatever the mapping', () => {
  const quiet: readonly [string, NonNullable<ScriptedServerOptions['drops']>][] = [
    ['any', () => true],
    ['for the port alone', ({ changeIp }) => !changeIp],
    ['for the address', ({ changeIp }) => changeIp],
  ]
  it.each(quiet)('%s', async (_, drops) => {
    for (const mapping of [eim, ad, apd] as const) {
      for (const filtering of [eim, ad, apd] as const) {
        const { finding } = await virtualProbe({ behavior: { mapping, filtering }, stunServer: { drops } })
        expect([filtering, null]).toContain(finding.filtering.value)
        expect(finding.mapping.value).toBe(mapping)
      }
    }
  })
})

it.each([['stun-xored'], ['stun-xored', 'binary']] as const)('an ALG that forges %j hides no NAT', async (...alg) => {
  const { finding } = await virtualProbe({ behavior: { alg } })
  expect(finding.behindNat).toBe(null)
  expect(finding.mapping).toMatchObject(unknown)
  expect(finding.alg).toMatchObject({ kind: 'observed', value: true })
})

it.each([1, 4, 8, 12])('a UDP black hole in front of %i servers is known within 2 s', async (count) => {
  const servers = Array.from({ length: count }, (_, index) => `stun:50.0.1.${index + 1}`)
  for (const exclusive of [true, false]) {
    const probe = { exclusive, families: [4, 6] as const }
    const { finding, tookMs } = await virtualProbe({ ipv6: {}, rule: udpBlackHole, servers, probe })
    expect(finding.rfc3489.value).toBe(null)
    expect(tookMs).toBeLessThanOrEqual(2000)
  }
})

describe('ports', () => {
  it.each([1, 2, 10, 64, 200])('in steps of %i are sequential', async (sequentialStep) => {
    const { finding } = await virtualProbe({
      behavior: { portAssignment: 'sequential', sequentialStep },
      probe: { ports: true },
    })
    expect(finding.portAssignment.value).toMatchObject({ kind: 'sequential', delta: sequentialStep })
  })
  it('by chance in a small block are not', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const { finding } = await virtualProbe({
        seed,
        behavior: { portAssignment: 'random', externalPorts: { first: 40000, last: 40063 } },
        probe: { ports: seed % 2 === 0 },
      })
      expect(finding.portAssignment.value?.kind).not.toBe('sequential')
    }
  })
})

it('fragments: a server that does not pad its answer shows only half', async () => {
  const { finding } = await virtualProbe({ probe: { fragments: true }, stunServer: { plain: true } })
  expect(finding.fragments).toMatchObject(unknown)
})

it('a server that limits its rate', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    for (const filtering of [ad, apd, eim] as const) {
      let window = -1
      let sent = 0
      const { finding } = await probeWith({ seed, behavior: { filtering } }, ({ clock }) => ({
        delay(send) {
          const current = Math.floor(clock.now() / 100)
          if (current !== window) sent = 0
          window = current
          if (sent++ < 2) send()
        },
      }))
      expect([filtering, null]).toContain(finding.filtering.value)
    }
  }
})

it.each([0.8, 0.9])('loss of %f on the way from the alternate address alone', async (loss) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(`far ${seed}`)
    const rule: FirewallRule = (packet, direction) =>
      direction === 'inbound' && packet.kind === 'udp' && packet.source.ip === serverIps[1] && random.chance(loss)
        ? 'drop'
        : 'pass'
    const mapping = seed % 2 ? eim : apd
    const { finding } = await virtualProbe({ seed, behavior: { mapping, filtering: eim }, rule })
    expect([eim, null]).toContain(finding.filtering.value)
  }
})

it('mappings that last a second', async () => {
  for (const filtering of [eim, ad, apd] as const) {
    for (const outbound of [true, false]) {
      const behavior = { filtering, mappingLifetimeMs: 1000, refresh: { outbound, inbound: false } }
      const { finding } = await virtualProbe({ rttMs: 300, behavior: { ...behavior, portAssignment: 'random' } })
      expect([eim, null]).toContain(finding.mapping.value)
      expect(finding.rfc3489.value).not.toBe('symmetric')
      expect([filtering, null]).toContain(finding.filtering.value)
    }
  }
})

it('a server on this side of the NAT beside one beyond it', async () => {
  for (const servers of [
    ['stun:192.168.1.11:3478', primaryUri],
    [primaryUri, 'stun:192.168.1.11:3478'],
  ]) {
    const { finding } = await virtualProbe({
      servers,
      prepare: ({ neighbour }) => startScriptedServer(neighbour, { ips: ['192.168.1.11'], plain: true }),
    })
    expect(finding.behindNat).toBe(true)
    expect(finding.mapped).toMatch(/^80\.0\.0\.1:/)
    expect(finding.mapping.value).toBe(eim)
    expect(finding.filtering.value).toBe(apd)
  }
})

it('a firewall that filters by internal host is not opened by the mapping tests', async () => {
  const contacted = new Set<string>()
  const rule: FirewallRule = (packet, direction) => {
    if (packet.kind !== 'udp') return 'pass'
    if (direction === 'outbound') contacted.add(packet.destination.ip)
    else if (!contacted.has(packet.source.ip)) return 'drop'
    return 'pass'
  }
  const { finding } = await virtualProbe({ behavior: { filtering: eim }, rule })
  expect(finding.filtering.value).toBe(ad)
})

it('a first answer without an address does not blind the run', async () => {
  const { finding } = await virtualProbe({ stunServer: { withoutAddress: 2 } })
  expect(finding.behindNat).toBe(true)
  expect(finding.filtering.value).toBe(apd)
})

it('a server named by the user is waited for, though another is near', async () => {
  const { finding } = await virtualProbe({
    rttMs: 5,
    servers: [primaryUri, 'stun:60.0.0.1:3478'],
    prepare: ({ network }) => {
      const far = network.addHost({ name: 'far', addresses: ['60.0.0.1'], link: { latencyMs: 240 } })
      return startScriptedServer(far, { ips: ['60.0.0.1'], plain: true })
    },
  })
  expect(finding.servers.map(({ ok }) => ok)).toEqual([true, true])
})

describe('a server that is slow about CHANGE-REQUEST alone', () => {
  it.each([
    [5, 150],
    [20, 300],
    [60, 700],
  ])('RTT %i ms and %i ms more', async (rttMs, more) => {
    for (const mapping of [eim, apd] as const) {
      for (const filtering of [eim, ad, apd] as const) {
        const { finding } = await probeWith({ rttMs, behavior: { mapping, filtering } }, ({ clock }) => ({
          delayChanged: (send) => later(clock, more, send),
        }))
        expect([filtering, null]).toContain(finding.filtering.value)
      }
    }
  })
})

it('errors from the alternate address are no silence', async () => {
  for (const filtering of [eim, ad, apd] as const) {
    const { finding } = await virtualProbe({ behavior: { filtering }, stunServer: { changedError: 500 } })
    expect([filtering, null]).toContain(finding.filtering.value)
  }
})

it('a family that could send nothing is not blocked', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { home } = await virtualProbe({ seed, ipv6: {}, servers: [primaryUri], stunServer: null })
    const { clock } = home
    await clock.run(startScriptedServer(home.server, { ips: serverIps }))
    await clock.run(startScriptedServer(home.server, { ips: ['2a00:50::1', '2a00:50::2'] }))
    withTcp(home)
    const ports = { network: home.client, clock, random: new SeededRandom(seed) }
    const options = probeOptions([primaryUri, 'stun:[2a00:50::1]:3478'], { families: [4, 6], ports: true })
    for (const observations of await clock.run(probeNat(ports, options))) {
      const finding = analyseFamily(observations)
      expect(finding.udpBlocked).toBe(false)
      expect(finding.mapping.value).toBe(observations.family === 4 ? eim : 'none')
    }
  }
})

it('ordinary servers that agree are believed, however many and whatever else is wrong', async () => {
  const ips = Array.from({ length: 11 }, (_, index) => `60.0.0.${index + 1}`)
  const { finding } = await virtualProbe({
    rttMs: 80,
    deadAlternate: true,
    servers: [primaryUri, ...ips.map((ip) => `stun:${ip}`)],
    prepare: async ({ network }) => {
      const host = network.addHost({ name: 'many', addresses: ips })
      for (const ip of ips) await startScriptedServer(host, { ips: [ip], plain: true })
    },
  })
  expect(finding.mapping.value).toBe(eim)
})

it('a dead alternate beside an ordinary server does not take until the timeout', async () => {
  for (const rttMs of [20, 60, 150, 250]) {
    const { finding, tookMs } = await virtualProbe({
      rttMs,
      deadAlternate: true,
      servers: [primaryUri, 'stun:60.0.0.1:3478'],
      prepare: ({ network }) =>
        startScriptedServer(network.addHost({ name: 'plain', addresses: ['60.0.0.1'] }), {
          ips: ['60.0.0.1'],
          plain: true,
        }),
    })
    expect(finding.servers[0]?.problem).toContain('does not answer')
    expect(tookMs).toBeLessThan(3500)
  }
})
