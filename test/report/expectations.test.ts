import { expect, test } from 'vitest'
import { expectations, failedExpectations } from '../../src/report/index.ts'
import { blocked, natObservations, noIpv6, reportOf, silent } from './observed.ts'

const all = Object.keys(expectations)
const home = natObservations({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' })

test.each([
  ['an open host', reportOf(natObservations({ mapping: 'none', filtering: 'endpoint-independent' })), []],
  ['a home router', reportOf(home, noIpv6()), ['behind-nat']],
  [
    'a symmetric NAT',
    reportOf(natObservations({ mapping: 'address-dependent', filtering: 'address-dependent' })),
    ['symmetric', 'behind-nat', 'not-direct'],
  ],
  ['blocked UDP', reportOf(blocked()), ['blocked', 'not-direct']],
  ['silence', reportOf(silent()), ['not-direct', 'inconclusive']],
  [
    'a carrier NAT',
    reportOf({ ...home, router: [{ protocol: 'nat-pmp', outcome: 'answered', externalIp: '100.64.9.9' }] }),
    ['behind-nat', 'cgnat'],
  ],
  [
    'two NATs',
    reportOf({ ...home, router: [{ protocol: 'nat-pmp', outcome: 'answered', externalIp: '10.9.9.9' }] }),
    ['behind-nat', 'double-nat'],
  ],
])('%s', (_, report, failed) => {
  expect(failedExpectations(report, all)).toEqual(failed)
})

test('only what was asked for fails', () => {
  expect(failedExpectations(reportOf(home), ['symmetric', 'blocked'])).toEqual([])
})
