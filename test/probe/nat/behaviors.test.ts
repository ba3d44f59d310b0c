/** Everything else that the probe finds out, each against a NAT that does just that. */
import { describe, expect, it } from 'vitest'
import {
  type FirewallRule,
  fragmentsDropped,
  type NatBehavior,
  nothingPasses,
  udpBlackHole,
  udpProhibited,
} from '../../../src/lab/index.ts'
import { startScriptedServer } from '../../support/scripted-stun-server.ts'
import { primaryUri, serverIps, type VirtualProbe, virtualProbe } from './virtual.ts'

const twoPlainServers = { servers: ['stun:50.0.0.1:3478', 'stun:50.0.0.2:3478'], stunServer: { plain: true } }
const fourPlainServers = {
  ...twoPlainServers,
  servers: [...twoPlainServers.servers, 'stun:50.0.0.1:3479', 'stun:50.0.0.2:3479'],
}
const listening = ({ server }: { server: { acceptStreams(port: number, accept: () => object): unknown } }): void =>
  void server.acceptStreams(443, () => ({ onData() {}, onClose() {} }))

describe('mapping without RFC 5780', () => {
  const random = { portAssignment: 'random' } as const
  it('two servers with two IPs show an endpoint-independent mapping', async () => {
    const { finding } = await virtualProbe({ ...twoPlainServers, behavior: random })
    expect(finding.mapping).toMatchObject({ kind: 'observed', value: 'endpoint-independent' })
    expect(finding.filtering.kind).toBe('inconclusive')
    expect(finding.servers.map(({ rfc5780 }) => rfc5780)).toEqual([false, false])
    expect(finding.servers.map(({ problem }) => problem)).toEqual([null, null])
    expect(finding.rfc3489).toMatchObject({ kind: 'inconclusive', value: null })
  })
  it.each(['address-dependent', 'address-and-port-dependent'] as const)(
    '%s takes two ports of one IP',
    async (mapping) => {
      const two = await virtualProbe({ ...twoPlainServers, behavior: { ...random, mapping } })
      expect(two.finding.mapping).toMatchObject({ kind: 'inconclusive', value: null })
      const four = await virtualProbe({ ...fourPlainServers, behavior: { ...random, mapping } })
      expect(four.finding.mapping).toMatchObject({ kind: 'observed', value: mapping })
    },
  )
  it('one server shows that there is a NAT, and no more', async () => {
    const { finding } = await virtualProbe({ stunServer: { plain: true } })
    expect(finding.behindNat).toBe(true)
    expect(finding.mapping).toMatchObject({ kind: 'inconclusive', value: null })
  })
})

describe('several servers', () => {
  it('a dead one delays nothing much, and the next fit one is taken when the first is not', async () => {
    const { finding, tookMs } = await virtualProbe({
      stunServer: { ignoresChange: true },
      servers: ['stun:50.9.9.9:3478', primaryUri, 'stun:60.0.0.1:3478'],
      prepare: async ({ network }) => {
        const ips = ['60.0.0.1', '60.0.0.2'] as const
        await startScriptedServer(network.addHost({ name: 'second', addresses: ips }), { ips })
      },
    })
    expect(finding.filtering.value).toBe('address-and-port-dependent')
    expect(finding.servers.map(({ ok }) => ok)).toEqual([false, true, true])
    expect(finding.servers[0]?.problem).toBe('no answer over UDP')
    expect(finding.servers[1]?.problem).toContain('ignores CHANGE-REQUEST')
    expect(finding.servers[2]).toMatchObject({ rfc5780: true, problem: null })
    // Three servers and two runs of the tests are more than ten new transactions, which take a second.
    expect(tookMs).toBeLessThan(1300)
  })
  it('of a public list no more are asked than needed', async () => {
    const { finding } = await virtualProbe({
      servers: [primaryUri, 'stun:50.0.0.2:3478', 'stun:50.9.9.9:3478', 'stun:50.9.9.8:3478'],
      probe: { exclusive: false },
    })
    expect(finding.servers.map(({ asked }) => asked)).toEqual([true, true, false, false])
    expect(finding.filtering.kind).toBe('observed')
  })
  it('when the first of a public list are silent the next are asked', async () => {
    const { finding, tookMs } = await virtualProbe({
      servers: ['stun:50.9.9.9:3478', 'stun:50.9.9.8:3478', primaryUri],
      probe: { exclusive: false },
    })
    expect(finding.filtering.value).toBe('address-and-port-dependent')
    expect(tookMs).toBeLessThan(1300)
  })
})

