/** Name lookups, routes and TCP failures as a real system sees them: DNS servers that answer, refuse or stay silent. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Namespace, Namespaces } from '../support/netns.ts'
import { printed } from '../support/process.ts'
import { describeIf } from '../support/requirements.ts'

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

interface Outcome {
  readonly value?: unknown
  readonly code?: string
  readonly message?: string
  readonly tookMs: number
}

const zone = {
  'dual.example': { a: ['192.0.2.7'], aaaa: ['2001:db8:0:0:0:0:0:7'] },
  'four.example': { a: ['192.0.2.4', '192.0.2.4'] },
  'mail-only.example': {},
  'broken.example': { rcode: 2 },
  '_stun._udp.dual.example': {
    srv: [
      [20, 0, 3479, 'late.example'],
      [10, 5, 3478, 'soon.example'],
    ],
  },
  '_turn._udp.dual.example': { srv: [[0, 0, 0, '']] },
  '_stun._udp.broken.example': { rcode: 2 },
}

describeIf(['nft'], 'the machine seen from inside', () => {
  let set: Namespaces
  let client: Namespace
  const folder = mkdtempSync(join(tmpdir(), 'natcheck-names-'))

  beforeAll(async () => {
    set = await Namespaces.create('client', 'far')
    client = set.get('client')
    const far = set.get('far')
    await set.link(
      { in: 'client', as: 'client0', addresses: ['10.77.0.2/24', 'fd77::2/64'] },
      // .53 answers; .54 is up but has no server, so it refuses; .55 swallows everything.
      { in: 'far', as: 'far0', addresses: ['10.77.0.53/24', '10.77.0.54/24', '10.77.0.55/24', 'fd77::53/64'] },
    )
    await client.ip(
      'route add default via 10.77.0.54 metric 200',
      'route add default via 10.77.0.53 metric 100',
      'route add default via fd77::53 metric 50',
    )
    await far.nft(`table inet t {
      chain input {
        type filter hook input priority 0
        ip daddr 10.77.0.55 drop
        tcp dport 7001 reject with icmp type admin-prohibited
        tcp dport 7002 reject with tcp reset
      }
    }`)
    const server = far.start([process.execPath, pathOf('./dns-server.mjs'), '10.77.0.53', JSON.stringify(zone)])
    await printed(server, /ready/)
    for (const host of ['53', '54', '55']) {
      const etc = join(folder, host)
      mkdirSync(etc)
      writeFileSync(join(etc, 'resolv.conf'), `nameserver 10.77.0.${host}\n`)
      writeFileSync(join(etc, 'hosts'), '127.0.0.1 localhost\n10.77.0.99 in-hosts.example\n')
      writeFileSync(join(etc, 'nsswitch.conf'), 'hosts: files dns\n')
    }
  })
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true })
    await set?.remove()
  })

  /** Calls a method of the network port in the client's namespace, which `ip netns exec` gives mounts of its own. */
  async function call(dnsServer: '53' | '54' | '55', method: string, ...args: readonly unknown[]): Promise<Outcome> {
    const printedText = await client.check([
      'sh',
      '-c',
      'for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file" || exit; done; shift; exec "$@"',
      'sh',
      join(folder, dnsServer),
      process.execPath,
      pathOf('./names-main.mjs'),
      method,
      JSON.stringify(args),
    ])
    return JSON.parse(printedText) as Outcome
  }

  describe('names', () => {
    test('A and AAAA records, once each', async () => {
      const { value } = await call('53', 'resolveHost', 'dual.example', 3000)
      expect((value as string[]).toSorted()).toEqual(['192.0.2.7', '2001:db8::7'])
      expect((await call('53', 'resolveHost', 'four.example', 3000)).value).toEqual(['192.0.2.4'])
    })

    test.each(['none.example', 'mail-only.example'])('%s is an UNKNOWN_HOST', async (name) => {
      expect(await call('53', 'resolveHost', name, 3000)).toMatchObject({
        code: 'UNKNOWN_HOST',
        message: `there is no host named ${name}`,
      })
    })

    test.each<['53' | '54', string]>([
      ['53', 'broken.example'],
      ['54', 'dual.example'],
    ])('a DNS server (.%s) that fails or refuses is DNS_FAILED for %s', async (server, name) => {
      expect(await call(server, 'resolveHost', name, 3000)).toMatchObject({
        code: 'DNS_FAILED',
        message: `the name lookup of ${name} failed (EAI_AGAIN)`,
      })
    })

    test('a silent DNS server costs the time given, and the process exits all the same', async () => {
      const started = performance.now()
      const outcome = await call('55', 'resolveHost', 'dual.example', 700)
      expect(outcome).toMatchObject({
        code: 'DNS_FAILED',
        message: 'the name lookup of dual.example got no answer within 700 ms',
      })
      expect(outcome.tookMs).toBeGreaterThan(690)
      // getaddrinfo would have held the exit back for ten seconds.
      expect(performance.now() - started).toBeLessThan(4000)
    })

    test('the hosts file counts, even when DNS is silent', async () => {
      expect((await call('55', 'resolveHost', 'in-hosts.example', 3000)).value).toEqual(['10.77.0.99'])
    })
  })

  describe('services', () => {
    test('SRV records by priority', async () => {
      expect((await call('53', 'resolveService', '_stun._udp.dual.example', 3000)).value).toEqual([
        { host: 'soon.example', port: 3478, priority: 10, weight: 5 },
        { host: 'late.example', port: 3479, priority: 20, weight: 0 },
      ])
    })

    test('a target of "." arrives as an empty host', async () => {
      expect((await call('53', 'resolveService', '_turn._udp.dual.example', 3000)).value).toEqual([
        { host: '', port: 0, priority: 0, weight: 0 },
      ])
    })

    test.each(['_stun._udp.none.example', '_stun._udp.four.example'])('%s has none', async (name) => {
      expect((await call('53', 'resolveService', name, 3000)).value).toEqual([])
    })

    test('a server that fails or refuses is DNS_FAILED', async () => {
      for (const server of ['53', '54'] as const) {
        expect((await call(server, 'resolveService', '_stun._udp.broken.example', 3000)).code).toBe('DNS_FAILED')
      }
    })

    test('a silent server costs no more than the time given', async () => {
      const outcome = await call('55', 'resolveService', '_stun._udp.dual.example', 600)
      expect(outcome).toMatchObject({
        code: 'DNS_FAILED',
        message: 'the lookup of _stun._udp.dual.example got no answer within 600 ms',
      })
      expect(outcome.tookMs).toBeLessThan(900)
    })
  })

  test('the default gateway is the one with the lowest metric', async () => {
    expect((await call('53', 'defaultGateway', 4)).value).toBe('10.77.0.53')
    expect((await call('53', 'defaultGateway', 6)).value).toBe('fd77::53')
  })

  test('interfaces with canonical addresses', async () => {
    const { value } = await call('53', 'interfaces')
    expect(value).toEqual(
      expect.arrayContaining([
        { name: 'lo', ip: '127.0.0.1', internal: true },
        { name: 'lo', ip: '::1', internal: true, temporary: false },
        { name: 'client0', ip: '10.77.0.2', internal: false },
        { name: 'client0', ip: 'fd77::2', internal: false, temporary: false },
        { name: 'client0', ip: expect.stringMatching(/^fe80::[0-9a-f:]+%client0$/), internal: false, temporary: false },
      ]),
    )
  })

  test.each([
    ['10.77.0.55', 7000, 'TIMEOUT', '10.77.0.55:7000 did not answer the TCP connection in time'],
    ['10.77.0.53', 7001, 'UNREACHABLE', "10.77.0.53:7001 can't be reached by TCP (EHOSTUNREACH)"],
    ['10.77.0.53', 7002, 'CONNECTION_REFUSED', '10.77.0.53:7002 refused the TCP connection'],
    ['fd99::1', 7000, 'NO_ROUTE', 'no route to [fd99::1]:7000 (ENETUNREACH)'],
  ])('TCP to %s port %i is %s', async (ip, port, code, message) => {
    if (code === 'NO_ROUTE') await client.ip('route del default via fd77::53')
    expect(await call('53', 'connectStream', { to: { ip, port }, timeoutMs: 800 }, {})).toMatchObject({ code, message })
  })
})
