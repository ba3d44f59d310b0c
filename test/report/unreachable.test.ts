import { describe, expect, test } from 'vitest'
import type { FamilyObservations } from '../../src/probe/nat/observations.ts'
import { unmeasuredError, unreachableServers } from '../../src/report/index.ts'
import { analysed, exchange, noIpv6, nothing, reportOf, server, silent } from './observed.ts'

const failing = (
  reason: 'port-unreachable' | 'no-route' | 'local-firewall' | 'host-unreachable',
): FamilyObservations => {
  const { exchanges, ...rest } = silent()
  return {
    ...rest,
    exchanges: exchanges.map((it) => ({ ...it, failure: { atMs: 1, reason, detail: 'EWORD' } })),
  }
}
const unresolved = (code: 'UNKNOWN_HOST' | 'DNS_FAILED'): FamilyObservations =>
  nothing({
    localIp: null,
    servers: [server({ address: null, asked: false, problem: { code, message: 'no such name' } })],
  })
const error420: FamilyObservations = (() => {
  const refused = exchange('mapping-1', '192.168.77.2', {
    to: '198.51.100.10:3478',
    socket: 'mapping',
    from: '198.51.100.10:3478',
  })
  return nothing({ exchanges: [{ ...refused, replies: refused.replies.map((it) => ({ ...it, errorCode: 420 })) }] })
})()

describe('cause, code and advice fit each other', () => {
  test.each<[string, FamilyObservations, string, string, RegExp]>([
    ['an unknown name', unresolved('UNKNOWN_HOST'), 'dns', 'UNKNOWN_HOST', /name resolution \(DNS\)/],
    ['a dead resolver', unresolved('DNS_FAILED'), 'dns', 'DNS_FAILED', /name resolution \(DNS\)/],
    ['no route', failing('no-route'), 'no-route', 'NO_ROUTE', /connect it to a network/],
    ['a firewall', failing('local-firewall'), 'udp-blocked', 'UNREACHABLE', /let it pass UDP/],
    [
      'nobody there',
      failing('port-unreachable'),
      'other',
      'UNREACHABLE',
      /^Nothing listens at 198\.51\.100\.10:3478: /,
    ],
    ['a dead host', failing('host-unreachable'), 'other', 'UNREACHABLE', /^No server could be used: /],
    ['silence', silent(), 'no-answer', 'TIMEOUT', /nothing proves that UDP is blocked/],
    [
      'another protocol',
      silent({ notStun: ['198.51.100.10:3478'] }),
      'other',
      'NOT_STUN',
      /^What answers at 198\.51\.100\.10:3478 does not speak STUN: check the port/,
    ],
    ['an error response', error420, 'other', 'UNREACHABLE', /^No server could be used: /],
  ])('%s', (_, observations, cause, code, advice) => {
    // The server has no IPv6 address, which is no failure of anything.
    const families = analysed(observations, noIpv6())
    expect(unreachableServers(families).map((it) => it.cause)).toEqual([cause])
    const error = unmeasuredError(families)
    expect(error.code).toBe(code)
    const { verdict } = reportOf(observations, noIpv6())
    expect(verdict.advice).toHaveLength(1)
    expect(verdict.advice[0]).toMatch(advice)
    expect(verdict.advice[0]).toContain(error.fix)
  })

  test('the code is that of the first reason, which the message begins with', () => {
    const families = analysed(failing('port-unreachable'), { ...unresolved('DNS_FAILED'), family: 6 })
    expect(unmeasuredError(families)).toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/^could not measure: stun:198\.51\.100\.10:3478: nothing listens/) as string,
    })
  })

  test('no server has an address that could be asked', () => {
    expect(unmeasuredError(analysed(noIpv6()))).toMatchObject({ code: 'NO_ROUTE' })
    expect(reportOf(noIpv6()).verdict.advice).toEqual([
      'No server has an address of the family asked for: name another --server, or choose the other --family.',
    ])
  })
})
