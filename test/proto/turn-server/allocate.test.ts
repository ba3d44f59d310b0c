import { describe, expect, it } from 'vitest'
import {
  additionalAddressFamily,
  addressErrorCode,
  attribute,
  dontFragment,
  evenPort,
  get,
  getAll,
  has,
  lifetime,
  loggingId,
  messageIntegrity,
  messageIntegritySha256,
  Method,
  rawAttribute,
  requestedAddressFamily,
  requestedTransport,
  reservationToken,
  software,
  unknownAttributes,
  xorMappedAddress,
  xorRelayedAddress,
} from '../../../src/wire/index.ts'
import { codeOf, names, outcome, Rig, udp } from './rig.ts'

describe('Allocate (RFC 8656 §7.2)', () => {
  it('challenges the first request and grants the second', () => {
    const rig = new Rig()
    const client = rig.client()
    const challenge = client.once(Method.allocate, [udp])
    expect(codeOf(challenge)).toBe(401)
    expect(names(challenge)).toEqual(['ERROR-CODE', 'REALM', 'NONCE', 'PASSWORD-ALGORITHMS'])

    const reply = client.allocate()
    expect(reply.class).toBe('success')
    expect(names(reply)).toEqual(['XOR-RELAYED-ADDRESS', 'LIFETIME', 'XOR-MAPPED-ADDRESS', 'MESSAGE-INTEGRITY-SHA256'])
    expect(get(reply, xorMappedAddress)).toEqual(client.path.client)
    expect(get(reply, lifetime)).toBe(600)
    const relayed = get(reply, xorRelayedAddress)
    expect(relayed?.ip).toBe('198.51.100.1')
    expect([...rig.open.values()]).toEqual([{ ip: '198.51.100.1', port: relayed?.port }])
    expect(relayed?.port).toBeGreaterThanOrEqual(49152)
    expect(rig.told()).toEqual(['error 401', 'error 401', 'allocation-created', 'success-response'])

    rig.pass(599.999)
    expect(rig.idle).toBe(false)
    rig.pass(0.001)
    expect(rig.closed).toEqual(['expired'])
    expect(rig.told()).toEqual(['allocation-ended expired'])
    expect(rig.idle).toBe(true)
  })

  it('tells the external address where there is one, and binds the other', () => {
    const rig = new Rig({ relayAddresses: [{ ip: '10.0.0.5', externalIp: '203.0.113.5' }] })
    expect(rig.client().relayed().ip).toBe('203.0.113.5')
    expect([...rig.open.values()].map(({ ip }) => ip)).toEqual(['10.0.0.5'])
  })

  it('repeats the same success for a retransmission, and answers 437 to another transaction', () => {
    const rig = new Rig()
    const client = rig.client()
    client.once(Method.allocate, [udp])
    const challenge = client.once(Method.allocate, [udp])
    expect(codeOf(challenge)).toBe(401)
    const first = client.allocate([], { id: new Uint8Array(12).fill(9) })
    const bytes = client.bytes(Method.allocate, [udp], { id: new Uint8Array(12).fill(9) })
    rig.pass(1)
    const [again] = client.exchange(bytes)
    expect(again?.bytes).toEqual(first.bytes)
    expect(rig.open.size).toBe(1)
    expect(outcome(client.allocate())).toBe(437)
  })

  it('says nothing to a retransmission while the address is being opened', () => {
    const rig = new Rig({ opening: () => undefined })
    const client = rig.client()
    client.session = undefined
    client.once(Method.allocate, [udp])
    expect(() => client.allocate()).toThrow('0 answers')
    const id = rig.random.bytes(12)
    expect(client.exchange(client.bytes(Method.allocate, [udp], { id })).map(outcome)).toEqual([437])
    const [relay] = rig.open.keys()
    if (relay === undefined) throw new Error('nothing opened')
    rig.server.handleRelayOpened(relay, rig.now)
    expect(rig.settle().map(({ kind }) => kind)).toEqual(['send-to-client'])
    expect(rig.allocations.length).toBe(1)
  })

  it('gives up when the datapath says nothing for five seconds', () => {
    const rig = new Rig({ opening: () => undefined })
    const client = rig.client()
    expect(() => client.allocate()).toThrow('0 answers')
    const effects = rig.pass(5)
    expect(effects.map(({ kind }) => kind)).toEqual(['close-relayed-address', 'send-to-client'])
    expect(rig.idle).toBe(true)
    expect(rig.told()).toContain('relay-failed timeout')
  })

  it('tries other ports while they are in use, and answers 508 when sixteen were', () => {
    const tried: number[] = []
    const rig = new Rig({
      opening: (port) => {
        tried.push(port)
        return tried.length < 5 ? 'address-in-use' : 'opened'
      },
    })
    expect(outcome(rig.client().allocate())).toBe('success')
    expect(tried.length).toBe(5)
    rig.setOpening((port) => {
      tried.push(port)
      return 'address-in-use'
    })
    expect(outcome(rig.client().allocate())).toBe(508)
    expect(tried.length).toBe(5 + 16)
    expect(rig.server.counts).toMatchObject({ allocations: 1, relays: 1 })
  })

  it('answers 508 without descriptors, and works again when there are some', () => {
    const rig = new Rig({ opening: () => 'no-descriptors' })
    expect(outcome(rig.client().allocate())).toBe(508)
    expect(rig.told()).toContain('relay-failed no-descriptors')
    expect(rig.idle).toBe(true)
    rig.setOpening(() => 'opened')
    expect(outcome(rig.client().allocate())).toBe('success')
  })

  it('uses every port of a small range once, answers 508, and gives them out again', () => {
    const rig = new Rig({ ports: { min: 50_000, max: 50_009 }, relayAddresses: [{ ip: '198.51.100.1' }] })
    const ports = new Set<number>()
    const clients = Array.from({ length: 10 }, () => rig.client())
    for (const client of clients) ports.add(client.relayed().port)
    expect([...ports].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, index) => 50_000 + index))
    expect(outcome(rig.client().allocate())).toBe(508)
    clients[3]?.refresh(0)
    expect(outcome(rig.client().allocate())).toBe('success')
  })

  it.each([
    ['without REQUESTED-TRANSPORT', [], 400],
    ['for TCP, which RFC 6062 asks for', [attribute(requestedTransport, 6)], 442],
    ['for SCTP', [attribute(requestedTransport, 132)], 442],
    ['with a short REQUESTED-TRANSPORT', [rawAttribute(requestedTransport.type, Uint8Array.of(17))], 400],
    ['with a short LIFETIME', [udp, rawAttribute(lifetime.type, Uint8Array.of(1))], 400],
    ['for an unknown family', [udp, rawAttribute(requestedAddressFamily.type, Uint8Array.of(7, 0, 0, 0))], 440],
    ['for a broken family', [udp, rawAttribute(requestedAddressFamily.type, Uint8Array.of(1))], 400],
    ['for IPv4 in addition', [udp, attribute(additionalAddressFamily, 4)], 400],
    [
      'for families in two ways',
      [udp, attribute(additionalAddressFamily, 6), attribute(requestedAddressFamily, 6)],
      400,
    ],
    [
      'for a pair and two families',
      [udp, attribute(additionalAddressFamily, 6), attribute(evenPort, { reserveNext: true })],
      400,
    ],
    [
      'with a token and a family',
      [udp, attribute(reservationToken, new Uint8Array(8)), attribute(requestedAddressFamily, 4)],
      400,
    ],
    [
      'with a token and EVEN-PORT',
      [udp, attribute(reservationToken, new Uint8Array(8)), attribute(evenPort, { reserveNext: false })],
      400,
    ],
    ['with an unknown token', [udp, attribute(reservationToken, new Uint8Array(8))], 508],
    ['with DONT-FRAGMENT that nobody can set', [udp, attribute(dontFragment, true)], 420],
    ['with an unknown attribute', [udp, rawAttribute(0x7abc, new Uint8Array(3))], 420],
    ['with an unknown optional attribute', [udp, rawAttribute(0xabcd, new Uint8Array(3))], 'success'],
    ["with libwebrtc's LOGGING-ID", [udp, attribute(loggingId, 'call 7')], 'success'],
  ])('%s', (_, attributes, expected) => {
    const rig = new Rig()
    const client = rig.client()
    const reply = client.request(Method.allocate, attributes)
    expect(outcome(reply)).toBe(expected)
    // Whoever has proven himself can believe the refusal too.
    expect(has(reply, messageIntegrity) || has(reply, messageIntegritySha256)).toBe(true)
    if (expected !== 'success') expect(rig.idle).toBe(true)
  })

  it('names the unknown attributes in 420', () => {
    const reply = new Rig()
      .client()
      .request(Method.allocate, [udp, rawAttribute(0x7abc, new Uint8Array(3)), rawAttribute(0x7abd, new Uint8Array(0))])
    expect(get(reply, unknownAttributes)).toEqual([0x7abc, 0x7abd])
  })

  it('takes DONT-FRAGMENT where the datapath can set DF', () => {
    const rig = new Rig({ dontFragment: true })
    expect(outcome(rig.client().allocate([attribute(dontFragment, true)]))).toBe('success')
  })

  it.each([
    [undefined, 600],
    [0, 600],
    [599, 600],
    [601, 601],
    [3600, 3600],
    [0xffffffff, 3600],
  ])('LIFETIME %s is granted as %s', (asked, granted) => {
    const reply = new Rig().client().allocate(asked === undefined ? [] : [attribute(lifetime, asked)])
    expect(get(reply, lifetime)).toBe(granted)
  })

  it('grants the short lifetimes that tests set', () => {
    const rig = new Rig({ lifetimes: { allocation: 20, maxAllocation: 20 } })
    const client = rig.client()
    expect(get(client.allocate([attribute(lifetime, 3600)]), lifetime)).toBe(20)
    rig.pass(10)
    expect(get(client.refresh(3600), lifetime)).toBe(20)
    rig.pass(19.9)
    expect(rig.idle).toBe(false)
    rig.pass(0.2)
    expect(rig.idle).toBe(true)
  })

  it('sends SOFTWARE only when told to', () => {
    expect(has(new Rig().client().allocate(), software)).toBe(false)
    expect(get(new Rig({ software: 'natcheck' }).client().allocate(), software)).toBe('natcheck')
  })
})

