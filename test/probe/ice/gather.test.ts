/** What is gathered, when, in which order, and that nothing is left behind; on the virtual network. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { natBehavior } from '../../../src/lab/index.ts'
import type { CandidateObservation, IceObservations, IceProgress } from '../../../src/probe/ice/index.ts'
import { parseCandidate } from '../../../src/proto/ice/index.ts'
import { codes, IceLab, only, stagesOf } from './lab.ts'

const brief = ({ atMs, type, protocol, tcpType, ip, relayProtocol }: CandidateObservation): string =>
  [atMs, type, protocol, tcpType, ip, relayProtocol].filter((part) => part !== null).join(' ')

const home = (network: ConstructorParameters<typeof IceLab>[0] = {}): IceLab =>
  new IceLab({
    addresses: ['192.168.1.10'],
    behind: (lab) => lab.addRouter({ name: 'home', ipv4: natBehavior(), externalIps: ['80.0.0.1'] }),
    ...network,
  })

describe('candidates', () => {
  it('come as they are found, from all servers at once, each proven', async () => {
    const lab = home()
    const near = lab.host('near', 20, '50.0.0.1')
    const far = lab.host('far', 100, '50.0.0.2')
    await lab.relay(near)
    await lab.relay(far, { tlsListen: [] })
    const events: IceProgress[] = []
    const observed = await lab.gather(
      ['stun:50.0.0.2', 'turn:50.0.0.1', 'turn:50.0.0.1?transport=tcp', 'turns:50.0.0.1'],
      {
        onProgress: (event) => events.push(event),
      },
    )
    expect(observed.candidates.map(brief)).toEqual([
      '0 host udp 192.168.1.10',
      '0 host tcp active 192.168.1.10',
      '0 host tcp passive 192.168.1.10',
      '20 srflx udp 80.0.0.1',
      '40 relay udp 50.0.0.1 udp',
      '60 relay udp 50.0.0.1 tcp',
      '80 relay udp 50.0.0.1 tls',
    ])
    expect(observed.gatheredAtMs).toBe(100)
    expect(
      observed.attempts.map((attempt) => [attempt.transport, attempt.rttMs, stagesOf(attempt), codes(attempt)]),
    ).toEqual([
      ['udp', 100, 'binding', []],
      ['udp', 20, 'challenge allocate permission data channel data', []],
      ['tcp', 20, 'connect challenge allocate permission data channel data', []],
      ['tls', 20, 'connect tls challenge allocate permission data channel data', []],
    ])
    expect(
      observed.reachability.map(({ result, peer, sent, received, loss }) => [result, peer, sent, received, loss]),
    ).toEqual([
      ['proven', null, 10, 10, 0],
      ...Array.from({ length: 3 }, () => ['proven', 'mapped-address', 20, 20, 0]),
    ])
    // Send/Data and ChannelData: there and back twice, once to the relay and once through it.
    expect(observed.reachability[1]?.bursts.map(({ via, direction }) => `${via} ${direction}`)).toEqual([
      'send-data round-trip',
      'channel-data round-trip',
    ])
    expect(observed.reachability[1]?.rttMs).toBe(40)
    // What is told while it runs is what is handed over in the end.
    expect(events.flatMap((event) => (event.kind === 'candidate' ? [event.candidate] : []))).toEqual(
      observed.candidates,
    )
    expect(events.filter(({ kind }) => kind === 'stage')).toHaveLength(
      observed.attempts.flatMap(({ stages }) => stages).length,
    )
    expect(events.filter(({ kind }) => kind === 'gathered')).toEqual([{ kind: 'gathered', atMs: 100 }])
  })

  it('have lines that read back, priorities that are unique, and foundations by type, base, server and protocol', async () => {
    const lab = home({ addresses: ['192.168.1.10', '192.168.1.11', '2a00:80::10'] })
    await lab.relay(lab.host('one', 20, '50.0.0.1', '2a00:50::1'))
    await lab.relay(lab.host('two', 30, '50.0.0.2'))
    lab.network.names.addHost('turn.example', ['50.0.0.1', '2a00:50::1'])
    const { candidates } = await lab.gather([
      'turn:turn.example',
      'turns:turn.example',
      'turn:50.0.0.2',
      'stun:50.0.0.2',
    ])
    for (const { line, ip, port, type, priority, foundation, related, tcpType } of candidates) {
      const parsed = parseCandidate(line)
      expect(parsed).toMatchObject({
        ok: true,
        value: {
          host: ip,
          port,
          type,
          priority,
          foundation,
          ...(related && { related: { host: related.ip } }),
          ...(tcpType && { tcpType }),
        },
      })
    }
    expect(new Set(candidates.map(({ priority }) => priority)).size).toBe(candidates.length)
    for (const foundation of new Set(candidates.map((each) => each.foundation))) {
      const same = candidates.filter((each) => each.foundation === foundation)
      const kinds = same.map(({ type, protocol, tcpType, related, ip }) =>
        [type, protocol, tcpType, type === 'host' ? ip : related?.ip].join(),
      )
      expect(new Set(kinds).size).toBe(1)
    }
    const relays = candidates.filter(({ type }) => type === 'relay')
    expect(new Set(relays.map(({ foundation }) => foundation)).size).toBe(relays.length)
    const order = (type: string): number[] =>
      candidates.filter((each) => each.type === type && each.protocol === 'udp').map(({ priority }) => priority)
    expect(Math.min(...order('host'))).toBeGreaterThan(Math.max(...order('srflx')))
    expect(Math.min(...order('srflx'))).toBeGreaterThan(Math.max(...order('relay')))
  })

  it('are relayed ones only by policy', async () => {
    const lab = home()
    await lab.relay(lab.host('one', 20, '50.0.0.1'))
    const { candidates, reachability } = await lab.gather(['stun:50.0.0.1', 'turn:50.0.0.1'], { policy: 'relay' })
    expect(candidates.map(({ type }) => type)).toEqual(['relay'])
    expect(only(reachability).result).toBe('proven')
  })

  it('are host candidates at once without a server', async () => {
    const { candidates, attempts, gatheredAtMs } = await new IceLab({ addresses: ['80.0.0.10', '2a00:80::10'] }).gather(
      [],
    )
    expect(candidates.map(({ type, tcpType, ip }) => `${type} ${tcpType} ${ip}`)).toEqual([
      'host null 80.0.0.10',
      'host null 2a00:80::10',
      'host active 80.0.0.10',
      'host passive 80.0.0.10',
      'host active 2a00:80::10',
      'host passive 2a00:80::10',
    ])
    expect({ attempts, gatheredAtMs }).toEqual({ attempts: [], gatheredAtMs: 0 })
  })

  it('say why a browser would not have them', async () => {
    const { candidates } = await new IceLab({ addresses: ['80.0.0.10', 'fe80::1'] }).gather([])
    const omitted = candidates.filter(({ browserOmits }) => browserOmits !== null)
    expect(omitted.map(({ ip, tcpType }) => `${ip} ${tcpType}`)).toEqual([
      'fe80::1 null',
      '80.0.0.10 passive',
      'fe80::1 active',
      'fe80::1 passive',
    ])
  })
})

describe('end-of-candidates', () => {
  /** Round trips that each kind of server takes by its protocol: Binding 1, Allocate 2, TCP 1 and virtual TLS 1 more. */
  const kinds = [
    ['stun:50.0.0.1', 1],
    ['stuns:50.0.0.1', 3],
    ['turn:50.0.0.1', 2],
    ['turn:50.0.0.1?transport=tcp', 3],
    ['turns:50.0.0.1', 4],
  ] as const

  it.each(kinds.flatMap(([uri, trips]) => [5, 50, 200, 400].map((rttMs) => [uri, rttMs, trips * rttMs] as const)))(
    '%s at %d ms comes after its own round trips, %d ms',
    async (uri, rttMs, ownMs) => {
      const lab = home({ addresses: ['192.168.1.10', '192.168.1.11'] })
      await lab.relay(lab.host('server', rttMs, '50.0.0.1'))
      const { gatheredAtMs, attempts } = await lab.gather([uri], { prove: false })
      expect(attempts.flatMap(codes)).toEqual([])
      expect(gatheredAtMs).toBeGreaterThanOrEqual(ownMs)
      expect(gatheredAtMs).toBeLessThanOrEqual(ownMs + 50)
    },
  )

  it('waits for no interface that leads nowhere', async () => {
    const lab = new IceLab({
      addresses: ['80.0.0.10', '80.0.0.11', '80.0.0.12'],
      behind: (network) =>
        network.addRouter({
          name: 'router',
          rule: (packet) =>
            packet.kind === 'udp' && packet.source.ip !== '80.0.0.10' && packet.source.ip.startsWith('80.')
              ? 'drop'
              : 'pass',
        }),
    })
    await lab.relay(lab.host('server', 100, '50.0.0.1'))
    const { gatheredAtMs } = await lab.gather(['turn:50.0.0.1', 'stun:50.0.0.1'], { prove: false })
    expect(gatheredAtMs).toBeLessThanOrEqual(250)
  })

  it('is as soon as the slowest live server, whatever the others do', async () => {
    const lab = home()
    await lab.relay(lab.host('near', 20, '50.0.0.1'))
    await lab.relay(lab.host('far', 300, '50.0.0.2'))
    const alone = await lab.gather(['turn:50.0.0.2?transport=tcp', 'turn:50.0.0.1'], { prove: false })
    expect(alone.gatheredAtMs).toBeLessThanOrEqual(3 * 300 + 50)
  })

  it('a dead server delays no candidate of another, and costs two seconds at most', async () => {
    const dead = [
      'stun:50.0.0.9',
      'turn:50.0.0.9',
      'turn:50.0.0.9?transport=tcp',
      'turns:50.0.0.9',
      'stun:silent.example',
      'turns:slow.example:5349',
    ]
    const run = async (urls: readonly string[]): Promise<IceObservations> => {
      const lab = home()
      await lab.relay(lab.host('server', 50, '50.0.0.1'))
      lab.network.names.breakName('silent.example', 'silent')
      lab.network.names.addHost('slow.example', ['50.0.0.9'])
      return await lab.gather(urls)
    }
    const live = ['turn:50.0.0.1', 'turn:50.0.0.1?transport=tcp']
    const [without, withDead] = [await run(live), await run([...dead, ...live])]
    const times = ({ candidates }: IceObservations): string[] => candidates.map(brief)
    expect(times(withDead)).toEqual(times(without))
    expect(withDead.reachability).toEqual(without.reachability)
    expect(withDead.gatheredAtMs).toBeLessThanOrEqual(2000)
    expect(withDead.attempts.slice(0, dead.length).map((attempt) => codes(attempt).length)).toEqual(dead.map(() => 1))
  })
})

