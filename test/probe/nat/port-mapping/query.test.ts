import { describe, expect, it } from 'vitest'
import { after, NatcheckError } from '../../../../src/core/index.ts'
import {
  queryRouter,
  type RouterObservation,
  type RouterQuery,
  type RouterQueryOptions,
} from '../../../../src/probe/nat/port-mapping/index.ts'
import {
  bytesOf,
  client,
  description,
  FakeClock,
  FakeNetwork,
  httpAnswer,
  type HttpConversation,
  natPmpAnswer,
  pcpAnswer,
  router,
  type Script,
  searchAnswer,
  type SentDatagram,
  soapAnswer,
  soapFault,
} from './fake-network.ts'

const deadlineMs = 500

function start(script: Script, options: Partial<RouterQueryOptions> = {}): Run {
  const clock = new FakeClock()
  const network = new FakeNetwork(clock, script)
  const deadline = after(clock.now(), deadlineMs)
  const query = queryRouter(network, clock, { family: 4, localIp: client, deadline, ...options })
  return { clock, network, query }
}

interface Run {
  readonly clock: FakeClock
  readonly network: FakeNetwork
  readonly query: RouterQuery
}

/** Runs to the deadline, checks that nothing is left behind, and returns the observations by protocol. */
async function finish({ clock, network, query }: Run): Promise<Record<string, RouterObservation>> {
  await clock.advance(deadlineMs)
  const observations = await query.settled
  expect(network.openSockets).toBe(0)
  expect(network.doubleCloses).toBe(0)
  expect(network.sendsAfterClose).toBe(0)
  expect(clock.pending - network.inFlight).toBe(0)
  expect(query.snapshot()).toEqual(observations)
  expect(JSON.parse(JSON.stringify(observations))).toEqual(observations)
  return Object.fromEntries(observations.map((observation) => [observation.protocol, observation]))
}

const isSearch = (datagram: SentDatagram): boolean => datagram.to.port === 1900
const isNatPmp = ({ to, bytes }: SentDatagram): boolean => to.port === 5351 && bytes.length === 2
const isPcp = ({ to, bytes }: SentDatagram): boolean => to.port === 5351 && bytes.length === 24

const igd = ({ request, respond }: HttpConversation): void =>
  respond(httpAnswer(request.startsWith('GET') ? description() : soapAnswer('203.0.113.7')))

/** A router that answers everything. */
const talkative: Script = {
  udp: (datagram) => {
    if (isNatPmp(datagram)) datagram.reply(natPmpAnswer([203, 0, 113, 7]))
    if (isPcp(datagram)) datagram.reply(pcpAnswer())
    if (isSearch(datagram)) {
      datagram.reply(searchAnswer(`http://${router}:5000/root.xml`), { from: { ip: router, port: 1900 } })
    }
  },
  http: igd,
}

describe('a router that speaks all three', () => {
  it('is observed by each, and the query ends before its deadline', async () => {
    const run = start(talkative)
    await run.clock.advance(100)
    await expect(run.query.settled).resolves.toHaveLength(3)
    const { upnp, pcp, ...others } = await finish(run)
    expect(others['nat-pmp']).toEqual({
      protocol: 'nat-pmp',
      outcome: 'answered',
      externalIp: '203.0.113.7',
      epochSeconds: 300,
      rttMs: 2,
    })
    expect(upnp).toMatchObject({ outcome: 'answered', externalIp: '203.0.113.7', server: 'Test Router' })
    expect(pcp).toMatchObject({ outcome: 'answered', epochSeconds: 300, rttMs: 2 })
    expect(pcp?.externalIp).toBeUndefined()
  })

  it('is sent nothing but queries, each only to the gateway or this link', async () => {
    const run = start(talkative)
    await finish(run)
    for (const datagram of run.network.datagrams) {
      expect(['192.168.1.1', '239.255.255.250']).toContain(datagram.to.ip)
      expect(datagram.from.ip).toBe(client)
      const text = new TextDecoder('latin1').decode(datagram.bytes)
      const query = isSearch(datagram)
        ? text.startsWith('M-SEARCH * HTTP/1.1\r\n')
        : text === '\0\0' || (datagram.bytes.length === 24 && datagram.bytes[0] === 2 && datagram.bytes[1] === 0)
      expect(query).toBe(true)
    }
    expect(run.network.requests.map((request) => request.split('\r\n')[0])).toEqual([
      'GET /root.xml HTTP/1.1',
      'POST /ctl/IPConn HTTP/1.1',
    ])
    expect(run.network.requests[1]).toContain(
      'SOAPAction: "urn:schemas-upnp-org:service:WANIPConnection:1#GetExternalIPAddress"',
    )
  })
})