describe('address families', () => {
  it('REQUESTED-ADDRESS-FAMILY picks one; without it IPv4, unless configured otherwise', () => {
    const rig = new Rig()
    expect(rig.client().relayed().ip).toBe('198.51.100.1')
    expect(rig.client().relayed([attribute(requestedAddressFamily, 6)]).ip).toBe('2001:db8::1')
    const six = new Rig({ relayAddresses: [{ ip: '2001:db8::1' }], defaultFamily: 6 })
    expect(six.client().relayed().ip).toBe('2001:db8::1')
  })

  it('a family that is not there gets 440', () => {
    const rig = new Rig({ relayAddresses: [{ ip: '198.51.100.1' }] })
    expect(outcome(rig.client().allocate([attribute(requestedAddressFamily, 6)]))).toBe(440)
    expect(outcome(new Rig({ relayAddresses: [] }).client().allocate())).toBe(440)
    expect(rig.idle).toBe(true)
  })

  it('ADDITIONAL-ADDRESS-FAMILY gives both, each refreshed and ended on its own', () => {
    const rig = new Rig()
    const client = rig.client()
    const reply = client.allocate([attribute(additionalAddressFamily, 6)])
    expect(getAll(reply, xorRelayedAddress).map(({ ip }) => ip)).toEqual(['198.51.100.1', '2001:db8::1'])
    expect(rig.allocations[0]?.relayed.length).toBe(2)
    rig.pass(300)
    expect(outcome(client.request(Method.refresh, [attribute(requestedAddressFamily, 6)]))).toBe('success')
    rig.pass(300)
    expect(rig.closed).toEqual(['expired'])
    expect(rig.allocations[0]?.relayed.map(({ ip }) => ip)).toEqual(['2001:db8::1'])
    expect(outcome(client.request(Method.refresh, [attribute(requestedAddressFamily, 4)]))).toBe(443)
    const end = [attribute(requestedAddressFamily, 6), attribute(lifetime, 0)]
    expect(outcome(client.request(Method.refresh, end))).toBe('success')
    rig.pass(40)
    expect(rig.idle).toBe(true)
  })

  it('a dual Allocate that can have only one says which is missing', () => {
    const rig = new Rig({ relayAddresses: [{ ip: '198.51.100.1' }] })
    const reply = rig.client().allocate([attribute(additionalAddressFamily, 6)])
    expect(reply.class).toBe('success')
    expect(getAll(reply, xorRelayedAddress).length).toBe(1)
    expect(get(reply, addressErrorCode)).toMatchObject({ family: 6, code: 440 })
  })

  it('a dual Allocate of which one opening fails says so', () => {
    let openings = 0
    const rig = new Rig({ opening: () => (++openings === 1 ? 'opened' : 'other') })
    const reply = rig.client().allocate([attribute(additionalAddressFamily, 6)])
    expect(reply.class).toBe('success')
    expect(get(reply, addressErrorCode)).toMatchObject({ family: 6, code: 508 })
    expect(rig.open.size).toBe(1)
  })
})

