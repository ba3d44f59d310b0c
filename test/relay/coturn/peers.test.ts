import { expect, test } from 'vitest'
import { allowedRanges, deniedRanges, peerRanges, reachesLoopback } from '../../../src/relay/coturn/peers.ts'

const old = '4.6.1'
const allowed = (allow: string[], deny: string[] = []): string[] => allowedRanges(allow, deny).flatMap(peerRanges)

test('ranges have two ends, whatever bits stand behind the prefix', () => {
  expect(allowed(['10.1.2.3/8', '192.0.2.7', 'fd00::1/8', '2001:db8::1'])).toEqual([
    '10.0.0.0-10.255.255.255',
    '192.0.2.7',
    'fd00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    '2001:db8::1',
  ])
})

test('a range never begins at the unspecified address, which coturn takes for every one', () => {
  expect(allowed(['0.0.0.0/0', '::/120'])).toEqual(['0.0.0.1-255.255.255.255', '::1-::ff'])
  expect(allowed(['::/112'])).toEqual(['::1-::ff', '::100-::ffff'])
})

test('denied ranges are cut out of allowed ones', () => {
  expect(allowed(['10.0.0.0/8'], ['10.9.0.0/16'])).toEqual(['10.0.0.0-10.8.255.255', '10.10.0.0-10.255.255.255'])
  expect(allowed(['10.0.0.0/8'], ['10.0.0.0/9', '10.255.255.255'])).toEqual(['10.128.0.0-10.255.255.254'])
  expect(allowed(['10.0.0.0/8'], ['0.0.0.0/0'])).toEqual([])
  expect(allowed(['10.0.0.0/8'], ['::/0'])).toEqual(['10.0.0.0-10.255.255.255'])
})

test('IPv4-mapped addresses are a range of their own only for a coturn that does not unmap them', () => {
  const mapped = '::ffff:0.0.0.0-::ffff:255.255.255.255'
  expect(deniedRanges(old, []).flatMap(peerRanges)).toContain(mapped)
  expect(deniedRanges('4.9.0', []).flatMap(peerRanges)).not.toContain(mapped)
})

test('loopback is recognised inside a larger range', () => {
  expect(
    ['127.0.0.1', '0.0.0.0/0', '::/64', '::1'].map((range) => reachesLoopback(allowedRanges([range], []))),
  ).toEqual([true, true, true, true])
  expect(['10.0.0.0/8', 'fd00::/8'].some((range) => reachesLoopback(allowedRanges([range], [])))).toBe(false)
})

test('no range is USAGE', () => {
  expect(() => allowedRanges(['10.0.0.0/33'], [])).toThrow('10.0.0.0/33 is no address range')
})
