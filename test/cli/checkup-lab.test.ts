/** The check-up on the virtual network: how long it takes there is how long it waits. */
import { describe, expect, test } from 'vitest'
import type { CheckupWorld } from '../../src/cli/checkup/world.ts'
import { checkupCommand } from '../../src/cli/checkup/run.ts'
import { exitCodes } from '../../src/cli/io.ts'
import { natBehavior, SeededRandom } from '../../src/lab/index.ts'
import { gatherIce } from '../../src/probe/ice/index.ts'
import { probeNat } from '../../src/probe/nat/index.ts'
import { probeTurn } from '../../src/probe/turn/index.ts'
import { startStunServer } from '../../src/relay/index.ts'
import type { CheckupReport } from '../../src/report/index.ts'
import { alice, IceLab } from '../probe/ice/lab.ts'
import { FakeIo } from './fake.ts'

const rttMs = 50

/** A home network, an RFC 5780 server, a relay, and a server that is gone. */
async function homeLab(): Promise<IceLab> {
  const lab = new IceLab({
    addresses: ['192.168.1.10'],
    behind: (network) => network.addRouter({ name: 'home', ipv4: natBehavior(), externalIps: ['80.0.0.1'] }),
  })
  await startStunServer(lab.host('stun', rttMs, '50.0.1.1', '50.0.1.2').network, {
    primaryIp: '50.0.1.1',
    alternateIp: '50.0.1.2',
    primaryPort: 3478,
    alternatePort: 3479,
  })
  await lab.relay(lab.host('turn', rttMs, '50.0.0.1'), { tlsListen: [] })
  return lab
}

function worldOf({ client, clock }: IceLab): CheckupWorld {
  const ports = { network: client.network, clock, random: new SeededRandom('check-up') }
  return {
    clock,
    probe: (options) => probeNat(ports, options),
    gather: (options) => gatherIce(ports, options),
    probeTurn: (options) => probeTurn(ports, options),
    selfTest: () => Promise.reject(new Error('a server answers')),
    pause: (milliseconds) => clock.sleep(milliseconds),
  }
}

async function run(lab: IceLab, servers: readonly string[], flags: Record<string, unknown> = {}) {
  const io = new FakeIo()
  io.env['PASSWORD'] = alice.password
  const named = { server: servers, username: alice.username, credentialEnv: 'PASSWORD', json: true, ...flags }
  const before = lab.clock.now()
  const code = await lab.clock.run(checkupCommand(named, io, worldOf(lab)))
  return { code, io, tookMs: lab.clock.now() - before }
}

describe('at 50 ms of round trip', () => {
  test('three servers, one of them dead: within three seconds, and everything is known', async () => {
    const { code, io, tookMs } = await run(await homeLab(), ['stun:50.0.1.1', 'turn:50.0.0.1', 'turn:50.0.9.9'])
    expect(tookMs).toBeLessThanOrEqual(3000)
    expect(code).toBe(exitCodes.failed)
    const report = JSON.parse(io.stdout) as CheckupReport
    expect(report.nat.nat.ipv4).toMatchObject({
      mapping: { value: 'endpoint-independent' },
      filtering: { value: natBehavior().filtering },
    })
    expect(report.ice.servers.map(({ uri, ok }) => [uri, ok])).toEqual([
      ['stun:50.0.1.1', true],
      ['turn:50.0.0.1', true],
      ['turn:50.0.9.9', false],
    ])
    expect(report.ice.reachability.map(({ result }) => result)).toEqual(['proven', 'proven'])
    expect(report.findings.filter(({ severity }) => severity === 'error').map(({ subject }) => subject)).toEqual([
      'turn:50.0.9.9 (udp)',
    ])
    expect(report.verdict.kind).toBe('degraded')
    // What there was time for behind the dead server.
    expect(report.turn).toMatchObject([{ uri: 'turn:50.0.0.1', error: null, findings: [] }])
    expect(report.turn[0]?.checks.filter(({ result }) => result === 'yes').length).toBeGreaterThan(5)
    expect(report.path.map(({ name, addresses }) => [name, ...addresses])).toEqual([
      ['you', '192.168.1.10'],
      ['NAT', '80.0.0.1'],
      ['internet'],
      ['STUN', '50.0.1.1'],
      ['TURN', '50.0.0.1'],
    ])
  })

  test.each([
    ['over UDP', 'turn:50.0.9.9'],
    ['over TCP', 'turn:50.0.9.9?transport=tcp'],
    ['over TLS', 'turns:50.0.9.9'],
    ['a STUN server', 'stun:50.0.9.9'],
    ['whose name nobody resolves', 'turn:silent.example'],
  ])('dead %s, named first', async (_, dead) => {
    const lab = await homeLab()
    lab.network.names.breakName('silent.example', 'silent')
    const servers = [dead, 'stun:50.0.1.1', 'turn:50.0.0.1', 'turn:50.0.0.1?transport=tcp']
    const { io, tookMs } = await run(lab, servers)
    const report = JSON.parse(io.stdout) as CheckupReport
    expect(tookMs).toBeLessThanOrEqual(3000)
    expect(report.durationMs).toBeCloseTo(tookMs, 0)
    expect(report.nat.verdict.p2p).toBe('direct')
    expect(report.ice.servers.map(({ ok }) => ok)).toEqual([false, true, true, true])
  })
})