describe('EVEN-PORT and RESERVATION-TOKEN', () => {
  const even = attribute(evenPort, { reserveNext: false })
  const pair = attribute(evenPort, { reserveNext: true })

  it('gives an even port', () => {
    const rig = new Rig()
    for (let i = 0; i < 20; i++) expect(rig.client().relayed([even]).port % 2).toBe(0)
  })

  it('reserves the next port for whoever has the token, and for nobody else', () => {
    const rig = new Rig()
    const reply = rig.client().allocate([pair])
    const token = get(reply, reservationToken)
    const port = get(reply, xorRelayedAddress)?.port ?? 0
    if (!token) throw new Error('no token')
    expect(token.length).toBe(8)
    expect(port % 2).toBe(0)
    expect([...rig.open.values()].map((relay) => relay.port)).toEqual([port, port + 1])
    expect(outcome(rig.client({ username: 'bob' }).allocate([attribute(reservationToken, token)]))).toBe(508)
    expect(rig.client().relayed([attribute(reservationToken, token)]).port).toBe(port + 1)
    expect(outcome(rig.client().allocate([attribute(reservationToken, token)]))).toBe(508)
    expect(rig.open.size).toBe(2)
    rig.pass(600)
    expect(rig.idle).toBe(true)
  })

  it('a reservation counts as an allocation, whoever comes for it and whatever becomes of the first', () => {
    const rig = new Rig({ userQuota: 2 })
    const first = rig.client()
    const token = get(first.allocate([pair]), reservationToken) ?? new Uint8Array(8)
    expect(outcome(rig.client().allocate())).toBe(486)
    first.refresh(0)
    expect(outcome(rig.client().allocate([pair]))).toBe(486)
    expect(outcome(rig.client().allocate([attribute(reservationToken, token)]))).toBe('success')
    expect(outcome(rig.client().allocate())).toBe('success')
    expect(outcome(rig.client().allocate())).toBe(486)
    rig.pass(600)
    expect(rig.server.counts.users).toBe(0)
    expect(outcome(new Rig({ totalQuota: 1 }).client().allocate([pair]))).toBe(486)
  })

  it('is not made where another thread may be asked for it', () => {
    const rig = new Rig({ ledger: { add: () => {}, remove: () => {}, countOf: () => 0, total: 0 } })
    expect(outcome(rig.client().allocate([pair]))).toBe(508)
    expect(outcome(rig.client().allocate([even]))).toBe('success')
  })

  it('keeps the reservation for 30 s', () => {
    const rig = new Rig()
    const token = get(rig.client().allocate([pair]), reservationToken) ?? new Uint8Array(8)
    rig.pass(30)
    expect(rig.closed).toEqual(['abandoned'])
    expect(outcome(rig.client().allocate([attribute(reservationToken, token)]))).toBe(508)
  })

  it('looks for another pair when half of one is in use', () => {
    let openings = 0
    const rig = new Rig({ opening: () => (++openings === 2 ? 'address-in-use' : 'opened') })
    const reply = rig.client().allocate([pair])
    expect(get(reply, reservationToken)?.length).toBe(8)
    expect(rig.open.size).toBe(2)
    expect(rig.server.counts).toMatchObject({ relays: 2, reservations: 1 })
  })

  it('answers 508 where no pair is left', () => {
    const rig = new Rig({ ports: { min: 50_001, max: 50_002 } })
    expect(outcome(rig.client().allocate([pair]))).toBe(508)
    expect(rig.client().relayed([even]).port).toBe(50_002)
    expect(outcome(rig.client().allocate([even]))).toBe(508)
  })
})

