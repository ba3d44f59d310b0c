import { describe, expect, it } from 'vitest'
import { NatcheckError } from '../../../src/core/index.ts'
import { deniedByDefault, PeerPolicy } from '../../../src/proto/turn-server/index.ts'

const denied = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '100.100.100.200',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '168.63.129.16',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.192',
  '192.0.2.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  '2001:db8::1',
  '3fff::1',
  '100::1',
]

const permitted = [
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.1',
  '169.253.255.255',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2001:4860:4860::8888',
  '2606:4700::1111',
  'fbff::1',
]

/** Every way to write 10.0.0.1 or another IPv4 address into an IPv6 one. */
const forms = (a: number, b: number, c: number, d: number): Record<string, string> => {
  const hex = (high: number, low: number): string => ((high << 8) | low).toString(16)
  const tail = `${hex(a, b)}:${hex(c, d)}`
  const dotted = `${a}.${b}.${c}.${d}`
  return {
    mapped: `::ffff:${dotted}`,
    compatible: `::${tail}`,
    translated: `::ffff:0:${tail}`,
    NAT64: `64:ff9b::${tail}`,
    'local NAT64': `64:ff9b:1::${tail}`,
    '6to4': `2002:${tail}::1`,
    'Teredo client': `2001:0:808:808:0:0:${hex(a ^ 255, b ^ 255)}:${hex(c ^ 255, d ^ 255)}`,
    'Teredo server': `2001:0:${tail}:0:0:f7f7:f7f7`,
    ISATAP: `2606:4700::5efe:${tail}`,
    'universal ISATAP': `2606:4700::200:5efe:${tail}`,
  }
}

describe('the peers that are denied by default', () => {
  const policy = new PeerPolicy()
  it.each(denied)('%s', (ip) => expect(policy.permits(ip)).toBe(false))
  it.each(permitted)('not %s', (ip) => expect(policy.permits(ip)).toBe(true))

  const inner = [
    [127, 0, 0, 1],
    [10, 0, 0, 1],
    [169, 254, 169, 254],
    [100, 64, 0, 1],
    [224, 0, 0, 1],
    [192, 0, 2, 1],
  ] as const
  it.each(
    inner.flatMap((address) =>
      Object.entries(forms(address[0], address[1], address[2], address[3])).map(([form, ip]) => [
        ip,
        form,
        address.join('.'),
      ]),
    ),
  )('%s, the %s form of %s', (ip) => expect(policy.permits(ip)).toBe(false))

  it('public IPv4 addresses pass where a translator takes them there', () => {
    const { NAT64 = '', '6to4': sixToFour = '', ISATAP = '' } = forms(8, 8, 4, 4)
    expect([NAT64, sixToFour, ISATAP].map((ip) => policy.permits(ip))).toEqual([true, true, true])
    const { mapped = '', compatible = '' } = forms(8, 8, 4, 4)
    expect([mapped, compatible].map((ip) => policy.permits(ip))).toEqual([false, false])
  })
})

describe('rules', () => {
  it('allow opens what is denied by default, for the very family only', () => {
    const policy = new PeerPolicy({ allow: ['10.1.0.0/16', 'fd00::/8'] })
    expect(policy.permits('10.1.2.3')).toBe(true)
    expect(policy.permits('10.2.0.1')).toBe(false)
    expect(policy.permits('fd12::1')).toBe(true)
    for (const ip of Object.values(forms(10, 1, 2, 3))) expect(policy.permits(ip)).toBe(false)
  })

  it('deny beats allow, in every form', () => {
    const policy = new PeerPolicy({ allow: ['8.8.0.0/16', '::/0'], deny: ['8.8.4.0/24'] })
    expect(policy.permits('8.8.8.8')).toBe(true)
    expect(policy.permits('8.8.4.4')).toBe(false)
    const { NAT64 = '', mapped = '', '6to4': sixToFour = '' } = forms(8, 8, 4, 4)
    for (const ip of [NAT64, mapped, sixToFour]) expect(policy.permits(ip)).toBe(false)
  })

  it('one address is a range of one', () => {
    const policy = new PeerPolicy({ allow: ['127.0.0.1'], deny: ['2606:4700::1111'] })
    expect(policy.permits('127.0.0.1')).toBe(true)
    expect(policy.permits('127.0.0.2')).toBe(false)
    expect(policy.permits('2606:4700::1111')).toBe(false)
  })

  it('an address is named by itself, not by a range around it', () => {
    const policy = new PeerPolicy({ allow: ['127.0.0.0/8', '10.0.0.1/32', '::1'] })
    expect(['127.0.0.1', '10.0.0.1', '::1'].map((ip) => policy.names(ip))).toEqual([false, true, true])
  })

  it.each([
    '',
    '10.0.0.0/33',
    '10.0.0/8',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'fe80::%eth0/64',
    'all',
  ])('refuses %s', (range) => expect(() => new PeerPolicy({ deny: [range] })).toThrow(NatcheckError))

  it('every default is a range that stands for itself', () => {
    for (const range of deniedByDefault) expect(new PeerPolicy().permits(range.split('/')[0] ?? '')).toBe(false)
  })
})
