import { describe, expect, test } from 'vitest'
import { type NatReport, renderNat, wrap } from '../../src/report/index.ts'
import { analysed, blocked, exchange, natObservations, noIpv6, reportOf, silent } from './observed.ts'

const plain = { level: 0, width: 80 } as const
const home = natObservations({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' })
const symmetric = natObservations({ mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' })

const selfTested: NatReport = {
  ...reportOf(silent()),
  selfTest: {
    passed: true,
    server: '127.0.0.1 and 127.0.0.2',
    problem: null,
    unreachable: [{ uri: 'stun:stun.example.org', cause: 'dns', why: 'there is no host stun.example.org' }],
    nat: reportOf(natObservations({ mapping: 'none', filtering: 'endpoint-independent' })).nat.ipv4,
    observations: [],
  },
}

describe('80 columns without colour', () => {
  test.each([
    ['home-router', reportOf(home, noIpv6())],
    ['symmetric', reportOf(symmetric)],
    ['open', reportOf(natObservations({ mapping: 'none', filtering: 'endpoint-independent' }))],
    ['blocked', reportOf(blocked(), noIpv6())],
    ['silent', reportOf(silent())],
    ['self-test', selfTested],
    ['failed', { ...reportOf(symmetric), failed: ['symmetric'] }],
  ])('%s', async (name, report) => {
    const text = renderNat(report, plain)
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(text).not.toContain('\x1b')
    await expect(text).toMatchFileSnapshot(`../golden/nat-${name}.txt`)
  })

  test('verbose: every packet, in order', async () => {
    const text = renderNat(reportOf(home), plain, { verbose: true })
    const packets = home.exchanges.flatMap(({ sentAtMs, replies }) => [...sentAtMs, ...replies])
    const times = [...text.matchAll(/^ +(\d+\.\d) {2}\S+ [→←] /gm)].map(([, time]) => Number(time))
    expect(times).toHaveLength(packets.length)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    await expect(text).toMatchFileSnapshot('../golden/nat-home-router-verbose.txt')
  })
})

/** The same run between the longest addresses that there are. */
function overIpv6<T>(observations: T): T {
  const address = '[2001:db8:1234:5678:9abc:def0:1234:5678]'
  return JSON.parse(
    JSON.stringify({ ...observations, family: 6, localIp: address.slice(1, -1) })
      .replaceAll(/192\.168\.77\.2(?=:)/g, address)
      .replaceAll(/(?:203\.0\.113|198\.51\.100)\.(\d+)(?=:)/g, (_, host: string) =>
        address.replace('5678]', `56${host}]`),
      ),
  ) as T
}

test('full-length IPv6 addresses stay whole, and within 80 columns', () => {
  for (const observations of [home, symmetric, silent(), blocked()]) {
    const text = renderNat(reportOf(overIpv6(observations)), plain, { verbose: true })
    expect(text).toContain('2001:db8:1234:5678:9abc:def0:1234:5678]:4')
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
  }
})

test('verbose: proofs, and what nobody asked for', () => {
  const proof = exchange('prove-alternate', '192.168.77.2', { to: '198.51.100.11:3479', socket: 'filtering' })
  const from = '192.0.2.66:3478'
  const text = renderNat(
    reportOf({ ...home, exchanges: [...home.exchanges, proof], notStun: [from], unmatched: [from] }),
    plain,
    { verbose: true },
  ).replace(/\s+/g, ' ')
  expect(text).toContain('198.51.100.11:3479 prove-alternate: has an answer sent to the open port')
  expect(text).toContain(`${from} sent something that is not STUN`)
  expect(text).toContain(`${from} sent STUN that answers nothing we asked`)
})

test('with colour the words are the same', () => {
  const colourful = renderNat(reportOf(home), { level: 1, width: 80 })
  expect(colourful).toContain('\x1b[32m✓')
  // oxlint-disable-next-line no-control-regex
  expect(colourful.replace(/\x1b\[\d+m/g, '')).toBe(renderNat(reportOf(home), plain))
})

test('narrow terminals wrap, and never break a word', () => {
  const lines = renderNat(reportOf(symmetric), { level: 0, width: 50 }).split('\n')
  expect(lines.filter((line) => line.length > 50)).toEqual([])
  expect(wrap('aa bb cc', 5)).toEqual(['aa bb', 'cc'])
  expect(wrap('longer-than-that x', 5)).toEqual(['longer-than-that', 'x'])
  expect(wrap('', 5)).toEqual([''])
})

test('no, not tested and inconclusive are different words', () => {
  const text = renderNat(reportOf(...analysed(home).map(({ observations }) => observations)), plain, { verbose: true })
  expect(text).toMatch(/ALG +none/)
  expect(text).toMatch(/hairpinning +not tested: /)
  const oneServer = { ...home, exchanges: home.exchanges.filter(({ test: name }) => name === 'mapping-1') }
  expect(renderNat(reportOf(oneServer), plain)).toMatch(/! mapping +inconclusive: /)
})