describe('silence', () => {
  const silent = { kind: 'inconclusive', value: null }
  it('is UDP blocked when TCP gets through', async () => {
    const { finding, tookMs } = await virtualProbe({ rule: udpBlackHole, prepare: listening })
    expect(finding.udpBlocked).toBe(true)
    expect(finding.rfc3489).toMatchObject({ kind: 'observed', value: 'udp-blocked' })
    expect(finding.mapping).toMatchObject(silent)
    expect(finding.behindNat).toBe(null)
    expect(tookMs).toBeLessThanOrEqual(2000)
  })
  it('is UDP blocked with several servers, none of which was tested further', async () => {
    const servers = [primaryUri, 'stun:50.0.0.2:3478']
    const { finding } = await virtualProbe({ rule: udpBlackHole, prepare: listening, servers })
    expect(finding.rfc3489).toMatchObject({ kind: 'observed', value: 'udp-blocked' })
  })
  it('is UDP blocked even when the firewall says so only once in a while', async () => {
    let packets = 0
    const rule: FirewallRule = ({ kind }) =>
      kind === 'udp' ? (++packets % 9 === 0 ? 'admin-prohibited' : 'drop') : 'pass'
    const { finding } = await virtualProbe({ rule, seed: 4 })
    expect(finding.rfc3489).toMatchObject({ kind: 'observed', value: 'udp-blocked' })
  })
  it('is UDP blocked when a firewall says so, and that is known at once', async () => {
    const { finding, tookMs } = await virtualProbe({ rule: udpProhibited })
    expect(finding.rfc3489).toMatchObject({ kind: 'observed', value: 'udp-blocked' })
    expect(tookMs).toBeLessThan(200)
  })
  it.each<[string, VirtualProbe]>([
    ['nothing passes', { rule: nothingPasses, prepare: listening }],
    ['UDP is dropped and nobody listens on TCP', { rule: udpBlackHole }],
    ['the server is gone', { stunServer: null, servers: ['stun:50.9.9.9:3478'] }],
  ])('proves nothing when %s', async (_, options) => {
    const { finding, tookMs } = await virtualProbe(options)
    expect(finding.udpBlocked).toBe(false)
    expect(finding.rfc3489).toMatchObject(silent)
    expect(finding.filtering).toMatchObject(silent)
    expect(tookMs).toBeLessThanOrEqual(2000)
  })
  it('ends at once where ICMP says that nothing listens', async () => {
    const { finding, tookMs } = await virtualProbe({ stunServer: null })
    expect(finding.servers[0]?.problem).toContain('ICMP port unreachable')
    expect(finding.udpBlocked).toBe(false)
    expect(tookMs).toBeLessThan(100)
  })
  it('a server that answers from another address is named', async () => {
    const { finding } = await virtualProbe({
      behavior: { filtering: 'endpoint-independent' },
      stunServer: { plain: true, answersFrom: { ip: serverIps[1], port: 9 } },
    })
    expect(finding.servers[0]?.ok).toBe(false)
    expect(finding.servers[0]?.problem).toContain('answers from 50.0.0.2:9 instead of 50.0.0.1:3478')
  })
  it('something that does not speak STUN is named', async () => {
    const { finding } = await virtualProbe({
      stunServer: null,
      prepare: async ({ server }) => {
        const endpoint = await server.openDatagram(
          { family: 4, ip: serverIps[0], port: 3478 },
          { onDatagram: (_, from) => endpoint.send(new TextEncoder().encode('220 hello'), from), onFailure() {} },
        )
      },
    })
    expect(finding.servers[0]?.problem).toBe('what answers there does not speak STUN')
  })
})

describe('port assignment (RFC 4787 §4.2)', () => {
  it.each<[NatBehavior['portAssignment'], object]>([
    ['preserve', { kind: 'preservation' }],
    ['sequential', { kind: 'sequential', delta: 3, predictable: true }],
    ['random', { kind: 'random', predictable: false }],
    ['parity', { kind: 'parity', predictable: false }],
  ])('%s', async (portAssignment, expected) => {
    for (const mapping of ['endpoint-independent', 'address-and-port-dependent'] as const) {
      const { finding } = await virtualProbe({
        behavior: { mapping, portAssignment, sequentialStep: 3 },
        probe: { ports: true },
      })
      expect(finding.portAssignment.value).toMatchObject(expected)
    }
  })
  it('is not tested without a NAT', async () => {
    expect((await virtualProbe({ behavior: 'open' })).finding.portAssignment.kind).toBe('not-tested')
  })
})

it.each(['paired', 'arbitrary'] as const)('IP pooling: %s', async (pooling) => {
  const externalIps = ['80.0.0.1', '80.0.0.2', '80.0.0.3']
  const { finding } = await virtualProbe({ behavior: { pooling }, externalIps, probe: { ports: true } })
  expect(finding.pooling).toMatchObject({ kind: 'observed', value: pooling })
  expect(finding.mapping.value).toBe('endpoint-independent')
})

