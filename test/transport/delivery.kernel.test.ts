/**
 * What Linux tells a UDP socket about datagrams that did not arrive, held against real ICMP: a router rejects by
 * destination port. The endpoints under test run inside the namespace (endpoint-main.mjs, on the built dist).
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Namespace, Namespaces } from '../support/netns.ts'
import { describeIf } from '../support/requirements.ts'

const main = fileURLToPath(new URL('./endpoint-main.mjs', import.meta.url))
const peers = { 4: '198.51.100.1', 6: '2001:db8:1::1' }

/** Destination port → nftables' name of the ICMP error that the router answers with. */
const rejects: Readonly<Record<number, readonly [family: 4 | 6, type: string]>> = {
  4000: [4, 'net-unreachable'],
  4001: [4, 'host-unreachable'],
  4002: [4, 'prot-unreachable'],
  4003: [4, 'port-unreachable'],
  4009: [4, 'net-prohibited'],
  4010: [4, 'host-prohibited'],
  4013: [4, 'admin-prohibited'],
  6000: [6, 'no-route'],
  6001: [6, 'admin-prohibited'],
  6003: [6, 'addr-unreachable'],
  6004: [6, 'port-unreachable'],
  6005: [6, 'policy-fail'],
  6006: [6, 'reject-route'],
}
const portUnreachable = { 4: 4003, 6: 6004 }
const droppedHere = 7000
const rejectedHere = 7001
const smallMtu = 1300

interface Outcome {
  readonly heard: Readonly<Record<string, readonly string[]>>
  readonly error: { readonly code: string; readonly message: string; readonly fix: string | null } | null
}

