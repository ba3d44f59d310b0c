import { describe, expect, it } from 'vitest'
import { analyseWan, type RouterObservation } from '../../../../src/probe/nat/port-mapping/index.ts'

const told = (protocol: RouterObservation['protocol'], externalIp: string): RouterObservation => ({
  protocol,
  outcome: 'answered',
  externalIp,
})
const context = { reflexiveIp: '198.51.100.7', localIp: '192.168.1.20' }

describe('analyseWan', () => {
  it.each([
    ['the reflexive address', '198.51.100.7', 'none'],
    ['shared address space (RFC 6598), its start', '100.64.0.1', 'carrier-grade-nat'],
    ['shared address space, its end', '100.127.255.254', 'carrier-grade-nat'],
    ['DS-Lite (RFC 6333)', '192.0.0.2', 'carrier-grade-nat'],
    ['private, class A', '10.1.2.3', 'double-nat'],
    ['private, class B', '172.31.0.9', 'double-nat'],
    ['private, class C', '192.168.100.2', 'double-nat'],
    ['global, but another', '9.9.9.9', 'double-nat'],
    ['just outside shared address space', '100.128.0.1', 'double-nat'],
  ])('WAN address %s', (_, wanIp, value) => {
    const finding = analyseWan([told('upnp', wanIp)], context)
    expect(finding).toMatchObject({ kind: 'observed', value })
    expect(finding.why).toContain(wanIp)
  })

  it.each(['127.0.0.1', '169.254.1.1', '224.0.0.1', '0.1.2.3'])(
    'an impossible WAN address %s concludes nothing',
    (wanIp) => {
      expect(analyseWan([told('nat-pmp', wanIp)], context)).toMatchObject({ kind: 'inconclusive', value: null })
    },
  )

  it('needs the reflexive address only where the WAN address is public', () => {
    const blind = { ...context, reflexiveIp: null }
    expect(analyseWan([told('upnp', '100.64.0.1')], blind).kind).toBe('observed')
    expect(analyseWan([told('upnp', '10.0.0.1')], blind).kind).toBe('observed')
    expect(analyseWan([told('upnp', '9.9.9.9')], blind).kind).toBe('inconclusive')
    expect(analyseWan([told('upnp', '9.9.9.9')], { ...context, reflexiveIp: '2001:db8::1' }).kind).toBe('inconclusive')
  })

  it('does not judge by a server that stands inside', () => {
    expect(analyseWan([told('upnp', '10.0.0.2')], { ...context, reflexiveIp: '10.0.0.2' }).kind).toBe('inconclusive')
    expect(analyseWan([told('upnp', '9.9.9.9')], { ...context, reflexiveIp: '192.168.1.1' }).kind).toBe('inconclusive')
  })

  it('says so when protocols disagree', () => {
    const finding = analyseWan([told('upnp', '198.51.100.7'), told('nat-pmp', '10.0.0.2')], context)
    expect(finding).toEqual({
      kind: 'inconclusive',
      value: null,
      why: "the router's protocols disagree on its WAN address: UPnP says 198.51.100.7, NAT-PMP says 10.0.0.2",
    })
    const sameMeaning = analyseWan([told('upnp', '100.64.0.1'), told('nat-pmp', '100.64.0.2')], context)
    expect(sameMeaning).toMatchObject({ kind: 'observed', value: 'carrier-grade-nat' })
    expect(sameMeaning.why).toContain('disagree')
    const neither = analyseWan([told('upnp', '127.0.0.1'), told('nat-pmp', '127.0.0.2')], context)
    expect(neither.kind).toBe('inconclusive')
    const agreeing = analyseWan([told('upnp', '198.51.100.7'), told('nat-pmp', '198.51.100.7')], context)
    expect(agreeing.why).not.toContain('disagree')
  })

  it('knows a host without any NAT', () => {
    expect(analyseWan([], { localIp: '198.51.100.7', reflexiveIp: '198.51.100.7' })).toMatchObject({ value: 'none' })
  })

  it('takes a local address in 100.64.0.0/10 for the carrier, or an overlay network', () => {
    const finding = analyseWan([], { localIp: '100.101.2.3', reflexiveIp: '198.51.100.7', localInterface: 'wwan0' })
    expect(finding).toMatchObject({ kind: 'observed', value: 'carrier-grade-nat' })
    expect(finding.why).toContain('or an overlay network')
    for (const localInterface of ['tailscale0', 'wg0', 'utun4', 'wt0']) {
      const overlay = analyseWan([], { localIp: '100.101.2.3', reflexiveIp: '198.51.100.7', localInterface })
      expect(overlay.kind).toBe('inconclusive')
      expect(overlay.why).toContain(localInterface)
    }
  })

  it('without an address says what each protocol did', () => {
    const finding = analyseWan(
      [
        { protocol: 'upnp', outcome: 'no-answer' },
        { protocol: 'nat-pmp', outcome: 'unsupported' },
        { protocol: 'pcp', outcome: 'answered' },
      ],
      context,
    )
    expect(finding).toEqual({
      kind: 'inconclusive',
      value: null,
      why:
        'the router did not tell its WAN address: UPnP did not answer, NAT-PMP is not supported, ' +
        'PCP answered without it',
    })
  })

  it('explains a router that hides its WAN address', () => {
    const detail = 'NETWORK_FAILURE: the router says it has no usable WAN address'
    const finding = analyseWan([{ protocol: 'nat-pmp', outcome: 'answered', detail }], context)
    expect(finding.kind).toBe('inconclusive')
    expect(finding.why).toContain('hide a private one')
    expect(finding.why).toContain('though the server sees 198.51.100.7')
  })

  it('tells not tested from not answered', () => {
    expect(analyseWan([], context)).toMatchObject({ kind: 'not-tested', why: 'the router was not asked' })
    const vpn: RouterObservation = { protocol: 'upnp', outcome: 'not-sent', detail: 'a VPN' }
    expect(analyseWan([vpn], context)).toMatchObject({ kind: 'not-tested', why: 'a VPN' })
  })
})