describe('silence', () => {
  it('is no answer, after quick retransmissions, at the deadline', async () => {
    const run = start({ connect: () => 'ignore' })
    expect(run.query.snapshot().map(({ outcome }) => outcome)).toEqual(['no-answer', 'no-answer', 'no-answer'])
    const observations = await finish(run)
    expect(Object.values(observations)).toEqual([
      { protocol: 'upnp', outcome: 'no-answer' },
      { protocol: 'nat-pmp', outcome: 'no-answer' },
      { protocol: 'pcp', outcome: 'no-answer' },
    ])
    expect(run.network.datagrams.filter(isNatPmp).map(({ atMs }) => atMs)).toEqual([2, 102, 302])
    expect(run.network.datagrams.filter(isPcp)).toHaveLength(3)
    // Two targets, to the group and to the gateway, at 0 and 150 ms.
    expect(run.network.datagrams.filter(isSearch)).toHaveLength(8)
  })

  it('is no answer when the answer comes after the deadline', async () => {
    const run = start({ ...talkative, delayMs: 260 })
    const observations = await finish(run)
    await run.clock.advance(5000)
    expect(run.query.snapshot()).toEqual(Object.values(observations))
    expect(Object.values(observations).map(({ outcome }) => outcome)).toEqual(['no-answer', 'no-answer', 'no-answer'])
  })

  it('is broken by a retransmission when the first request is lost', async () => {
    const run = start({
      udp: (datagram) => {
        if (isNatPmp(datagram) && datagram.atMs > 2) datagram.reply(natPmpAnswer([203, 0, 113, 7]))
      },
    })
    const observations = await finish(run)
    expect(observations['nat-pmp']).toMatchObject({ outcome: 'answered', externalIp: '203.0.113.7', rttMs: 102 })
    expect(run.network.datagrams.filter(isNatPmp)).toHaveLength(2)
  })
})

describe('an answered protocol', () => {
  it('closes its sockets and sends no more while the others wait', async () => {
    const onlyUpnp = start({
      ...talkative,
      udp: (datagram) => {
        if (isSearch(datagram)) talkative.udp?.(datagram)
      },
    })
    await onlyUpnp.clock.advance(400)
    expect(onlyUpnp.network.openSockets).toBe(2)
    expect(onlyUpnp.network.datagrams.filter(isSearch)).toHaveLength(4)
    expect((await finish(onlyUpnp))['upnp']).toMatchObject({ outcome: 'answered' })

    const onlyGateway = start({
      udp: (datagram) => {
        if (!isSearch(datagram)) talkative.udp?.(datagram)
      },
    })
    await onlyGateway.clock.advance(400)
    expect(onlyGateway.network.openSockets).toBe(1)
    expect(onlyGateway.network.datagrams.filter((datagram) => !isSearch(datagram))).toHaveLength(2)
    await finish(onlyGateway)
  })
})

describe('cancel', () => {
  it('keeps what is known, closes every socket, and lets nothing change it', async () => {
    const run = start({ ...talkative, http: () => {} })
    await run.clock.advance(20)
    const snapshot = run.query.snapshot()
    expect(snapshot.map(({ outcome }) => outcome)).toEqual(['no-answer', 'answered', 'answered'])
    expect(run.network.openSockets).toBeGreaterThan(0)
    run.query.cancel()
    run.query.cancel()
    expect(run.network.openSockets).toBe(0)
    expect(Object.values(await finish(run))).toEqual(snapshot)
  })

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])('leaves nothing open after %i ms', async (ms) => {
    const run = start(talkative)
    if (ms > 0) await run.clock.advance(ms)
    run.query.cancel()
    const sent = run.network.datagrams.length
    await finish(run)
    expect(run.network.datagrams).toHaveLength(sent)
  })
})

/** Where a control URL `ctl` leads in a description with this URLBase. */
const controlAt = async (urlBase: string): Promise<string | undefined> => {
  const run = start({
    ...talkative,
    http: (conversation) => {
      if (!conversation.request.startsWith('GET')) return igd(conversation)
      conversation.respond(httpAnswer(description({ urlBase, controlUrl: 'ctl' })))
    },
  })
  expect((await finish(run))['upnp']).toMatchObject({ externalIp: '203.0.113.7' })
  const to = run.network.connections[1]?.to
  return to && `${to.ip}:${to.port}`
}

