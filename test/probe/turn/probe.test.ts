/** Our own relay looked into: nothing is wrong with it, on any network; dead ports and interruptions cost little. */
import { describe, expect, test } from 'vitest'
import { after } from '../../../src/core/index.ts'
import { type Host, type NatBehavior, natBehavior, udpBlackHole } from '../../../src/lab/index.ts'
import type { TurnObservations } from '../../../src/probe/turn/index.ts'
import { IceLab, type IceLabOptions, serverCertificate } from '../ice/lab.ts'
import { checkOf, look, reportOn, told } from './lab.ts'

const every = ['turn:turn.example', 'turn:turn.example?transport=tcp', 'turns:turn.example', 'turns:turn.example:443']

/** turn.example, 50 ms away. */
function labOf(
  options: IceLabOptions = {},
  own: readonly string[] = ['50.0.0.1', '2a00:50::1'],
): { readonly lab: IceLab; readonly server: Host } {
  const lab = new IceLab({ addresses: ['80.0.0.10', '2a00:80::10'], ...options })
  const server = lab.host('turn', 50, ...own)
  lab.network.names.addHost('turn.example', own)
  return { lab, server }
}

/** The checks that are not as they should be; optional features apart. */
const wrong = (observations: TurnObservations): string[] =>
  reportOn(observations).checks.flatMap(({ id, severity, detail }) => (severity === null ? [] : [`${id}: ${detail}`]))

test('over all transports and both families, within three seconds at 50 ms, and nothing is left behind', async () => {
  const { lab, server } = labOf()
  const relay = await lab.relay(server)
  const observations = await look(lab, every, { ca: serverCertificate.cert })
  expect(wrong(observations)).toEqual([])
  expect(reportOn(observations).verdict).toMatchObject({ kind: 'good' })
  expect(observations.endedAtMs).toBeLessThan(3000)
  const working = observations.transports.filter(({ relayed }) => relayed !== null)
  expect(working.map(({ transport, family }) => `${transport}${family}`).toSorted()).toEqual([
    'tcp4',
    'tcp6',
    'tls4',
    'tls6',
    'udp4',
    'udp6',
  ])
  // The virtual network has names, and no certificates.
  expect(told(observations, 'inconclusive')).toEqual([
    'certificate: inconclusive: TLS works, and no certificate was seen',
  ])
  expect(checkOf(observations, 'dual-family').result).toBe('yes')
  expect(checkOf(observations, 'forbidden-peers-ipv6').result).toBe('yes')
  expect((await relay.stats()).allocations).toBe(0)
  await relay.close()
})

