import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AddressScope, bytesToIp, familyOf, ipToBytes, parseIp, scopeOf } from '../../src/core/ip.ts'

const ipv4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 })
/** Zero bytes are frequent, or `::` would hardly ever be seen. */
const ipv6Bytes = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])))

const fullForm = (bytes: Uint8Array): string =>
  Array.from({ length: 8 }, (_, i) => Buffer.from(bytes.subarray(i * 2, i * 2 + 2)).toString('hex')).join(':')

describe('parseIp', () => {
  // RFC 5952 §1, §2, §4 and §5, and RFC 4291 §2.2.
  test.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8::1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8::0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8:0:0:1::1', '2001:db8::1:0:0:1'],
    ['2001:db8::aaaa:0:0:1', '2001:db8::aaaa:0:0:1'],
    ['2001:db8:0:0:aaaa::1', '2001:db8::aaaa:0:0:1'],
    ['2001:db8:aaaa:bbbb:cccc:dddd::1', '2001:db8:aaaa:bbbb:cccc:dddd:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['FF01:0:0:0:0:0:0:101', 'ff01::101'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:13.1.68.3', '::d01:4403'],
    ['0:0:0:0:0:FFFF:129.144.52.38', '::ffff:129.144.52.38'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['192.0.2.1', '192.0.2.1'],
    ['255.255.255.255', '255.255.255.255'],
  ])('%s is %s', (text, canonical) => expect(parseIp(text)).toBe(canonical))

  test.each([
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['FE80:0::1%eth0.100', 'fe80::1%eth0.100'],
    ['fe80::1%wg_home', 'fe80::1%wg_home'],
    ['fe80::1%br-lan', 'fe80::1%br-lan'],
    ['fe80::1%2', 'fe80::1%2'],
  ])('keeps the zone of %s', (text, canonical) => expect(parseIp(text)).toBe(canonical))

  test.each([
    '',
    ' 192.0.2.1',
    '192.0.2.1 ',
    '192.0.2',
    '192.0.2.256',
    '192.0.2.01',
    '0x7f.0.0.1',
    '2130706433',
    '192.0.2.1%eth0',
    '192.0.2.1/24',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    ':::',
    '12345::',
    'g::',
    '[::1]',
    '::1%',
    '::1% eth0',
    'fe80::1%eth0%eth1',
    'fe80::1%a/b',
    'fe80::1%a]',
    'fe80::1%a\u001b[31m',
    'example.org',
  ])('%j is no address', (text) => expect(parseIp(text)).toBeUndefined())

  test('agrees with node:net on what is an address', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789abF:.'.split('')), maxLength: 24 })
    fc.assert(
      fc.property(fc.oneof(digits, fc.ipV4(), fc.ipV6(), fc.ipV4Extended(), fc.string()), (text) => {
        fc.pre(!text.includes('%'))
        expect(parseIp(text) !== undefined).toBe(isIPv4(text) || isIPv6(text))
      }),
      { numRuns: 5000 },
    )
  })

  test('is the identity on what it returns', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const canonical = parseIp(text)
        expect(canonical).toBeDefined()
        expect(parseIp(canonical ?? '')).toBe(canonical)
        expect(familyOf(canonical ?? '')).toBe(isIPv4(text) ? 4 : 6)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('bytes', () => {
  test('survive a round trip', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4Bytes, ipv6Bytes), (bytes) => {
        const ip = bytesToIp(bytes)
        expect(ipToBytes(ip)).toEqual(bytes)
        expect(parseIp(ip)).toBe(ip)
      }),
      { numRuns: 5000 },
    )
  })

  test('have the text that two other implementations of RFC 5952 give them', () => {
    fc.assert(
      fc.property(ipv6Bytes, (bytes) => {
        const ip = bytesToIp(bytes)
        expect(parseIp(fullForm(bytes))).toBe(ip)
        // The C library writes addresses below 2^32 with a dotted tail, which RFC 5952 leaves to ::ffff/96 alone.
        const low = bytes.subarray(0, 12).every((byte) => byte === 0)
        if (!low) expect(new SocketAddress({ address: fullForm(bytes), family: 'ipv6' }).address).toBe(ip)
        // The URL standard writes the mapped prefix in hexadecimal.
        if (!ip.includes('.')) expect(new URL(`http://[${fullForm(bytes)}]/`).hostname).toBe(`[${ip}]`)
      }),
      { numRuns: 5000 },
    )
  })

  test('of an address with a zone are those of the address', () => {
    expect(ipToBytes('fe80::1%eth0')).toEqual(ipToBytes('fe80::1'))
  })

  test.each([0, 3, 5, 15, 17])('%i of them are a broken contract', (length) => {
    expect(() => bytesToIp(new Uint8Array(length))).toThrow(RangeError)
  })
})

