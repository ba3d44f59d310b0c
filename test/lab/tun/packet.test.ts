import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesToIp, type DeliveryFailureReason, type TransportAddress } from '../../../src/core/index.ts'
import { checksum } from '../../../src/lab/tun/checksum.ts'
import { decodePacket, encodePacket, type WirePacket } from '../../../src/lab/tun/packet.ts'

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'))

// Read from a TUN device on Linux 6.18: "hello" from 192.168.77.2:40000 to 198.51.100.10:3478, its IPv6 likeness, and
// what the kernel says when the same comes back to ports where nobody listens.
const udp4 = '4500 0021 bb2b 4000 4011 47b8 c0a8 4d02 c633 640a 9c40 0d96 000d da42 6865 6c6c 6f'
const udp6 = `6005 d3c4 000d 1140 fd00 0077 0000 0000 0000 0000 0000 0002 2001 0db8 0198 0000 0000 0000 0000 0010
  9c40 0d96 000d e550 6865 6c6c 6f`
const unreachable4 = `45c0 003d 9d22 0000 4001 a4f5 c0a8 4d02 c633 640a 0303 fa24 0000 0000
  4500 0021 bb2b 4000 4011 47b8 c633 640a c0a8 4d02 9c40 22b8 000d 0000 6865 6c6c 6f`
const unreachable6 = `6005 e38d 003d 3a40 fd00 0077 0000 0000 0000 0000 0000 0002 2001 0db8 0198 0000 0000 0000 0000 0010
  0104 8cb0 0000 0000
  6005 d3c4 000d 1140 2001 0db8 0198 0000 0000 0000 0000 0010 fd00 0077 0000 0000 0000 0000 0000 0002
  9c40 0d96 000d e550 6865 6c6c 6f`

const ip = (family: 4 | 6): fc.Arbitrary<string> => {
  const length = family === 4 ? 4 : 16
  return fc.uint8Array({ minLength: length, maxLength: length }).map(bytesToIp)
}
const address = (family: 4 | 6): fc.Arbitrary<TransportAddress> =>
  fc.record({ ip: ip(family), port: fc.integer({ min: 0, max: 65_535 }) })
const family = fc.constantFrom(4 as const, 6 as const)

const udpPacket = family.chain((family) =>
  fc.record({
    kind: fc.constant('udp' as const),
    source: address(family),
    destination: address(family),
    payload: fc.uint8Array({ maxLength: 1500 }),
    ttl: fc.integer({ min: 1, max: 255 }),
  }),
)

/** The reasons that have a type and code of their own; the local ones never travel. */
const reasons: readonly DeliveryFailureReason[] = [
  'port-unreachable',
  'host-unreachable',
  'network-unreachable',
  'admin-prohibited',
  'message-too-big',
  'other',
]

const icmpError = family.chain((family) =>
  fc.record({
    kind: fc.constant('icmp-error' as const),
    reason: fc.constantFrom(...reasons),
    from: ip(family),
    to: ip(family),
    about: fc.oneof(
      fc.record({ source: address(family), destination: address(family) }),
      fc.record({ protocol: fc.constant('tcp' as const), source: address(family), destination: address(family) }),
    ),
  }),
)

function decoded(packet: Uint8Array): WirePacket {
  const result = decodePacket(packet)
  if (!result.ok) throw new Error(`${result.where}: ${result.why}`)
  return result.value
}

const refused = (packet: Uint8Array): string => {
  const result = decodePacket(packet)
  if (result.ok) throw new Error('was decoded')
  return `${result.where}: ${result.why}`
}