describe('hairpinning (RFC 4787 §6)', () => {
  it.each(['off', 'internal-source', 'external-source'] as const)('%s', async (hairpinning) => {
    for (const filtering of ['endpoint-independent', 'address-and-port-dependent'] as const) {
      const { finding } = await virtualProbe({ behavior: { hairpinning, filtering }, probe: { hairpin: true } })
      if (hairpinning === 'internal-source' && filtering !== 'endpoint-independent') continue
      expect(finding.hairpinning).toMatchObject({ kind: 'observed', value: hairpinning })
    }
  })
})

describe('binding lifetime (RFC 5780 §4.6)', () => {
  it.each([30, 60, 120, 300])('of %i s is found within 5 %%', async (seconds) => {
    const { finding } = await virtualProbe({
      behavior: { mappingLifetimeMs: seconds * 1000 },
      probe: { lifetime: true },
    })
    const { value } = finding.lifetime
    expect(value).toBeLessThanOrEqual(seconds)
    expect(value).toBeGreaterThanOrEqual(Math.floor(seconds * 0.94) - 1)
  })
  it('of 3 s takes little more than the first trials', async () => {
    const { finding, tookMs } = await virtualProbe({ behavior: { mappingLifetimeMs: 3000 }, probe: { lifetime: true } })
    expect(finding.lifetime.value).toBeLessThanOrEqual(3)
    expect(finding.lifetime.value).toBeGreaterThanOrEqual(2)
    expect(tookMs).toBeLessThan(60_000)
  })
  it('longer than anybody cares is a lower bound', async () => {
    const { finding } = await virtualProbe({ behavior: { mappingLifetimeMs: 7.2e6 }, probe: { lifetime: true } })
    expect(finding.lifetime).toMatchObject({ kind: 'observed', value: 480 })
  })
  it('is inconclusive where the server knows no RESPONSE-PORT', async () => {
    const { finding } = await virtualProbe({ probe: { lifetime: true }, stunServer: { plain: true } })
    expect(finding.lifetime.kind).toBe('inconclusive')
  })
})

it.each([
  [[], false],
  [['binary'], true],
] as const)('an ALG that rewrites %j in payloads: %s', async (alg, value) => {
  const { finding } = await virtualProbe({ behavior: { alg: [...alg] } })
  expect(finding.alg).toMatchObject({ kind: 'observed', value })
})

it.each([
  [undefined, 'pass'],
  [fragmentsDropped, 'blocked'],
] as const)('fragments with rule %o: %s', async (rule, value) => {
  const { finding } = await virtualProbe({ probe: { fragments: true }, ...(rule && { rule }) })
  expect(finding.fragments).toMatchObject({ kind: 'observed', value })
})

describe('IPv6', () => {
  const servers = ['stun:[2a00:50::1]:3478']
  const stunServer = { ips: ['2a00:50::1', '2a00:50::2'] } as const
  it('behind the usual firewall', async () => {
    const { finding } = await virtualProbe({ ipv6: {}, servers, stunServer, probe: { families: [6] } })
    expect(finding).toMatchObject({ behindNat: false, mapping: { value: 'none' } })
    expect(finding.filtering.value).toBe('address-and-port-dependent')
    expect(finding.rfc3489.value).toBe('symmetric-udp-firewall')
    expect(finding.local).toMatch(/^\[2a00:80::10\]:/)
  })
  it('absent is not tested', async () => {
    const { finding } = await virtualProbe({ servers, stunServer: null, probe: { families: [6] } })
    expect(finding.mapping).toMatchObject({ kind: 'not-tested', value: null })
    expect(finding.behindNat).toBe(null)
  })
})

describe('evidence', () => {
  it('the classic trace says what went from where to where, and what came back', async () => {
    const { finding } = await virtualProbe({})
    const { trace } = finding.rfc3489
    expect(trace.map(({ test, to, change }) => [test, to, change])).toEqual([
      ['I', '50.0.0.1:3478', 'none'],
      ['II', '50.0.0.1:3478', 'ip-and-port'],
      ["I'", '50.0.0.2:3479', 'none'],
      ['III', '50.0.0.1:3478', 'port'],
    ])
    expect(trace[0]?.reply).toMatchObject({ from: '50.0.0.1:3478' })
    expect(trace[1]?.reply).toBe(null)
    expect(trace[3]?.reply).toBe(null)
    // I and I' from the mapping socket, II and III from the filtering socket.
    expect(trace[0]?.from).toBe(trace[2]?.from)
    expect(trace[1]?.from).toBe(trace[3]?.from)
    expect(trace[0]?.from).not.toBe(trace[1]?.from)
  })
  it('says so where the classic view misleads', async () => {
    const behavior = { mapping: 'address-and-port-dependent', filtering: 'endpoint-independent' } as const
    const { finding } = await virtualProbe({ behavior })
    expect(finding.rfc3489.value).toBe('full-cone')
    expect(finding.disagreement).toContain('never compares mappings')
  })
})