describe('bad lines', () => {
  it('lose nothing but time at 5 % loss', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const lab = home({ seed, loss: 0.05, latencyMs: 10 })
      await lab.relay(lab.host('server', 20, '50.0.0.1'))
      const observed = await lab.gather(['stun:50.0.0.1', 'turn:50.0.0.1', 'turn:50.0.0.1?transport=tcp'])
      const types = observed.candidates.map(({ type }) => type)
      expect([
        seed,
        types.filter((type) => type === 'srflx').length,
        types.filter((type) => type === 'relay').length,
      ]).toEqual([seed, 1, 2])
      expect([seed, ...observed.attempts.flatMap(codes)]).toEqual([seed])
      expect(observed.reachability.map(({ result }) => result)).toEqual(['proven', 'proven', 'proven'])
      expect(observed.gatheredAtMs).toBeLessThan(2500)
    }
  })
})

describe('the end', () => {
  const lively = async (): Promise<{ lab: IceLab; urls: readonly string[]; allocations: () => Promise<number> }> => {
    const lab = home({ latencyMs: 5 })
    const relay = await lab.relay(lab.host('server', 30, '50.0.0.1'))
    lab.network.names.addHost('turn.example', ['50.0.0.1'])
    lab.network.names.latencyMs = 10
    const urls = [
      'stun:50.0.0.1',
      'turn:turn.example',
      'turns:turn.example',
      'turn:50.0.0.1?transport=tcp',
      'turn:50.0.0.9',
      'stun:nowhere.example',
    ]
    return { lab, urls, allocations: async () => (await relay.stats()).allocations }
  }

  it('leaves nothing open: no allocation, no socket, no packet', async () => {
    const { lab, urls, allocations } = await lively()
    await lab.gather(urls)
    await lab.settle()
    expect(await allocations()).toBe(0)
    let packets = 0
    lab.network.capture(() => packets++)
    await lab.clock.advance(1_000_000)
    expect(packets).toBe(0)
  })

  it('comes with the deadline, whatever is still open', async () => {
    const { lab, urls } = await lively()
    const observed = await lab.gather(urls, { timeoutMs: 300 })
    expect(observed.endedAtMs).toBe(300)
    expect(observed.interrupted).toBe(false)
    expect(observed.gatheredAtMs).toBeNull()
    const dead = observed.attempts.find(({ uri }) => uri.includes('50.0.0.9'))
    expect(dead?.causes).toEqual([{ code: 'cancelled', stage: 'challenge', severity: 'error', facts: {} }])
    expect(dead?.stages).toEqual([
      { stage: 'challenge', startMs: 0, endMs: null, ok: false, detail: expect.any(String) as string },
    ])
  })

  it('aborted at any moment hands over what is known, consistent, and leaves nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2500 }), fc.boolean(), async (atMs, byDeadline) => {
        const { lab, urls, allocations } = await lively()
        const abort = new AbortController()
        if (!byDeadline) lab.clock.schedule((lab.clock.now() + atMs) as never, () => abort.abort())
        const observed = await lab.gather(urls, {
          signal: abort.signal,
          ...(byDeadline && { timeoutMs: Math.max(1, atMs) }),
        })
        expect(observed.endedAtMs).toBeLessThanOrEqual(Math.max(1, atMs))
        consistent(observed)
        const after = structuredClone(observed)
        await lab.settle()
        expect(observed).toEqual(after)
        expect(await allocations()).toBe(0)
      }),
      { numRuns: 40, seed: 4 },
    )
  })

  it('is at once when it was aborted before', async () => {
    const { lab, urls } = await lively()
    const observed = await lab.gather(urls, { signal: AbortSignal.abort() })
    expect(observed).toMatchObject({ interrupted: true, endedAtMs: 0, gatheredAtMs: null })
    consistent(observed)
  })
})

function consistent({ candidates, attempts, reachability, endedAtMs }: IceObservations): void {
  for (const { atMs, attempt } of candidates) {
    expect(atMs).toBeLessThanOrEqual(endedAtMs)
    if (attempt !== null) expect(attempts[attempt]).toBeDefined()
  }
  for (const { candidate } of reachability) expect(candidates[candidate]).toBeDefined()
  for (const { stages, causes, relayed, mapped } of attempts) {
    for (const { startMs, endMs, ok } of stages) {
      expect(startMs).toBeLessThanOrEqual(endMs ?? endedAtMs)
      if (endMs === null) expect(ok).toBe(false)
    }
    // Whoever gave no address says why.
    if (relayed === null && mapped === null) expect(causes.length).toBeGreaterThan(0)
    if (stages.some(({ endMs }) => endMs === null)) expect(causes.map(({ code }) => code)).toContain('cancelled')
  }
}