describe('decoding and encoding', () => {
  test("reads what Linux sends, and the payload is the reader's to keep", () => {
    const captured = bytes(udp4)
    const packet = decoded(captured)
    captured.fill(0)
    expect(packet).toEqual({
      kind: 'udp',
      source: { ip: '192.168.77.2', port: 40_000 },
      destination: { ip: '198.51.100.10', port: 3478 },
      payload: new Uint8Array(Buffer.from('hello')),
      ttl: 64,
    })
  })

  test('reads IPv6, and the errors of both families', () => {
    expect(decoded(bytes(udp6))).toEqual({
      kind: 'udp',
      source: { ip: 'fd00:77::2', port: 40_000 },
      destination: { ip: '2001:db8:198::10', port: 3478 },
      payload: new Uint8Array(Buffer.from('hello')),
      ttl: 64,
    })
    expect(decoded(bytes(unreachable4))).toEqual({
      kind: 'icmp-error',
      reason: 'port-unreachable',
      from: '192.168.77.2',
      to: '198.51.100.10',
      about: { source: { ip: '198.51.100.10', port: 40_000 }, destination: { ip: '192.168.77.2', port: 8888 } },
      icmp: { type: 3, code: 3, rest: 0 },
    })
    expect(decoded(bytes(unreachable6))).toEqual({
      kind: 'icmp-error',
      reason: 'port-unreachable',
      from: 'fd00:77::2',
      to: '2001:db8:198::10',
      about: { source: { ip: '2001:db8:198::10', port: 40_000 }, destination: { ip: 'fd00:77::2', port: 3478 } },
      icmp: { type: 1, code: 4, rest: 0 },
    })
  })

  test("writes Linux's own checksum", () => {
    // But for the identification field, which is zero here.
    const written = encodePacket(decoded(bytes(udp4)))
    expect(written.subarray(20)).toEqual(bytes(udp4).subarray(20))
    expect(encodePacket(decoded(bytes(udp6))).subarray(40)).toEqual(bytes(udp6).subarray(40))
  })

  test('what is written is read as the same packet', () => {
    fc.assert(
      fc.property(udpPacket, (packet) => {
        expect(decoded(encodePacket(packet))).toEqual(packet)
      }),
    )
    fc.assert(
      fc.property(icmpError, (packet) => {
        expect(decoded(encodePacket(packet))).toMatchObject(packet)
      }),
    )
  })

  test('an ICMP error keeps its type, code and the word after them', () => {
    fc.assert(
      fc.property(icmpError, fc.nat(0xffff), (packet, mtu) => {
        const icmp = packet.from.includes(':') ? { type: 2, code: 0, rest: mtu } : { type: 3, code: 4, rest: mtu }
        expect(decoded(encodePacket({ ...packet, icmp }))).toEqual({ ...packet, reason: 'message-too-big', icmp })
      }),
    )
  })

  test('bytes after the packet are not part of it', () => {
    fc.assert(
      fc.property(udpPacket, fc.uint8Array({ minLength: 1, maxLength: 40 }), (packet, padding) => {
        expect(decoded(Buffer.concat([encodePacket(packet), padding]))).toEqual(packet)
      }),
    )
  })
})

