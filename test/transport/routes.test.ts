import { describe, expect, test } from 'vitest'
import { parseIp } from '../../src/core/index.ts'
import { nodeNetwork } from '../../src/transport/index.ts'
import { parseIpv6RouteTable, parseRouteGet, parseRouteTable } from '../../src/transport/routes.ts'

// Real tables; a line of /proc/net/route is padded with spaces.
const header = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT   '
const route = (destination: string, gateway: string, flags: string, metric: number, mask: string): string =>
  `eth0\t${destination}\t${gateway}\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0      `

describe('/proc/net/route', () => {
  const subnet = route('0001A8C0', '00000000', '0001', 0, '00FFFFFF')

  test('the default route with the lowest metric', () => {
    const table = [
      header,
      route('00000000', 'FE01A8C0', '0003', 600, '00000000'),
      route('00000000', '0101A8C0', '0003', 100, '00000000'),
      subnet,
      '',
    ].join('\n')
    expect(parseRouteTable(table, true)).toBe('192.168.1.1')
  })

  test('host byte order is the host’s', () => {
    expect(parseRouteTable(route('00000000', 'C0A80101', '0003', 0, '00000000'), false)).toBe('192.168.1.1')
  })

  test.each<[string, string]>([
    ['no default route', subnet],
    ['a default route without a gateway (a tunnel)', route('00000000', '00000000', '0001', 0, '00000000')],
    ['a default route that is down', route('00000000', '0101A8C0', '0002', 0, '00000000')],
    ['0.0.0.0/1, as VPNs set it', route('00000000', '0101A8C0', '0003', 0, '00000080')],
    ['nothing', ''],
    ['something else', 'x\t00000000\tzz'],
  ])('%s is none', (_case, table) => {
    expect(parseRouteTable(table, true)).toBeUndefined()
  })
})

describe('/proc/net/ipv6_route', () => {
  const zero = '0'.repeat(32)
  const line = (destination: string, prefix: string, nextHop: string, metric: string, flags: string): string =>
    `${destination} ${prefix} ${zero} 00 ${nextHop} ${metric} 00000001 00000000 ${flags}     eth0`

  test('the default route with the lowest metric; a link-local gateway has its zone', () => {
    const table = [
      line(`20010db8${'0'.repeat(24)}`, '40', zero, '00000100', '00000001'),
      line(zero, '00', `20010db8${'0'.repeat(23)}1`, '00000400', '00000003'),
      line(zero, '00', `fe80${'0'.repeat(27)}1`, '00000064', '00000003'),
      `${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo`,
    ].join('\n')
    expect(parseIpv6RouteTable(table)).toBe('fe80::1%eth0')
  })

  test('the reject route that every machine has is none', () => {
    expect(parseIpv6RouteTable(`${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200 lo`)).toBeUndefined()
  })
})

test("macOS: 'route -n get default'", () => {
  const output = '   route to: default\ndestination: default\n    gateway: 192.168.1.1\n  interface: en0\n'
  expect(parseRouteGet(output)).toBe('192.168.1.1')
  expect(parseRouteGet('    gateway: fe80::1%en0\n')).toBe('fe80::1%en0')
  expect(parseRouteGet('    gateway: index: 12 utun3\n')).toBeUndefined()
  expect(parseRouteGet('')).toBeUndefined()
})

test('this machine has a loopback interface, and every address is canonical', () => {
  const addresses = nodeNetwork().interfaces()
  expect(addresses.filter(({ internal }) => internal).map(({ ip }) => ip)).toContain('127.0.0.1')
  for (const { ip } of addresses) expect(parseIp(ip)).toBe(ip)
})