const nats: readonly (readonly [string, Partial<NatBehavior>])[] = [
  ['a full cone', { filtering: 'endpoint-independent' }],
  ['a port-restricted cone', { filtering: 'address-and-port-dependent' }],
  ['a symmetric NAT', { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' }],
]

describe('from behind', () => {
  test.each(nats)('%s', async (_, behavior) => {
    const { lab, server } = labOf({
      addresses: ['192.168.1.10'],
      behind: (network) => network.addRouter({ name: 'nat', externalIps: ['80.0.0.1'], ipv4: natBehavior(behavior) }),
    })
    const relay = await lab.relay(server)
    const observations = await look(lab, ['turn:50.0.0.1'])
    expect(wrong(observations)).toEqual([])
    expect(checkOf(observations, 'data').facts).toMatchObject({ far: 'own address' })
    await relay.close()
  })

  test('a firewall that blocks UDP: over TCP, with a second allocation as the peer', async () => {
    const { lab, server } = labOf({
      addresses: ['80.0.0.10'],
      behind: (network) => network.addRouter({ name: 'firewall', rule: udpBlackHole }),
    })
    const relay = await lab.relay(server)
    const observations = await look(lab, ['turn:50.0.0.1', 'turn:50.0.0.1?transport=tcp'])
    expect(observations.transports.map(({ causes }) => causes.map(({ code }) => code))).toEqual([['blocked'], []])
    expect(observations.subject).toBe(1)
    expect(wrong(observations)).toEqual([])
    expect(checkOf(observations, 'data')).toMatchObject({ result: 'yes', facts: { far: 'second allocation' } })
    expect(reportOn(observations).findings).toMatchObject([{ severity: 'error', code: 'blocked' }])
    expect(observations.endedAtMs).toBeLessThan(4500)
    await relay.close()
  })
})

test('ports where nobody answers delay nothing', async () => {
  const { lab, server } = labOf({
    addresses: ['80.0.0.10'],
    behind: (network) =>
      network.addRouter({
        name: 'firewall',
        rule: (packet) => (packet.kind === 'tcp' && packet.destination.port === 443 ? 'drop' : 'pass'),
      }),
  })
  const relay = await lab.relay(server)
  const observations = await look(lab, every, { ca: serverCertificate.cert })
  expect(wrong(observations)).toEqual([])
  expect(observations.transports.at(-1)?.causes).toMatchObject([{ code: 'blocked' }])
  expect(reportOn(observations).findings).toEqual([])
  expect(observations.endedAtMs).toBeLessThan(3000)
  await relay.close()
})

test('a server that is not there: two seconds, and one finding', async () => {
  const { lab } = labOf({ addresses: ['80.0.0.10'] })
  const observations = await look(lab, ['turn:50.0.0.9', 'turn:50.0.0.9?transport=tcp'])
  expect(observations).toMatchObject({ subject: null, ended: 'complete' })
  expect(observations.endedAtMs).toBeLessThan(2000)
  expect(reportOn(observations)).toMatchObject({
    verdict: { kind: 'unusable' },
    findings: [{ severity: 'error', code: 'no-answer' }],
  })
  expect(told(observations, 'yes', 'no', 'warning')).toEqual([])
})

test('interrupted, it tells what is known and gives everything back', async () => {
  const { lab, server } = labOf()
  const relay = await lab.relay(server)
  const abort = new AbortController()
  const looking = look(lab, ['turn:50.0.0.1'], { signal: abort.signal })
  lab.clock.schedule(after(lab.clock.now(), 400), () => abort.abort())
  const observations = await looking
  expect(observations.ended).toBe('interrupted')
  expect(observations.endedAtMs).toBeLessThan(700)
  expect(checkOf(observations, 'authentication').result).toBe('yes')
  expect(wrong(observations)).toEqual([])
  await lab.settle()
  expect((await relay.stats()).allocations).toBe(0)
  await relay.close()
})

test('out of time, it ends by itself and calls nothing wrong', async () => {
  const { lab, server } = labOf()
  const relay = await lab.relay(server)
  const observations = await look(lab, ['turn:50.0.0.1'], { timeoutMs: 500 })
  expect(observations.ended).toBe('timeout')
  expect(observations.endedAtMs).toBeLessThan(800)
  expect(wrong(observations)).toEqual([])
  await relay.close()
})

test('held for eleven minutes, every renewal is survived', async () => {
  const { lab, server } = labOf()
  const relay = await lab.relay(server, { lifetimes: { nonce: 200 } })
  const observations = await look(lab, ['turn:50.0.0.1'], { holdMs: 660_000 })
  const { facts, ...hold } = checkOf(observations, 'hold')
  expect(hold).toMatchObject({ result: 'yes' })
  expect(facts).toMatchObject({ seconds: 660, sent: 1320, received: 1320, lost: [] })
  expect(facts['refreshes']).toBeGreaterThan(0)
  expect(facts['permissions']).toBeGreaterThan(1)
  expect(facts['channels']).toBeGreaterThan(0)
  expect(checkOf(observations, 'nonce-lifetime')).toMatchObject({ result: 'yes', facts: { stale: true } })
  expect(wrong(observations)).toEqual([])
  await relay.close()
})

test('an IPv6 peer that leads into the server is as bad as an IPv4 one', async () => {
  const { lab, server } = labOf()
  const relay = await lab.relay(server, { allowPeers: ['::ffff:127.0.0.1', 'fd00::/8'] })
  const observations = await look(lab, ['turn:50.0.0.1'])
  expect(checkOf(observations, 'forbidden-peers').result).toBe('yes')
  expect(checkOf(observations, 'forbidden-peers-ipv6')).toMatchObject({
    result: 'no',
    facts: { open: ['::ffff:127.0.0.1', 'fd00:ec2::254'] },
  })
  await relay.close()
})

test('a server inside a private network may reach its neighbours, and no more', async () => {
  const { lab, server } = labOf({ addresses: ['10.0.0.9'] }, ['10.0.0.5'])
  for (const [allowPeers, result] of [
    [['10.0.0.0/8'], 'warning'],
    [['10.0.0.0/8', '127.0.0.1'], 'no'],
  ] as const) {
    const relay = await lab.relay(server, { allowPeers })
    const observations = await look(lab, ['turn:10.0.0.5'])
    expect(checkOf(observations, 'forbidden-peers')).toMatchObject({ result })
    expect(checkOf(observations, 'relayed-address')).toMatchObject({ result: 'yes', facts: { scope: 'private' } })
    expect(checkOf(observations, 'data')).toMatchObject({ result: 'yes' })
    await relay.close()
  }
})