describe('what is not the router', () => {
  it('is not believed by NAT-PMP and PCP', async () => {
    const observations = await finish(
      start({
        udp: (datagram) => {
          for (const from of [
            { ip: '192.168.1.66', port: 5351 },
            { ip: router, port: 5352 },
          ]) {
            if (isNatPmp(datagram)) datagram.reply(natPmpAnswer([6, 6, 6, 6]), { from })
            if (isPcp(datagram)) datagram.reply(pcpAnswer(), { from })
          }
        },
      }),
    )
    expect(observations['nat-pmp']).toEqual({ protocol: 'nat-pmp', outcome: 'no-answer' })
    expect(observations['pcp']).toEqual({ protocol: 'pcp', outcome: 'no-answer' })
  })

  it('is not followed by UPnP: another IGD on the link is not our way out', async () => {
    const repeater = '192.168.1.2'
    const run = start({
      udp: (datagram) => {
        if (isSearch(datagram)) {
          datagram.reply(searchAnswer(`http://${repeater}:5000/`), { from: { ip: repeater, port: 1900 } })
        }
      },
      http: igd,
    })
    const { upnp } = await finish(run)
    expect(upnp).toEqual({
      protocol: 'upnp',
      outcome: 'no-answer',
      detail: '192.168.1.2 answered, but the default gateway 192.168.1.1 did not',
    })
    expect(run.network.connections).toEqual([])
  })

  it.each([
    ['http://169.254.169.254/latest/meta-data', 'on another host'],
    ['http://127.0.0.1:8080/', 'on another host'],
    ['http://example.com/', 'on another host'],
    ['http://192.168.1.1:22/', 'on port 22'],
    ['https://192.168.1.1/', 'not plain http'],
  ])('is never connected to: %s', async (location, why) => {
    const run = start({
      udp: (datagram) => {
        if (isSearch(datagram)) datagram.reply(searchAnswer(location), { from: { ip: router, port: 1900 } })
      },
    })
    const { upnp } = await finish(run)
    expect(upnp).toMatchObject({ outcome: 'malformed', detail: `the answer leads to a place ${why}: ${location}` })
    expect(run.network.connections).toEqual([])
  })

  it.each([
    ['by its control URL', { controlUrl: 'http://10.0.0.9:80/ctl' }],
    ['by its control URL, relative to the scheme', { controlUrl: '//10.0.0.9/ctl' }],
  ])('is not called %s', async (_, options) => {
    const run = start({ ...talkative, http: ({ respond }) => respond(httpAnswer(description(options))) })
    const { upnp } = await finish(run)
    expect(upnp).toMatchObject({ outcome: 'malformed', detail: 'the control URL is on another host' })
    expect(run.network.connections.map(({ to }) => to.ip)).toEqual([router])
  })

  it('does not get a base for relative URLs, but the router itself may have one', async () => {
    expect(await controlAt('http://10.0.0.9/')).toBe('192.168.1.1:5000')
    expect(await controlAt('http://192.168.1.1:49000/')).toBe('192.168.1.1:49000')
  })
})