describe('quotas', () => {
  it('a user gets 486 beyond his own, and others do not', () => {
    const rig = new Rig({ userQuota: 2 })
    const first = rig.client()
    expect(outcome(first.allocate())).toBe('success')
    expect(outcome(rig.client().allocate())).toBe('success')
    expect(outcome(rig.client().allocate())).toBe(486)
    expect(outcome(rig.client({ username: 'bob' }).allocate())).toBe('success')
    first.refresh(0)
    expect(outcome(rig.client().allocate())).toBe('success')
    rig.pass(600)
    expect(rig.server.counts.users).toBe(0)
    for (let i = 0; i < 2; i++) expect(outcome(rig.client().allocate())).toBe('success')
    expect(outcome(rig.client().allocate())).toBe(486)
  })

  it('everybody gets 486 beyond the total', () => {
    const rig = new Rig({ totalQuota: 1 })
    expect(outcome(rig.client().allocate())).toBe('success')
    expect(outcome(rig.client({ username: 'bob' }).allocate())).toBe(486)
  })

  it('the hook sets the limit of each user', () => {
    const rig = new Rig({ quota: ({ username }) => (username === 'bob' ? { allocations: 0 } : undefined) })
    expect(outcome(rig.client().allocate())).toBe('success')
    expect(outcome(rig.client({ username: 'bob' }).allocate())).toBe(486)
  })

  it('counts allocations that are still being opened', () => {
    const rig = new Rig({ userQuota: 1, opening: () => undefined })
    expect(() => rig.client().allocate()).toThrow('0 answers')
    expect(outcome(rig.client().allocate())).toBe(486)
  })
})