describeIf(['nft'], 'delivery failures', () => {
  let set: Namespaces
  let client: Namespace
  let router: Namespace

  beforeAll(async () => {
    set = await Namespaces.create('client', 'router', 'far')
    client = set.get('client')
    router = set.get('router')
    await set.link(
      { in: 'client', as: 'client0', addresses: ['10.77.0.2/24', 'fd77::2/64'] },
      { in: 'router', as: 'inside0', addresses: ['10.77.0.1/24', 'fd77::1/64'] },
    )
    await set.link(
      { in: 'router', as: 'outside0', addresses: ['198.51.100.254/24', '2001:db8:1::fe/64'] },
      { in: 'far', as: 'far0', addresses: [] },
    )
    await client.ip('route add 198.51.100.0/24 via 10.77.0.1', 'route add 2001:db8:1::/64 via fd77::1')
    for (const family of [4, 6] as const) {
      const prefix = peers[family].slice(0, -1)
      await client.ip(
        `route add prohibit ${prefix}66`,
        `route add unreachable ${prefix}67`,
        `route add blackhole ${prefix}68`,
      )
    }
    await router.ip(`link set outside0 mtu ${smallMtu}`)
    await router.sysctl({
      'net.ipv4.ip_forward': 1,
      'net.ipv6.conf.all.forwarding': 1,
      // A router answers at most one datagram a second with an ICMP error, unless told otherwise.
      'net.ipv4.icmp_ratelimit': 0,
      'net.ipv6.icmp.ratelimit': 0,
    })
    const rules = Object.entries(rejects).map(([port, [family, type]]) =>
      family === 4
        ? `meta nfproto ipv4 udp dport ${port} counter reject with icmp type ${type}`
        : `meta nfproto ipv6 udp dport ${port} counter reject with icmpv6 type ${type}`,
    )
    await router.nft(`table inet t {
      chain forward {
        type filter hook forward priority 0
        ${rules.join('\n')}
      }
    }`)
    await client.nft(`table inet t {
      chain output {
        type filter hook output priority 0
        udp dport ${droppedHere} drop
        meta nfproto ipv4 udp dport ${rejectedHere} reject with icmp type admin-prohibited
      }
    }`)
  })
  afterAll(() => set?.remove())

  async function perform(...steps: readonly object[]): Promise<Outcome> {
    const printed = await client.check([process.execPath, main, JSON.stringify(steps)], { timeoutMs: 15_000 })
    return JSON.parse(printed) as Outcome
  }

  /**
   * What a connected socket hears after one datagram. A second socket goes the same way after it: the network keeps
   * the order, so once that one's error is here, the first one's would be too. Absence is shown without waiting.
   */
  async function heardFrom(family: 4 | 6, port: number, length = 20): Promise<readonly string[] | undefined> {
    const { heard, error } = await perform(
      { connect: 'it', to: { ip: peers[family], port } },
      { connect: 'later', to: { ip: peers[family], port: portUnreachable[family] } },
      { send: 'it', length },
      { send: 'later' },
      { hear: 'later', failures: 1 },
    )
    expect(error).toBeNull()
    expect(heard['later']).toEqual(['port-unreachable ECONNREFUSED'])
    return heard['it']
  }

  test.each<[number, string[]]>([
    [4000, []],
    [4001, []],
    [4002, ['other ENOPROTOOPT']],
    [4003, ['port-unreachable ECONNREFUSED']],
    [4009, ['admin-prohibited ENETUNREACH']],
    [4010, ['admin-prohibited EHOSTUNREACH']],
    [4013, ['admin-prohibited EHOSTUNREACH']],
    [6000, []],
    [6001, ['admin-prohibited EACCES']],
    [6003, []],
    [6004, ['port-unreachable ECONNREFUSED']],
    [6005, ['admin-prohibited EACCES']],
    [6006, ['admin-prohibited EACCES']],
  ])('ICMP error of port %i arrives as %j', async (port, failures) => {
    const family = port < 6000 ? 4 : 6
    const before = await rejectedAt(port)
    expect(await heardFrom(family, port)).toEqual(failures)
    expect((await rejectedAt(port)) - before).toBe(port === portUnreachable[family] ? 2 : 1)
  })

  /** How many datagrams to this port the router has rejected. */
  async function rejectedAt(port: number): Promise<number> {
    const rules = await router.check(['nft', 'list', 'table', 'inet', 't'])
    const packets = new RegExp(`dport ${port} counter packets (\\d+)`).exec(rules)?.[1]
    if (packets === undefined) throw new Error(`no rule for port ${port} in ${rules}`)
    return Number(packets)
  }

  test.each([4, 6] as const)('IPv%i: a datagram that a link on the way is too small for', async (family) => {
    expect(await heardFrom(family, 1000, smallMtu + 50)).toEqual(['message-too-big EMSGSIZE'])
  })

  test.each([4, 6] as const)("IPv%i: this machine's own firewall", async (family) => {
    const to = { ip: peers[family], port: droppedHere }
    const { heard } = await perform(
      { connect: 'connected', to },
      { open: 'unconnected', family },
      { send: 'connected' },
      { send: 'unconnected', to },
      { hear: 'connected', failures: 1 },
      { hear: 'unconnected', failures: 1 },
    )
    expect(heard).toEqual({ connected: ['local-firewall EPERM'], unconnected: ['local-firewall EPERM'] })
  })

  test('a local firewall that rejects is told first as itself, then as the ICMP error it made', async () => {
    expect(await heardFrom(4, rejectedHere)).toEqual(['local-firewall EPERM', 'admin-prohibited EHOSTUNREACH'])
  })

  test.each<[4 | 6, string, string, string]>([
    [4, '66', 'local-firewall EACCES', 'this machine forbids sending to 198.51.100.66:1000 (EACCES)'],
    [4, '67', 'no-route EHOSTUNREACH', 'no route to 198.51.100.67:1000 (EHOSTUNREACH)'],
    [4, '68', 'no-route EINVAL', 'no route to 198.51.100.68:1000 (EINVAL)'],
    [6, '66', 'local-firewall EACCES', 'this machine forbids sending to [2001:db8:1::66]:1000 (EACCES)'],
    [6, '67', 'no-route EHOSTUNREACH', 'no route to [2001:db8:1::67]:1000 (EHOSTUNREACH)'],
    [6, '68', 'no-route EINVAL', 'no route to [2001:db8:1::68]:1000 (EINVAL)'],
  ])('IPv%i: a prohibit, unreachable or blackhole route (…%s) is %s', async (family, host, failure, message) => {
    const to = { ip: `${peers[family].slice(0, -1)}${host}`, port: 1000 }
    const { heard } = await perform({ open: 'it', family }, { send: 'it', to }, { hear: 'it', failures: 1 })
    expect(heard['it']).toEqual([failure])
    const { error } = await perform({ connect: 'it', to })
    expect(error).toMatchObject({ code: 'NO_ROUTE', message })
  })

  test('connecting where no route leads', async () => {
    for (const ip of ['192.0.2.1', '2001:db8:9::1']) {
      const { error } = await perform({ connect: 'it', to: { ip, port: 1000 } })
      expect(error?.code).toBe('NO_ROUTE')
      expect(error?.message).toMatch(/^no route to \S+ \(ENETUNREACH\)$/)
    }
  })

  test('a pending ICMP error costs no datagram: the send that it fails is made again', async () => {
    const before = await rejectedAt(portUnreachable[4])
    const { heard } = await perform(
      { connect: 'it', to: { ip: peers[4], port: portUnreachable[4] } },
      { send: 'it' },
      // Blocks the event loop, so that the error is still pending when the next send is made.
      { run: ['sleep', '0.2'] },
      { send: 'it' },
      { hear: 'it', failures: 2 },
    )
    expect(heard['it']).toEqual(['port-unreachable ECONNREFUSED', 'port-unreachable ECONNREFUSED'])
    expect((await rejectedAt(portUnreachable[4])) - before).toBe(2)
  })

  test('a network that goes away under an open endpoint', async () => {
    const to = { ip: peers[4], port: 1000 }
    const { heard } = await perform(
      { connect: 'connected', to },
      { open: 'unconnected', family: 4 },
      { run: ['ip', 'route', 'del', '198.51.100.0/24'] },
      { send: 'connected' },
      { send: 'unconnected', to },
      { hear: 'connected', failures: 1 },
      { hear: 'unconnected', failures: 1 },
      { run: ['ip', 'route', 'add', '198.51.100.0/24', 'via', '10.77.0.1'] },
      { send: 'connected' },
    )
    expect(heard).toEqual({ connected: ['no-route ENETUNREACH'], unconnected: ['no-route ENETUNREACH'] })
  })
})
