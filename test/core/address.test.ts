import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressFamily, formatAddress, parseAddress, sameAddress } from '../../src/core/address.ts'
import { parseIp } from '../../src/core/ip.ts'

const addresses = fc.record({
  ip: fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => parseIp(text) ?? 'unreachable'),
  port: fc.integer({ min: 0, max: 65535 }),
})

describe('transport addresses', () => {
  test.each([
    ['192.0.2.1:3478', { ip: '192.0.2.1', port: 3478 }],
    ['[2001:db8::1]:3478', { ip: '2001:db8::1', port: 3478 }],
    ['[fe80::1%eth0]:65535', { ip: 'fe80::1%eth0', port: 65535 }],
    ['[::ffff:192.0.2.1]:0', { ip: '::ffff:192.0.2.1', port: 0 }],
  ])('%s', (text, address) => {
    expect(parseAddress(text)).toEqual(address)
    expect(formatAddress(address)).toBe(text)
    expect(addressFamily(address)).toBe(text.startsWith('[') ? 6 : 4)
  })

  test('the IP becomes canonical', () => {
    expect(parseAddress('[2001:DB8:0:0::1]:1')).toEqual({ ip: '2001:db8::1', port: 1 })
  })

  test.each([
    '',
    ':',
    ':3478',
    '192.0.2.1',
    '192.0.2.1:',
    '192.0.2.1:65536',
    '192.0.2.1:99999',
    '192.0.2.1:123456',
    '192.0.2.1:-1',
    '192.0.2.1:+1',
    '192.0.2.1: 1',
    '192.0.2.1:1 ',
    '192.0.2.1:03478',
    '192.0.2.1:1e3',
    '192.0.2.1:3478\n',
    '[192.0.2.1]:3478',
    '2001:db8::1:3478',
    '[2001:db8::1]',
    '[2001:db8::1]3478',
    '[]:3478',
    '[[::1]]:3478',
    'example.org:3478',
  ])('%j is none', (text) => expect(parseAddress(text)).toBeUndefined())

  test('survive being printed and read', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        expect(parseAddress(formatAddress(address))).toEqual(address)
      }),
      { numRuns: 2000 },
    )
  })

  test('are the same when IP and port are', () => {
    const a = { ip: '192.0.2.1', port: 1 }
    expect(sameAddress(a, { ...a })).toBe(true)
    expect(sameAddress(a, { ...a, port: 2 })).toBe(false)
    expect(sameAddress(a, { ...a, ip: '192.0.2.2' })).toBe(false)
  })

  test('reading never throws', () => {
    const unit = fc.constantFrom(...'0129afF:.[]% '.split(''))
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit })), (text) => {
        const address = parseAddress(text)
        if (address) expect(parseAddress(formatAddress(address))).toEqual(address)
      }),
      { numRuns: 5000 },
    )
  })
})