describe('what it refuses', () => {
  test('anything: an answer, never an exception', () => {
    const mutated = fc
      .tuple(fc.oneof(udpPacket, icmpError), fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 4 }), fc.nat(100))
      .map(([packet, changes, cut]) => {
        const whole = encodePacket(packet)
        for (const [at, value] of changes) if (at < whole.length) whole[at] = value
        return cut < 50 ? whole.subarray(0, cut) : whole
      })
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (packet) => {
        const result = decodePacket(packet)
        if (!result.ok) expect(result.why).not.toBe('')
      }),
      { numRuns: 5000 },
    )
  })

  test('a single changed bit, wherever a checksum guards', () => {
    fc.assert(
      fc.property(udpPacket, fc.nat(), fc.nat(7), (packet, position, bit) => {
        const whole = encodePacket(packet)
        // IPv6 has no header checksum: only its addresses are guarded, by UDP's.
        const guarded = packet.source.ip.includes(':') ? 8 : 0
        const at = guarded + (position % (whole.length - guarded))
        whole[at] = (whole[at] ?? 0) ^ (1 << bit)
        const result = decodePacket(whole)
        // One UDP checksum bit is no sum: flipping the last set bit of it says "not checked" in IPv4.
        if (result.ok) expect([...whole.subarray(26, 28)]).toEqual([0, 0])
      }),
    )
  })

  test('each by its name', () => {
    const edit = (change: (view: DataView) => void): Uint8Array => {
      const packet = bytes(udp4)
      const view = new DataView(packet.buffer)
      change(view)
      view.setUint16(10, 0)
      view.setUint16(10, checksum(packet.subarray(0, 20)))
      return packet
    }
    expect(refused(new Uint8Array())).toContain('version')
    expect(refused(bytes(udp4).subarray(0, 19))).toContain('less than 20')
    expect(refused(bytes(udp4).subarray(0, 32))).toContain('total length')
    expect(refused(edit((view) => view.setUint8(0, 0x44)))).toContain('IHL')
    expect(refused(edit((view) => view.setUint16(6, 0x2000)))).toBe('fragment: a part of a packet')
    expect(refused(edit((view) => view.setUint16(6, 0x0001)))).toBe('fragment: a part of a packet')
    expect(refused(edit((view) => view.setUint8(9, 6)))).toBe('protocol: 6 is neither UDP nor ICMP')
    expect(refused(edit((view) => view.setUint16(24, 14)))).toContain('UDP length')
    expect(refused(edit((view) => view.setUint16(24, 7)))).toContain('UDP length')
    expect(refused(edit((view) => view.setUint8(28, 0)))).toBe('UDP checksum: wrong')
  })

  test('UDP without a checksum: taken in IPv4, refused in IPv6', () => {
    const unchecked = (source: string, destination: string): Uint8Array => {
      const packet = encodePacket({
        kind: 'udp',
        source: { ip: source, port: 1 },
        destination: { ip: destination, port: 2 },
        payload: new Uint8Array(3),
      })
      packet.set([0, 0], packet.length - 3 - 2)
      return packet
    }
    expect(decoded(unchecked('192.0.2.1', '192.0.2.2')).kind).toBe('udp')
    expect(refused(unchecked('2001:db8::1', '2001:db8::2'))).toContain('missing')
  })

  test('a ping is no error', () => {
    const ping = encodePacket({
      kind: 'icmp-error',
      reason: 'other',
      from: '192.0.2.1',
      to: '192.0.2.2',
      about: { source: { ip: '192.0.2.2', port: 1 }, destination: { ip: '192.0.2.1', port: 2 } },
      icmp: { type: 8, code: 0, rest: 1 },
    })
    expect(refused(ping)).toBe('ICMP type: 8 is no error')
  })
})

describe('IPv6 extension headers', () => {
  const plain = encodePacket({
    kind: 'udp',
    source: { ip: '2001:db8::1', port: 1 },
    destination: { ip: '2001:db8::2', port: 2 },
    payload: new Uint8Array([7]),
  })
  /** The plain packet with one header between IPv6's and UDP's. */
  const extended = (type: number, header: readonly number[]): Uint8Array => {
    const packet = new Uint8Array([...plain.subarray(0, 40), ...header, ...plain.subarray(40)])
    packet[6] = type
    packet[5] = packet.length - 40
    return packet
  }

  test('are skipped', () => {
    expect(decoded(extended(60, [17, 0, 1, 4, 0, 0, 0, 0]))).toEqual(decoded(plain))
    expect(decoded(extended(0, [17, 0, 1, 4, 0, 0, 0, 0]))).toEqual(decoded(plain))
    // An atomic fragment (RFC 6946): offset 0 and no more.
    expect(decoded(extended(44, [17, 0, 0, 0, 1, 2, 3, 4]))).toEqual(decoded(plain))
  })

  test('fragments and headers that end early are refused', () => {
    expect(refused(extended(44, [17, 0, 0, 1, 1, 2, 3, 4]))).toBe('fragment: a part of a packet')
    expect(refused(extended(44, [17, 0, 0, 8, 1, 2, 3, 4]))).toBe('fragment: a part of a packet')
    expect(refused(extended(60, [17, 255, 1, 4, 0, 0, 0, 0]))).toBe('extension header: ends early')
  })
})
