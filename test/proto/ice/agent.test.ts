/** Two agents on the virtual network: what they find out of each pair, and why the rest failed. */
import { describe, expect, it } from 'vitest'
import { type FirewallRule, SeededRandom, type TwoHomesOptions, twoHomes } from '../../../src/lab/index.ts'
import type { IceReport, IceRole, PairReport } from '../../../src/proto/ice/index.ts'
import { IcePeer, type IcePeerOptions, runIce } from '../../support/ice-peer.ts'
import { startServers, stun } from '../../report/compare/pairs.ts'

interface Run extends TwoHomesOptions {
  readonly roles?: readonly [IceRole, IceRole]
  readonly peers?: { readonly a?: Partial<IcePeerOptions>; readonly b?: Partial<IcePeerOptions> }
  readonly signallingMs?: number
}

interface Result {
  readonly a: IcePeer
  readonly b: IcePeer
  readonly reports: readonly [IceReport, IceReport]
}

async function run({
  roles = ['controlling', 'controlled'],
  peers = {},
  signallingMs,
  ...homes
}: Run): Promise<Result> {
  const network = twoHomes(homes)
  await startServers(network)
  const peer = (side: 'a' | 'b', role: IceRole): IcePeer =>
    new IcePeer({ host: network[side], role, random: new SeededRandom(side), stun, ...peers[side] })
  const [a, b] = [peer('a', roles[0]), peer('b', roles[1])]
  return { a, b, reports: await network.clock.run(runIce(a, b, signallingMs)) }
}

const name = ({ local, remote, state }: PairReport): string => `${local.type}→${remote.type} ${state}`
const winner = ({ nominated }: IceReport): string =>
  nominated?.valid ? `${nominated.valid.local.type}–${nominated.valid.remote.type}` : 'none'

const cone = { mapping: 'endpoint-independent', filtering: 'address-dependent' } as const
const symmetric = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' } as const

describe('the pair matrix', () => {
  it('holds every pair, those that failed with the reason, and goes on after the first success', async () => {
    const { reports } = await run({})
    for (const report of reports) {
      expect(report.pairs.map(name)).toEqual([
        'host→host failed',
        expect.stringMatching(/^(host→srflx succeeded|srflx→host pruned)$/),
        expect.stringMatching(/^(host→srflx succeeded|srflx→host pruned)$/),
        'srflx→srflx pruned',
      ])
      expect(winner(report)).toBe('srflx–srflx')
      const [failed] = report.pairs
      expect(failed?.why).toBe('no answer to 5 checks in 9.5 s')
      const won = report.nominated
      expect(won).toMatchObject({
        rttMs: 40,
        why: null,
        startedAtMs: expect.any(Number),
        endedAtMs: expect.any(Number),
      })
      expect(report.pairs.find(({ id, state }) => state === 'pruned' && id !== won?.id)?.why).toMatch(
        /checked as pair \d/,
      )
    }
  })

  it('tells a path that works in one direction only', async () => {
    // B's checks come in; what A sends never arrives.
    const deaf: FirewallRule = (packet, direction) =>
      direction === 'inbound' && packet.kind === 'udp' && packet.source.ip === '80.0.0.10' ? 'drop' : 'pass'
    const { reports } = await run({ a: { ipv4: 'open' }, b: { ipv4: 'open', rule: deaf } })
    expect(reports.map(winner)).toEqual(['none', 'none'])
    expect(reports[0].pairs[0]?.why).toMatch(
      /^no answer to \d+ checks in .* though \d+ of the peer's arrived: one direction/,
    )
    expect(reports[1].pairs[0]).toMatchObject({ received: 0, why: expect.not.stringContaining('arrived') })
  })

  it('checks over a relay', async () => {
    const turn = { to: { ip: '60.0.0.1', port: 3478 }, protocol: 'udp' } as const
    const { reports } = await run({ a: { ipv4: symmetric }, b: { ipv4: symmetric }, peers: { a: { turn } } })
    expect(reports.map(winner)).toEqual([expect.stringMatching(/^relay–/), expect.stringMatching(/–relay$/)])
  })
})

describe('peer-reflexive candidates', () => {
  it('are found where a NAT shows the peer another port than the STUN server', async () => {
    const { reports } = await run({ a: { ipv4: cone }, b: { ipv4: symmetric } })
    expect(reports.map(winner)).toEqual(['srflx–prflx', 'prflx–srflx'])
    expect(reports[0].nominated).toMatchObject({ triggered: true })
  })

  it('stand for candidates that never come, and give way to those that come late', async () => {
    const { a, reports } = await run({
      a: { ipv4: 'open' },
      b: { ipv4: 'open' },
      peers: { b: { offers: () => false } },
    })
    expect(reports.map(winner)).toEqual(['host–prflx', 'host–host'])
    expect(a.agent.report().pairs).toHaveLength(1)
    const late = await run({ a: { ipv4: 'open' }, b: { ipv4: 'open' }, signallingMs: 700 })
    expect(late.reports.map(winner)).toEqual(['host–host', 'host–host'])
  })
})

describe('roles', () => {
  it.each([
    ['controlling', 'controlling'],
    ['controlled', 'controlled'],
  ] as const)('both %s: one gives way, and the other nominates', async (...roles) => {
    const { a, b, reports } = await run({ a: { ipv4: 'open' }, b: { ipv4: 'open' }, roles })
    expect(new Set([a.agent.role, b.agent.role])).toEqual(new Set(['controlling', 'controlled']))
    expect(reports.map(winner)).toEqual(['host–host', 'host–host'])
    expect([...a.effects, ...b.effects].filter(({ kind }) => kind === 'role')).toHaveLength(1)
  })

  it('only the controlling agent nominates, and when all checks have ended', async () => {
    const { a } = await run({})
    const states = a.effects.flatMap((effect) => (effect.kind === 'pair' ? [effect.pair] : []))
    const nominated = states.findIndex((pair) => pair.nominated)
    const lastEnd = states.findLastIndex((pair) => pair.state === 'failed')
    expect(nominated).toBeGreaterThan(lastEnd)
  })
})

describe('credentials', () => {
  it('a peer that knows a wrong password is refused, and the pair says so', async () => {
    const credentials = { ufrag: 'abcd', password: 'x'.repeat(22) }
    const network = twoHomes({ a: { ipv4: 'open' }, b: { ipv4: 'open' } })
    const [a, b] = (['a', 'b'] as const).map(
      (side) =>
        new IcePeer({
          host: network[side],
          role: side === 'a' ? 'controlling' : 'controlled',
          random: new SeededRandom(side),
        }),
    )
    if (!a || !b) throw new Error()
    const wrong = { ...b.agent.credentials, password: credentials.password }
    a.driver.handle({ kind: 'remote-credentials', credentials: wrong })
    const reports = await network.clock.run(runIce(a, b))
    expect(reports[0].pairs[0]).toMatchObject({ state: 'failed', why: expect.stringMatching(/error 401/) })
  })
})