/** First and last address of each block of the IANA special-purpose registries (RFC 6890) that a diagnosis may meet. */
const blocks: readonly (readonly [first: string, last: string, AddressScope])[] = [
  ['0.0.0.0', '0.255.255.255', 'unspecified'],
  ['10.0.0.0', '10.255.255.255', 'private'],
  ['100.64.0.0', '100.127.255.255', 'shared'],
  ['127.0.0.0', '127.255.255.255', 'loopback'],
  ['169.254.0.0', '169.254.255.255', 'link-local'],
  ['172.16.0.0', '172.31.255.255', 'private'],
  ['192.0.0.0', '192.0.0.255', 'reserved'],
  ['192.0.2.0', '192.0.2.255', 'reserved'],
  ['192.168.0.0', '192.168.255.255', 'private'],
  ['198.18.0.0', '198.19.255.255', 'reserved'],
  ['198.51.100.0', '198.51.100.255', 'reserved'],
  ['203.0.113.0', '203.0.113.255', 'reserved'],
  ['224.0.0.0', '239.255.255.255', 'multicast'],
  ['240.0.0.0', '255.255.255.255', 'reserved'],
  ['::', '::', 'unspecified'],
  ['::1', '::1', 'loopback'],
  ['64:ff9b:1::', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff', 'private'],
  ['100::', '100::ffff:ffff:ffff:ffff', 'reserved'],
  ['2001:2::', '2001:2:0:ffff:ffff:ffff:ffff:ffff', 'reserved'],
  ['2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', 'reserved'],
  ['3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff', 'reserved'],
  ['fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'private'],
  ['fe80::', 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'link-local'],
  ['ff00::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'multicast'],
]

const toNumber = (ip: string): bigint => BigInt(`0x${Buffer.from(ipToBytes(ip)).toString('hex')}`)

const fromNumber = (value: bigint, length: 4 | 16): string =>
  bytesToIp(Uint8Array.from(Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex')))

/** The scope by plain comparison of numbers. */
function expectedScope(ip: string): AddressScope {
  const value = toNumber(ip)
  const found = blocks.find(
    ([first, last]) => familyOf(first) === familyOf(ip) && toNumber(first) <= value && value <= toNumber(last),
  )
  return found?.[2] ?? 'global'
}

describe('scopeOf', () => {
  test.each(blocks)('%s to %s is %s, to the very edges', (first, last, scope) => {
    const length = familyOf(first) === 4 ? 4 : 16
    expect(scopeOf(first)).toBe(scope)
    expect(scopeOf(last)).toBe(scope)
    const before = toNumber(first) - 1n
    const after = toNumber(last) + 1n
    if (before >= 0n) expect(scopeOf(fromNumber(before, length))).toBe(expectedScope(fromNumber(before, length)))
    if (after < 1n << BigInt(length * 8)) {
      expect(scopeOf(fromNumber(after, length))).toBe(expectedScope(fromNumber(after, length)))
    }
  })

  test.each([
    '8.8.8.8',
    '1.1.1.1',
    '100.63.255.255',
    '100.128.0.0',
    '192.88.99.1',
    '2606:4700::1111',
    '64:ff9b::808:808',
  ])('%s is global', (ip) => expect(scopeOf(ip)).toBe('global'))

  test('ignores the zone and looks into IPv4-mapped addresses', () => {
    expect(scopeOf('fe80::1%eth0')).toBe('link-local')
    expect(scopeOf('::ffff:10.0.0.1')).toBe('private')
    expect(scopeOf('::ffff:8.8.8.8')).toBe('global')
  })

  test('agrees with plain comparison everywhere', () => {
    const near = fc
      .tuple(fc.constantFrom(...blocks), fc.bigInt({ min: -3n, max: 3n }), fc.boolean())
      .map(([[first, last], offset, atEnd]) => {
        const length = familyOf(first) === 4 ? 4 : 16
        return fromNumber(BigInt.asUintN(length * 8, toNumber(atEnd ? last : first) + offset), length)
      })
    fc.assert(
      fc.property(fc.oneof(near, ipv4Bytes.map(bytesToIp), ipv6Bytes.map(bytesToIp)), (ip) => {
        fc.pre(!(familyOf(ip) === 6 && ip.includes('.')))
        expect(scopeOf(ip)).toBe(expectedScope(ip))
      }),
      { numRuns: 5000 },
    )
  })
})