describe('a router that answers nonsense', () => {
  const cases: readonly (readonly [string, (conversation: HttpConversation) => void, object])[] = [
    ['not HTTP', ({ respond }) => respond('220 ftp ready\r\n\r\n'), { outcome: 'malformed' }],
    [
      'an endless body',
      ({ respond }) => respond(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(70_000)}`),
      { outcome: 'malformed' },
    ],
    ['a login page', ({ respond }) => respond(httpAnswer('<!doctype html><p>Log in<br>')), { outcome: 'malformed' }],
    ['404', ({ respond }) => respond(httpAnswer('', '404 Not Found')), { outcome: 'malformed' }],
    [
      'a redirect',
      ({ respond }) => respond('HTTP/1.1 302 Found\r\nLocation: http://10.0.0.9/\r\nContent-Length: 0\r\n\r\n'),
      { outcome: 'malformed' },
    ],
    ['a close', ({ close }) => close(), { outcome: 'malformed' }],
    ['no WAN service', ({ respond }) => respond(httpAnswer('<root><device/></root>')), { outcome: 'unsupported' }],
  ]

  it.each(cases)('in its description: %s', async (_, http, expected) => {
    const run = start({ ...talkative, http })
    const { upnp } = await finish(run)
    expect(upnp).toMatchObject(expected)
    expect(upnp?.externalIp).toBeUndefined()
    expect(run.network.connections).toHaveLength(1)
  })

  it.each([
    [
      'a fault',
      httpAnswer(soapFault('501', 'ActionFailed'), '500 Internal Server Error'),
      { outcome: 'refused', detail: 'UPnP error 501: ActionFailed' },
    ],
    [
      'an unknown action',
      httpAnswer(soapFault('401', 'Invalid Action'), '500 Internal Server Error'),
      { outcome: 'unsupported' },
    ],
    [
      'no address',
      httpAnswer(soapAnswer('')),
      { outcome: 'answered', detail: 'the router says it has no usable WAN address' },
    ],
    ['0.0.0.0', httpAnswer(soapAnswer('0.0.0.0')), { outcome: 'answered' }],
    ['a name', httpAnswer(soapAnswer('my.router')), { outcome: 'malformed' }],
    ['IPv6', httpAnswer(soapAnswer('2001:db8::1')), { outcome: 'malformed' }],
    ['no XML', httpAnswer('ok'), { outcome: 'malformed' }],
    ['an error page', httpAnswer('<p>no</p>', '403 Forbidden'), { outcome: 'malformed' }],
  ])('in its address: %s', async (_, answer, expected) => {
    const http: Script['http'] = ({ request, respond }) =>
      respond(request.startsWith('GET') ? httpAnswer(description()) : answer)
    const { upnp } = await finish(start({ ...talkative, http }))
    expect(upnp).toMatchObject({ ...expected, server: 'Test Router' })
    expect(upnp?.externalIp).toBeUndefined()
  })

  it('in NAT-PMP and PCP is malformed, unless a good answer follows', async () => {
    const garbage = new Uint8Array([9, 9, 9])
    const observations = await finish(
      start({
        udp: (datagram) => {
          if (isSearch(datagram)) return datagram.reply(bytesOf('garbage'), { from: { ip: router, port: 1900 } })
          datagram.reply(garbage)
          if (isNatPmp(datagram)) datagram.reply(natPmpAnswer([203, 0, 113, 7]), { afterMs: 10 })
        },
      }),
    )
    expect(observations['nat-pmp']).toMatchObject({ outcome: 'answered', externalIp: '203.0.113.7' })
    expect(observations['pcp']).toMatchObject({ outcome: 'malformed', detail: 'an answer of 3 bytes' })
    expect(observations['upnp']).toMatchObject({ outcome: 'no-answer' })
  })

  it('in its name gets it cleaned before it can reach a terminal', async () => {
    const name = `Evil&#27;[2J&#x202E;\nRouter ${'x'.repeat(100)}`
    const http: Script['http'] = ({ request, respond }) =>
      respond(httpAnswer(request.startsWith('GET') ? description({ name }) : soapAnswer('203.0.113.7')))
    const { upnp } = await finish(start({ ...talkative, http }))
    expect(upnp?.server).toHaveLength(64)
    expect(upnp?.server).toMatch(/^Evil \[2J Router x{47}…$/)
  })
})

describe('a router that says no', () => {
  it('by ICMP has nothing there', async () => {
    const run = start({ udp: (datagram) => datagram.fail('port-unreachable') })
    const observations = await finish(run)
    expect(observations['nat-pmp']).toMatchObject({ outcome: 'unsupported' })
    expect(observations['pcp']).toMatchObject({ outcome: 'unsupported' })
    expect(run.network.datagrams.filter(isNatPmp)).toHaveLength(1)
    expect(observations['upnp']).toMatchObject({ outcome: 'no-answer' })
  })

  it('through a firewall is refused, and an unreachable one may still answer', async () => {
    const observations = await finish(
      start({
        udp: (datagram) => {
          if (isPcp(datagram)) datagram.fail('admin-prohibited')
          if (isNatPmp(datagram)) datagram.fail('host-unreachable')
          if (isNatPmp(datagram) && datagram.atMs > 2) datagram.reply(natPmpAnswer([203, 0, 113, 7]), { afterMs: 1 })
        },
      }),
    )
    expect(observations['pcp']).toMatchObject({ outcome: 'refused' })
    expect(observations['nat-pmp']).toMatchObject({ outcome: 'answered' })
  })

  it('on the TCP port it announced is refused', async () => {
    const { upnp } = await finish(start({ ...talkative, connect: () => 'refuse' }))
    expect(upnp).toMatchObject({ outcome: 'refused' })
    expect(upnp?.detail).toContain('connection refused')
  })

  it('by version tells which protocol it has instead', async () => {
    const observations = await finish(
      start({ udp: (datagram) => datagram.reply(isNatPmp(datagram) ? pcpAnswer(1) : natPmpAnswer([], 1)) }),
    )
    expect(observations['nat-pmp']).toMatchObject({
      outcome: 'unsupported',
      detail: 'the router speaks PCP version 2 and no NAT-PMP',
    })
    expect(observations['pcp']).toMatchObject({
      outcome: 'unsupported',
      detail: 'the router speaks NAT-PMP and no PCP',
    })
  })
})

describe('a router with several WAN connections', () => {
  it('is asked for each until one has an address', async () => {
    const two =
      '<root><device><serviceList>' +
      '<service><serviceType>urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType><controlURL>/ppp</controlURL></service>' +
      '<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ip</controlURL></service>' +
      '</serviceList></device></root>'
    const run = start({
      ...talkative,
      http: ({ request, respond }) => {
        if (request.startsWith('GET')) return respond(httpAnswer(two))
        respond(httpAnswer(soapAnswer(request.startsWith('POST /ppp') ? '203.0.113.7' : '0.0.0.0')))
      },
    })
    const { upnp } = await finish(run)
    expect(upnp).toMatchObject({ outcome: 'answered', externalIp: '203.0.113.7', server: 'Test/1 UPnP/1.1' })
    expect(run.network.requests.map((request) => request.split(' ')[1])).toEqual(['/root.xml', '/ip', '/ppp'])
  })

  it('is asked for one only when that has an address', async () => {
    const service = (type: string): string =>
      `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><controlURL>/${type}</controlURL></service>`
    const both = `<root><l>${service('WANPPPConnection:1')}${service('WANIPConnection:2')}</l></root>`
    const run = start({
      ...talkative,
      http: ({ request, respond }) => respond(httpAnswer(request.startsWith('GET') ? both : soapAnswer('203.0.113.7'))),
    })
    await finish(run)
    expect(run.network.requests.map((request) => request.split(' ')[1])).toEqual(['/root.xml', '/WANIPConnection:2'])
  })

  it('is visited at no more than three places', async () => {
    let count = 0
    const run = start({
      udp: (datagram) => {
        for (let i = 0; i < 10; i++) {
          datagram.reply(searchAnswer(`http://${router}:5000/${count++}`), { from: { ip: router, port: 1900 } })
        }
      },
      http: ({ respond }) => respond(httpAnswer('<root/>')),
    })
    await finish(run)
    expect(run.network.connections).toHaveLength(3)
  })
})

describe('the way out', () => {
  it('without a gateway asks by multicast only', async () => {
    const run = start({ ...talkative, gateway: undefined })
    const observations = await finish(run)
    expect(observations['nat-pmp']).toEqual({
      protocol: 'nat-pmp',
      outcome: 'not-sent',
      detail: 'this host has no default gateway',
    })
    expect(observations['upnp']).toMatchObject({ outcome: 'answered', externalIp: '203.0.113.7' })
    expect(run.network.datagrams.every(({ to }) => to.ip === '239.255.255.250')).toBe(true)
  })

  it.each<readonly [string, Script, Partial<RouterQueryOptions>, string]>([
    ['no gateway and a public address', { gateway: undefined }, { localIp: '8.8.8.8' }, 'no default gateway'],
    ['a public gateway', { gateway: '8.8.4.4' }, {}, 'public address'],
    ['a VPN', {}, { localIp: '10.8.0.2' }, 'does not leave through the default gateway'],
  ])('sends nothing with %s', async (_, script, options, why) => {
    const run = start(script, options)
    const observations = Object.values(await finish(run))
    expect(observations.map(({ outcome }) => outcome)).toEqual(['not-sent', 'not-sent', 'not-sent'])
    expect(observations[0]?.detail).toContain(why)
    expect(run.network.datagrams).toEqual([])
    expect(run.network.connections).toEqual([])
  })

  it('may start from another address of the same interface', async () => {
    const interfaces = [client, '192.168.1.21'].map((ip) => ({ name: 'eth0', ip, internal: false }))
    const run = start({ ...talkative, interfaces }, { localIp: '192.168.1.21' })
    expect((await finish(run))['nat-pmp']).toMatchObject({ outcome: 'answered' })
    expect(run.network.datagrams.every(({ from }) => from.ip === '192.168.1.21')).toBe(true)
  })

  it('is learnt from the routing table when no address is given', async () => {
    const run = start(talkative, { localIp: undefined })
    expect((await finish(run))['upnp']).toMatchObject({ outcome: 'answered' })
    expect(run.network.connections.map(({ localIp }) => localIp)).toEqual([client, client])
  })

  it('that does not open is not sent, and says why', async () => {
    const openError = new NatcheckError('PERMISSION_DENIED', 'binding is not permitted')
    const { upnp } = await finish(start({ ...talkative, openError }))
    expect(upnp).toEqual({ protocol: 'upnp', outcome: 'not-sent', detail: 'binding is not permitted' })
  })
})
